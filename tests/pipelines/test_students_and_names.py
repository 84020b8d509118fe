"""What a student makes of labels' names: those without lessons, names that mislead, and the arithmetic of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from labelmill import Labeler, Taxonomy
from labelmill.learning.ridge import fit_ridge
from labelmill.pipelines.distilling import distill
from labelmill.pipelines.distilling.linear import drawn_towards
from labelmill.pipelines.voting.combine import combine_votes
from labelmill.pipelines.voting.importing import import_labels
from scripted import write_jsonl

TRADES = [
    f"{first}{last}" for first in ("wool", "rope", "nail", "glass", "clog", "bell") for last in ("er", "wright", "man")
]
LEARNED = TRADES[:12]
FILLER = [
    "town",
    "more",
    "came",
    "road",
    "spring",
    "stayed",
    "work",
    "near",
    "market",
    "square",
    "long",
    "year",
    "well",
]


@pytest.fixture
def trades():
    """Labels that are called by a word of the texts, with an alias each."""
    return Taxonomy.from_names(TRADES)


def school(tmp_path, taxonomy, says, documents=24):
    """A run over texts that say a trade, and their file; `says` names the labels of each trade."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(documents):
        words = rng.choice(FILLER, 6).tolist()
        trade = number % len(says)
        words.insert(int(rng.integers(6)), list(says)[trade])
        rows.append({"id": f"d{number}", "text": " ".join(words), "labels": [says[list(says)[trade]]]})
    docs = write_jsonl(tmp_path / "docs.jsonl", rows)
    import_labels([docs], tmp_path / "votes.duckdb", taxonomy, voter="ann")
    combine_votes(tmp_path / "votes.duckdb", method="majority", run="soft")
    return tmp_path / "votes.duckdb", docs


@pytest.mark.parametrize("kind", ["linear", "omikuji"])
def test_a_label_without_a_lesson_is_found_by_its_name(kind, trades, tmp_path):
    """The teacher gave twelve of eighteen labels; texts say all. Without names, the student knows twelve."""
    if kind == "omikuji":
        pytest.importorskip("omikuji")
    runs, docs = school(tmp_path, trades, {name: name for name in LEARNED})
    fresh = [f"One {name} came near." for name in TRADES]
    best = {}
    for named in (True, False):
        done = distill(runs, [docs], tmp_path / str(named), kind=kind, named=named, top_k=1)
        with Labeler(trades, program=tmp_path / str(named)) as labeler:
            best[named] = [labels[0].label for labels in labeler.label(fresh, ranked=True)]
        assert done.figures["labels_with_lessons"] == 12
        assert done.figures["labels"] == (18 if named else 12)
        assert (done.figures["names"] > 0) == named
    assert best[True] == TRADES
    assert best[False][:12] == LEARNED or kind == "omikuji"  # two lessons a label are few for trees
    assert not set(best[False]) - set(LEARNED)


def test_names_that_mislead_count_for_nothing(trades, tmp_path):
    """Every text that says a trade has the label of the next: the share is chosen by lessons left out."""
    says = dict(zip(TRADES, [*TRADES[1:], TRADES[0]], strict=True))
    runs, docs = school(tmp_path, trades, says, documents=36)
    done = distill(runs, [docs], tmp_path / "student", top_k=1)
    assert done.figures["names"] == 0
    with Labeler(trades, program=tmp_path / "student") as labeler:
        found = labeler.label([f"One {name} came near." for name in TRADES], ranked=True)
    assert [labels[0].label for labels in found] == list(says.values())


def test_a_fit_drawn_towards_names_is_that_of_what_they_leave_over():
    """As one fit of the rest has it, plus the names' part: from two fits, whatever the share."""
    rng = np.random.default_rng(2)
    rows = sparse.csr_array(sparse.random_array((50, 30), density=0.3, rng=rng, dtype=np.float32))
    targets = rng.uniform(0, 1, (50, 4)).astype(np.float32)
    alike = rng.uniform(0, 1, (50, 4)).astype(np.float32)
    weights = rng.uniform(0.5, 2, 50).astype(np.float32)
    plain, of_names = (fit_ridge(rows, each, weights, 0.3) for each in (targets, alike))
    rest = fit_ridge(rows, targets - 0.4 * alike, weights, 0.3)
    found = drawn_towards(plain, of_names, alike, 0.4)
    np.testing.assert_allclose(found.coefficients, rest.coefficients, atol=1e-4)
    np.testing.assert_allclose(found.base, rest.base, atol=1e-5)
    np.testing.assert_allclose(found.left_out, rest.left_out + 0.4 * alike, atol=1e-4)
