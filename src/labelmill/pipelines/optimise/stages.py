"""Infer and Rank as what DSPy's optimisers take: modules with one predictor, from a gold document to a ranking."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import dspy

from labelmill.errors import ModelRejected
from labelmill.pipelines.decide import decide
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.nearest import state_of, take
from labelmill.pipelines.optimise.cases import Case
from labelmill.pipelines.optimise.journal import Entry, Journal
from labelmill.pipelines.optimise.language_model import RespondentLM
from labelmill.pipelines.optimise.respondent import Respondent
from labelmill.pipelines.pointwise import PointwiseRank, merge_probabilities
from labelmill.pipelines.program import Program, RankStage, merge_rankings
from labelmill.pipelines.questions import Question, Questions
from labelmill.pipelines.whole import WholeRank, join
from labelmill.prompts.compiled import PromptState
from labelmill.prompts.signatures import number_candidates, one_line
from labelmill.records import Candidate


class Bench:
    """What the stages of all candidate programs share; copying a program copies none of it.

    Args:
        program: The stages as they are before.
        journal: What was retrieved before.

    Attributes:
        cases: The gold documents, by id.
    """

    def __init__(self, program: Program, journal: Journal) -> None:
        """Begin without documents."""
        self.program = program
        self.cases: Mapping[str, Case] = {}
        self._journal = journal
        self._retrieving = threading.Lock()

    def __deepcopy__(self, _memo: dict[int, object]) -> Bench:
        """Stay one."""
        return self

    def retrieve(self, case: Case, phrases: Sequence[str]) -> list[Candidate]:
        """Find candidates for a document and these phrases, once; without evidence.

        Raises:
            ModelRejected: An embedder's server refuses the text.
        """
        key = self.program.retrieval_key(case.pieces, phrases)
        with self._retrieving:  # one at a time: retrieval uses every core by itself
            entry = self._journal.get(key)
            if entry is None:
                queries = self.program.queries(case.pieces, phrases)
                (found,) = self.program.retrieve.retrieve([queries], self.program.spec.candidates)
                pairs = [[candidate.label, candidate.score] for candidate in found]
                entry = self._journal.put(Entry(key, "retrieve", pairs))
        return [Candidate(label, score) for label, score in entry.output]


class StageModule(dspy.Module):
    """A stage under optimisation. Its predictor is the stage's own, so that what an optimiser changes is what is asked.

    Args:
        stage: Infer or Rank; it is changed by nobody but an optimiser, and copied with the module.
        bench: What all copies share.

    Attributes:
        shows_mistakes: Whether what pointwise Rank got wrong is traced, for a teacher to read, in place of what it got
            right, for demonstrations.
    """

    def __init__(self, stage: Infer | RankStage, bench: Bench) -> None:
        """Take the stage."""
        super().__init__()
        self.stage = stage
        self.bench = bench
        self.shows_mistakes = False

    @property
    def state(self) -> PromptState:
        """The prompt as it is now."""
        return state_of(self.stage)

    def with_state(self, state: PromptState) -> StageModule:
        """Copy the module, with another prompt."""
        copied = cast("StageModule", self.deepcopy())
        take(copied.stage, state, self.bench.program.embedder)
        return copied

    def forward(self, document: str) -> dspy.Prediction:
        """Take a gold document, by its id, through the stage, with the respondent that DSPy is set to.

        Returns:
            A prediction with ``ranking`` (positions of labels, best first), ``phrases`` or ``chosen``, ``problem`` (why
            there is no answer, or empty), ``prompt`` (the state that was asked) and ``role`` (who answered).
        """
        case, model = self.bench.cases[document], _model()
        respondent = model.respondent
        outcome: dict[str, Any] = {"ranking": [], "candidates": ()}
        answers = respondent.answer(self._questions(case, respondent), model.lease)
        outcome["problem"] = next((answer for answer in answers if isinstance(answer, str)), "")
        read = [answer for answer in answers if not isinstance(answer, str)]
        self._show(case, [[] if isinstance(answer, str) else answer for answer in answers])
        if not outcome["problem"]:
            try:
                outcome |= self._finish(case, read)
            except ModelRejected as error:  # of an embedder's server
                outcome["problem"] = str(error)
        return dspy.Prediction(**outcome, prompt=self.state, role=respondent.role)

    def _questions(self, case: Case, respondent: Respondent) -> list[Question]:
        raise NotImplementedError

    def _show(self, case: Case, answers: Sequence[list[Any]]) -> None:
        """Write into DSPy's trace what the predictor was given and what it gave."""
        raise NotImplementedError

    def _finish(self, case: Case, answers: Sequence[list[Any]]) -> dict[str, Any]:
        raise NotImplementedError

    def _trace(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        if dspy.settings.trace is not None:
            dspy.settings.trace.append((self.stage.predict, dict(inputs), dspy.Prediction(**outputs)))


class InferModule(StageModule):
    """Infer, judged by the candidates that are retrieved with its phrases."""

    def _questions(self, case: Case, respondent: Respondent) -> list[Question]:
        program = replace(self.bench.program, infer=cast("Infer", self.stage), rank=None)
        questions = Questions(program, respondent.model, respondent.identity)
        return [questions.infer(piece) for piece in case.pieces]

    def _show(self, case: Case, answers: Sequence[list[Any]]) -> None:
        for piece, phrases in zip(case.pieces, answers, strict=True):
            self._trace({"text": piece}, {"phrases": phrases})

    def _finish(self, case: Case, answers: Sequence[list[Any]]) -> dict[str, Any]:
        phrases = list(dict.fromkeys(phrase for answer in answers for phrase in answer))
        candidates = self.bench.retrieve(case, phrases)
        ranking = [candidate.label for candidate in candidates]
        return {"ranking": ranking, "phrases": phrases, "candidates": tuple(candidates)}


class RankModule(StageModule):
    """Rank of any kind, judged by the order that it gives to the candidates of the case."""

    def _questions(self, case: Case, respondent: Respondent) -> list[Question]:
        if not self._is_asked(case):
            return []
        program = replace(self.bench.program, infer=None, rank=cast("RankStage", self.stage))
        questions = Questions(program, respondent.model, respondent.identity)
        names = program.names(case.candidates)
        return [questions.rank(piece, names) for piece in case.pieces]

    def _is_asked(self, case: Case) -> bool:
        """Say whether there is something to choose from."""
        return bool(case.candidates) or isinstance(self.stage, WholeRank)

    def _show(self, case: Case, answers: Sequence[list[Any]]) -> None:
        names = self.bench.program.names(case.candidates)
        for piece, answer in zip(case.pieces, answers, strict=self._is_asked(case)):
            if isinstance(self.stage, PointwiseRank):
                for place, applies in (_doubtful if self.shows_mistakes else _right)(case, answer):
                    inputs = {"text": piece, "candidate": one_line(names[place])}
                    self._trace(inputs, {"applies": applies})
            else:
                listed = {} if isinstance(self.stage, WholeRank) else {"candidates": number_candidates(names)}
                self._trace({"text": piece} | listed, {"chosen": [index + 1 for index in answer]})

    def _finish(self, case: Case, answers: Sequence[list[Any]]) -> dict[str, Any]:
        program, candidates = self.bench.program, list(case.candidates)
        answered: dict[str, Any] = {"chosen": None}
        if answers and isinstance(self.stage, PointwiseRank):
            answered["probabilities"] = merge_probabilities(answers)
        elif answers:
            answered["chosen"] = merge_rankings(answers)
        if answers and isinstance(self.stage, WholeRank):
            candidates, answered["chosen"] = join(candidates, answered["chosen"])
        made = decide(program.taxonomy, candidates, **answered, top_k=program.spec.top_k, threshold=program.spec.cut)
        ranked = [program.taxonomy.position(prediction.label) for prediction in made]
        chosen = [label for label, prediction in zip(ranked, made, strict=True) if prediction.selected]
        return {"ranking": ranked, "chosen": chosen}


def _right(case: Case, probabilities: Sequence[float]) -> list[tuple[int, str]]:
    """Pick what was judged rightly of one piece: the surest yes, and the no that came nearest to a yes."""
    yes, no = _by_gold(case, probabilities)
    right = {"yes": [each for each in yes if each[0] > _EVEN], "no": [each for each in no if each[0] <= _EVEN]}
    return [(-max(judged)[1], word) for word, judged in right.items() if judged]


def _doubtful(case: Case, probabilities: Sequence[float]) -> list[tuple[int, str]]:
    """Pick what was judged worst of one piece: the gold label that came last, and the other that came first."""
    yes, no = _by_gold(case, probabilities)
    return [(-place, _word(value)) for value, place in [*sorted(yes)[:1], *sorted(no)[-1:]]]


def _by_gold(case: Case, probabilities: Sequence[float]) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    """Part judgements into those of gold labels and of others: the probability, and the place, negated for ties."""
    judged = [(value, -place) for place, value in enumerate(probabilities)]
    gold = [case.candidates[-place].label in case.known for _, place in judged]
    parted = list(zip(judged, gold, strict=True))
    return [each for each, right in parted if right], [each for each, right in parted if not right]


def _word(probability: float) -> str:
    return "yes" if probability > _EVEN else "no"


_EVEN = 0.5


def _model() -> RespondentLM:
    """Tell who is asked: an optimiser sets the teacher in the student's place where the teacher is to show how."""
    model = dspy.settings.lm
    assert isinstance(model, RespondentLM)
    return model
