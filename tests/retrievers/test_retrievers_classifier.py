"""The classifier: what labelled documents teach, and what it gives a document as if its own example were not there."""

from __future__ import annotations

import numpy as np
import pytest

from labelmill.retrievers.classifier import Classifier
from toy_embedder import HashedGrams

BREAD = [["rye bread loaf"], ["wheat bread crust"], ["bread oven loaf"], ["dark rye bread"]]
FISH = [["grilled fish lemon"], ["salmon fish soup"], ["fish market"], ["smoked fish"]]
TEXTS = BREAD + FISH
LABELS = [[7]] * 4 + [[2]] * 4


def scores(classifier: Classifier, text: list[str], own: int | None = None) -> dict[int, float]:
    (hits,) = classifier.retrieve([text], 10, without=[() if own is None else (own,)])
    return dict(zip(hits.labels.tolist(), hits.scores.tolist(), strict=True))


def test_a_document_gets_the_label_of_its_like():
    classifier = Classifier(HashedGrams(), TEXTS, LABELS)
    (hits,) = classifier.retrieve([["fresh bread loaf"]], 10)
    assert hits.labels.tolist() == [7, 2]
    assert hits.scores[0] > hits.scores[1]


def test_labels_of_few_examples_are_not_learned():
    classifier = Classifier(HashedGrams(), [*TEXTS, ["one cheese"], ["two cheese"]], [*LABELS, [5], [5]])
    assert 5 not in scores(classifier, ["cheese"])


def test_leaving_an_example_out_equals_learning_without_it(monkeypatch: pytest.MonkeyPatch):
    """The closed form gives what a regression gives that never saw the example, at the same strength."""
    monkeypatch.setattr("labelmill.retrievers.classifier._STRENGTHS", (0.3,))
    whole = Classifier(HashedGrams(), TEXTS, LABELS)
    rest = Classifier(HashedGrams(), TEXTS[1:], LABELS[1:])
    assert scores(whole, TEXTS[0], own=0) == pytest.approx(scores(rest, TEXTS[0]), abs=2e-5)
    assert scores(whole, TEXTS[0])[7] > scores(whole, TEXTS[0], own=0)[7]


def test_the_scores_of_a_document_do_not_depend_on_its_neighbours():
    classifier = Classifier(HashedGrams(), TEXTS, LABELS)
    alone = classifier.retrieve([["rye and fish"]], 10)[0]
    among = classifier.retrieve([["salmon"], ["rye and fish"], ["loaf", "oven"]], 10)[1]
    assert np.array_equal(alone.scores, among.scores)
    assert np.array_equal(alone.labels, among.labels)


@pytest.mark.parametrize("out", [(0, 1), (0, 1, 2), (4, 8)])
def test_nothing_tells_of_the_labels_of_examples_that_are_left_out(
    monkeypatch: pytest.MonkeyPatch, out: tuple[int, ...]
):
    """Neither a score nor whether a label is among the hits: erasing their labels changes nothing."""
    monkeypatch.setattr("labelmill.retrievers.classifier._STRENGTHS", (0.3,))
    labels = [*LABELS, [5], [5], [5]]
    texts = [*TEXTS, ["one cheese"], ["two cheese"], ["old cheese"]]
    erased = [[] if place in out else own for place, own in enumerate(labels)]
    for text in (*texts, ["anything"]):
        (known,) = Classifier(HashedGrams(), texts, labels).retrieve([text], 10, without=[out])
        (unknown,) = Classifier(HashedGrams(), texts, erased).retrieve([text], 10, without=[out])
        assert known.labels.tolist() == unknown.labels.tolist()
        assert known.scores.tolist() == pytest.approx(unknown.scores.tolist(), abs=2e-5)


def test_without_a_label_of_enough_examples_nothing_is_found():
    (hits,) = Classifier(HashedGrams(), [["rye"], ["fish"]], [[1], [2]]).retrieve([["rye"]], 5)
    assert not len(hits.labels)


def test_the_fingerprint_knows_the_labels():
    one, other = Classifier(HashedGrams(), TEXTS, LABELS), Classifier(HashedGrams(), TEXTS, [[7]] * 5 + [[2]] * 3)
    assert one.fingerprint != other.fingerprint
