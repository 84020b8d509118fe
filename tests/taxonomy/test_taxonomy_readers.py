"""Reading taxonomies from JSONL, CSV, TSV and plain text."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.errors import TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy, check, write_jsonl
from labelmill.taxonomy.readers.delimited import split_cell

AWKWARD_NAMES = [
    "salt, sea",
    "oil: olive",
    'the "good" butter',
    "two\nlines",
    "שמן זית",
    "🧀🍞",
    "a|b",
    "tab\there",
    "back\\slash",
    "'apostrophe'",
]


def write(path: Path, text: str | bytes) -> Path:
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def as_csv(rows: list[list[str]], delimiter: str = ",") -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".jsonl.gz"])
def test_jsonl_holds_every_property_of_a_label(tmp_path, suffix):
    """Every column of a JSON object reaches the label, and further keys become fields as text."""
    row = {
        "id": "b1",
        "name": "rye bread",
        "aliases": ["rye loaf"],
        "description": "Bread of rye.",
        "parents": ["b0"],
        "prior": 0.25,
        "kind": "bread",
        "retired": False,
        "sizes": [1, 2],
        "nothing": None,
    }
    (label,) = Taxonomy.read(write(tmp_path / f"t{suffix}", json.dumps(row) + "\n\n"))
    assert label == Label(
        id="b1",
        name="rye bread",
        aliases=("rye loaf",),
        description="Bread of rye.",
        parents=("b0",),
        prior=0.25,
        fields={"kind": "bread", "retired": "false", "sizes": "[1, 2]"},
    )


@pytest.mark.parametrize("name", AWKWARD_NAMES)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".csv.gz"])
def test_awkward_names_survive_every_format(tmp_path, suffix, name):
    """Commas, colons, quotes, line breaks, emoji and right-to-left script come back as they were."""
    if suffix == ".jsonl":
        text = json.dumps({"id": "x", "name": name, "alt": [name]})
    else:
        text = as_csv([["id", "name", "alt"], ["x", name, json.dumps([name])]], "\t" if "tsv" in suffix else ",")
    (label,) = Taxonomy.read(write(tmp_path / f"t{suffix}", text))
    assert (label.name, label.aliases) == (name, (name,))


@pytest.mark.parametrize(
    "header",
    ["ID,Label,Alt_Labels,Scope Note,Broader,Frequency", "concept_uri,prefLabel,synonyms,definition,parent,PRIOR"],
)
def test_columns_go_by_their_common_names(tmp_path, header):
    """Case, spaces and underscores of a header do not matter, and common names of a column are understood."""
    (label,) = Taxonomy.read(write(tmp_path / "t.csv", f"{header}\nb1,rye,loaf|brick,Dark.,b0,3\n"))
    assert label == Label("b1", "rye", ("loaf", "brick"), "Dark.", ("b0",), 3.0)


def test_the_own_name_of_a_column_wins_and_the_other_stays_a_field(tmp_path):
    """Where both id and uri are there, id is the id and uri a field."""
    (label,) = Taxonomy.read(write(tmp_path / "t.csv", "uri,id,name\nhttp://b,b1,rye\n"))
    assert label == Label("b1", "rye", fields={"uri": "http://b"})


def test_aliases_come_out_of_every_column_of_aliases(tmp_path):
    """altLabels and hiddenLabels together are the aliases."""
    (label,) = Taxonomy.read(write(tmp_path / "t.csv", 'name,altLabels,hiddenLabels\nrye,"loaf\nbrick",rhye\n'))
    assert label.aliases == ("loaf", "brick", "rhye")


def test_a_missing_id_column_makes_names_ids(tmp_path):
    """Without a column of ids, the name is the id."""
    taxonomy = Taxonomy.read(write(tmp_path / "t.csv", "name\nrye\nwheat\n"))
    assert [label.id for label in taxonomy] == ["rye", "wheat"]


def test_numbers_are_ids(tmp_path):
    """Ids and parents written as JSON numbers are texts afterwards."""
    path = write(tmp_path / "t.jsonl", '{"id": 1, "name": "a"}\n{"id": 2, "name": "b", "parent": 1}\n')
    assert [(label.id, label.parents) for label in Taxonomy.read(path)] == [("1", ()), ("2", ("1",))]


def test_plain_text_is_one_name_per_line(tmp_path):
    """Blank lines and the space around names do not count; a comma splits nothing; a byte order mark is no character."""
    taxonomy = Taxonomy.read(write(tmp_path / "t.txt", "\ufeffsalt, sea\r\n\r\n  rye \n"))
    assert taxonomy.names == ("salt, sea", "rye")


def test_a_byte_order_mark_does_not_hide_the_first_column(tmp_path):
    """A CSV file as Excel saves it has its id column."""
    (label,) = Taxonomy.read(write(tmp_path / "t.csv", "\ufeffid,name\r\nb1,rye\r\n"))
    assert label.id == "b1"


def test_a_cell_beyond_the_csv_modules_own_limit_is_read(tmp_path):
    """A description of 200,000 characters is no error."""
    (label,) = Taxonomy.read(write(tmp_path / "t.csv", f"name,description\nrye,{'x' * 200_000}\n"))
    assert len(label.description) == 200_000


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("", []),
        ("[]", []),
        ("salt, sea", ["salt, sea"]),
        ("a | b", ["a", "b"]),
        ("a\nb|c", ["a", "b|c"]),
        ('["a, b", "c|d"]', ["a, b", "c|d"]),
        ("[sic] | b", ["[sic]", "b"]),
    ],
)
def test_a_cell_of_several_is_never_split_at_a_comma(cell, parts):
    """A JSON list, line breaks or bars separate; commas and single brackets do not."""
    assert split_cell(cell) == parts


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("t.jsonl", '{"name": "a"}\n{"name": 5}\n', 2, "'name' is '5', not a text"),
        ("t.jsonl", '{"name": "a"}\n{"name": \n', 2, "not JSON"),
        ("t.jsonl", "[1]\n", 1, "not a JSON object"),
        ("t.jsonl", "[" * 100_000, 1, "not JSON"),
        ("t.jsonl", '{"name": "a", "prior": "often"}\n', 1, "not a number from 0 up"),
        ("t.jsonl", '{"name": "a", "prior": NaN}\n', 1, "not a number from 0 up"),
        ("t.jsonl", '{"name": "a", "prior": true}\n', 1, "not a number from 0 up"),
        ("t.jsonl", '{"name": "a", "prior": Infinity}\n', 1, "not a number from 0 up"),
        ("t.csv", "name,prior\na,-1\n", 2, "not a number from 0 up"),
        ("t.jsonl", '{"name": "a", "parents": [{"id": "b"}]}\n', 1, "'parents' holds"),
        ("t.jsonl", '{"name": "a", "alt": [5]}\n', 1, "'alt' holds"),
        ("t.jsonl", '{"name": "a", "alt": [{"en": "b"}]}\n', 1, "'alt' holds"),
        ("t.jsonl", '{"title_of_it": "a"}\n', 1, "no field holds the label's name; the fields are 'title_of_it'"),
        ("t.jsonl", '{"id": "1", "name": "a"}\n{"name": "b"}\n', 2, "has no id, the first has"),
        ("t.jsonl", '{"name": "half \\ud800 pair"}\n', 1, "half of a surrogate pair"),
        ("t.csv", "id,name\n1,a\n2,b,c\n", 3, "3 cells, the header 2"),
        ("t.csv", 'name,description\na,"two\nlines"\nb\n', 4, "1 cells, the header 2"),
        ("t.csv", 'name\n"a" b\n', 2, "quotes of this row"),
        ("t.csv", 'name\n"a\nb\n', 2, "quotes of this row"),
        ("t.csv", "name;id\na;1\n", 1, "Separate the columns by commas"),
        ("t.csv", "colour,shape\nred,round\n", 1, "'colour', 'shape'"),
        ("t.csv", "name,name\na,b\n", 1, "named twice"),
        ("t.csv", 'name,alt\na,"[""b"", 1]"\n', 2, "not a JSON list of strings"),
        ("t.csv", b"name\nok\ncaf\xe9\n", 3, "not UTF-8"),
        ("t.txt", b"ok\ncaf\xe9\n", 2, "not UTF-8"),
        ("t.txt", "name".encode("utf-16"), 1, "UTF-16"),
        ("t.jsonl", b'{"name": "caf\xe9"}\n', 1, "not UTF-8"),
    ],
)
def test_wrong_content_is_told_by_file_and_line(tmp_path, name, text, line, says):
    """The error names file and line, what is wrong, and what to do."""
    path = write(tmp_path / name, text)
    with pytest.raises(TaxonomyError) as raised:
        Taxonomy.read(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert says in str(raised.value)
    assert raised.value.remedy
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.jsonl", b"", "no labels"),
        ("t.txt", b"\n \n", "no labels"),
        ("t.csv", b"name\n", "no labels"),
        ("t.csv.gz", b"not gzip", "cannot be read"),
        ("t.csv.gz", gzip.compress(b"name\n" + bytes(range(97, 120)) * 99, mtime=0)[:-9], "gzip file is damaged"),
        ("t.json", b"[]", "jq -c"),
        ("t.docx", b"x", "not read from .docx"),
        ("labels", b"x", "without a suffix"),
    ],
)
def test_an_unusable_file_is_one_clear_error(tmp_path, name, content, says):
    """Empty, damaged and unknown files are one error, both of reading and of the check."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TaxonomyError, match=says):
        Taxonomy.read(path)
    report = check(path)
    assert report.errors >= 1
    assert says in "\n".join(report.lines())


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    """A path that is no file is told, not traced back."""
    with pytest.raises(TaxonomyError, match="no such file"):
        Taxonomy.read(tmp_path / "gone.csv")
    with pytest.raises(TaxonomyError, match="folder"):
        Taxonomy.read(tmp_path)


def test_reading_tells_how_many_more_errors_there_are(tmp_path):
    """The one line names the first error, the number of the others and the command that lists them."""
    path = write(tmp_path / "my tags.jsonl", '{"name": "a"}\n{}\n[]\n{"name": 1}\n')
    with pytest.raises(TaxonomyError) as raised:
        Taxonomy.read(path)
    assert raised.value.line == 2
    assert f"And 2 more errors; run `labelmill taxonomy check '{path}'`." in str(raised.value)


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
filled = text.filter(lambda value: value.strip())
label_lists = st.lists(
    st.builds(
        Label,
        id=filled,
        name=filled,
        aliases=st.lists(filled, max_size=3).map(tuple),
        description=text,
        parents=st.just(()),
        prior=st.none() | st.floats(0, 1e9),
        fields=st.dictionaries(st.sampled_from(["kind", "definition", "uri", "Alt"]), text),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda label: label.id,
)


@settings(deadline=None)  # the machine's time is nobody's promise
@given(labels=label_lists, packed=st.booleans())
def test_what_is_written_is_read_back(tmp_path_factory, labels, packed):
    """write_jsonl then read gives equal labels and the same key, whatever the characters."""
    path = tmp_path_factory.mktemp("written") / ("t.jsonl.gz" if packed else "t.jsonl")
    taxonomy = Taxonomy.from_labels(labels)
    write_jsonl(taxonomy, path)
    read = Taxonomy.read(path)
    assert read.labels == taxonomy.labels
    assert read.key == taxonomy.key


@settings(deadline=None)  # the machine's time is nobody's promise
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".jsonl", ".csv", ".tsv", ".txt", ".csv.gz"]))
def test_no_content_brings_the_check_down(tmp_path_factory, content, suffix):
    """Any bytes at all give a report: labels, or errors that say why there are none."""
    path = tmp_path_factory.mktemp("any") / f"t{suffix}"
    path.write_bytes(content)
    report = check(path)
    assert report.labels or report.errors


def test_a_field_with_a_columns_name_is_not_written(tmp_path):
    """A field that reading would take for a column is refused, not mixed up."""
    taxonomy = Taxonomy.from_labels([Label("a", "a", fields={"parents": "b"})])
    with pytest.raises(TaxonomyError, match="bears the name of a column"):
        write_jsonl(taxonomy, tmp_path / "t.jsonl")
