"""Gold labels carried over: what a file says afterwards, what is reported, and that all else stays as it was."""

from __future__ import annotations

import csv
import gzip
import json

import pytest

from labelmill.corpus import read_documents
from labelmill.errors import CorpusError, InputError
from labelmill.pipelines.gold_migration import Fate, migrate_gold
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy, diff

OLD = Taxonomy.from_labels(
    [
        Label("1", "bread"),
        Label("2", "noodles"),
        Label("3", "pasta"),
        Label("4", "drinks, hot or cold"),
        Label("5", "fax machines"),
        Label("6", "Same"),
        Label("7", "Same"),
    ]
)
NEW = Taxonomy.from_labels(
    [
        Label("1", "bread | rolls"),
        Label("3b", "pasta"),
        Label("41", "hot drinks"),
        Label("42", "cold drinks"),
        Label("6", "twin"),
        Label("7", "twin"),
        Label("8", "cake"),
    ]
)
TARGETS = diff(OLD, NEW, {"2": ("3b",), "3": ("3b",), "4": ("41", "42")}).targets

CASES = [
    (["1"], ["1"]),  # ids stay ids, though the name is another
    (["bread"], ["bread | rolls"]),  # names stay names
    (["BREAD"], ["bread | rolls"]),
    (["pasta"], ["pasta"]),  # the id is another, the name tells it still
    (["3"], ["3b"]),
    (["noodles", "pasta"], ["pasta"]),  # merged: once
    (["2", "bread", "3"], ["3b", "bread | rolls"]),
    (["fax machines"], []),
    (["5", "1"], ["1"]),
    (["4"], []),  # split: left out, unless all parts apply
    (["drinks, hot or cold", "1"], ["1"]),
    (["6"], ["6"]),
    (["Same"], ["Same"]),  # two labels of the old version have that name: it is left alone
    (["cake"], ["cake"]),  # of the new version already
    (["nonsense", "1"], ["nonsense", "1"]),
    ([], []),
]


def carry(source, target, **settings):
    return migrate_gold(source, target, OLD, NEW, TARGETS, **settings)


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".jsonl.gz", ".csv", ".tsv", ".csv.gz"])
def test_every_label_goes_where_it_went(tmp_path, suffix):
    """In every format, which stays; what is read back is what was meant."""
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    rows = [
        {"id": f"d{n}", "text": f'a "text", {n}\nof two lines', "labels": before} for n, (before, _) in enumerate(CASES)
    ]
    opened = gzip.open if suffix.endswith(".gz") else open
    with opened(source, "wt", encoding="utf-8", newline="") as file:
        if "json" in suffix or "ndj" in suffix:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            writer = csv.writer(file, delimiter="\t" if "tsv" in suffix else ",")
            writer.writerow(["id", "labels", "text", "more"])
            writer.writerows([row["id"], json.dumps(row["labels"]), row["text"], "é"] for row in rows)
    result = carry(source, target)
    before, after = list(read_documents(source)), list(read_documents(target))
    assert [(each.id, each.text) for each in after] == [(each.id, each.text) for each in before]
    assert [list(each.labels) for each in after] == [wanted for _, wanted in CASES]
    assert (result.documents, result.unreadable, result.merged, result.emptied) == (len(CASES), 0, 2, 2)


def test_what_became_of_the_labels_is_told(tmp_path):
    """How often, and where first."""
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"labels": before}) + "\n" for before, _ in CASES))
    result = carry(source, tmp_path / "out.jsonl")
    removed = {each.text: (each.times, each.first) for each in result.of(Fate.removed)}
    assert removed == {"fax machines": (1, f"{source}:8"), "5": (1, f"{source}:9")}
    split = {each.text: each.into for each in result.of(Fate.in_parts)}
    assert split == {"4": ("41", "42"), "drinks, hot or cold": ("hot drinks", "cold drinks")}
    unknown = {each.text: each.reason for each in result.of(Fate.unknown)}
    assert set(unknown) == {"Same", "nonsense"}
    assert unknown["Same"].startswith("2 labels are named 'Same'")
    plain = result.as_dict()
    assert plain["times"] == {"kept": 8, "changed": 7, "removed": 2, "split": 2, "unknown": 2}
    assert {"text": "4", "times": 1, "first": f"{source}:10", "into": ["41", "42"]} in plain["split"]
    assert sum(plain["times"].values()) == sum(len(before) for before, _ in CASES)


def test_all_parts_of_a_split_label(tmp_path):
    """Where a person says that they apply."""
    source = tmp_path / "in.jsonl"
    source.write_text('{"labels": ["drinks, hot or cold", "1"]}\n{"labels": "4"}\n{"labels": "3"}\n{"labels": 3}\n')
    carry(source, tmp_path / "out.jsonl", all_parts=True)
    after = [json.loads(line)["labels"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert after == [["hot drinks", "cold drinks", "1"], ["41", "42"], "3b", "3b"]


def test_what_is_not_gold_stays_byte_for_byte(tmp_path):
    """Other fields, blank lines, odd spacing, rows that cannot be read; these are counted."""
    lines = [
        b'{"id":  1, "x": 1e5,   "labels": ["1"]}\n',
        b"\n",
        b"no json at all\n",
        b'{"labels": {"a": 1}}\n',
        b'{"id": "no gold", "text": "\xc3\xa9"}\n',
        b'{"text": "\xff", "labels": ["1"]}\n',
        b'{"text": "\\ud800", "labels": null}',
    ]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"".join(lines))
    result = carry(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert (result.documents, result.unreadable, result.first_unreadable) == (4, 2, f"{source}:3")
    source.write_bytes('{"id": 7, "text": "é \\ud800 x", "labels": ["3"], "z": [1.5, null]}\n'.encode())
    carry(source, target)
    assert json.loads(target.read_text()) == json.loads(source.read_text()) | {"labels": ["3b"]}


def test_cells_keep_their_way_of_writing_lists(tmp_path):
    """A bar where there was one, unless a name has one; a row of another length is copied."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id,gold\na,2 | 6\nb,pasta|bread\nc,"[""3""]"\nd,5\ne\nf,\n')
    result = carry(source, target, labels_field="gold")
    assert target.read_text() == ('id,gold\na,3b|6\nb,"[""pasta"", ""bread | rolls""]"\nc,"[""3b""]"\nd,[]\ne\nf,\n')
    assert (result.unreadable, result.first_unreadable) == (1, f"{source}:6")


@pytest.mark.parametrize(
    ("name", "content", "out", "error", "said"),
    [
        ("no.jsonl", None, "out.jsonl", CorpusError, "no.jsonl: there is no such file. Check the path."),
        ("in.parquet", "x", "out.parquet", CorpusError, "gold is not carried over from .parquet. Use one of .jsonl"),
        ("in.jsonl", "{}", "out.csv", InputError, "the file is of another format than"),
        ("in.jsonl", "{}", "in.jsonl", InputError, "this is the file that is read. Name another one with --out."),
        ("in.jsonl", "{}\n", "nowhere/out.jsonl", InputError, "the file cannot be written: No such file or directory"),
        ("in.csv", "id,text\n1,2\n", "out.csv", CorpusError, "in.csv:1: there is no field 'labels'; the fields are"),
        ("in.csv", 'id,labels\n1,"a"b\n', "out.csv", CorpusError, "in.csv:2: the quotes of this row do not match"),
        ("in.jsonl.gz", "{}", "out.jsonl", CorpusError, "the gzip file is damaged"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path, name, content, out, error, said):
    """And nothing is written."""
    source, target = tmp_path / name, tmp_path / out
    if content is not None:
        source.write_text(content)
    with pytest.raises(error) as raised:
        carry(source, target)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} <= {name}
