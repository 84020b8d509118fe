"""What annotators and a model say together: who disagrees is doubted, the more so alone."""

from __future__ import annotations

import numpy as np
import pytest

from labelmill.learning.annotators import Annotations, weigh_annotations


def weigh(rows, labels=100):
    """Weigh (document, probability, what each annotator says)."""
    document, probability, says = zip(*rows, strict=True)
    return weigh_annotations(
        Annotations(np.array(document), np.array(probability), np.array(says, dtype=np.int8), labels)
    )


def test_without_annotators_the_model_is_believed():
    """As it is."""
    assert weigh([(0, 0.3, [-1]), (1, 0.9, [-1])]) == pytest.approx([0.3, 0.9])


def test_a_label_that_the_model_does_not_see_is_doubted_and_one_that_it_finds_is_missed():
    """More than where both agree."""
    agreed, unseen, absent, missed = weigh([(0, 0.9, [1]), (0, 0.0005, [1]), (0, 0.05, [0]), (0, 0.95, [0])])
    assert agreed > 0.99
    assert 0.02 < unseen < 0.9
    assert absent < 0.02
    assert missed > 0.3


def test_the_second_annotator_settles_it():
    """A label that two gave is sure, though the model does not see it; one that a second denies is not."""
    alone, two, denied = weigh([(0, 0.0005, [1, -1]), (1, 0.0005, [1, 1]), (2, 0.0005, [1, 0])])
    assert two > 0.99 > alone > denied


def test_who_is_often_alone_is_believed_less():
    """By the documents that others labelled as well."""
    random = np.random.default_rng(0)
    rows = []
    for document in range(200):
        right = random.random() < 0.5
        careless = bool(random.random() < (0.9 if right else 0.6))
        rows.append((document, 0.5, [int(right), int(right), int(careless)]))
    rows += [(200, 0.01, [1, -1, -1]), (201, 0.01, [-1, -1, 1])]
    careful, careless = weigh(rows)[-2:]
    assert careful > careless


def test_nothing_is_weighed_of_nothing():
    """No pair, no probability."""
    assert len(weigh_annotations(Annotations(np.empty(0, int), np.empty(0), np.empty((0, 1), np.int8), 3))) == 0
