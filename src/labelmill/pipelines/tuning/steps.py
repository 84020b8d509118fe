"""The steps of tuning, from a specification to a better one; `labelmill.pipelines.tuning.tune` puts them in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelmill.eval.calibration import expected_calibration_error
from labelmill.keys import text_key
from labelmill.learning.calibrating import fit_calibration
from labelmill.learning.deciding import fit_decision
from labelmill.learning.fusing import FusionFit, fit_fusion
from labelmill.learning.fusion import probabilities
from labelmill.learning.promises import Promise
from labelmill.models.client import ChatModel
from labelmill.models.embedders import MemoEmbedder
from labelmill.pipelines.assemble import assemble, lane_weights
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.optimise import optimise
from labelmill.pipelines.optimise.figures import Optimised, OptimiseProgress
from labelmill.pipelines.optimise.journal import Journal
from labelmill.pipelines.optimise.spending import Allowance
from labelmill.pipelines.program import Program
from labelmill.pipelines.program_file import ProgramFile, TaxonomyVersion
from labelmill.pipelines.questions import Question, Questions
from labelmill.pipelines.spec import LabelledText, ProgramSpec, RankKind, remake
from labelmill.pipelines.tuning.asking import Ask, Asked, ask_about
from labelmill.pipelines.tuning.choosing import choose
from labelmill.pipelines.tuning.figures import by_rank, precisions, ranked_precisions
from labelmill.pipelines.tuning.gathering import Gathered, GoldSet, gather
from labelmill.pipelines.tuning.kinds import Tried, choose_kind
from labelmill.pipelines.tuning.parts import INFER, TAUGHT, parts_of, without
from labelmill.pipelines.tuning.progress import OnTune, TuneProgress
from labelmill.pipelines.tuning.prompting import Prompts, optimise_kinds
from labelmill.pipelines.tuning.ranking import Ranked, keep_best, resort, weigh_answers
from labelmill.prompts.compiled import StageName
from labelmill.records import Document
from labelmill.retrievers.base import TokenEmbedder
from labelmill.retrievers.index import Progress
from labelmill.retrievers.students import StudentFolder
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.usages import Usages

ALSO = {("descriptions", "windows"): 1.0}
"""Lanes that are of use to learned fusion alone."""

_MOST_EXAMPLES = 5000

_ECE_DEPTH = 10
_FREQUENT = "frequent"


class Steps:
    """The steps of tuning; each takes a specification and gives a better one, and notes its figures."""

    def __init__(
        self,
        taxonomy: Taxonomy,
        embedders: dict[str, MemoEmbedder],
        connection: Connection,
        journal: str | Path | None,
        seed: int,
        building: Progress | None,
        on_progress: OnTune,
        usages: Usages | None = None,
        student: StudentFolder | None = None,
    ) -> None:
        self._taxonomy = taxonomy
        self._embedders = embedders
        self._connection = connection
        self._journal = journal
        self._seed = seed
        self._building = building
        self._told = on_progress
        self._usages = usages
        self._student = student
        self._asked: dict[str, Asked] = {}
        self._parts: list[int] = []
        self._folds: dict[str, frozenset[int]] = {}
        self.figures: dict[str, Any] = {}

    def optimise(
        self,
        spec: ProgramSpec,
        documents: Sequence[Document],
        teacher: str | ChatModel | None,
        optimiser: str,
        allowance: Allowance,
        kinds: Sequence[RankKind],
    ) -> Prompts:
        """Optimise the prompts of the stages that ask a model, of Rank for each kind."""

        def told(state: OptimiseProgress) -> None:
            best = "" if state.best is None else f"best {state.best:.3f}"
            self._told(TuneProgress(f"optimising the prompt of {state.stage}", state.trials, detail=best))

        def optimise_stages(own: ProgramSpec, stages: Sequence[StageName], limit: Allowance) -> Optimised:
            return optimise(
                self._assemble(own),
                documents,
                student=self._connection,
                teacher=teacher,
                optimiser=optimiser,
                budget=limit,
                stages=stages,
                seed=self._seed,
                journal=self._journal,
                on_progress=told,
            )

        prompts = optimise_kinds(spec, kinds, allowance, optimise_stages)
        self.figures["prompts"] = prompts.figures
        return prompts

    def gather_best(
        self, spec: ProgramSpec, documents: Sequence[Document], *, keep_all: bool
    ) -> tuple[Gathered, ProgramSpec]:
        """Gather the evidence for all that may be of use, and again without what is not."""
        usual = {f"{what}/{kind}": weight for (what, kind), weight in lane_weights(spec, self._taxonomy).items()}
        gold = GoldSet.of(spec, self._taxonomy, documents, seed=self._seed)
        spec = self._with_everything(spec, gold)
        program = self._assemble(spec, learning=True)
        phrases = self._phrases(program, gold)
        gathered = gather(program, gold, phrases, lambda done, total: self._tell("retrieving", done, total))
        self.figures["gold"] = {
            "documents": len(gold),
            "labels": int(gold.sizes.sum()),
            "without_known_labels": sum(1 for labels in gold.labels if not labels),
            "note": gold.resolved.summary,
        }
        self.figures["before"] = precisions(by_rank(gathered, program, usual), gathered)
        self.figures["before_is"] = "fusion by rank" + (", without the model's Rank" if spec.rank != "fusion" else "")
        if keep_all:
            return gathered, spec
        each = {name: seconds / len(gold) for name, seconds in gathered.seconds.items()}
        asking = self._asked["infer"].spent.seconds / len(gold) if "infer" in self._asked else 0.0
        parts = parts_of(program, each, asking)
        out, trials = choose(
            gathered, parts, seed=self._seed, on_trial=lambda done, total: self._tell("choosing evidence", done, total)
        )
        tokens = self._asked["infer"].used.tokens / len(gold) if "infer" in self._asked else 0.0
        self.figures["trials"] = [
            trial.as_dict() | {"tokens": 0.0 if INFER in trial.without else tokens} for trial in trials
        ]
        self.figures["left_out"] = [part.name for part in out]
        if not out:
            return gathered, spec
        spec = remake(spec, **without(spec, out))
        program = self._assemble(spec, learning=True)
        if spec.infer == "windows":
            phrases = [[] for _ in range(len(gold))]
        return gather(program, gold, phrases, lambda done, total: self._tell("retrieving again", done, total)), spec

    def fuse(self, gathered: Gathered) -> FusionFit:
        """Learn to fuse."""
        self._tell("learning to fuse")
        fit = fit_fusion(gathered.examples)
        self.figures["fusion"] = {
            "kind": fit.kind,
            "log_losses": fit.log_losses,
            **precisions(fit.log_odds, gathered),
            "milliseconds": {name: 1000 * took / len(gathered.gold) for name, took in gathered.seconds.items()},
        }
        return fit

    def rank(
        self, gathered: Gathered, fit: FusionFit, spec: ProgramSpec, kinds: Sequence[RankKind], prompts: Prompts
    ) -> tuple[Ranked, ProgramSpec]:
        """Have the model rank the candidates of the fusion in every way that is asked for; keep the best that helps."""
        examples = gathered.examples
        ranked = keep_best(gathered.pools, fit.log_odds, examples.correct, examples.groups, spec.candidates)
        asking = [kind for kind in kinds if kind != "fusion"]
        tried = [
            self._try(
                remake(spec, rank=kind, prompts=prompts.of(kind)),
                ranked,
                gathered.gold,
                "rank" if len(asking) == 1 else f"rank {kind}",
            )
            for kind in asking
        ]
        kept, figures = choose_kind(tried, ranked, gathered.gold)
        if figures:
            best = min(figures, key=lambda each: (not each["kept"], each["log_losses"]["with rank"]))
            self.figures["rank"] = best
        if len(figures) > 1:
            self.figures["ranks"] = figures
        if kept is None:
            return ranked, remake(spec, fusion=fit.fusion, rank="fusion")
        return resort(kept.weighed.after), remake(kept.spec, fusion=fit.fusion, blend=kept.weighed.blend)

    def _try(self, spec: ProgramSpec, ranked: Ranked, gold: GoldSet, stage: str) -> Tried:
        """Ask one kind of Rank about the candidates, and learn what its answers weigh."""
        program = self._assemble(remake(spec, lanes={"bm25/text": 1.0}, scorers=(), examples=()))
        named = [program.names(candidates) for candidates in ranked.candidates]

        def questions(asked: Questions, place: int) -> list[Question]:
            if not (named[place] or program.ranks_all):
                return []
            return [asked.rank(piece, named[place]) for piece in gold.pieces[place]]

        asked = self._ask(program, stage, len(gold), questions)
        weighed = weigh_answers(program, ranked, asked.answers, gold.labels, gold.parts)
        return Tried(spec, weighed, asked.used)

    def decide(
        self, gathered: Gathered, ranked: Ranked, spec: ProgramSpec, promise: Promise, delta: float | None
    ) -> ProgramSpec:
        """Calibrate, and choose which candidates become labels."""
        self._tell("calibrating")
        scores = probabilities(ranked.log_odds)
        fit = fit_calibration(scores, ranked.correct, ranked.groups, gathered.gold.parts[ranked.groups])
        first = np.arange(len(scores)) - np.searchsorted(ranked.groups, ranked.groups, side="left") < _ECE_DEPTH
        frequent = self._frequent() if promise.kind == "precision" else frozenset()
        flat = [candidate.label for candidates in ranked.candidates for candidate in candidates]
        decision = fit_decision(
            fit.probabilities,
            ranked.correct,
            ranked.groups,
            gathered.gold.sizes,
            promise=promise,
            delta=delta,
            top_k=min(spec.top_k, spec.candidates),
            label_groups=np.array([_FREQUENT if label in frequent else "" for label in flat]) if frequent else None,
            group_labels={_FREQUENT: [self._taxonomy.labels[label].id for label in sorted(frequent)]},
            seed=self._seed,
        )
        self.figures["calibration"] = {
            "kind": fit.calibration.kind,
            "log_losses": fit.log_losses,
            "ece@10_before": expected_calibration_error(scores[first], ranked.correct[first]),
            "ece@10_after": expected_calibration_error(fit.probabilities[first], ranked.correct[first]),
        }
        self.figures["after"] = ranked_precisions(ranked, gathered.gold)
        return remake(spec, calibration=fit.calibration, decision=decision, top_k=decision.top_k)

    def finish(self, spec: ProgramSpec) -> ProgramFile:
        """Put the program and its figures together."""
        asking = {"infer": spec.infer != "windows", "rank": spec.rank != "fusion"}
        prompts = {stage: prompt for stage, prompt in spec.prompts.items() if asking[stage]}
        spec = remake(spec, model=spec.model if spec.uses_model else "", prompts=prompts)
        self.figures["asked"] = {
            stage: {"requests": asked.spent.requests, "tokens": asked.spent.tokens}
            for stage, asked in self._asked.items()
        }
        labels = TaxonomyVersion(
            key=self._taxonomy.key, labels=len(self._taxonomy), source=Path(self._taxonomy.source).name
        )
        fingerprints = tuple(self._embedders[name].fingerprint for name in spec.embedders)
        return ProgramFile(spec=spec, taxonomy=labels, embedders=fingerprints, figures=self.figures)

    def _frequent(self) -> frozenset[int]:
        """Find the labels that carry half of all priors: a promise of precision is kept by them and the rest apart.

        Priors are known from elsewhere; frequencies in the gold itself would void the promise.
        """
        priors = np.array([label.prior or 0.0 for label in self._taxonomy.labels])
        if not priors.any():
            return frozenset()
        order = np.argsort(-priors, kind="stable")
        half = int(np.searchsorted(np.cumsum(priors[order]), priors.sum() / 2)) + 1
        return frozenset(order[:half].tolist())

    def _with_everything(self, spec: ProgramSpec, gold: GoldSet) -> ProgramSpec:
        """Take every lane and scorer that there is, and the gold documents as examples."""
        # Of two documents that begin alike, neither may learn its labels from the other's example: they share one,
        # and their part.
        labels_of: dict[str, set[int]] = {}
        part_of: dict[str, int] = {}
        for pieces, labels, part in zip(gold.pieces, gold.labels, gold.parts.tolist(), strict=True):
            for key in map(text_key, pieces):
                self._folds[key] = self._folds.get(key, frozenset()) | {part}
            labels_of.setdefault(pieces[0], set()).update(labels)
            part_of[pieces[0]] = part
        self._parts = list(part_of.values())
        examples = [
            LabelledText(text=text, labels=tuple(self._taxonomy.labels[each].id for each in sorted(labels)))
            for text, labels in labels_of.items()
        ]
        able = any(isinstance(each, TokenEmbedder) for each in self._embedders.values())
        weights = lane_weights(spec, self._taxonomy)
        if spec.lanes is None and ("descriptions", "text") in weights:  # where there are descriptions
            weights = ALSO | weights
        lanes = {f"{what}/{kind}": weight for (what, kind), weight in weights.items()}
        if len(examples) <= _MOST_EXAMPLES:
            lanes |= dict.fromkeys(TAUGHT, 1.0)
        else:
            examples = []
        scorers = (*(["late"] if able else []), "overlap", "competition")
        return remake(spec, lanes=lanes, scorers=scorers, examples=tuple(examples))

    def _phrases(self, program: Program, gold: GoldSet) -> list[list[str]]:
        """Have Infer propose phrases, where the program has one."""
        if program.infer is None:
            return [[] for _ in range(len(gold))]

        def questions(asked: Questions, place: int) -> list[Question]:
            return [asked.infer(piece) for piece in gold.pieces[place]]

        answers = self._ask(program, "infer", len(gold), questions).answers
        return [list(dict.fromkeys(str(phrase) for each in answer or () for phrase in each)) for answer in answers]

    def _ask(self, program: Program, stage: str, documents: int, ask: Ask) -> Asked:
        with Journal(self._journal) as journal:
            asked = ask_about(
                program,
                self._connection,
                journal,
                documents,
                ask,
                lambda done, total: self._tell(f"asking {stage}", done, total),
            )
        self._asked[stage] = asked
        return asked

    def _assemble(self, spec: ProgramSpec, *, learning: bool = False) -> Program:
        loaded = [self._embedders[name] for name in spec.embedders]
        return assemble(
            spec,
            self._taxonomy,
            embedders=loaded,
            progress=self._building,
            learning=learning,
            held_out=self._parts if learning and spec.examples else None,
            folds=self._folds,
            usages=self._usages if spec.usages else None,
            student=self._student if spec.student else None,
        )

    def _tell(self, step: str, done: int = 0, total: int = 0) -> None:
        self._told(TuneProgress(step, done, total))
