"""Labels of a run from higher up: rolled up and expanded, in evaluation and in exports, held against the long way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill import Taxonomy
from labelmill.errors import InputError
from labelmill.eval import resolve_gold
from labelmill.pipelines.evaluate import evaluate_run
from labelmill.pipelines.rollup import Rollup
from labelmill.records import Label
from labelmill.store import RankedLabels, Store
from labelmill.store.reader import export, read_taxonomy
from scripted import write_jsonl

FOOD = Taxonomy.from_labels(
    [
        Label("food", "food"),
        Label("bread", "bread", parents=("food",)),
        Label("rye", "rye bread", parents=("bread",)),
        Label("sour", "sourdough bread", parents=("bread", "craft")),
        Label("craft", "craft"),
        Label("knit", "knit woollen socks", parents=("craft",)),
        Label("sail", "sail small boats", parents=("gone",)),
    ]
)
ITEMS = Taxonomy(tuple(FOOD[place] for place in (2, 3, 5, 6)))

RANKINGS = st.lists(st.lists(st.integers(0, 3), unique=True, max_size=4), min_size=1, max_size=5)


def laid_out(rankings: list[list[int]], selected: int) -> RankedLabels:
    """Rank labels for documents, the first so many of each selected; scores fall."""
    rows = [(row, label, rank) for row, ranking in enumerate(rankings) for rank, label in enumerate(ranking, 1)]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return RankedLabels(
        [str(row) for row in range(len(rankings))],
        [],
        columns[0],
        columns[1].astype(np.int32),
        columns[2].astype(np.int32),
        columns[2] <= selected,
        1.0 / np.maximum(columns[2], 1),
    )


def long_way(ranking: list[int], rollup: Rollup, selected: int) -> list[tuple[str, bool, float]]:
    """Walk a document's labels in order and note each label that stands for one, the first time."""
    upwards = rollup.over(ITEMS)
    found: dict[str, tuple[bool, float]] = {}
    for rank, label in enumerate(ranking, 1):
        for above in upwards.of(upwards.taxonomy.position(ITEMS[label].id)):
            name = upwards.taxonomy[above].id
            before = found.get(name, (False, 1 / rank))
            found[name] = before[0] or rank <= selected, before[1]
    return [(name, *rest) for name, rest in found.items()]


@given(rankings=RANKINGS, selected=st.integers(0, 3), depth=st.none() | st.integers(1, 4), ancestors=st.booleans())
def test_rankings_from_higher_up_are_those_of_the_long_way(rankings, selected, depth, ancestors):
    """Each label once a document, at the best rank of what it stands for, selected where any of that is."""
    rollup = Rollup(depth, ancestors, FOOD)
    upwards = rollup.over(ITEMS)
    found = upwards.ranked(laid_out(rankings, selected))
    for row, ranking in enumerate(rankings):
        mine = found.rows == row
        ids = [upwards.taxonomy[label].id for label in found.labels[mine].tolist()]
        assert list(zip(ids, found.selected[mine].tolist(), found.scores[mine].tolist(), strict=True)) == long_way(
            ranking, rollup, selected
        )
        assert found.ranks[mine].tolist() == list(range(1, len(ids) + 1))


def test_what_stands_for_a_label():
    """All labels at the depth, above a label of two parents; then what is above these; a label without parents itself."""
    upwards = Rollup(1, ancestors=False, taxonomy=FOOD).over(ITEMS)
    assert [[upwards.taxonomy[a].id for a in upwards.of(p)] for p in upwards.places.tolist()] == [
        ["food"],
        ["craft", "food"],
        ["craft"],
        ["sail"],
    ]
    expanded = Rollup(None, ancestors=True, taxonomy=FOOD).over(ITEMS)
    assert [expanded.taxonomy[a].id for a in expanded.of(expanded.taxonomy.position("sour"))] == [
        "sour",
        "bread",
        "craft",
        "food",
    ]


def test_a_run_whose_labels_have_no_parents_asks_for_the_whole_taxonomy():
    with pytest.raises(InputError, match=r"none of the run's 4 labels has a parent .* whole, with --taxonomy"):
        Rollup(1).over(ITEMS)
    with pytest.raises(InputError, match="Give a taxonomy that has their parents"):
        Rollup(1, taxonomy=Taxonomy.from_names(["food"])).over(ITEMS)


def test_a_run_that_has_some_of_the_labels_above_asks_for_the_whole_taxonomy():
    """What it lacks would pass for a top."""
    with pytest.raises(InputError, match=r"1 of the run's 2 labels have parents that the run left out.*--taxonomy"):
        Rollup(1).over(Taxonomy((FOOD[1], FOOD[2])))
    assert Rollup(1, taxonomy=FOOD).over(Taxonomy((FOOD[1], FOOD[2]))).rows[1][1] == "food"


def test_labels_that_the_file_lacks_stay():
    """A newer file may have lost a label of the run."""
    upwards = Rollup(1, taxonomy=Taxonomy(FOOD.labels[:4])).over(ITEMS)
    assert [upwards.taxonomy[a].id for a in upwards.of(int(upwards.places[2]))] == ["knit"]


def test_gold_goes_the_same_way_and_what_is_unknown_stays():
    """Gold may name a label above those of the run."""
    upwards = Rollup(1, taxonomy=FOOD).over(ITEMS)
    resolved = resolve_gold([("a", ["rye bread", "bread", "wine"]), ("b", [])], upwards.taxonomy)
    assert upwards.gold(resolved).gold.labels.tolist() == [-2, 0]
    assert upwards.gold(resolved).gold.indptr.tolist() == [0, 2, 2]


@pytest.fixture
def run(make_labeler, tmp_path):
    rows = [
        {"id": "a", "text": "We bake rye bread.", "labels": ["sourdough bread"]},
        {"id": "b", "text": "He knits woollen socks and sails small boats.", "labels": ["knit woollen socks"]},
    ]
    corpus = write_jsonl(tmp_path / "food.jsonl", rows)
    path = tmp_path / "runs.duckdb"
    make_labeler(taxonomy=ITEMS, candidates=3, top_k=1).label_corpus([corpus], path, run="r")
    return path, corpus


def test_an_evaluation_from_higher_up(run):
    """Rye for sourdough is wrong, but both are bread; below the tops nothing else changes."""
    path, corpus = run
    plain = evaluate_run(path, [corpus], ks=(1,))
    above = evaluate_run(path, [corpus], ks=(1,), rollup=Rollup(2, taxonomy=FOOD))
    wide = evaluate_run(path, [corpus], ks=(1,), rollup=Rollup(ancestors=True, taxonomy=FOOD))
    assert plain.evaluation.metrics["p@1"].value == 0.5
    assert above.evaluation.metrics["micro_f1"].value >= plain.evaluation.metrics["micro_f1"].value
    assert wide.evaluation.metrics["micro_recall"].value > plain.evaluation.metrics["micro_recall"].value


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_an_export_from_higher_up(run, tmp_path, suffix):
    """One row a document and label, with the label that it stands for."""
    path, _ = run
    target = tmp_path / f"out{suffix}"
    with Store(path) as store:
        rows = Rollup(1, taxonomy=FOOD).over(read_taxonomy(store, "r")).rows
        count = export(store, "r", target, standing=rows)
        chosen = export(store, "r", tmp_path / "chosen.jsonl", standing=rows, selected_only=True)
    picked = [json.loads(line) for line in (tmp_path / "chosen.jsonl").read_text().splitlines()]
    assert chosen == len(picked) == 2
    assert (picked[0]["label"], picked[0]["name"], picked[0]["stands_for"]) == ("food", "food", "rye")
    assert picked[1]["label"] == "craft" or picked[1]["label"] == "sail"
    if suffix == ".jsonl":
        found = [json.loads(line) for line in target.read_text().splitlines()]
        assert len(found) == count
        for document in ("a", "b"):
            mine = [row for row in found if row["document"] == document]
            assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
            assert len({row["label"] for row in mine}) == len(mine)
            assert [row["score"] for row in mine] == sorted((row["score"] for row in mine), reverse=True)
