"""Where the benchmarks find the development data, and how they say that an index is being built."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder(name: str) -> Path:
    """Name the folder of a data set; where it is absent, say so and end, without an error."""
    root = Path(os.environ.get("LABELMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    folder = root / name
    if not folder.is_dir():
        print(f"skipped: no development data at {folder}; set LABELMILL_DATA")
        sys.exit(0)
    return folder


def show_building(what: str, done: int, total: int) -> None:
    """Say on standard error how far an index is, at the end of each."""
    if done == total:
        print(f"built {what}: {total:,} texts", file=sys.stderr)
