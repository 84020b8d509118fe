"""How many rows a corpus has, for the estimate of the time to go; cheap, and only approximately true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labelmill.corpus.reading import check_sources, suffix_of
from labelmill.corpus.text import open_text
from labelmill.errors import CorpusError


def count_documents(paths: str | Path | Sequence[str | Path], *, limit: int | None = None) -> int | None:
    """Count rows without parsing them; a cell of a CSV file that spans lines is counted once per line.

    Returns:
        The number, at most `limit`; None where it cannot be known, as for standard input.

    Raises:
        CorpusError: A path is not there, given twice, or of an unknown format.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    sources = [None if str(path) == "-" else Path(path) for path in given]
    check_sources(sources)
    total = 0
    for path in sources:
        counted = None if path is None else _count(path)
        if counted is None:
            return limit
        total += counted
    return total if limit is None else min(total, limit)


def _count(path: Path) -> int | None:
    if path.is_dir():
        return sum(1 for _ in path.rglob("*.txt"))
    suffix = suffix_of(path)
    if suffix == ".txt":
        return 1
    try:
        if suffix == ".parquet":
            return _count_parquet(path)
        with open_text(path, newline="\n") as lines:
            rows = sum(1 for line in lines if line.strip())
    except CorpusError:
        return None  # reading will say what is wrong, with the line
    return rows - 1 if suffix in {".csv", ".tsv"} else rows


def _count_parquet(path: Path) -> int | None:
    import glob

    import duckdb

    with duckdb.connect(":memory:") as connection:
        try:
            row = connection.execute("SELECT count(*) FROM read_parquet(?)", [glob.escape(str(path))]).fetchone()
        except duckdb.Error:
            return None  # as above
    return None if row is None else int(row[0])
