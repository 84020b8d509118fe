"""The options that say which program runs, for every command that runs one: stated once, taken together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from labelmill.cli import options
from labelmill.cli.console import Progress, say

if TYPE_CHECKING:
    from labelmill.pipelines.labeler import Labeler


@dataclass(frozen=True, slots=True)
class ProgramChoice:
    """What the user chose of a program.

    Attributes:
        taxonomy: The file of the labels.
        labels_where: Which of them.
        under: Whose branches of them.
        language: Of the names, in SKOS.
        lm: Language models, as they were named.
        embedder: Embedders, as they were named.
        infer: The kind of Infer, where one was named.
        rank: The kind of Rank, where one was named.
        tuned: The file of a tuned program, or the folder of a student.
        student: The folder of a student beside it.
        gold: Documents with gold, for a cascade.
        settings: Everything else, as `Labeler` takes it.
    """

    taxonomy: Path
    labels_where: str | None
    under: list[str] | None
    language: str
    lm: list[str] | None
    embedder: list[str] | None
    infer: options.InferChoice | None
    rank: options.RankChoice | None
    tuned: Path | None
    student: Path | None
    gold: list[Path] | None
    settings: dict[str, Any]

    def open(self, shown: Progress) -> Labeler:
        """Read the taxonomy, fetch what is missing of embedded models, and make the labeler."""
        from labelmill.pipelines.gold import GoldCorpus
        from labelmill.pipelines.labeler import Labeler
        from labelmill.pipelines.program_file import ProgramFile
        from labelmill.retrievers.students import StudentFolder
        from labelmill.taxonomy import Taxonomy

        file = ProgramFile.read(self.tuned) if self.tuned else None
        folder = self.student or (self.tuned if file and file.spec.is_student else None)
        student = StudentFolder.read(folder) if folder else None
        labels = Taxonomy.read(self.taxonomy, where=self.labels_where, under=self.under or (), language=self.language)
        models, embedders = self.lm or ["none"], self.embedder or (file.spec.embedders if file else ["minilm"])
        own = [student.header.embedder] if student else []
        fetch_models([*embedders, *own, *(["smollm2"] if "embedded" in models else [])], shown)
        windows = self.infer in {None, options.InferChoice.windows}
        if models == ["none"] and windows and self.rank in {None, options.RankChoice.fusion} and not file:
            say("No language model: infer=windows, rank=fusion. Give one with --lm.")
        labeler = Labeler(
            labels,
            lm=models,
            program=file,
            infer=None if self.infer is None else self.infer.value,
            rank=None if self.rank is None else self.rank.value,
            embedders=self.embedder,
            student=student,
            gold=GoldCorpus.read(self.gold) if self.gold else None,
            progress=shown.building,
            **self.settings,
        )
        for note in labeler.notes:
            say(f"Note: {note}.")
        return labeler


def takes_program(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a program in place of its parameter ``program``, a `ProgramChoice`."""
    shared = _parameters(_choose)
    parameters: list[inspect.Parameter] = []
    for parameter in _parameters(command):
        parameters += shared if parameter.name == "program" else [parameter]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(program=_choose(**{each.name: given.pop(each.name) for each in shared}), **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """List the parameters, by keyword, since the required ones of two functions come in any order."""
    hints = get_type_hints(function, include_extras=True)
    return [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in inspect.signature(function).parameters.items()
    ]


def _choose(
    taxonomy: options.TaxonomyFile,
    tuned: options.TunedProgram = None,
    task: options.Task = None,
    infer: options.Infer = None,
    rank: options.Rank = None,
    lm: options.Lm = None,
    embedder: options.EmbedderChoice = None,
    labels_where: options.Where = None,
    under: options.Under = None,
    language: options.Language = "en",
    usages: options.UsagesFile = None,
    student: options.StudentChoice = None,
    cascade: options.CascadeWish = None,
    gold: options.CascadeGold = None,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    candidates: options.Candidates = None,
    listed: options.Listed = None,
    show_parents: options.ShownParents = None,
    no_ancestors: options.NoAncestors = None,
    chunk_characters: options.ChunkCharacters = None,
    concurrency: options.Concurrency = None,
    timeout: options.Timeout = 300.0,
    patience: options.Patience = 3600.0,
) -> ProgramChoice:
    settings = {
        "task": task,
        "usages": usages,
        "cascade": cascade,
        "top_k": top_k,
        "threshold": threshold,
        "candidates": candidates,
        "listed": listed,
        "shown_parents": show_parents,
        "no_ancestors": no_ancestors,
        "chunk_characters": chunk_characters,
        "concurrency": concurrency,
        "timeout": timeout,
        "patience": patience,
    }
    return ProgramChoice(
        taxonomy, labels_where, under, language, lm, embedder, infer, rank, tuned, student, gold, settings
    )


def fetch_models(names: list[str], shown: Progress) -> None:
    """Fetch the files of embedded models first, with a progress bar, rather than silently with the first text."""
    from labelmill.models.catalog import fetch_model, list_models

    for model in list_models():
        if model.name in names and not model.cached:
            fetch_model(model.name, shown.fetching)
            shown.end()
