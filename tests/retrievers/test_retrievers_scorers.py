"""What scorers say of candidates, and that it depends on nothing but the document and the candidate."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelmill.errors import StoreError
from labelmill.models.embedders import load_embedder
from labelmill.records import Label
from labelmill.retrievers.index import Indexes
from labelmill.retrievers.tokens import quantise
from labelmill.taxonomy import Taxonomy
from toy_embedder import HashedWords

SCORERS = {
    "late": lambda indexes: indexes.tokens(HashedWords()),
    "overlap": lambda indexes: indexes.overlap(),
}

TOOLS = Taxonomy.from_labels(
    [
        Label("t0", "copper kettle", ("tea kettle", "whistling pot"), "Boils water on a stove."),
        Label("t1", "garden spade", ("digging spade",), "Turns heavy soil."),
        Label("t2", "bread knife", (), "Long, with teeth, for loaves."),
        Label("t3", "hammer", ("claw hammer", "mallet"), ""),
        Label("t4", "garden hose", (), "Carries water to the beds."),
        Label("t5", "…", (), "A name without any word."),
    ]
)
ALL = np.arange(6, dtype=np.int32)
TEXTS = [
    ["The gardener took her garden spade to the heavy soil."],
    ["A copper", "kettle on the stove"],
    [],
    [""],
    ["?! …"],
    ["water for the garden, tea, bread: " * 90, "and a claw hammer"],
    ["knives, breads, HAMMERS"],
]


@pytest.fixture(params=SCORERS)
def open_scorer(request, tmp_path):
    """Open each scorer in turn, over any taxonomy."""
    return lambda taxonomy=TOOLS: SCORERS[request.param](Indexes(taxonomy, tmp_path / "indexes"))


def column(scorer, name: str, text: list[str], labels=ALL) -> list[float]:
    """One column for one document."""
    return scorer.score([text], [labels])[0][:, scorer.columns.index(name)].tolist()


class TestEveryScorer:
    """Whatever it looks at."""

    def test_gives_one_row_a_candidate(self, open_scorer):
        """Float32, finite, as many columns as it names, in the order that was asked."""
        scorer = open_scorer()
        assert len(set(scorer.columns)) == len(scorer.columns)
        asked = [ALL, ALL[::-1].copy(), ALL, ALL[:0], ALL, ALL[2:3], np.array([3, 3, 0], np.int32)]
        for labels, scores in zip(asked, scorer.score(TEXTS, asked), strict=True):
            assert scores.dtype == np.float32
            assert scores.shape == (len(labels), len(scorer.columns))
            assert np.isfinite(scores).all()
        forwards, backwards = scorer.score(TEXTS[:1] * 2, [ALL, ALL[::-1]])
        np.testing.assert_array_equal(forwards, backwards[::-1])

    def test_nothing_asked(self, open_scorer):
        """No documents are no rows."""
        assert open_scorer().score([], []) == []

    def test_neighbours_change_nothing(self, open_scorer):
        """A candidate's numbers are the same to the last bit alone, among others, and whatever else is in the batch."""
        scorer = open_scorer()
        together = scorer.score(TEXTS, [ALL] * len(TEXTS))
        for text, scores in zip(TEXTS, together, strict=True):
            np.testing.assert_array_equal(scorer.score([text], [ALL])[0], scores)
            alone = [scorer.score([text], [ALL[place : place + 1]])[0] for place in ALL]
            np.testing.assert_array_equal(np.concatenate(alone), scores)

    def test_a_text_without_words_has_nothing(self, open_scorer):
        """No chunk and an empty chunk give the same rows, and no label comes before another."""
        for scores in open_scorer().score([[], [""], ["", ""]], [ALL] * 3):
            assert (scores == 0).all()

    def test_says_what_it_finds(self, open_scorer):
        """What the text names is ahead of what it does not, whether by the name or by an alias."""
        scorer = open_scorer()
        for name in set(scorer.columns) - {
            "description_share",
            "name_exact",
            "name_share",
            "name_weighted",
            "name_mean",
            "chunks_disagree",
        }:
            scores = column(scorer, name, ["she has a claw hammer"])
            assert max(scores) == scores[3] > max(scores[:3])
        for name in set(scorer.columns) - {"description_share", "chunks_disagree"}:
            scores = column(scorer, name, ["her copper kettle"])
            assert max(scores) == scores[0] > max(scores[1:])

    def test_labels_of_one_name_tie(self, open_scorer):
        """Equal labels get equal numbers, at whatever place."""
        scorer = open_scorer(Taxonomy.from_labels([Label(str(n), "corn loaf", ("maize bread",)) for n in range(99)]))
        (scores,) = scorer.score([["a loaf of maize, or bread of corn"]], [np.arange(99, dtype=np.int32)])
        assert len(np.unique(scores, axis=0)) == 1
        assert scores.any()

    def test_a_second_opening_gives_the_same(self, open_scorer, tmp_path):
        """From disk, with nothing written."""
        first = open_scorer().score(TEXTS, [ALL] * len(TEXTS))
        written = {file: file.stat().st_mtime_ns for file in (tmp_path / "indexes").rglob("*")}
        again = open_scorer()
        for before, after in zip(first, again.score(TEXTS, [ALL] * len(TEXTS)), strict=True):
            np.testing.assert_array_equal(before, after)
        assert {file: file.stat().st_mtime_ns for file in (tmp_path / "indexes").rglob("*")} == written

    @pytest.mark.parametrize("length", [20, 136])
    def test_a_damaged_index_is_named(self, open_scorer, tmp_path, length):
        """Files cut short, in their head or in what follows it: one line that names the folder to delete."""
        open_scorer()
        (folder,) = (tmp_path / "indexes").iterdir()
        for file in folder.glob("*.npy"):
            file.write_bytes(file.read_bytes()[:length])
        with pytest.raises(StoreError, match=rf"{folder.name} is damaged .*Delete that folder"):
            open_scorer()

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        names=st.lists(st.text("ab éß東🥖\n,", min_size=1).filter(str.strip), min_size=1, max_size=9, unique=True),
        texts=st.lists(st.lists(st.text("ab éß東🥖\n,"), max_size=3), max_size=3),
    )
    def test_any_names_and_texts(self, open_scorer, names, texts):
        """Whatever they are, numbers are finite and each label's are its own."""
        scorer = open_scorer(Taxonomy.from_names(names))
        labels = np.arange(len(names), dtype=np.int32)
        for text, scores in zip(texts, scorer.score(texts, [labels] * len(texts)), strict=True):
            assert np.isfinite(scores).all()
            np.testing.assert_array_equal(scorer.score([text], [labels[-1:]])[0][0], scores[-1])


def test_overlap_counts_words(tmp_path):
    """Shares, worked out by hand: of the name's two words the text has one, of the best alias both, in a row."""
    scorer = Indexes(TOOLS, tmp_path).overlap()
    text = ["The kettles whistled; a pot of tea", "kettle"]
    rows = dict(zip(scorer.columns, scorer.score([text], [ALL])[0].T.tolist(), strict=True))
    assert rows["name_share"] == [0.5, 0, 0, 0, 0, 0]
    assert rows["best_share"][0] == 1  # "whistling pot", stemmed
    assert rows["name_exact"] == rows["any_exact"] == [0] * 6  # neither "whistled; a pot" nor "tea | kettle" is a run
    assert column(scorer, "any_exact", ["Whistling pots, garden-hoses"]) == [1, 0, 0, 0, 1, 0]
    assert column(scorer, "name_exact", ["Whistling pots, garden-hoses"]) == [0, 0, 0, 0, 1, 0]


def test_overlap_weighs_rare_words_more(tmp_path):
    """Two names begin with 'garden' and one ends with 'spade': the latter says more."""
    scorer = Indexes(TOOLS, tmp_path).overlap()
    garden, spade = (column(scorer, "name_weighted", [word])[1] for word in ("garden", "spade"))
    assert 0 < garden < 0.5 < spade < 1
    assert garden + spade == pytest.approx(1)


def test_overlap_is_the_same_in_every_process(tmp_path):
    """Sets of words are in another order in each process; the sums are not."""
    script = (
        "import sys, numpy as np; from pathlib import Path; from labelmill.retrievers.index import Indexes\n"
        "from labelmill.taxonomy import Taxonomy\n"
        "words = [f'w{n} x{n % 7} y{n % 3}' for n in range(60)]\n"
        "scorer = Indexes(Taxonomy.from_names(words), Path(sys.argv[1])).overlap()\n"
        "print(scorer.score([[' '.join(words[:40])]], [np.arange(60, dtype=np.int32)])[0].tobytes().hex())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_late_interaction_is_maxsim(tmp_path):
    """The columns are those of the definition, computed in the plainest way, to what a byte a dimension rounds off."""
    embedder = HashedWords()
    scorer = Indexes(TOOLS, tmp_path).tokens(embedder)
    text = ["the garden and the kettle", "a spade of copper"]
    (scores,) = scorer.score([text], [ALL])
    found = np.concatenate(embedder.embed_tokens(text))
    for label, row in zip(TOOLS.labels, scores, strict=True):
        best = [(tokens @ found.T).max(axis=1) for tokens in embedder.embed_tokens((label.name, *label.aliases))]
        expected = {
            "name_mean": best[0].mean(),
            "best_mean": max(one.mean() for one in best),
            "best_min": max(one.min() for one in best),
        }
        for name, value in expected.items():
            assert row[scorer.columns.index(name)] == pytest.approx(value, abs=0.02)


def test_late_interaction_weighs_rare_tokens_more(tmp_path):
    """Of 'garden hose', two names have the first word and one the second: meeting the second says more."""
    scorer = Indexes(TOOLS, tmp_path).tokens(HashedWords())
    for word, sign in (("garden", -1), ("hose", 1)):
        mean, weighted = (column(scorer, name, [word])[4] for name in ("name_mean", "name_weighted"))
        assert sign * (weighted - mean) > 0.01


def test_a_tokens_weight_is_of_the_texts_that_have_it(tmp_path):
    """A word that one name repeats is as rare as one that it has once."""
    scorer = Indexes(Taxonomy.from_names(["drip drip drip drop", "tick tock", "tock"]), tmp_path).tokens(HashedWords())
    drip, *_, drop, tick, tock, _ = scorer._names.weights.tolist()
    assert drip == drop == tick == pytest.approx(math.log(1 + 2.5 / 1.5))
    assert tock == pytest.approx(math.log(1 + 1.5 / 2.5))


def test_overlap_weighs_words_of_descriptions(tmp_path):
    """Words that descriptions share say little, though no name has them."""
    labels = [Label(str(n), f"loaf{n}", (), "one of the many " + "oven" * (n == 0)) for n in range(9)]
    scorer = Indexes(Taxonomy.from_labels(labels), tmp_path).overlap()
    many, oven = (column(scorer, "description_share", [f"{word} elsewhere"], ALL[:1])[0] for word in ("many", "oven"))
    assert 0 < 4 * many < oven < 0.5


def test_overlap_says_where_chunks_disagree(tmp_path):
    """One chunk of two has the name: the mean is half of the largest. One chunk alone cannot disagree."""
    scorer = Indexes(TOOLS, tmp_path).overlap()
    half, both, alone = (
        column(scorer, "chunks_disagree", text)[3]
        for text in (["a hammer", "a nail"], ["a hammer", "the hammer"], ["a hammer"])
    )
    assert (half, both, alone) == (0.5, 0.0, 0.0)


def test_long_documents_are_read_to_the_end(tmp_path):
    """A word of the fortieth chunk counts as one of the first does."""
    scorer = Indexes(TOOLS, tmp_path).tokens(HashedWords())
    filler = ["nothing of note happened that day " * 30] * 40
    (without, last, first) = scorer.score([filler, [*filler, "spade"], ["spade", *filler]], [ALL] * 3)
    np.testing.assert_array_equal(last, first)
    assert last[1, 0] > without[1, 0]


def test_quantised_tokens_keep_their_angles():
    """A byte a dimension changes a cosine by a hundredth at most; a row of zeros stays one."""
    vectors = np.random.default_rng(5).normal(size=(60, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[7] = 0
    tokens = quantise(vectors)
    restored = tokens.rows * tokens.scales[:, None]
    np.testing.assert_allclose(restored @ restored.T, vectors @ vectors.T, atol=0.01)
    assert not restored[7].any()


@pytest.mark.parametrize("width", [3, 1040, 1041, 4096])
def test_products_of_tokens_are_exact(width):
    """The largest sums that there can be are whole numbers without rounding, at any width."""
    tokens = quantise(np.ones((2, width), np.float32))
    product = tokens.factors(slice(None)) @ tokens.factors(slice(None)).T
    assert (product == 127 * 127 * width).all()
    odd = quantise(np.ones((1, width), np.float32) * np.where(np.arange(width) == 0, 1, 126 / 127)[None])
    assert int((odd.factors(slice(None)) @ tokens.factors(slice(None)).T)[0, 0]) == 127 * (127 + 126 * (width - 1))


def test_progress_is_told(tmp_path):
    """What is built, how far, and of how many; once."""
    told = []
    indexes = Indexes(Taxonomy.from_names([f"loaf {n}" for n in range(9000)]), tmp_path, lambda *now: told.append(now))
    for _ in range(2):
        indexes.overlap()
        indexes.tokens(HashedWords())
    assert told == [
        ("words", 0, 9000),
        ("words", 8192, 9000),
        ("words", 9000, 9000),
        ("tokens.toy", 0, 9000),
        ("tokens.toy", 4096, 9000),
        ("tokens.toy", 8192, 9000),
        ("tokens.toy", 9000, 9000),
    ]


@pytest.mark.models
def test_minilm_scores_alone_as_in_a_batch(tmp_path):
    """With the real model, too, every number is the same to the last bit; and the label that is meant comes first."""
    scorer = Indexes(TOOLS, Path(tmp_path)).tokens(load_embedder("minilm"))
    texts = [*TEXTS, ["He dug over the vegetable patch with a digging tool."], ["Water is boiled in it."]]
    together = scorer.score(texts, [ALL] * len(texts))
    for text, scores in zip(texts, together, strict=True):
        alone = [scorer.score([text], [ALL[place : place + 1]])[0] for place in ALL]
        np.testing.assert_array_equal(np.concatenate(alone), scores)
    assert [int(scores[:, 3].argmax()) for scores in together[:2]] == [1, 0]
