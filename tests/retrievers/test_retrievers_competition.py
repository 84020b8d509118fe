"""What windows say of candidates beside each other: by plain definitions, and the same whatever else is asked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from labelmill.records import Label
from labelmill.retrievers.competition import Competition
from labelmill.retrievers.index import Indexes
from labelmill.taxonomy import Taxonomy
from toy_embedder import HashedGrams

TOOLS = Taxonomy.from_labels(
    [
        Label("t0", "copper kettle", ("tea kettle", "whistling pot")),
        Label("t1", "copper kettles"),
        Label("t2", "bread knife"),
        Label("t3", "hammer", ("claw hammer", "mallet")),
        Label("t4", "garden hose"),
    ]
)
ALL = np.arange(5, dtype=np.int32)
WINDOWS = ["copper kettle", "copper", "sharp bread knife", "knife", "blue water"]


@pytest.fixture
def competition(tmp_path):
    return Indexes(TOOLS, tmp_path).competition(HashedGrams())


def columns(competition: Competition, windows=WINDOWS, candidates=ALL) -> dict[str, list[float]]:
    found = competition.compare(windows, candidates)
    assert found.shape == (len(candidates), len(competition.columns))
    assert np.isfinite(found).all()
    return {name: found[:, place].tolist() for place, name in enumerate(competition.columns)}


def cosines() -> np.ndarray:
    """The best cosine of each label's texts with each window, by loops."""
    embed = HashedGrams().embed
    half = [
        [embed([text])[0].astype(np.float16).astype(np.float32) for text in (x.name, *x.aliases)] for x in TOOLS.labels
    ]
    return np.array([[max(float(text @ embed([window])[0]) for text in own) for window in WINDOWS] for own in half])


def test_agrees_with_plain_definitions(competition):
    """Every column but those of the best window, by loops over labels and windows."""
    found, plain = columns(competition), cosines()
    for label, row in enumerate(plain):
        others = np.delete(plain, label, axis=0)
        leads = row - others.max(axis=0)
        firsts = (leads > 0).sum()
        thirds = sum((others[:, place] > row[place]).sum() < 3 for place in range(len(WINDOWS)))
        shares = np.exp(20 * row) / np.exp(20 * plain).sum(axis=0)
        expected = {
            "margin": leads[row.argmax()],
            "margin_max": leads.max(),
            "first": math.log1p(firsts),
            "first_share": firsts / len(WINDOWS),
            "top_3": math.log1p(thirds),
            "mean": row.mean(),
            "mean_5": np.sort(row)[-5:].mean(),
            "softmax": math.log(shares.max() + 1e-4),
            "softmax_sum": math.log(shares.sum() + 1e-3),
        }
        for name, value in expected.items():
            assert found[name][label] == pytest.approx(value, abs=1e-3), name


def test_who_comes_second_at_the_same_window_is_told(competition):
    """The plural's best window is the singular's, who is ahead of it; the knife has a window of its own."""
    found, plain = columns(competition), cosines()
    assert found["rank"][:3] == [0.0, pytest.approx(-math.log(2)), 0.0]
    assert found["gap"][1] == pytest.approx(plain[0].max() - plain[1].max(), abs=1e-4)
    assert found["overlap"][:3] == [0.0, 1.0, 0.0]
    assert found["words"][:2] == [2.0, 2.0]
    assert found["margin"][1] == pytest.approx(plain[1, 0] - plain[0, 0], abs=1e-4)


def test_a_label_without_rivals_leads_nobody(competition):
    """Alone, it is first at every window."""
    found = columns(competition, candidates=ALL[2:3])
    assert found["margin"] == found["margin_max"] == [0.0]
    assert found["first_share"] == [1.0]
    assert found["softmax"] == [pytest.approx(0.0, abs=1e-3)]


def test_nothing_to_compare(competition):
    """Without a window all are zeros; without a candidate there is no row."""
    assert not np.any(competition.compare([], ALL))
    assert competition.compare(WINDOWS, ALL[:0]).shape == (0, len(competition.columns))


def test_the_order_of_candidates_does_not_matter(competition):
    """A row belongs to its candidate."""
    backwards = competition.compare(WINDOWS, ALL[::-1].copy())
    np.testing.assert_allclose(competition.compare(WINDOWS, ALL)[::-1], backwards, atol=1e-9)


def test_names_will_do_without_aliases(tmp_path):
    """No index is built of names twice."""
    plain = Taxonomy.from_names(["hammer", "hose"])
    Indexes(plain, tmp_path).competition(HashedGrams())
    assert [folder.name.partition("-")[0] for folder in tmp_path.iterdir()] == ["dense"]


def test_vectors_are_read_once(tmp_path):
    """The lane of the same view has them already."""
    indexes, embedder = Indexes(TOOLS, tmp_path), HashedGrams()
    assert indexes.competition(embedder)._dense is indexes.dense("aliases", embedder)
