"""Confident learning over labels that were spoiled on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from labelmill.learning.pruning import prune


@pytest.fixture
def spoiled():
    """A frequent label and a rare one, each with some answers turned round; a student that knows better."""
    rng = np.random.default_rng(1)
    truth = np.stack([rng.random(400) < 0.5, rng.random(400) < 0.04], axis=1)
    turned = np.zeros_like(truth)
    turned[:20, 0] = turned[:3, 1] = True
    said = np.where(truth, [0.8, 0.45], [0.15, 0.02]) + rng.normal(0, 0.03, truth.shape)
    return (truth ^ turned).astype(np.float32), said.astype(np.float32), turned, truth


def test_what_was_turned_is_found(spoiled):
    """Most of it, and little else."""
    targets, said, turned, _ = spoiled
    done = prune(targets, said)
    changed = done.targets != targets
    assert changed[turned].mean() > 0.7
    assert changed[~turned].mean() < 0.05
    assert done.yes + done.no == changed.sum()


def test_what_is_pruned_says_what_the_student_says(spoiled):
    """So that it pulls nowhere."""
    targets, said, _, _ = spoiled
    done = prune(targets, said)
    changed = done.targets != targets
    np.testing.assert_array_equal(done.targets[changed], np.clip(said, 0, 1)[changed])


def test_a_rare_label_is_not_pruned_for_being_rare(spoiled):
    """The student is never surer of it than 0.5; its own threshold counts."""
    targets, said, turned, truth = spoiled
    kept = prune(targets, said).targets == targets
    assert kept[truth[:, 1] & ~turned[:, 1], 1].all()


def test_a_label_of_few_examples_is_left_alone():
    """Four tell nothing of a threshold."""
    targets = np.zeros((50, 1), np.float32)
    targets[:4] = 1
    done = prune(targets, np.zeros((50, 1), np.float32))
    assert (done.yes, done.no) == (0, 0)
