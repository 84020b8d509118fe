"""Files that say where labels went: written, read, and refused with file and line."""

from __future__ import annotations

import pytest

from labelmill.errors import InputError, TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy import Proposal, Taxonomy, read_map, write_map

OLD = Taxonomy.from_names(["a", "b, with a comma", 'c "quoted"', "d\nof two lines", "e"])
NEW = Taxonomy.from_names(["A", "B", "C|c", "D"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".ndjson"])
def test_a_map_that_was_written_reads_back(tmp_path, suffix):
    """Whatever is in ids and names."""
    proposals = [
        Proposal(OLD[0], (NEW[0],), "it has its name now"),
        Proposal(OLD[1], (NEW[0],), "so, it seems"),
        Proposal(OLD[2], (NEW[1], NEW[2]), 'it said "split"'),
        Proposal(OLD[3], (NEW[3],), "why not"),
    ]
    path = tmp_path / f"map{suffix}"
    write_map(path, proposals)
    assert read_map(path, OLD, NEW) == {
        "a": ("A",),
        "b, with a comma": ("A",),
        'c "quoted"': ("B", "C|c"),
        "d\nof two lines": ("D",),
    }


def test_a_map_by_hand(tmp_path):
    """Other columns, blank rows, case and space are of no matter; nothing means removed."""
    path = tmp_path / "map.csv"
    path.write_text("\ufeffNote, New ,Old\nx, A ,a\n,,\ny,,e\nz,B,a\nz,B,a\n", encoding="utf-8")
    assert read_map(path, OLD, NEW) == {"a": ("A", "B"), "e": ()}
    objects = tmp_path / "map.jsonl"
    objects.write_text('{"old": "a", "new": "A"}\n\n{"old": "e"}\n{"old": "a", "new": ["B"], "x": 1}\n')
    assert read_map(objects, OLD, NEW) == {"a": ("A", "B"), "e": ()}


def test_ids_may_be_numbers(tmp_path):
    """As in taxonomies."""
    old, new = Taxonomy.from_labels([Label("1", "x")]), Taxonomy.from_labels([Label("2", "x")])
    path = tmp_path / "map.jsonl"
    path.write_text('{"old": 1, "new": 2}\n')
    assert read_map(path, old, new) == {"1": ("2",)}


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("m.csv", "old,new\nnobody,A\n", "m.csv:2: the old taxonomy has no label of the id 'nobody'"),
        ("m.csv", "old,new\na,A\n\na,Z\n", "m.csv:4: the new taxonomy has no label of the id 'Z'"),
        ("m.csv", "from,to\na,A\n", "m.csv:1: the header has no columns old and new"),
        ("m.csv", "old,new\na\n", "m.csv:2: this row has 1 cells, the header 2"),
        ("m.csv", 'old,new\n"a"b,A\n', "m.csv:2: the quotes of this row do not match"),
        ("m.csv", "", "m.csv:1: the map has no header"),
        ("m.csv", "old,new\na,A\na,\n", "m.csv:3: 'a' is removed here, and goes to 'A' elsewhere"),
        ("m.csv", "old,new\na,\udcff\n", "m.csv:2: this is not UTF-8"),
        ("m.jsonl", '{"old": "a", "new": "A"}\n{"old"\n', "m.jsonl:2: this is not JSON"),
        ("m.jsonl", '["a", "A"]\n', "m.jsonl:1: this is not an object of an old id and new ids"),
        ("m.jsonl", '{"old": true, "new": ["A"]}\n', "m.jsonl:1: this is not an object of an old id and new ids"),
        ("m.jsonl", '{"old": "a", "new": {"A": 1}}\n', "m.jsonl:1: this is not an object of an old id and new ids"),
        ("m.txt", "a A\n", "m.txt: a map is not read from or written to .txt"),
        ("m.csv", None, "m.csv: there is no such file"),
    ],
)
def test_a_wrong_map_is_refused(tmp_path, monkeypatch, name, content, complaint):
    """With file, line and remedy, in one line."""
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(TaxonomyError) as raised:
        read_map(tmp_path / name, OLD, NEW)
    said = str(raised.value).removeprefix(f"{tmp_path}/")
    assert said.startswith(complaint)
    assert "\n" not in said
    assert said.endswith(".")


def test_a_map_that_cannot_be_written(tmp_path):
    """The folder is missing, or the format is none."""
    with pytest.raises(InputError, match="the map cannot be written"):
        write_map(tmp_path / "nowhere" / "map.csv", [])
    with pytest.raises(InputError, match=r"Use one of \.csv"):
        write_map(tmp_path / "map.xlsx", [])
