"""What a run has done and what it cost, out of the file: the answers that went into it, and what was really spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from labelmill.errors import StoreError
from labelmill.store.database import Store
from labelmill.store.heartbeat import read_heartbeat


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run and what it cost so far.

    Attributes:
        run: Its name.
        state: ``running``, ``killed`` (its process is gone), ``interrupted``, ``budget`` (it stopped at a limit of the
            user) or ``finished``.
        taxonomy: Content hash of its taxonomy.
        documents: Documents done.
        failures: Documents failed.
        predictions: Labels that were ranked, over all documents.
        selected: Those of them that are in a final set.
        unlabelled: Documents whose final set is empty.
        by_student: Documents that a student answered alone, in a cascade.
        calls: Answers of a model that went into it, those taken over from other runs included.
        answers_prompt_tokens: Tokens that were read for these answers, whenever that was.
        answers_cached_tokens: Those of them that came out of a prefix cache.
        answers_completion_tokens: Tokens that were written for these answers.
        requests: What this run sent to a model, repeated and vain requests included.
        prompt_tokens: Tokens that this run had read, cached ones included.
        cached_tokens: Those of them that came out of a prefix cache.
        completion_tokens: Tokens that this run had written.
        prefix_queries: Tokens that servers looked for in their prefix caches meanwhile, by their own counters; 0 where
            they have none.
        prefix_hits: Those of them that were found.
        seconds: At work, up to the last commit.
        started: When it was begun.
        updated: When it last committed.
        corpus: The paths of its documents.
        program: The whole specification.
    """

    run: str
    state: str
    taxonomy: str
    documents: int
    failures: int
    predictions: int
    selected: int
    unlabelled: int
    by_student: int
    calls: int
    answers_prompt_tokens: int
    answers_cached_tokens: int
    answers_completion_tokens: int
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    prefix_queries: int
    prefix_hits: int
    seconds: float
    started: datetime
    updated: datetime
    corpus: list[str]
    program: dict[str, Any]

    @property
    def model(self) -> str:
        """The language model's name; empty where none takes part."""
        return str(self.program.get("model") or "")

    @property
    def cached_share(self) -> float | None:
        """Of the tokens read, the share out of a prefix cache: by the servers' counters, or as answers say; or None."""
        if self.prefix_queries:
            return self.prefix_hits / self.prefix_queries
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, for programs."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["program"] = _without_keys(self.program) | (
            {"combine": _without_keys(self.program["combine"])} if "combine" in self.program else {}
        )
        return plain | {"started": self.started.isoformat(), "updated": self.updated.isoformat()}


def _without_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the keys of gold documents: thousands of lines that say nothing to a reader."""
    return {name: value for name, value in values.items() if name != "learned_from"}


def summarise(store: Store, run: str) -> RunSummary:
    """Count what a run has done and cost.

    Raises:
        StoreError: There is no such run.
    """
    with store.errors():
        row = store.first(_SUMMARY, {"run": run})
    if row is None:
        raise StoreError(f"{store.path} has no run {run!r}.")
    # In the order of the attributes from here on.
    state, *counts, started, updated, corpus, program = row
    times = [datetime.fromtimestamp(seconds, UTC) for seconds in (started, updated)]
    values = [run, _state(store, run, state), *counts, *times, corpus, orjson.loads(program)]
    return RunSummary(**dict(zip(RunSummary.__slots__, values, strict=True)))


def _state(store: Store, run: str, state: str) -> str:
    """Say of a run that says it is running whether it is: a killed one cannot take that back."""
    if state != "running" or not store.read_only:
        return state
    # Nobody can read a file that is written, but where a disk of the network knows no locks.
    pulse = read_heartbeat(store.path)
    return "running" if pulse and pulse.alive and pulse.run == run else "killed"


def _cost(prefix: str, table: str, condition: str, count: str) -> str:
    sums = ", ".join(
        f"coalesce(sum({name}_tokens), 0)::BIGINT AS {prefix}_{name}" for name in ("prompt", "cached", "completion")
    )
    return f"{prefix} AS (SELECT {count} AS {prefix}_count, {sums} FROM {table} WHERE {condition})"  # noqa: S608


_SUMMARY = (
    "WITH used AS (SELECT DISTINCT unnest(stages) AS key FROM documents WHERE run = $run), "  # noqa: S608
    f"{_cost('taken', 'stages', 'key IN (SELECT key FROM used)', 'count(*)')}, "
    f"{_cost('spending', 'spent', 'run = $run', 'coalesce(sum(requests), 0)::BIGINT')}, "
    "done AS (SELECT count(*) AS documents, count(*) FILTER (stages = ['student']) AS by_student "
    "FROM documents WHERE run = $run), "
    "failed AS (SELECT count(*) AS failures FROM failures WHERE run = $run), "
    "found AS (SELECT count(*) AS ranked, count(*) FILTER (selected) AS chosen, "
    "count(DISTINCT document) FILTER (selected) AS labelled FROM predictions WHERE run = $run), "
    "cache AS (SELECT coalesce(sum(prefix_queries), 0)::BIGINT, coalesce(sum(prefix_hits), 0)::BIGINT "
    "FROM sittings WHERE run = $run) "
    "SELECT state, taxonomy, documents, failures, ranked, chosen, documents - labelled, by_student, taken.*, "
    "spending.*, cache.*, seconds, epoch(started), epoch(updated), corpus, program "
    "FROM runs, taken, spending, cache, done, failed, found "
    "WHERE run = $run"
)
