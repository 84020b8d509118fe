"""Votes combined into a run: which it may replace, and which not."""

from __future__ import annotations

import pytest

from labelmill.errors import InputError
from labelmill.pipelines.voting.combine import combine_votes
from labelmill.pipelines.voting.importing import import_votes
from labelmill.store import RunWriter, Store
from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl

LABELS = Taxonomy.from_names(["bread", "soup"])


@pytest.fixture
def votes(tmp_path):
    """Two voters, two documents."""
    rows = [{"voter": v, "document": d, "label": "bread", "vote": 1} for v in "xy" for d in "ab"]
    import_votes(write_jsonl(tmp_path / "v.jsonl", rows), tmp_path / "v.duckdb", LABELS)
    return tmp_path / "v.duckdb"


@pytest.mark.parametrize("program", [{"infer": "windows"}, {"infer": "windows", "examples": ["combine"]}])
def test_a_run_that_is_not_of_votes_is_not_replaced(votes, program):
    """Though a text in its program be the name of the field that tells."""
    with Store(votes, write=True) as store:
        settings = {"program": program, "taxonomy": LABELS, "taxonomy_source": "", "corpus": [], "version": "0"}
        RunWriter(store, run="dear", key="k", **settings).close("finished", 1.0)
    with pytest.raises(InputError, match="run 'dear' is not one of votes"):
        combine_votes(votes, run="dear")


def test_another_combination_of_its_name_is_replaced_where_that_is_asked_for(votes):
    """The same one made again always; with one row a document still. What was replaced is told."""
    for _ in range(2):
        assert combine_votes(votes, method="majority", run="soft").as_dict()["notes"] == []
    for other in (
        {"method": "dawid-skene"},
        {"method": "majority", "voters": ["x"]},
        {"method": "majority", "top_k": 1},
    ):
        with pytest.raises(InputError, match=r"run 'soft' is there already.*--replace"):
            combine_votes(votes, run="soft", **other)
    done = combine_votes(votes, method="dawid-skene", run="soft", replace=True)
    assert done.as_dict()["notes"] == ["another combination called 'soft' was replaced"]
    with Store(votes) as store:
        assert store.first("SELECT count(*), count(DISTINCT document) FROM documents WHERE run = 'soft'") == (2, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 7.0}, "no score passes a threshold of 7"),
        ({"threshold": float("nan")}, "no score passes a threshold of nan"),
        ({"threshold": -0.1}, "no score passes a threshold of -0.1"),
        ({"exclusive": True, "top_k": 3}, "has no 3"),
    ],
)
def test_limits_that_mean_nothing_are_refused(votes, settings, message):
    """In place of final sets that are empty, or others than were asked for."""
    with pytest.raises(InputError, match=message):
        combine_votes(votes, method="majority", **settings)


def test_a_threshold_counts_where_labels_exclude_each_other(votes):
    """A document whose best label is below it gets none."""
    sizes = [combine_votes(votes, method="majority", exclusive=True, threshold=each).selected for each in (0.9, 1.0)]
    assert sizes[0] == 2


def test_ties_are_drawn_by_lot_and_no_label_wins_them_all(tmp_path):
    """Two voters say two things of each of 400 documents; made again, the same comes out."""
    rows = [
        {"voter": v, "document": f"d{n}", "label": label}
        for n in range(400)
        for v, label in (("x", "bread"), ("y", "soup"))
    ]
    out = tmp_path / "v.duckdb"
    import_votes(write_jsonl(tmp_path / "v.jsonl", rows), out, LABELS)

    def chosen():
        combine_votes(out, method="majority", exclusive=True, run="soft")
        with Store(out) as store:
            return store.connection.execute(
                "SELECT document, label FROM predictions WHERE run = 'soft' AND selected ORDER BY document"
            ).fetchall()

    first = chosen()
    assert first == chosen()
    assert 150 < sum(label == "bread" for _, label in first) < 250
