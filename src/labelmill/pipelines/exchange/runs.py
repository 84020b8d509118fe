"""A run to the files of other tools: Hugging Face `datasets`, Label Studio, Argilla, cleanlab."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.formats import Item, Labels
from labelmill.pipelines.confidence import claims_probabilities
from labelmill.pipelines.exchange.gathering import Gathered, gather
from labelmill.pipelines.exchange.nutrition import card_of
from labelmill.pipelines.exchange.resolving import Resolver, handles
from labelmill.store import Store
from labelmill.store.reader import choose_run, read_taxonomy
from labelmill.store.standings import read_program

FORMATS = ("huggingface", "label-studio", "argilla", "cleanlab")
"""What a run is exported to, beside tables."""


@dataclass(slots=True)
class Exported:
    """What was written.

    Attributes:
        run: The run's name.
        format: The format.
        files: The files.
        counts: What is in them.
        outside: Gold labels that the taxonomy does not have, and how often they were named.
        examples: Why, of each of them.
        notes: What a reader should know, in lines.
    """

    run: str
    format: str
    files: list[Path]
    counts: Gathered
    outside: Counter[str]
    examples: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        counts = ("documents", "texts", "predictions", "not_in_run", "not_in_corpus", "unreadable")
        return {
            "run": self.run,
            "format": self.format,
            "files": [str(each) for each in self.files],
            **{name: getattr(self.counts, name) for name in counts},
            "outside_taxonomy": dict(self.outside.most_common()),
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True)
class _Job:
    """What every format needs to know: where to write what, and of which labels and scores."""

    target: Path
    items: Iterator[Item]
    labels: Labels
    run: str
    probabilities: bool
    exported: Exported


def export_run(
    path: str | Path,
    target: str | Path,
    format: str,  # noqa: A002 - the user's word
    *,
    run: str | None = None,
    corpus: Corpus | None = None,
    selected_only: bool = False,
    exclusive: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Exported:
    """Write a run for another tool; memory holds a few thousand documents, and with cleanlab all their scores.

    Args:
        path: The DuckDB file.
        target: The file to write, or the folder of Hugging Face.
        format: One of `FORMATS`.
        run: The run; the newest by default.
        corpus: The documents, with their texts and perhaps gold; without it, records have ids alone.
        selected_only: Leave out what is not in a final set; Label Studio and Argilla are given final sets in any case.
        exclusive: For cleanlab, whether a document has exactly one label.
        on_progress: Told how many documents are done.

    Raises:
        StoreError: The file or the run is not there.
        InputError: The format does not suit the run, or a file cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}", remedy=f"Use one of {', '.join(FORMATS)}.")
    with Store(path) as store:
        name = choose_run(store, run)
        taxonomy, program = read_taxonomy(store, name), read_program(store, name)
        resolver = Resolver(taxonomy)
        counts, items = gather(
            store,
            name,
            corpus,
            resolver,
            selected_only=selected_only,
            keep_gold=format == "huggingface",
            on_progress=on_progress,
        )
        exported = Exported(name, format, [Path(target)], counts, resolver.outside, resolver.examples)
        labels = Labels(taxonomy.labels, handles(taxonomy), taxonomy.path)
        job = _Job(Path(target), items, labels, name, claims_probabilities(program), exported)
        if format == "cleanlab":
            _cleanlab(job, exclusive=exclusive)
        elif format == "huggingface":
            _huggingface(job, store)
        else:
            _WRITERS[format](job)
    if not counts.documents and format != "cleanlab":
        exported.notes.append(f"no document was written: run {name!r} has done none of them")
    return exported


def _label_studio(job: _Job) -> None:
    from labelmill.formats.label_studio import write_interface, write_tasks

    _require_json(job.target)
    write_tasks(job.target, job.items, job.labels, job.run)
    interface = job.target.with_suffix(".xml")
    if why := write_interface(interface, job.labels):
        job.exported.notes.append(f"no labelling interface was written: {why}")
    else:
        job.exported.files.append(interface)


def _argilla(job: _Job) -> None:
    from labelmill.formats.argilla import write_questions, write_records

    _require_json(job.target)
    write_records(job.target, job.items, job.labels, job.run, scores=job.probabilities)
    settings = job.target.with_suffix(".settings.json")
    write_questions(settings, job.labels)
    job.exported.files.append(settings)
    if not job.probabilities:
        job.exported.notes.append(
            "scores are left out: those of this run are no probabilities, and Argilla takes no others"
        )


def _require_json(target: Path) -> None:
    if target.suffix.lower() != ".json":
        raise InputError(f"it is not written to {target.suffix or 'such a file'}", path=target, remedy="Use .json.")


def _cleanlab(job: _Job, *, exclusive: bool) -> None:
    from labelmill.formats.cleanlab import write_examples

    if not job.probabilities:
        raise InputError(
            f"cleanlab needs probabilities, and the scores of run {job.run!r} are none",
            remedy="Calibrate it with labelmill tune, or combine votes.",
        )
    written = write_examples(job.target, _given(job, exclusive=exclusive), job.labels, exclusive=exclusive)
    job.exported.files += [written.labels] if written.labels else []
    if written.sparse:
        job.exported.notes.append(
            "probabilities are sparse: pred_probs_data, _indices, _indptr, _shape, as of scipy's CSR"
        )


def _given(job: _Job, *, exclusive: bool) -> Iterator[Item]:
    """Give documents that have given labels, with scores that are probabilities."""
    without = several = 0
    for item in job.items:
        if not item.gold:
            without += 1
        elif exclusive and len(item.gold) > 1:
            several += 1
        elif not all(math.isfinite(each.score) and 0 <= each.score <= 1 for each in item.predictions):
            raise InputError(
                f"the scores of document {item.document!r} are no probabilities", remedy="Name another run."
            )
        else:
            yield item
    if without:
        job.exported.notes.append(f"left out: {without:,} of the documents, without a gold label")
    if several:
        job.exported.notes.append(
            f"left out: {several:,} of the documents, with several gold labels: --exclusive takes one"
        )


def _huggingface(job: _Job, store: Store) -> None:
    from labelmill.formats.card import render_card
    from labelmill.formats.hugging_face import CARD, DOCUMENTS, LABELS, Origin, prepare_folder, write_documents
    from labelmill.formats.writing import whole

    prepare_folder(job.target)
    write_documents(job.target, job.items, job.labels, Origin(job.run, job.probabilities))
    card = card_of(store, job.run, job.exported.counts, job.labels)
    with whole(job.target / CARD) as part:
        part.write_text(render_card(replace(card, notes=tuple(job.exported.notes))), encoding="utf-8")
    job.exported.files = [job.target / each for each in (CARD, DOCUMENTS, LABELS)]


_WRITERS: dict[str, Callable[[_Job], None]] = {"label-studio": _label_studio, "argilla": _argilla}
