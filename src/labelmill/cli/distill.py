"""``labelmill distill``: train a student on a run's labels."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, duration, put, put_json, say
from labelmill.cli.program import fetch_models

if TYPE_CHECKING:
    from labelmill.pipelines.distilling import Distilled


class KindChoice(StrEnum):
    """Kinds of students."""

    auto = "auto"
    linear = "linear"
    omikuji = "omikuji"


class FeaturesChoice(StrEnum):
    """What a student looks at."""

    tfidf = "tfidf"
    embedding = "embedding"
    both = "both"


def distill(
    runs: options.RunsFile,
    corpus: Annotated[
        list[Path],
        typer.Option("--corpus", "-c", help="The documents that were labelled; the run's file has no texts."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The student's folder to write.")],
    run: options.Run = None,
    kind: Annotated[
        KindChoice,
        typer.Option(help="auto: linear up to 10^8 pairs of a document and a label with lessons, omikuji beyond."),
    ] = KindChoice.auto,
    features: Annotated[
        FeaturesChoice, typer.Option(help="What it looks at: words (the fastest), an embedder's vectors, or both.")
    ] = FeaturesChoice.tfidf,
    embedder: Annotated[
        str, typer.Option(help="minilm, use, wordllama, st:NAME or MODEL@URL; where vectors are looked at.")
    ] = "minilm",
    gold: Annotated[
        list[Path] | None,
        typer.Option("--gold", "-g", help="Documents with gold: they say what is probable and which labels are given."),
    ] = None,
    promise: Annotated[
        str,
        typer.Option(help="With --gold: f1 (the best), precision>=0.9, recall>=0.8, or cost<=1.5 (wrong labels)."),
    ] = "f1",
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Labels of a final set at most. Default: as the teacher has it.")
    ] = None,
    keep_noise: Annotated[
        bool, typer.Option("--keep-noise", help="Learn labels that are confidently wrong, too.")
    ] = False,
    unweighted: Annotated[
        bool, typer.Option("--unweighted", help="Let all documents count alike, however unsure the teacher is.")
    ] = False,
    no_names: Annotated[
        bool, typer.Option("--no-names", help="Learn from documents alone, not from what labels are called.")
    ] = False,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Train a student on the labels of a run: it labels hundreds of times as many documents.

    Example: labelmill distill runs.duckdb --run tuned --corpus ads.jsonl --out ads.student
    """
    from labelmill.corpus import Corpus
    from labelmill.learning.promises import parse_promise
    from labelmill.pipelines.distilling import distill as train
    from labelmill.pipelines.gold import GoldCorpus

    wanted = parse_promise(promise)
    shown = Progress()
    known = GoldCorpus.read(gold, id_field=id_field, text_field=text_field, labels_field=labels_field) if gold else None
    if features is not FeaturesChoice.tfidf:
        fetch_models([embedder], shown)
    with shown.until_interrupted("nothing is written. Run the same command again."):
        done = train(
            runs,
            Corpus(corpus, id_field=id_field, text_field=text_field, labels_field=labels_field),
            out,
            run=run,
            kind=kind.value,
            features=features.value,
            embedder=embedder,
            gold=known,
            promise=wanted,
            top_k=top_k,
            pruned=not keep_noise,
            weighted=not unweighted,
            named=not no_names,
            on_progress=shown.show,
        )
    if as_json:
        put_json(done.as_dict())
    else:
        _put(done)


def _put(done: Distilled) -> None:
    figures = done.figures
    put(
        f"Learned {figures['labels']:,} labels from {done.documents:,} documents of run {done.run}: "
        f"{figures['kind']}, {figures['features']}"
    )
    if figures.get("names"):
        spoken = figures["labels_with_lessons"]
        put(
            f"  labels' names count {figures['names']:g}; {figures['labels'] - spoken:,} labels have no lesson but that"
        )
    if "pruned_yes" in figures:
        put(f"  left out as confidently wrong: {figures['pruned_yes']:,} labels given, {figures['pruned_no']:,} not")
    put(f"  F1 with its teacher on documents that it had not seen: {figures['agreement']:.3f}")
    said = ", ".join(f"{name} {value:.3g}" for name, value in figures["decision"].items())
    put(f"  final sets against {figures['judged_by']}, {figures['judged_documents']:,} documents: {said}")
    for note in done.notes:
        say(f"Note: {note}.")
    say(f"Done in {duration(done.seconds)}.")
    say(f"Next: labelmill label DOCS --taxonomy FILE --program {done.path} --out runs.duckdb")
