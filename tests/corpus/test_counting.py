"""How many rows a corpus has, without parsing it."""

from __future__ import annotations

import gzip
import io
import os
import sys

import duckdb
import pytest

from labelmill.corpus.counting import count_documents
from labelmill.errors import CorpusError

ROWS = [{"id": str(number), "text": f"Loaf {number}"} for number in range(7)]
JSONL = "".join(f'{{"id": "{row["id"]}", "text": "{row["text"]}"}}\n' for row in ROWS)
CSV = "id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in ROWS)


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "loaves [1].parquet"
    with duckdb.connect() as connection:
        connection.sql("SELECT i::VARCHAR AS id, 'Loaf' AS text FROM range(7) AS t(i)").write_parquet(str(path))
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", JSONL),
        ("a.ndjson", JSONL.rstrip("\n")),
        ("a.jsonl", "\n" + JSONL.replace("\n", "\r\n\n")),
        ("a.csv", CSV),
        ("a.CSV", CSV.replace("\n", "\r\n")),
        ("a.tsv", CSV.replace(",", "\t")),
    ],
)
def test_rows_are_counted(tmp_path, name, text):
    """Blank lines, the header and the kind of line break do not count."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert count_documents(path) == 7
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert count_documents(str(packed)) == 7


def test_parquet_is_counted_by_its_footer(parquet):
    """Also where the name holds what a glob would read."""
    assert count_documents(parquet) == 7


def test_a_folder_counts_its_texts_at_every_depth(tmp_path):
    """Files of other kinds are not documents."""
    (tmp_path / "deep").mkdir()
    for name in ("a.txt", "deep/b.txt", "deep/c.md"):
        (tmp_path / name).write_text("Loaf")
    assert count_documents(tmp_path) == 2
    assert count_documents(tmp_path / "a.txt") == 1


def test_several_paths_are_summed_up_to_the_limit(tmp_path, parquet):
    """The limit is the most that will be read."""
    path = tmp_path / "a.jsonl"
    path.write_text(JSONL)
    assert count_documents([path, parquet]) == 14
    assert count_documents([path, parquet], limit=9) == 9
    assert count_documents([path, parquet], limit=99) == 14


def test_what_cannot_be_known_is_none(tmp_path, monkeypatch):
    """Standard input is not read ahead, and a damaged file is left to the reader, who knows the line."""
    monkeypatch.setattr("sys.stdin", io.StringIO(JSONL))
    assert count_documents("-") is None
    assert count_documents("-", limit=5) == 5
    for name, content in (
        ("a.parquet", b"PAR1 no"),
        ("a.jsonl.gz", b"no gzip"),
        ("a.csv", "id,text\n".encode("utf-16")),
    ):
        (tmp_path / name).write_bytes(content)
        assert count_documents(tmp_path / name) is None


def test_paths_are_checked(tmp_path):
    """A missing path and one named twice are errors at once."""
    with pytest.raises(CorpusError, match=r"nowhere\.jsonl: there is no such file"):
        count_documents(tmp_path / "nowhere.jsonl")
    (tmp_path / "a.txt").write_text("Loaf")
    with pytest.raises(CorpusError, match="named twice"):
        count_documents([tmp_path / "a.txt", tmp_path / "a.txt"])


@pytest.mark.skipif(sys.platform != "linux", reason="only there a name may be any bytes")
def test_a_path_that_is_not_utf8(tmp_path):
    """It could be neither stored nor shown, so it is refused by a message that can."""
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    path.write_text(JSONL)
    with pytest.raises(CorpusError, match=r"jsonl: its path is not UTF-8\. Rename") as caught:
        count_documents(path)
    assert str(caught.value).encode()
