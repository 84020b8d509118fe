"""How far a run is, for whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.models.balance import ServerState
from labelmill.pipelines.questions import Cost

_SOON = 2.0
"""Seconds of reading that are nothing to speak of."""


@dataclass(slots=True)
class RunProgress:
    """How far a run is.

    Attributes:
        done: Documents done in this sitting.
        skipped: Documents that were done before.
        failed: Documents that failed in this sitting.
        total: Documents in all, where known.
        calls: Questions that the model was asked in this sitting.
        reused: Answers taken from the store.
        requests: What was sent to servers for that, repeated and failed attempts included.
        prompt_tokens: Tokens read in this sitting, cached ones included.
        cached_tokens: Tokens that came out of the prefix cache.
        completion_tokens: Tokens written.
        started: When this sitting began, by `time.monotonic`.
        state: ``running``, ``finished``, ``interrupted``, or ``budget`` where it stopped at a cap.
        servers: What the model's servers are doing.
        read_since: Since when nothing is under way but the reading of documents, by `time.monotonic`.
        by_student: Documents that a student answered alone in this sitting.
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    total: int | None = None
    calls: int = 0
    reused: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    started: float = 0.0
    state: str = "running"
    servers: Sequence[ServerState] = ()
    read_since: float | None = None
    by_student: int = 0

    def add(self, cost: Cost) -> None:
        """Add what a question cost."""
        self.requests += cost.requests
        self.prompt_tokens += cost.prompt_tokens
        self.cached_tokens += cost.cached_tokens
        self.completion_tokens += cost.completion_tokens

    @property
    def tokens(self) -> int:
        """Read and written in this sitting."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def seconds(self) -> float:
        """Of this sitting, so far."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Documents a second in this sitting."""
        return (self.done + self.failed) / max(self.seconds, 1e-9)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at this rate; None where the total is unknown, nothing is done yet, or no server answers."""
        if self.total is None or not self.done + self.failed or self.held:
            return None
        return max(self.total - self.done - self.failed - self.skipped, 0) / self.rate

    @property
    def held(self) -> bool:
        """Whether there are servers and all of them are down."""
        return bool(self.servers) and all(server.state == "down" for server in self.servers)

    @property
    def message(self) -> str:
        """What holds the run up, or nothing."""
        reading = 0.0 if self.read_since is None else time.monotonic() - self.read_since
        if reading > _SOON:
            return f"waiting for documents for {reading:.0f} s"
        down = [server for server in self.servers if server.state == "down"]
        waits = [f"{server.url} (no answer for {server.down_seconds:.0f} s)" for server in down]
        held = "waiting for" if self.held else "going on without"
        return f"{held} {', '.join(waits)}" if waits else ""

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, for another process to read."""
        return {
            "state": self.state,
            "done": self.done,
            "failed": self.failed,
            "skipped": self.skipped,
            "total": self.total,
            "documents_per_second": round(self.rate, 3),
            "eta_seconds": None if self.eta_seconds is None else round(self.eta_seconds, 1),
            "by_student": self.by_student,
            "calls": self.calls,
            "reused": self.reused,
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9), 1),
            "in_flight": sum(server.in_flight for server in self.servers),
            "servers": [asdict(server) for server in self.servers],
            "message": self.message,
        }


OnProgress = Callable[[RunProgress], None]
