"""Tune: prompts, evidence, fusion, a model's say, calibration, decision, each on top of the one before.

Everything is chosen by cross-validation over the gold documents given; figures are of documents left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from labelmill.errors import InputError
from labelmill.learning.promises import Promise
from labelmill.models.client import ChatModel
from labelmill.models.embedders import MemoEmbedder, load_embedder
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.learned_from import keys_of_texts
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.optimise.spending import Allowance
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.spec import make_spec, remake
from labelmill.pipelines.tuning.kinds import kinds_to_try
from labelmill.pipelines.tuning.progress import OnTune
from labelmill.pipelines.tuning.prompting import Prompts, not_shown
from labelmill.pipelines.tuning.steps import Steps
from labelmill.pipelines.tuning.student import refuse_seen
from labelmill.pipelines.tuning.usages import refuse_own
from labelmill.records import Document
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.index import Progress
from labelmill.retrievers.students import StudentFolder
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.usages import Usages

_REMEMBERED = 200_000


def tune(
    taxonomy: Taxonomy,
    documents: Sequence[Document],
    *,
    lm: str | Sequence[str] | ChatModel = "none",
    teacher: str | ChatModel | None = None,
    optimiser: str | None = "bootstrap",
    allowance: Allowance = Allowance(),  # noqa: B008 - frozen
    embedders: Sequence[str | Embedder] = ("minilm",),
    promise: Promise = Promise(),  # noqa: B008 - frozen
    delta: float | None = None,
    usages: Usages | None = None,
    student: StudentFolder | None = None,
    keep_all: bool = False,
    seed: int = 0,
    journal: str | Path | None = None,
    building: Progress | None = None,
    on_progress: OnTune = lambda _: None,
    **settings: Any,
) -> ProgramFile:
    """Learn a program from gold documents.

    The same gold, seed and answers of a model give the same program.

    Args:
        taxonomy: The labels.
        documents: Gold documents, tens at least. Those whose labels are None are left out; of those whose labels are
            none at all, or none of the taxonomy, it is learned that everything is wrong for them.
        lm: The language model that will answer, as for `Labeler`.
        teacher: One that shows it how, for the optimiser.
        optimiser: Of prompts: ``labeled``, ``bootstrap``, ``mipro``, ``gepa``, ``nearest``; None leaves them as they
            are.
        allowance: What optimising prompts may cost at most.
        embedders: As for `Labeler`.
        promise: What the final sets shall hold to.
        delta: Keep it with confidence 1 - delta; see `fit_decision`.
        usages: Phrases that say how documents speak of labels, made of other documents than these: lanes that are kept
            only where the gold shows that they help.
        student: One that was distilled from other documents than these: one more lane.
        keep_all: Leave no evidence out, whether it is of use or not.
        seed: Of everything that is drawn.
        journal: A file for the model's answers: after a kill, the same call asks none of them again.
        building: Told how far the building of an index is.
        on_progress: Told what is being done.
        settings: Fields of `ProgramSpec`: ``infer``, ``rank``, ``task``, ``top_k``, ... With ``rank="auto"`` the gold
            decides whether the model ranks candidates, all labels where they are few enough, or nothing.

    Raises:
        GoldError: The gold is too little, or no label of it resolves.
        InputError: A setting is wrong, the taxonomy is too large for ``rank="whole"``, the phrases come from documents
            of the gold, or the gold cannot show that the promise would be kept.
        ModelError: A model does not answer; what it has answered is in the journal.
    """
    if delta is not None and not 0 < delta < 1:  # as `fit_decision` would say, after minutes
        raise InputError(f"delta={delta} is no error rate", remedy="Give a number between 0 and 1, such as 0.1.")
    if usages:
        refuse_own(usages, documents)
    if student:
        refuse_seen(student, documents)
    kinds = kinds_to_try(settings.pop("rank", "fusion"), len(taxonomy))
    with ExitStack() as resources:
        connection = run_to_end(lambda: Connection.find(lm, resources))
        loaded = [each if not isinstance(each, str) else load_embedder(each) for each in embedders]
        named = tuple(each if isinstance(each, str) else each.name for each in embedders)
        settings.setdefault("infer", "both" if connection.model else "windows")
        spec = make_spec(
            model=connection.model,
            embedders=named,
            rank=kinds[0],
            usages=usages.key if usages else "",
            student=student.key if student else "",
            **settings,
        )
        if spec.candidates > spec.pool:
            spec = remake(spec, pool=2 * spec.candidates)
        steps = Steps(
            taxonomy,
            {name: MemoEmbedder(each, _REMEMBERED) for name, each in zip(named, loaded, strict=True)},
            connection,
            journal,
            seed,
            building,
            on_progress,
            usages,
            student,
        )
        prompts = Prompts.given(spec, kinds)
        if spec.uses_model and optimiser:
            prompts = steps.optimise(spec, documents, teacher, optimiser, allowance, kinds)
        spec = remake(spec, prompts=prompts.of(kinds[0]))
        gathered, spec = steps.gather_best(spec, not_shown(documents, spec, prompts.shown), keep_all=keep_all)
        fit = steps.fuse(gathered)
        ranked, spec = steps.rank(gathered, fit, spec, kinds, prompts)
        spec = steps.decide(gathered, ranked, spec, promise, delta)
        taught = keys_of_texts(each for each in documents if each.labels is not None)
        return steps.finish(remake(spec, learned_from=taught))
