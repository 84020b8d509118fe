"""The taxonomy: lookup, hierarchy, key, restriction."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from labelmill.errors import GoldError, TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy

BREADS = [
    Label("b0", "Bread", fields={"kind": "group"}),
    Label("b1", "Rye bread", ("dark loaf",), "Of rye.", ("b0",), 0.5, {"kind": "item"}),
    Label("b2", "Sourdough", ("levain",), "", ("b1", "b0"), 0.1, {"kind": "item"}),
    Label("b3", "Crust", (), "", ("b0", "elsewhere"), None, {"kind": "item", "Odd ; column": "x"}),
    Label("b4", "crust", (), "", (), None, {}),
]


@pytest.fixture
def breads() -> Taxonomy:
    return Taxonomy.from_labels(BREADS)


def test_labels_are_found_by_position_and_id(breads):
    """A taxonomy is a sequence of labels, and an id has one position."""
    assert len(breads) == 5
    assert list(breads) == BREADS
    assert breads[breads.position("b2")] is BREADS[2]
    with pytest.raises(TaxonomyError, match="no label has the id 'b9'"):
        breads.position("b9")


@pytest.mark.parametrize("gold", ["b1", "Rye bread", "rye  BREAD", " Rye\nbread "])
def test_gold_is_an_id_or_a_name(breads, gold):
    """Gold names a label by id, by name, or by name up to case and whitespace."""
    assert breads.resolve(gold) == 1


def test_an_id_wins_over_another_labels_name():
    """Where a text is the id of one label and the name of another, the id counts."""
    assert Taxonomy.from_labels([Label("x", "y"), Label("y", "x")]).resolve("x") == 0


def test_an_exact_name_wins_over_its_likes(breads):
    """Names that differ in case alone are told apart when written exactly, and are ambiguous otherwise."""
    assert breads.resolve("crust") == 4
    with pytest.raises(GoldError, match=r"2 labels are named 'CRUST'. Name it by its id: 'b3', 'b4'"):
        breads.resolve("CRUST")


def test_composed_and_decomposed_letters_are_one_name():
    """A name typed on a system that decomposes accents is the same name."""
    assert Taxonomy.from_names(["cre\u0301me"]).resolve("cr\u00e9me") == 0


def test_unknown_gold_suggests_the_closest_name(breads):
    """A misspelt name is answered with the name that was probably meant; nonsense is not."""
    with pytest.raises(GoldError, match="Did you mean 'Sourdough'"):
        breads.resolve("Sourdow")
    with pytest.raises(GoldError, match="Name labels by id or by name"):
        breads.resolve("zzzz")


def test_the_hierarchy_is_walked_by_position(breads):
    """Children, ancestors and path pass over parents that are no labels."""
    assert breads.children(0) == (1, 2, 3)
    assert breads.ancestors(2) == (1, 0)
    assert breads.path(2) == (0, 1, 2)
    assert breads.path(3) == (0, 3)
    assert breads.ancestors(4) == ()


def test_a_cycle_that_nobody_checked_does_not_hang():
    """The constructor takes what it is given, and the hierarchy is still walked to an end."""
    taxonomy = Taxonomy((Label("a", "a", parents=("b",)), Label("b", "b", parents=("a",))))
    assert taxonomy.path(0) == (1, 0)
    assert taxonomy.ancestors(0) == (1,)


def test_the_key_depends_on_content_alone(tmp_path, breads):
    """The key is the same whatever the format and the order of fields, and changes with every part of the content."""
    first = tmp_path / "a.jsonl"
    second = tmp_path / "b.csv"
    first.write_text(json.dumps({"parents": ["p|q"], "id": "1", "alt": ["a, b"], "name": "n", "note": "d"}))
    second.write_text('kind,name,id,parents,aliases,description\nx,n,1,"[""p|q""]","a, b",d\n')
    assert Taxonomy.read(first).key == Taxonomy.read(second).key
    edits = [
        Label("1", "a", ("b", "c")),
        Label("1", "a", ("b, c",)),
        Label("1", "a", ("b",)),
        Label("1", "a", ("b",), "c"),
        Label("1", "a", ("b",), "", ("c",)),
        Label("1", "ab"),
        Label("2", "a"),
    ]
    assert len({Taxonomy.from_labels([label]).key for label in edits}) == len(edits)


def test_a_taxonomy_in_memory_is_held_to_the_same_rules():
    """Labels without names, with repeated ids, in cycles, or none at all make no taxonomy."""
    for labels, says in [
        ([], "at least one label"),
        ([Label("a", " ")], "empty name"),
        ([Label("", "a")], "empty id"),
        ([Label("a", "a"), Label("a", "b")], "used twice, first by an earlier label"),
        ([Label("a", "a", parents=("b",)), Label("b", "b", parents=("a",))], "lead back"),
    ]:
        with pytest.raises(TaxonomyError, match=says):
            Taxonomy.from_labels(labels)


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("kind = 'item'", ["b1", "b2", "b3"]),
        ("len(aliases) > 0 AND prior < 0.3", ["b2"]),
        ("list_contains(parents, 'elsewhere')", ["b3"]),
        ("name ILIKE 'crust' -- both", ["b3", "b4"]),
        ("\"Odd ; column\" = 'x'", ["b3"]),
        ("kind IS NULL OR description = 'Of rye.'", ["b1", "b4"]),
    ],
)
def test_a_condition_keeps_labels_in_order(breads, expression, ids):
    """Columns, lists and fields can be asked for; a dropped parent stays an id that leads nowhere."""
    kept = breads.where(expression)
    assert [label.id for label in kept] == ids
    assert all(0 <= above < len(kept) for position in range(len(kept)) for above in kept.ancestors(position))


@pytest.mark.parametrize(
    "expression",
    [
        "knd = 'item'",
        "kind = ",
        "",
        "true); DROP TABLE labels; SELECT (1",
        "id IN (SELECT content FROM read_text('/etc/hostname'))",
        "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0",
        "'x'",
    ],
)
def test_a_bad_condition_is_one_line_that_lists_the_columns(breads, expression):
    """What is no condition, or reaches for files, is refused in one line that names the columns there are."""
    with pytest.raises(TaxonomyError) as raised:
        breads.where(expression)
    assert "\n" not in str(raised.value)
    assert "id, name, description, prior, aliases, parents, kind, Odd ; column" in str(raised.value)


def test_a_condition_that_keeps_nothing_is_an_error(breads):
    """An empty label space is told at once."""
    with pytest.raises(TaxonomyError, match="none of 5 labels meets the condition"):
        breads.where("false")


def test_fields_whose_names_sql_cannot_tell_apart_do_not_collide():
    """A field called ID, or two that differ in case, leave the condition usable."""
    taxonomy = Taxonomy.from_labels([Label("a", "a", fields={"ID": "z", "Kind": "x", "kind": "y", "_position": "7"})])
    assert len(taxonomy.where("id = 'a' AND kind = 'x'")) == 1
    with pytest.raises(TaxonomyError, match=r"these columns: id, name, description, prior, aliases, parents, Kind\.$"):
        taxonomy.where("?")


def test_importing_the_package_loads_nothing_heavy():
    """numpy, duckdb and rdflib stay out until they are used."""
    code = "import sys, labelmill.taxonomy; print(*{'numpy', 'duckdb', 'rdflib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
