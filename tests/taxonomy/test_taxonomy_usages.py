"""Files of usage phrases: by label, known by their content, with the documents that they come from."""

from __future__ import annotations

import json

import pytest

from labelmill import Taxonomy
from labelmill.errors import InputError
from labelmill.taxonomy.usages import LabelUsages, Usages, document_key, write_usages

LOAVES = Taxonomy.from_names(["rye", "baguette", "bread"])


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_what_is_written_is_read(tmp_path):
    written = [
        LabelUsages("rye", "rye", ("dark and dense", "of rye"), "words", ("d1",), (document_key("A dark loaf."),)),
        LabelUsages("bread", "bread", (), "model m", problem="unparseable: {"),
    ]
    write_usages(written, tmp_path / "u.jsonl")
    usages = Usages.read(tmp_path / "u.jsonl", LOAVES)
    assert usages.phrases == {"rye": ("dark and dense", "of rye")}
    assert document_key("  a DARK\nloaf. ") in usages.documents


def test_by_hand_a_line_needs_an_id_and_phrases(tmp_path):
    usages = Usages.read(write(tmp_path / "u.jsonl", {"id": "rye", "phrases": ["a", "a", " ", "b"]}), LOAVES)
    assert (usages.phrases, usages.documents) == ({"rye": ("a", "b")}, frozenset())


def test_the_key_is_that_of_the_phrases(tmp_path):
    """Not of their order in the file, nor of who wrote them; another phrase is another key."""
    one, two = {"id": "rye", "phrases": ["a", "b"]}, {"id": "bread", "phrases": ["c"]}
    keys = [
        Usages.read(write(tmp_path / "u.jsonl", *rows), LOAVES).key
        for rows in ([one, two], [two | {"source": "x"}, one], [one], [{"id": "rye", "phrases": ["a b"]}, two])
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "oats", "phrases": ["x"]}, "no label has the id 'oats'"),
        ({"id": "rye", "phrases": ["x"]}, "the label 'rye' has phrases twice, first on line 1"),
        ({"id": "bread", "phrases": "x"}, "not a list of texts"),
        ({"id": "bread", "phrases": ["a\ud800"]}, "half of a surrogate pair"),
        ({"phrases": ["x"]}, "no 'id'"),
        ({"id": "bread", "phrases": ["x"], "documents": [1]}, "not a list of texts"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(tmp_path, row, said):
    path = write(tmp_path / "u.jsonl", {"id": "rye", "phrases": ["a"]}, row)
    with pytest.raises(InputError) as caught:
        Usages.read(path, LOAVES)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert said in str(caught.value)


def test_a_file_without_phrases_is_told(tmp_path):
    with pytest.raises(InputError, match="holds no phrases"):
        Usages.read(write(tmp_path / "u.jsonl", {"id": "rye", "phrases": []}), LOAVES)
