"""The DuckDB file of steps that lead to a taxonomy: each found again by its key, each committed as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import orjson

from labelmill.store.database import Store

STEPS_VERSION = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what went in, what came out, and what it cost.

    Attributes:
        key: Hash of everything that went in.
        step: Its kind.
        output: What came out.
        input: What went in, for people; without the texts of documents.
        model: Which model was asked; empty for none.
        problem: Why there is no output; empty where there is one.
        requests: Sent for it, a repair included.
        prompt_tokens: Tokens read.
        cached_tokens: Of those, out of the prefix cache.
        completion_tokens: Tokens written.
        seconds: It took.
    """

    key: str
    step: str
    output: list[Any]
    input: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    problem: str = ""
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


_COLUMNS = tuple(Step.__dataclass_fields__)


class StepStore(Store):
    """The steps of one taxonomy, open for writing; use it as a context manager.

    All of them are kept in memory too: they are some thousands, of a line each.

    Args:
        path: The file; made where it is absent.

    Raises:
        StoreError: The file cannot be used: locked, of another kind or version.
    """

    _schema: ClassVar[str] = "steps.sql"
    _version: ClassVar[tuple[str, int]] = ("steps_version", STEPS_VERSION)
    _command: ClassVar[str] = "taxonomy generate … --out"

    def __init__(self, path: str | Path, *, write: bool = True) -> None:
        """Open the file and read what it holds."""
        super().__init__(path, write=write)
        self._steps: dict[str, Step] = {}
        with self.errors():
            rows = self.connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM steps ORDER BY rowid").fetchall()  # noqa: S608 - names are ours
        for row in rows:
            values = dict(zip(_COLUMNS, row, strict=True))
            values["output"], values["input"] = orjson.loads(values["output"]), orjson.loads(values["input"])
            self._steps.setdefault(values["key"], Step(**values))

    def __len__(self) -> int:
        """Count the steps."""
        return len(self._steps)

    def get(self, key: str) -> Step | None:
        """Look a step up."""
        return self._steps.get(key)

    def steps(self) -> list[Step]:
        """List all steps, as they came."""
        return list(self._steps.values())

    def put(self, step: Step) -> Step:
        """Commit a step; of two with one key the first stays, and is returned."""
        kept = self._steps.setdefault(step.key, step)
        if kept is step:
            with self.transaction():
                self.insert("steps", [asdict(step) | {"committed": datetime.now(UTC).isoformat()}])
        return kept
