"""What a run would do, without asking a model: which answers and candidates are there, and what is still to be asked.

What Rank is shown depends on the candidates, and those on the phrases that Infer has still to propose. So where Infer
is to be asked, Rank is counted as to be asked too, and these questions are told apart; where it is not, retrieval is
looked up or done, and Rank's questions are known. Of an edited taxonomy they all are: Infer was asked before.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from labelmill.corpus import chunk
from labelmill.keys import KeySet, content_key
from labelmill.pipelines.answering import Answers
from labelmill.pipelines.execution import Retrievals, nothing_stored, search
from labelmill.pipelines.program import Program
from labelmill.pipelines.questions import Questions
from labelmill.records import Candidate, Document, Failure
from labelmill.store.lineage import Asked, BuildsOn


@dataclass(slots=True)
class Preview:
    """What a run would do.

    Attributes:
        documents: To be labelled.
        skipped: Done already, or failed and left alone.
        failed: Rows of the corpus that cannot be read.
        infer_reused: Pieces of documents whose phrases are there.
        infer_calls: Pieces whose phrases are to be asked for.
        retrieve_reused: Documents whose candidates are there.
        retrieve_runs: Documents whose candidates are to be retrieved.
        rank_reused: Pieces whose candidates have been ranked; with whole Rank, pieces.
        rank_calls: Pieces whose candidates are to be ranked; one question a candidate where Rank is pointwise.
        rank_open: Those of them whose candidates wait for phrases that are to be asked for: as many as that at most.
            Without them, the calls are exact, but for documents that fail.
        builds_on: The run of an older version of the taxonomy whose answers are used again.
        by_student: Documents that a student answers alone.
    """

    documents: int = 0
    skipped: int = 0
    failed: int = 0
    infer_reused: int = 0
    infer_calls: int = 0
    retrieve_reused: int = 0
    retrieve_runs: int = 0
    rank_reused: int = 0
    rank_calls: int = 0
    rank_open: int = 0
    builds_on: BuildsOn | None = None
    by_student: int = 0

    @property
    def calls(self) -> int:
        """Questions to the model."""
        return self.infer_calls + self.rank_calls

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self) | {"calls": self.calls}


@dataclass(slots=True)
class _Look:
    """A document that is looked at: what is asked about it, by key, as far as that is known.

    Attributes:
        document: The document.
        chunks: Its pieces.
        phrases: None while Infer is to be asked.
        candidates: None while phrases are, or where an embedder refuses the text; no model is asked then.
        keys: Of the questions, in the order of the stages.
    """

    document: Document
    chunks: list[str]
    phrases: list[str] | None
    candidates: list[Candidate] | None
    keys: list[str]


class Previewer:
    """Counts what batches of documents would ask.

    Args:
        program: The stages.
        model: The model's name; empty where the program has no use for one.
        identity: What its answers depend on.
        answers: Looks up what the model answered before.
        retrievals: Looks up what was retrieved before.
        builds_on: A run of an older version of the taxonomy.
        asked: What that was asked.
    """

    def __init__(
        self,
        program: Program,
        model: str,
        identity: str,
        *,
        answers: Answers = nothing_stored,
        retrievals: Retrievals = nothing_stored,
        builds_on: BuildsOn | None = None,
        asked: Asked | None = None,
    ) -> None:
        """Count nothing yet."""
        self.preview = Preview(builds_on=builds_on)
        self._program = program
        self._questions = Questions(program, model, identity) if model else None
        self._answers = answers
        self._retrievals = retrievals
        self._before = asked
        self._asked = KeySet()

    def count(self, batch: Sequence[Document | Failure]) -> None:
        """Add what a batch would do."""
        documents = [item for item in batch if isinstance(item, Document)]
        self.preview.failed += len(batch) - len(documents)
        self.preview.documents += len(documents)
        spec = self._program.spec
        looks = [
            _Look(item, chunk(item.text, spec.chunk_characters, spec.chunk_overlap), None, None, [])
            for item in documents
        ]
        looks = self._not_answered(looks)
        for pool in self._program.pools:
            pool.find([text for look in looks for text in look.chunks])  # all at once: one by one takes longer
        self._infer(looks)
        self.preview.retrieve_runs += sum(look.phrases is None for look in looks)
        self._retrieve([look for look in looks if look.phrases is not None])
        self._rank(looks)
        self._compare(looks)

    def _not_answered(self, looks: list[_Look]) -> list[_Look]:
        """Leave out what a student answers alone."""
        shortcut = self._program.shortcut
        if shortcut is None:
            return looks
        answers = shortcut.answer([look.chunks for look in looks])
        left = [look for look, answer in zip(looks, answers, strict=True) if answer is None]
        self.preview.by_student += len(looks) - len(left)
        return left

    def _infer(self, looks: Sequence[_Look]) -> None:
        """Find the phrases of each document, where they are known."""
        if self._program.infer is None or self._questions is None:
            for look in looks:
                look.phrases = []
            return
        for look in looks:
            look.keys = [self._questions.infer(text).key for text in look.chunks]
        keys = [key for look in looks for key in look.keys]
        answers = self._answers(keys)
        reused, calls = self._tell(keys, answers)
        self.preview.infer_reused += reused
        self.preview.infer_calls += calls
        for look in looks:
            if all(key in answers for key in look.keys):
                look.phrases = list(dict.fromkeys(phrase for key in look.keys for phrase in answers[key]))

    def _retrieve(self, looks: Sequence[_Look]) -> None:
        """Look up candidates; retrieve them only where Rank's questions depend on them."""
        keys = [self._program.retrieval_key(look.chunks, look.phrases or []) for look in looks]
        found = self._retrievals(keys)
        missing = [look for look, key in zip(looks, keys, strict=True) if key not in found]
        self.preview.retrieve_reused += len(looks) - len(missing)
        self.preview.retrieve_runs += len(missing)
        for look, key in zip(looks, keys, strict=True):
            look.candidates = found.get(key)
        if missing and self._program.rank is not None and not self._program.ranks_all:
            made = search(self._program, [(look.chunks, look.phrases or []) for look in missing])
            for look, candidates in zip(missing, made, strict=True):
                look.candidates = None if isinstance(candidates, str) else candidates

    def _rank(self, looks: Sequence[_Look]) -> None:
        """Count Rank's questions about documents whose candidates are known, and about those that wait for phrases."""
        if self._program.rank is None or self._questions is None:
            return
        shows_all = self._program.ranks_all
        keys = []
        for look in looks:
            if shows_all or look.candidates:
                names = self._program.names(look.candidates or [])
                own = [self._questions.rank(text, names).key for text in look.chunks]
                look.keys += own
                keys += own
        reused, calls = self._tell(keys, self._answers(keys))
        waiting = [look.chunks for look in looks if look.phrases is None and not shows_all]
        again, first = self._foresee(waiting)
        self.preview.rank_reused += reused + again
        self.preview.rank_calls += calls + first
        self.preview.rank_open += first

    def _compare(self, looks: Sequence[_Look]) -> None:
        """Count the documents of which an older run asked the same."""
        builds_on = self.preview.builds_on
        if self._before is None or builds_on is None:
            return
        before = self._before.of(look.document.id for look in looks)
        kept = sum(before.get(look.document.id) == look.keys for look in looks)
        self.preview.builds_on = replace(
            builds_on, documents=builds_on.documents + len(before), kept=builds_on.kept + kept
        )

    def _foresee(self, waiting: Sequence[Sequence[str]]) -> tuple[int, int]:
        """Tell of documents whose candidates are not known which of Rank's questions an equal document has as well."""
        distinct = {content_key("to rank", chunks, text) for chunks in waiting for text in chunks}
        new = sum(self._asked.add(key) for key in distinct)
        return len(distinct) - new, new

    def _tell(self, keys: Iterable[str], stored: Container[str]) -> tuple[int, int]:
        """Tell how many questions are answered, and how many are to be asked; each counts once."""
        distinct = dict.fromkeys(keys)
        new = sum(key not in stored and self._asked.add(key) for key in distinct)
        return len(distinct) - new, new
