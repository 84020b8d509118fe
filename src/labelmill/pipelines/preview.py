"""What a run would do, without asking a model: which answers and candidates are there, and what is still to be asked.

What Rank is shown depends on the candidates, and those on the phrases that Infer has still to propose. So where Infer
is to be asked, Rank is counted as to be asked too; where it is not, retrieval is looked up or done, and Rank's
questions are known.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.corpus import chunk
from labelmill.keys import KeySet, content_key
from labelmill.pipelines.answering import Answers
from labelmill.pipelines.execution import Retrievals, nothing_stored
from labelmill.pipelines.program import Program
from labelmill.pipelines.questions import Questions
from labelmill.records import Candidate, Document, Failure


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

    @property
    def calls(self) -> int:
        """Questions to the model."""
        return self.infer_calls + self.rank_calls

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self) | {"calls": self.calls}


class Previewer:
    """Counts what batches of documents would ask.

    Args:
        program: The stages.
        model: The model's name; empty where the program has no use for one.
        identity: What its answers depend on.
        answers: Looks up what the model answered before.
        retrievals: Looks up what was retrieved before.
    """

    def __init__(
        self,
        program: Program,
        model: str,
        identity: str,
        *,
        answers: Answers = nothing_stored,
        retrievals: Retrievals = nothing_stored,
    ) -> None:
        """Count nothing yet."""
        self.preview = Preview()
        self._program = program
        self._questions = Questions(program, model, identity) if model else None
        self._answers = answers
        self._retrievals = retrievals
        self._asked = KeySet()

    def count(self, batch: Sequence[Document | Failure]) -> None:
        """Add what a batch would do."""
        documents = [item for item in batch if isinstance(item, Document)]
        self.preview.failed += len(batch) - len(documents)
        spec = self._program.spec
        chunks = [chunk(item.text, spec.chunk_characters, spec.chunk_overlap) for item in documents]
        self.preview.documents += len(documents)
        for pool in self._program.pools:
            pool.find([text for pieces in chunks for text in pieces])  # all at once: one by one takes longer
        phrases = self._infer(chunks)
        known = [place for place, found in enumerate(phrases) if found is not None]
        unknown = len(documents) - len(known)
        self.preview.retrieve_runs += unknown
        candidates = self._retrieve([(chunks[place], phrases[place] or []) for place in known])
        if self._program.ranks_all:
            self._rank([(pieces, []) for pieces in chunks], [])
        elif self._program.rank is not None:
            ready = [(chunks[place], found) for place, found in zip(known, candidates, strict=True) if found]
            self._rank(ready, [chunks[place] for place in range(len(documents)) if phrases[place] is None])

    def _rank(self, ready: Sequence[tuple[Sequence[str], list[Candidate]]], waiting: Sequence[Sequence[str]]) -> None:
        """Count Rank's questions about documents whose candidates are known, and about those that wait for phrases."""
        if self._questions is None:
            return
        questions = [
            self._questions.rank(text, self._program.names(found)).key for pieces, found in ready for text in pieces
        ]
        reused, calls = self._tell(questions, self._answers(questions))
        again, first = self._foresee(waiting)
        self.preview.rank_reused += reused + again
        self.preview.rank_calls += calls + first

    def _infer(self, chunks: Sequence[Sequence[str]]) -> list[list[str] | None]:
        """Give the phrases of each document, None where they are not known yet."""
        if self._program.infer is None or self._questions is None:
            return [[] for _ in chunks]
        keys = [[self._questions.infer(text).key for text in pieces] for pieces in chunks]
        flat = [key for some in keys for key in some]
        answers = self._answers(flat)
        reused, calls = self._tell(flat, answers)
        self.preview.infer_reused += reused
        self.preview.infer_calls += calls
        return [
            list(dict.fromkeys(phrase for key in some for phrase in answers[key]))
            if all(key in answers for key in some)
            else None
            for some in keys
        ]

    def _retrieve(self, asked: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[list[Candidate]]:
        """Look up candidates; retrieve them only where Rank's questions depend on them."""
        keys = [self._program.retrieval_key(chunks, phrases) for chunks, phrases in asked]
        found = dict(self._retrievals(keys))
        missing = [place for place, key in enumerate(keys) if key not in found]
        self.preview.retrieve_reused += len(keys) - len(missing)
        self.preview.retrieve_runs += len(missing)
        if missing and self._program.rank is not None and not self._program.ranks_all:
            queries = [self._program.queries(*asked[place]) for place in missing]
            made = self._program.retrieve.retrieve(queries, self._program.spec.candidates)
            found |= {keys[place]: candidates for place, candidates in zip(missing, made, strict=True)}
        return [found.get(key, []) for key in keys]

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
