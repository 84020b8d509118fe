"""Drafts: kept apart from the taxonomy, checked line by line, taken without replacing anything unless told to."""

from __future__ import annotations

import json

import pytest

from labelmill import Taxonomy
from labelmill.errors import InputError
from labelmill.records import Label
from labelmill.taxonomy import check, write_jsonl
from labelmill.taxonomy.drafts import Draft, accept, read_drafts, write_drafts

LOAVES = Taxonomy.from_labels(
    [
        Label("b1", "rye, dark", ("black bread",), parents=("b0",), prior=0.2, fields={"kind": "loaf"}),
        Label("b2", "baguette", description="Long and thin."),
        Label("b0", "bread"),
    ]
)
DRAFTS = [
    Draft("b1", "rye, dark", "description", "Dense: of rye.\nOr mostly.", "model m", ("d1", "d2")),
    Draft("b1", "rye, dark", "excludes", "crispbread", "model m", ("d1",)),
    Draft("b2", "baguette", "description", "A stick.", "model m"),
    Draft("b0", "bread", "description", "", "model m", problem="unparseable: {"),
]


@pytest.fixture
def file(tmp_path):
    write_drafts(DRAFTS, LOAVES, tmp_path / "drafts.jsonl")
    return tmp_path / "drafts.jsonl"


def edit(file, line, **changed):
    rows = [json.loads(row) for row in file.read_text("utf-8").splitlines()]
    rows[line - 1] |= changed
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_what_is_written_is_read(file):
    assert read_drafts(file, LOAVES) == DRAFTS


def test_accepted_drafts_make_a_taxonomy_that_passes_the_check(file, tmp_path):
    """Nothing that was there is replaced; a failed draft changes nothing; what there is beside stays."""
    done = accept(LOAVES, read_drafts(file, LOAVES))
    assert (done.taken, done.kept, done.left_out) == (2, 1, 1)
    write_jsonl(done.taxonomy, tmp_path / "new.jsonl")
    assert check(tmp_path / "new.jsonl").errors == 0
    rye, baguette, bread = Taxonomy.read(tmp_path / "new.jsonl")
    assert (rye.description, rye.aliases, rye.parents, rye.prior) == (
        "Dense: of rye.\nOr mostly.",
        ("black bread",),
        ("b0",),
        0.2,
    )
    assert rye.fields == {"kind": "loaf", "described_by": "model m", "excludes": "crispbread"}
    assert (baguette, bread) == (LOAVES[1], LOAVES[2])


def test_what_does_not_belong_is_nothing_that_is_searched(file):
    """A retriever reads the description; the taxonomy's key is of what retrievers read."""
    only = [draft for draft in read_drafts(file, LOAVES) if draft.field == "excludes"]
    assert accept(LOAVES, only).taxonomy.key == LOAVES.key


def test_texts_are_replaced_only_where_that_is_said(file):
    done = accept(LOAVES, read_drafts(file, LOAVES), overwrite=True)
    assert (done.taken, done.kept) == (3, 0)
    assert done.taxonomy[1].description == "A stick."


def test_a_draft_that_a_person_emptied_is_not_taken(file):
    edit(file, 1, text="  ")
    assert accept(LOAVES, read_drafts(file, LOAVES)).taxonomy[0].description == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"id": "b9"}, "no label has the id 'b9'. Remove the line."),
        ({"taxonomy": "0123456789abcdef"}, "for another version of the taxonomy: '0123456789abcdef'"),
        ({"field": "name"}, "the field 'name' cannot be drafted. It is one of description, includes, excludes."),
        ({"text": ["a"]}, "'text' is '[\"a\"]', not a text"),
        ({"text": "a\x00b"}, "holds a NUL"),
        ({"text": "a\ud800b"}, "half of a surrogate pair"),
        ({"evidence": "d1"}, "not a list of texts"),
        ({"field": "description"}, "the description of 'b1' is drafted twice, first on line 1"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(file, changed, said):
    edit(file, 2, **changed)
    with pytest.raises(InputError) as caught:
        read_drafts(file, LOAVES)
    line = str(caught.value)
    assert line.startswith(f"{file}:2: ")
    assert said in line
    assert "\n" not in line


def test_drafts_for_an_edited_taxonomy_are_refused(file):
    edited = Taxonomy.from_labels([*LOAVES, Label("b3", "pretzel")])
    with pytest.raises(InputError, match=r":1: this draft is for another version"):
        read_drafts(file, edited)


@pytest.mark.parametrize("content", [b"[1]\n", b"{\n", b"\xff\n", b"", b"\n\n"])
def test_what_is_no_file_of_drafts_is_told(file, content):
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_drafts(file, LOAVES)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_drafts(tmp_path / "none.jsonl", LOAVES)
    with pytest.raises(InputError, match="the drafts cannot be written"):
        write_drafts(DRAFTS, LOAVES, tmp_path / "none" / "drafts.jsonl")
