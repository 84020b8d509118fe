"""Hierarchical overlap and credit for near misses: hand-worked trees, definitions in plain Python, hostile shapes."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill import Label, Taxonomy
from labelmill.eval import Gold, Hierarchy, Rankings, evaluate
from labelmill.eval.hierarchy import LEVELS

#        0
#      1   2
#     3 4   5
#     6
TREE = [[], [0], [0], [1], [1], [2], [3]]


def values(chosen, gold, parents) -> dict[str, float]:
    rankings = Rankings.from_lists(chosen, [[True] * len(row) for row in chosen])
    hierarchy = Hierarchy.from_lists(parents)
    metrics = evaluate(
        rankings, Gold.from_lists(gold), n_labels=len(parents), ks=(1,), resamples=3, hierarchy=hierarchy
    ).metrics
    return {name: metrics[name].value for name in ("hp", "hr", "hf1", "near_precision", "near_recall", "near_f1")}


def above(label: int, parents) -> dict[int, int]:
    """Walk up, breadth first."""
    steps, queue = {label: 0}, deque([label])
    while queue:
        here = queue.popleft()
        for parent in parents[here] if here >= 0 else ():
            if parent not in steps:
                steps[parent] = steps[here] + 1
                queue.append(parent)
    return steps


def by_definition(chosen, gold, parents) -> dict[str, float]:
    tops = [n for n, row in enumerate(parents) if not row and any(n in other for other in parents)]
    root = set(tops) if len(tops) == 1 else set()

    def augmented(labels) -> set[int]:
        return set(labels) | {up for label in labels for up in above(label, parents)} - root

    def credit(label, others) -> float:
        mine = above(label, parents)
        ways = [mine[up] + steps for other in others for up, steps in above(other, parents).items() if up in mine]
        return 1 / (1 + min(ways)) if ways else 0.0

    pairs = [(set(row), set(labels)) for row, labels in zip(chosen, gold, strict=True)]
    both = sum(len(augmented(p) & augmented(g)) for p, g in pairs)
    hp = both / max(1, sum(len(augmented(p)) for p, _ in pairs))
    hr = both / max(1, sum(len(augmented(g)) for _, g in pairs))
    near_p = sum(credit(label, g) for p, g in pairs for label in p) / max(1, sum(len(p) for p, _ in pairs))
    near_r = sum(credit(label, p) for p, g in pairs for label in g) / max(1, sum(len(g) for _, g in pairs))
    return {
        "hp": hp,
        "hr": hr,
        "hf1": 2 * hp * hr / (hp + hr) if hp + hr else 0,
        "near_precision": near_p,
        "near_recall": near_r,
        "near_f1": 2 * near_p * near_r / (near_p + near_r) if near_p + near_r else 0,
    }


def test_a_sibling_by_hand():
    """Gold 3, given 4: of {1, 3} and {1, 4} one is shared; the way from 4 to 3 has two steps."""
    assert values([[4]], [[3]], TREE) == dict.fromkeys(("hp", "hr", "hf1"), pytest.approx(1 / 2)) | dict.fromkeys(
        ("near_precision", "near_recall", "near_f1"), pytest.approx(1 / 3)
    )


def test_too_narrow_and_too_broad_by_hand():
    """Given 6 for 3: all that is wanted is there, and one too many. Given 1 for 3: the other way round."""
    narrow, broad = values([[6]], [[3]], TREE), values([[1]], [[3]], TREE)
    assert (narrow["hp"], narrow["hr"]) == (pytest.approx(2 / 3), 1)
    assert (broad["hp"], broad["hr"]) == (1, pytest.approx(1 / 2))
    assert narrow["near_precision"] == broad["near_precision"] == pytest.approx(1 / 2)


def test_the_root_alone_is_no_overlap():
    """Labels of different branches share it; it brings distance, and no hierarchical precision."""
    found = values([[5]], [[3]], TREE)
    assert found["hp"] == found["hr"] == 0
    assert found["near_precision"] == pytest.approx(1 / 5)
    assert values([[0]], [[0]], TREE)["hf1"] == 1


def test_the_nearest_gold_label_counts():
    assert values([[6]], [[5, 4, 3]], TREE)["near_precision"] == pytest.approx(1 / 2)


def test_a_gold_label_outside_the_taxonomy_is_far_from_all():
    found = values([[3]], [[3, -2]], TREE)
    assert (found["hp"], found["hr"]) == (1, pytest.approx(2 / 3))
    assert (found["near_precision"], found["near_recall"]) == (1, pytest.approx(1 / 2))


def test_cycles_end():
    """Taxonomies are checked for them; arrays from elsewhere are not."""
    found = values([[0], [1]], [[2], [1]], [[1], [2], [0]])
    assert found["hf1"] == 1
    assert found["near_precision"] == pytest.approx((1 / 2 + 1) / 2)


def test_a_chain_of_all_labels_does_not_fill_the_memory():
    """Every label below the one before: the full ancestry of 20,000 labels would be 200 million entries."""
    count = 20_000
    hierarchy = Hierarchy.from_lists([[], *([label] for label in range(count - 1))])
    ancestry = hierarchy.ancestry(np.arange(count, dtype=np.int32))
    assert len(ancestry.above) < count * (LEVELS + 1)
    assert ancestry.steps.max() == LEVELS


def test_parents_that_were_left_out_of_the_taxonomy_are_skipped():
    labels = [Label("a", "a", parents=("gone",)), Label("b", "b", parents=("a", "gone"))]
    hierarchy = Hierarchy.of(Taxonomy.from_labels(labels))
    assert hierarchy is not None
    assert hierarchy.parents.tolist() == [0]
    assert Hierarchy.of(Taxonomy.from_names(["a", "b"])) is None


def test_no_hierarchy_no_metrics():
    metrics = evaluate(Rankings.from_lists([[0]], [[True]]), Gold.from_lists([[0]]), n_labels=1, resamples=3).metrics
    assert not {"hf1", "near_f1"} & metrics.keys()


graphs = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(st.integers(0, n - 1), max_size=3), min_size=n, max_size=n),
        st.lists(
            st.tuples(
                st.lists(st.integers(0, n - 1), max_size=4),
                st.lists(st.sampled_from([*range(n), -2]), min_size=1, max_size=4),
            ),
            min_size=1,
            max_size=5,
        ),
    )
)


@given(graphs)
def test_any_graph_gives_what_the_definitions_say(drawn):
    """Several parents, parents named twice, a label as its own parent, cycles: bounds, and values by definition."""
    parents, documents = drawn
    chosen, gold = [row for row, _ in documents], [row for _, row in documents]
    found = values(chosen, gold, parents)
    assert found == pytest.approx(by_definition(chosen, gold, parents))
    assert all(0 <= number <= 1 for number in found.values())


@given(graphs)
def test_the_gold_labels_themselves_are_perfect(drawn):
    parents, documents = drawn
    gold = [[label for label in row if label >= 0] or [0] for _, row in documents]
    assert values(gold, gold, parents) == dict.fromkeys(
        ("hp", "hr", "hf1", "near_precision", "near_recall", "near_f1"), pytest.approx(1)
    )
