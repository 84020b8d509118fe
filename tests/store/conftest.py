"""Runs written into real DuckDB files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_runs import Written

from labelmill.store import Store


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A file that is not there yet."""
    return Written(tmp_path / "runs.duckdb")


@pytest.fixture
def fill(written: Written) -> Callable[..., None]:
    """Write one batch into a run and close the file."""

    def write(documents=(), failures=(), stages=(), spent=(), **run: Any) -> None:
        with Store(written.path, write=True) as store:
            written.writer(store, **run).write(documents, failures, stages, spent)

    return write
