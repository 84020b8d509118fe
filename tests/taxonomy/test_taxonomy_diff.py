"""What changed between two versions, and where labels went."""

from __future__ import annotations

import importlib
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy, detect, diff

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch):
    """Make a new version of a taxonomy, and know what was done."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("edits").edited


def taxonomy(*labels: Label | str) -> Taxonomy:
    """Make one of labels, or of names that are ids as well."""
    return Taxonomy.from_labels(each if isinstance(each, Label) else Label(each, each) for each in labels)


def ids(labels) -> list[str]:
    return [label.id for label in labels]


def taken(proposals) -> dict[str, tuple[str, ...]]:
    return {each.source.id: tuple(ids(each.into)) for each in proposals}


def test_every_kind_of_change_is_told():
    """By id; what is compared of a label is its name, description, aliases and parents."""
    old = taxonomy(
        "root",
        Label("a", "apples", ("fruit of trees",), "Red.", ("root",)),
        Label("b", "bread", parents=("root",)),
        Label("c", "cakes"),
        "gone",
    )
    new = taxonomy(
        "root",
        Label("a", "pears", ("fruit of trees", "pomes"), "Green.", ("b",)),
        Label("b", "bread", parents=("root",)),
        Label("c", "cakes"),
        "come",
    )
    found = diff(old, new)
    assert found.counts == {
        "added": 1,
        "removed": 1,
        "renamed": 1,
        "reidentified": 0,
        "redescribed": 1,
        "realiased": 1,
        "moved": 1,
        "merged": 0,
        "split": 0,
    }
    assert (ids(found.added), ids(found.removed), found.unchanged) == (["come"], ["gone"], 3)
    plain = found.as_dict()
    assert plain["renamed"] == [{"id": "a", "name": "pears", "before": "apples", "after": "pears"}]
    assert plain["realiased"] == [{"id": "a", "name": "pears", "gained": ["pomes"], "lost": []}]
    assert plain["moved"] == [{"id": "a", "name": "pears", "before": ["root"], "after": ["b"]}]


def test_a_map_says_which_labels_went_where():
    """One to one is another id, several to one a merge, one to several a split, to none a removal."""
    old, new = taxonomy("one", "two", "three", "many", "dead", "same"), taxonomy("eins", "both", "x", "y", "same")
    found = diff(old, new, {"one": ("eins",), "two": ("both",), "three": ("both",), "many": ("x", "y"), "dead": ()})
    assert [(pair.old.id, pair.new.id) for pair in found.reidentified] == [("one", "eins")]
    assert [(ids(each.sources), each.into.id) for each in found.merged] == [(["two", "three"], "both")]
    assert [(each.source.id, ids(each.into)) for each in found.split] == [("many", ["x", "y"])]
    assert (ids(found.removed), found.added, found.unchanged) == (["dead"], (), 1)


def test_a_merge_into_a_label_that_stays_and_a_split_that_leaves_one():
    """The label itself goes on, and is compared with itself."""
    old, new = taxonomy("a", "b"), taxonomy(Label("a", "A"), "c")
    found = diff(old, new, {"b": ("a",), "a": ("a", "c")})
    assert [ids(each.sources) for each in found.merged] == [["a", "b"]]
    assert [ids(each.into) for each in found.split] == [["a", "c"]]
    assert [pair.new.name for pair in found.renamed] == ["A"]


def test_a_parent_of_another_id_moves_nobody():
    """A child follows its parent by the map; a parent that is gone is missed, unless another took it in."""
    old = taxonomy("p", "q", Label("a", "a", parents=("p",)), Label("b", "b", parents=("q",)))
    new = taxonomy("P", Label("a", "a", parents=("P",)), Label("b", "b"))
    found = diff(old, new, {"p": ("P",)})
    assert [pair.new.id for pair in found.moved] == ["b"]


def test_another_order_is_no_change_and_is_told():
    """Candidates that tie are in the order of the labels, so that whoever relabels should know."""
    found = diff(taxonomy("a", "b", "c"), taxonomy("c", "a", "b"))
    assert found.empty
    assert found.reordered
    assert not diff(taxonomy("a", "b"), taxonomy("a", "x", "b")).reordered


@pytest.mark.parametrize(("given_map", "which"), [({"nobody": ("b",)}, "old"), ({"a": ("nobody",)}, "new")])
def test_a_map_to_nowhere_is_refused(given_map, which):
    """With the id and the version that lacks it."""
    with pytest.raises(TaxonomyError, match=f"the {which} taxonomy has no label of the id 'nobody'"):
        diff(taxonomy("a"), taxonomy("b"), given_map)


@pytest.mark.parametrize(
    ("old", "new", "expected", "why"),
    [
        ([Label("1", "Rye")], [Label("2", "rye")], {"1": ("2",)}, "'2' has its name now"),
        ([Label("1", "rye"), "k"], [Label("k", "k", ("Rye",))], {"1": ("k",)}, "its name is now an alias of 'k'"),
        ([Label("1", "rye", ("secale",))], [Label("2", "secale")], {"1": ("2",)}, "its alias 'secale' is now a name"),
        (
            [Label("1", "grain", ("rye", "oats"))],
            ["rye", "oats"],
            {"1": ("oats", "rye")},
            "its aliases 'oats', 'rye' are now labels",
        ),
        (
            [Label("1", "grain", ("rye", "oats"))],
            [Label("1", "grain", ("oats",)), "rye"],
            {"1": ("1", "rye")},
            "it lost 'rye', now of an id of its own",
        ),
        (
            [Label("1", "rye"), Label("k", "k", ("rye",))],
            [Label("k", "k", ("rye",))],
            {"1": ("k",)},
            "its name is an alias of 'k', as before",
        ),
        ([Label("1", "x", (), "Dark.")], [Label("2", "y", (), "Dark.")], {"1": ("2",)}, "'y' has its description"),
        (
            [Label("1", "x", ("a", "b", "c"))],
            [Label("2", "y", ("a", "b", "d"))],
            {"1": ("2",)},
            "2 of its 4 names are now those of 'y'",
        ),
        (
            ["manage a bakery", "else"],
            ["managing a bakery", "else"],
            {"manage a bakery": ("managing a bakery",)},
            "'managing a bakery' is similar (0.76)",
        ),
        (["manage a bakery"], ["paint"], {}, None),
        # Ids that were given anew, as row numbers are when a row is inserted.
        ([Label("1", "rye"), Label("2", "oats")], [Label("1", "new"), Label("2", "rye"), Label("3", "oats")],
         {"1": ("2",), "2": ("3",)}, "'2' has its name now"),
        # Two that answer alike are a guess.
        ([Label("1", "rye")], [Label("2", "rye"), Label("3", "rye")], {}, None),
        ([Label("1", "rye", (), "Dark.")], [Label("2", "rye"), Label("3", "rye", (), "Dark.")], {"1": ("3",)}, None),
        # A plain rename, and a plain addition, are no riddle.
        ([Label("1", "rye")], [Label("1", "oats"), Label("2", "barley")], {}, None),
    ],
)  # fmt: skip
def test_where_labels_probably_went(old, new, expected, why):
    """With the evidence, and without a guess."""
    found = detect(taxonomy(*old), taxonomy(*new))
    assert taken(found) == expected
    if why:
        assert found[0].why == why


def test_what_is_known_is_not_proposed():
    """Neither of a label that the map has, nor its target for another one."""
    old, new = taxonomy(Label("1", "rye"), Label("2", "oats")), taxonomy(Label("3", "rye"))
    assert detect(old, new, {"1": ()}) == ()
    assert [each.source.id for each in detect(old, new)] == ["1"]


def synthetic(size: int) -> Taxonomy:
    """Labels of distinct names, two aliases, a description and a parent."""
    return Taxonomy.from_labels(
        Label(
            f"l{n}",
            f"{_word(n)} {_word(n * 7 + 1)} {n}",
            (f"{_word(n)} {n}", f"alias of {n}"),
            f"What {n} means.",
            (f"l{n // 20}",) if n else (),
        )
        for n in range(size)
    )


def _word(number: int) -> str:
    return "".join("bdfgklmnprst"[number // 12**place % 12] + "aeiou"[number // 5**place % 5] for place in range(3))


def is_exact(old: Taxonomy, edit) -> None:
    """All that was done is found, and nothing else, once what is detected is confirmed."""
    proposals = detect(old, edit.taxonomy)
    assert taken(proposals) == {source: (into,) for source, into in edit.merged.items()}
    found = diff(old, edit.taxonomy, taken(proposals))
    assert set(ids(found.added)) == edit.added
    assert {pair.new.id: pair.new.name for pair in found.renamed} == edit.renamed
    assert {
        source.id: each.into.id for each in found.merged for source in each.sources if source.id != each.into.id
    } == edit.merged
    assert (found.removed, found.split, found.reidentified, found.redescribed) == ((), (), (), ())
    assert {pair.new.id for pair in found.realiased} == set(edit.renamed) | set(edit.merged.values())
    # Also by an explicit map, and without any, when merged labels are gone.
    assert diff(old, edit.taxonomy, {source: (into,) for source, into in edit.merged.items()}).counts == found.counts
    assert set(ids(diff(old, edit.taxonomy).removed)) == set(edit.merged)


@pytest.mark.parametrize("seed", range(3))
def test_a_month_of_changes_to_14000_labels_is_found_exactly(edited, seed):
    """100 additions, 50 renames, 20 merges."""
    old = synthetic(14_000)
    is_exact(old, edited(old, seed=seed))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["esco", "tax_eurovoc", "tax_iptc_mediatopics"])
def test_a_month_of_changes_to_a_real_taxonomy_is_found_exactly(edited, shared_data, name):
    """Real names are alike, and share aliases."""
    where = "kind = 'skill'" if name == "esco" else None
    old = Taxonomy.read(shared_data / name / "labels.jsonl.gz", where=where)
    is_exact(old, edited(old, seed=1))


def test_100000_labels_take_seconds():
    """Also where every id is another one."""
    old = synthetic(100_000)
    new = Taxonomy(tuple(replace(label, id=f"x{label.id}", parents=()) for label in old))
    begun = time.monotonic()
    found = detect(old, new)
    assert len(diff(old, new, taken(found)).reidentified) == 100_000
    assert time.monotonic() - begun < 60  # 5 s on an idle core


_NAMES = st.sampled_from(["rye", "Rye ", "oats", "bread of rye", "bread of oats", "x", "grain"])
_LABELS = st.lists(
    st.builds(
        Label,
        id=st.sampled_from("abcdefg"),
        name=_NAMES,
        aliases=st.lists(_NAMES, max_size=3).map(tuple),
        description=st.sampled_from(["", "Dark.", "Light."]),
        parents=st.sampled_from([(), ("z",), ("a",), ("a", "z")]),
    ),
    min_size=1,
    max_size=7,
    unique_by=lambda label: label.id,
).map(lambda labels: Taxonomy(tuple(labels)))


@given(_LABELS)
def test_nothing_changed_from_a_version_to_itself(version):
    """And nothing is detected."""
    found = diff(version, version)
    assert found.empty
    assert not found.reordered
    assert found.unchanged == len(version)
    assert detect(version, version) == ()


@given(_LABELS, _LABELS, st.booleans())
def test_every_label_lands_in_the_new_version_or_is_reported(old, new, accept):
    """Each old label has targets, all of them labels, or is among the removed; each new one has a source or is added."""
    found = diff(old, new, taken(detect(old, new)) if accept else {})
    known, removed = set(ids(new)), set(ids(found.removed))
    assert set(found.targets) == set(ids(old))
    for label, targets in found.targets.items():
        assert set(targets) <= known
        assert bool(targets) != (label in removed)
        assert (len(targets) > 1) == (label in {each.source.id for each in found.split})
    reached = [target for targets in found.targets.values() for target in targets]
    assert set(ids(found.added)) == known - set(reached)
    assert {each.into.id for each in found.merged} == {label for label in known if reached.count(label) > 1}
    if found.empty and not found.reordered:
        assert [label.name for label in old] == [label.name for label in new]


@given(_LABELS, _LABELS)
def test_the_way_back_is_the_way_there(old, new):
    """What is added one way is removed the other way, and a rename is one both ways."""
    there, back = diff(old, new), diff(new, old)
    assert ids(there.added) == ids(back.removed)
    for kind in ("renamed", "redescribed", "realiased", "moved"):
        assert {pair.new.id for pair in getattr(there, kind)} == {pair.new.id for pair in getattr(back, kind)}


def test_a_word_in_common_is_no_likeness():
    """Sisters of a branch share a word; so are a facet's label and another facet's label of the same name."""
    old = taxonomy("Pike Development", "industry", Label("a::docs", "Documentation"), Label("b::docs", "Documentation"))
    new = taxonomy("Rust Development", "book industry", Label("b::docs", "Documentation"))
    assert taken(detect(old, new)) == {}


def test_an_id_that_is_given_to_another_label_is_seen_where_its_name_is_an_alias_elsewhere():
    old = taxonomy(Label("f", "Ferries"), Label("c", "Canoes"))
    new = taxonomy(Label("f", "Kites"), Label("c", "Canoes"), Label("w", "Watercraft", ("Ferries",)))
    assert taken(detect(old, new)) == {"f": ("w",)}
    renamed = taxonomy(Label("f", "Ferry lines", ("Ferries",)), Label("c", "Canoes"))
    assert taken(detect(old, renamed)) == {}
