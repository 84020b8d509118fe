"""Corpora as streams of documents and failures."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.corpus import read_documents
from labelmill.errors import CorpusError
from labelmill.records import Document, Failure

ROWS = [
    {"id": "r1", "text": "Knead, rest, bake.", "labels": ["salt, sea", "rye"]},
    {"id": "r2", "text": 'Say "when".\nThen stop.', "labels": []},
    {"id": "r3", "text": "שמן 🧀", "labels": None},
]


def documents(name: str) -> list[Document]:
    return [
        Document("r1", "Knead, rest, bake.", ("salt, sea", "rye"), f"{name}:1"),
        Document("r2", 'Say "when".\nThen stop.', (), f"{name}:2"),
        Document("r3", "שמן 🧀", None, f"{name}:3"),
    ]


def jsonl(path: Path, *records: object) -> Path:
    text = "\n".join(record if isinstance(record, str) else json.dumps(record) for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def parquet(path: Path, query: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


@pytest.mark.parametrize("name", ["d.jsonl", "d.ndjson", "d.jsonl.gz"])
def test_jsonl_is_read_plain_and_packed(tmp_path, name):
    """Ids, texts and gold come back as written; absent gold is None and empty gold is empty."""
    path = jsonl(tmp_path / name, *ROWS)
    assert list(read_documents(path)) == documents(str(path))


@pytest.mark.parametrize(("name", "mark"), [("d.csv", ","), ("d.tsv", "\t"), ("d.csv.gz", ",")])
def test_csv_is_read_plain_and_packed(tmp_path, name, mark):
    """Quoted commas and line breaks survive; gold is a JSON list or has bars; a source is the row's first line."""
    rows = ["id,text,labels", 'r1,"Knead, rest, bake.","[""salt, sea"", ""rye""]"', 'r2,"Say ""when"".\nThen stop.",[]']
    text = "\n".join([*rows, "r3,שמן 🧀,", "r4,x,salt|rye"])
    if mark == "\t":
        text = 'id\ttext\tlabels\nr1\tKnead, rest, bake.\t["salt, sea", "rye"]\nr2\t"Say ""when"".\nThen stop."\t[]\n'
        text = text.replace('["salt, sea", "rye"]', '"[""salt, sea"", ""rye""]"') + "r3\tשמן 🧀\t\nr4\tx\tsalt | rye"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    read = list(read_documents(path))
    expected = [Document(row.id, row.text, row.labels) for row in documents("")]
    assert [Document(row.id, row.text, row.labels) for row in read[:3]] == expected
    assert read[3].labels == ("salt", "rye")
    assert [row.source for row in read] == [f"{path}:{line}" for line in (2, 3, 5, 6)]


def test_parquet_is_read_over_many_batches_and_by_its_exact_name(tmp_path):
    """Lists are gold, rows keep their order, and a name with brackets and stars is a name."""
    query = "SELECT 'd' || i AS id, 'text ' || i AS text, ['a, b', 'c'] AS labels, i AS other FROM range(3000) t(i)"
    path = parquet(tmp_path / "part.parquet", query).rename(tmp_path / "part [1]*.parquet")
    parquet(tmp_path / "part 1x.parquet", "SELECT 'decoy' AS id, 'decoy' AS text")
    read = list(read_documents(path))
    assert [row.id for row in read] == [f"d{number}" for number in range(3000)]
    assert read[2999] == Document("d2999", "text 2999", ("a, b", "c"), f"{path}:3000")


def test_a_folder_is_one_document_per_text_file(tmp_path):
    """Files are found at any depth, sorted, and called by their path within the folder."""
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.txt", "sub/c.txt", "readme.md"):
        (tmp_path / name).write_text(f"this is {name}\n")
    assert [(row.id, row.text) for row in read_documents(tmp_path)] == [
        ("a.txt", "this is a.txt\n"),
        ("b.txt", "this is b.txt\n"),
        ("sub/c.txt", "this is sub/c.txt\n"),
    ]
    (single,) = read_documents(tmp_path / "sub" / "c.txt")
    assert (single.id, single.source) == ("c.txt", str(tmp_path / "sub" / "c.txt"))


def test_standard_input_is_jsonl():
    """A dash reads JSON Lines from the pipe, and leaves the pipe open."""
    code = """
import sys
from labelmill.corpus import read_documents
print([(row.id, row.source) for row in read_documents("-", limit=2)], sys.stdin.buffer.closed)
"""
    lines = "".join(json.dumps({"id": number, "text": "x"}) + "\n" for number in range(5))
    done = subprocess.run([sys.executable, "-c", code], input=lines, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[('0', 'stdin:1'), ('1', 'stdin:2')] False"


def test_several_sources_are_one_corpus(tmp_path):
    """Files of different formats follow each other; an id of an earlier file is taken."""
    first = jsonl(tmp_path / "a.jsonl", {"id": "x", "text": "one"})
    second = tmp_path / "b.csv"
    second.write_text("id,text\nx,two\ny,three\n")
    one, twice, three = read_documents([first, str(second)])
    assert (one.id, three.id) == ("x", "y")
    assert isinstance(twice, Failure)
    assert (twice.document, twice.stage, twice.kind) == (f"{second}:2", "read", "duplicate-id")
    assert "'x'" in twice.message


@pytest.mark.parametrize(
    ("record", "document", "kind"),
    [
        ({"text": "a"}, None, "missing-id"),
        ({"id": " ", "text": "a"}, None, "missing-id"),
        ({"id": ["a"], "text": "a"}, None, "wrong-type"),
        ({"id": True, "text": "a"}, None, "wrong-type"),
        ({"id": "b", "text": " \n\t"}, "b", "empty-text"),
        ({"id": "b", "text": "\x00"}, "b", "empty-text"),
        ({"id": "b"}, "b", "missing-text"),
        ({"id": "b", "text": None}, "b", "missing-text"),
        ({"id": "b", "text": {"en": "a"}}, "b", "wrong-type"),
        ({"id": "b", "text": 7}, "b", "wrong-type"),
        ({"id": "b", "text": "a", "labels": {"x": 1}}, "b", "wrong-type"),
        ({"id": "b", "text": "a", "labels": [None]}, "b", "wrong-type"),
        ({"id": "first", "text": "again"}, None, "duplicate-id"),
        ("{", None, "unparseable"),
        ("[1]", None, "unparseable"),
        ("[" * 100_000, None, "unparseable"),
    ],
)
def test_a_bad_document_is_a_failure_in_its_place(tmp_path, record, document, kind):
    """What is wrong with one document is told under its id or its line, and the others are read."""
    path = jsonl(tmp_path / "d.jsonl", {"id": "first", "text": "a"}, record, {"id": "last", "text": "z"})
    first, failure, last = read_documents(path)
    assert (first.id, last.id) == ("first", "last")
    assert (failure.document, failure.stage, failure.kind) == (document or f"{path}:2", "read", kind)
    assert failure.source == f"{path}:2"
    assert failure.message
    assert "\n" not in failure.message


def test_an_empty_document_still_owns_its_id(tmp_path):
    """A later document with the id of a failed one is a duplicate: no id ends twice."""
    path = jsonl(tmp_path / "d.jsonl", {"id": "a", "text": ""}, {"id": "a", "text": "x"})
    assert [row.kind for row in read_documents(path)] == ["empty-text", "duplicate-id"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt"])
def test_bytes_that_are_not_utf8_fail_alone(tmp_path, suffix):
    """A line in another encoding fails under its place, and the lines around it are read."""
    lines = {
        ".jsonl": [b'{"id": "a", "text": "x"}', b'{"id": "b", "text": "caf\xe9"}', b'{"id": "c", "text": "z"}'],
        ".csv": [b"id,text\na,x", b"b,caf\xe9", b"c,z"],
        ".txt": [b"caf\xe9"],
    }[suffix]
    path = tmp_path / f"d{suffix}"
    path.write_bytes(b"\n".join(lines))
    kinds = [row.kind if isinstance(row, Failure) else row.id for row in read_documents(path)]
    assert kinds == (["encoding"] if suffix == ".txt" else ["a", "encoding", "c"])


def test_csv_rows_that_do_not_fit_fail_alone(tmp_path):
    """Rows with too many cells or broken quotes are failures with their line."""
    path = tmp_path / "d.csv"
    path.write_text('id,text\na,x\nb,y,z\nc,"q" r\nd,w\n,v\n')
    rows = list(read_documents(path))
    assert [row.kind if isinstance(row, Failure) else row.id for row in rows] == [
        *("a", "unparseable", "unparseable", "d", "missing-id")
    ]
    assert [row.source for row in rows] == [f"{path}:{line}" for line in range(2, 7)]


def test_characters_that_nothing_downstream_takes_are_replaced(tmp_path):
    """NUL and half a surrogate pair become U+FFFD, in text, id and gold, and whole pairs stay characters."""
    path = tmp_path / "d.jsonl"
    path.write_text(r'{"id": "a\u0000", "text": "b\u0000\ud800c \ud83e\uddc0", "labels": "\udc00"}')
    (row,) = read_documents(path)
    assert (row.id, row.text, row.labels) == ("a\ufffd", "b\ufffd\ufffdc 🧀", ("\ufffd",))
    row.text.encode()


def test_fields_can_be_named_and_numbers_are_ids(tmp_path):
    """Other names of the fields are given by the user; an id or a label may be a number."""
    path = jsonl(
        tmp_path / "d.jsonl", {"nr": 7, "body": "x", "tags": [1, "b"]}, {"nr": 8, "body": "y", "tags": "one, two"}
    )
    rows = list(read_documents(path, id_field="nr", text_field="body", labels_field="tags"))
    assert [(row.id, row.text, row.labels) for row in rows] == [("7", "x", ("1", "b")), ("8", "y", ("one, two",))]


def test_the_limit_counts_rows_and_reads_no_further(tmp_path):
    """Failures count; what lies behind the limit is not looked at."""
    path = jsonl(tmp_path / "d.jsonl", {"id": "a", "text": "x"}, "{", {"id": "b", "text": "x"})
    assert len(list(read_documents(path, limit=2))) == 2
    damaged = tmp_path / "e.jsonl.gz"
    lines = "".join(f'{{"id": "{number}", "text": "{number * 7919}"}}\n' for number in range(50_000))
    damaged.write_bytes(gzip.compress(lines.encode())[:-20_000])
    assert len(list(read_documents(damaged, limit=100))) == 100
    with pytest.raises(CorpusError, match="gzip file is damaged"):
        list(read_documents(damaged))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("d.jsonl", b"", "holds no documents"),
        ("d.jsonl", b"\n\n", "holds no documents"),
        ("d.csv", b"", "holds no documents"),
        ("d.csv", b"id,text\n", "holds no documents"),
        ("d.jsonl", b'{"id": "a", "body": "x"}', r"no field 'text'; the fields are 'id', 'body'.*--text-field"),
        ("d.csv", b"id,body\na,x\n", r"no field 'text'; the fields are 'id', 'body'.*--text-field"),
        ("d.csv", b"nr,text\na,x\n", r"no field 'id'; the fields are 'nr', 'text'.*--id-field"),
        ("d.csv", b"id,text,text\na,x,y\n", "'text' is there twice"),
        ("d.csv", b'"id" x,text\n', "header cannot be read"),
        ("d.jsonl", '{"id": "a"}'.encode("utf-16"), "UTF-16"),
        ("d.jsonl.gz", b"not gzip", "gzip"),
        ("d.parquet", b"not parquet", "cannot be read as Parquet"),
        ("d.json", b"{}", "not read from .json"),
        ("d.parquet.gz", b"", "not read from"),
    ],
)
def test_a_corpus_that_cannot_be_read_at_all_is_one_error(tmp_path, name, content, says):
    """The error names the file, what is there, and the option or the remedy."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=says) as raised:
        list(read_documents(path))
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_paths_are_looked_at_before_anything_is_read(tmp_path):
    """A missing second file is an error of the call, not after hours of the first."""
    good = jsonl(tmp_path / "d.jsonl", {"id": "a", "text": "x"})
    with pytest.raises(CorpusError, match="no such file"):
        read_documents([good, tmp_path / "gone.jsonl"])
    with pytest.raises(CorpusError, match="named twice"):
        read_documents([good, tmp_path / ".." / tmp_path.name / "d.jsonl"])
    with pytest.raises(CorpusError, match="no corpus is named"):
        read_documents([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no \.txt file"):
        list(read_documents(tmp_path / "empty"))


def test_parquet_without_the_columns_is_one_error(tmp_path):
    """The columns that are there are listed, and gold that was asked for by name must be there."""
    path = parquet(tmp_path / "d.parquet", "SELECT 'a' AS id, 'x' AS body")
    with pytest.raises(CorpusError, match=r"no field 'text'; the fields are 'id', 'body'"):
        list(read_documents(path))
    with pytest.raises(CorpusError, match=r"no field 'gold'.*--labels-field"):
        list(read_documents(path, text_field="body", labels_field="gold"))


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4)


@settings(deadline=None)  # the machine's time is nobody's promise
@given(
    rows=st.lists(
        st.fixed_dictionaries({"id": json_values, "text": json_values, "labels": json_values}) | json_values, min_size=2
    )
)
def test_every_row_ends_as_one_document_or_one_failure(tmp_path_factory, rows):
    """Whatever the values: as many results as rows, every document fit to be stored, no id twice."""
    path = jsonl(tmp_path_factory.mktemp("any") / "d.jsonl", *[json.dumps(row) for row in rows])
    read = list(read_documents(path))
    assert len(read) == len(rows)
    ids = [row.id if isinstance(row, Document) else row.document for row in read]
    assert len(set(ids)) == len(ids)
    for row in read:
        if isinstance(row, Document):
            assert row.text.strip()
            assert "\x00" not in row.text.encode().decode()


@settings(deadline=None)  # the machine's time is nobody's promise
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".jsonl", ".csv", ".tsv", ".txt", ".jsonl.gz"]))
def test_no_content_brings_the_reader_down(tmp_path_factory, content, suffix):
    """Any bytes at all give documents, failures, or the one error of a corpus."""
    path = tmp_path_factory.mktemp("any") / f"d{suffix}"
    path.write_bytes(content)
    with suppress(CorpusError):
        assert list(read_documents(path))
