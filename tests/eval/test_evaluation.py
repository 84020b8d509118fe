from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from labelmill.errors import GoldError, InputError
from labelmill.eval import Evaluation, Gold, Hierarchy, Rankings, Shown, evaluate, render


def small() -> Evaluation:
    """Four documents: a good one, one without gold, one that failed, one with a gold label outside the taxonomy."""
    rankings = Rankings.from_lists([[0, 1], [2], [], [3]], [[True, False], [True], [], [True]])
    return evaluate(rankings, Gold.from_lists([[0], [], [1], [3, -2]]), n_labels=4, ks=(5, 1), resamples=50)


def test_documents_without_gold_are_left_out_and_failed_ones_count_as_zero():
    evaluation = small()
    assert evaluation.documents == 3
    assert evaluation.documents_without_gold == 1
    assert evaluation.documents_without_predictions == 1
    assert (evaluation.labels, evaluation.labels_outside_taxonomy) == (4, 1)
    assert evaluation.metrics["r@1"].value == pytest.approx((1 + 0 + 1 / 2) / 3)


def test_the_dictionary_is_plain_json_with_counts_and_intervals():
    """The layout is an interface: reports and other programs read it."""
    found = json.loads(json.dumps(small().as_dict(run="first")))
    assert list(found) == [
        "run",
        "documents",
        "documents_without_gold",
        "documents_without_predictions",
        "labels",
        "labels_outside_taxonomy",
        "labels_used",
        "labels_in_taxonomy",
        "metrics",
    ]
    assert found["run"] == "first"
    assert list(found["metrics"]) == [
        *("p@1", "p@5", "r@1", "r@5", "rp@1", "rp@5", "ndcg@1", "ndcg@5"),
        *("micro_f1", "micro_precision", "micro_recall", "macro_f1", "macro_precision", "macro_recall"),
        *("coverage", "set_size_mean", "set_size_median"),
        *("psp@1", "psp@5", "psndcg@1", "psndcg@5"),
        *("r@1_tail", "r@5_tail", "rp@1_tail", "rp@5_tail"),
    ]
    assert list(found["metrics"]["rp@5"]) == ["value", "low", "high"]


def test_predictions_of_nothing_at_all_score_zero():
    nothing = Rankings(np.empty((2, 0), dtype=np.int32), np.empty((2, 0), dtype=np.bool_))
    evaluation = evaluate(nothing, Gold.from_lists([[0], [1, 2]]), n_labels=3, resamples=10)
    assert evaluation.documents_without_predictions == 2
    assert all((m.value, m.low, m.high) == (0, 0, 0) for m in evaluation.metrics.values())


def test_a_corpus_without_gold_is_an_error_with_a_remedy():
    rankings = Rankings.from_lists([[0], [1]], [[True], [True]])
    with pytest.raises(GoldError, match="none of the 2 documents has gold labels"):
        evaluate(rankings, Gold.from_lists([[], []]), n_labels=2)


@pytest.mark.parametrize("ks", [(), (0,), (5, -1)])
def test_depths_below_one_are_refused(ks):
    with pytest.raises(InputError, match="cannot rank to depths"):
        evaluate(Rankings.from_lists([[0]], [[True]]), Gold.from_lists([[0]]), n_labels=1, ks=ks)


def test_rankings_of_other_documents_or_another_taxonomy_are_refused():
    rankings = Rankings.from_lists([[0], [7]], [[True], [True]])
    with pytest.raises(ValueError, match="different documents: 2 != 1"):
        evaluate(rankings, Gold.from_lists([[0]]), n_labels=8)
    with pytest.raises(ValueError, match="position 7 is outside the taxonomy of 7 labels"):
        evaluate(rankings, Gold.from_lists([[0], [1]]), n_labels=7)


def test_the_table_shows_percent_with_intervals_and_what_was_counted():
    console = Console(width=80, file=io.StringIO())
    console.print(render(small()))
    text = console.file.getvalue()
    interval = small().metrics["ndcg@5"]
    assert f"{100 * interval.low:.1f} to {100 * interval.high:.1f}" in text
    for expected in ("nDCG@5", "micro F1", "RP@1", "RP@5 tail", "50.0", "labels used, of 4: 2"):
        assert expected in text
    for expected in (
        "documents: 3",
        "without gold, left out: 1",
        "predictions, zero: 1",
        "outside the taxonomy, missed: 1",
    ):
        assert expected in text


def test_the_table_says_nothing_of_what_did_not_happen():
    evaluation = evaluate(Rankings.from_lists([[0]], [[True]]), Gold.from_lists([[0]]), n_labels=1, resamples=5)
    assert render(evaluation).caption == "documents: 1\ngold labels: 1\nlabels used, of 1: 1"


def everything() -> Evaluation:
    """Two documents with a hierarchy and with probabilities."""
    rankings = Rankings.from_lists([[0, 1], [2, 3]], [[True, False], [True, True]])
    hierarchy = Hierarchy.from_lists([[1], [], [1], [2]])
    return evaluate(
        rankings,
        Gold.from_lists([[0], [3, 1]]),
        n_labels=4,
        ks=(1, 5, 20),
        resamples=20,
        hierarchy=hierarchy,
        probabilities=np.array([[0.9, 0.2], [0.6, 0.6]]),
    )


def test_every_metric_is_in_one_group_and_all_groups_show_all():
    """Nothing that is measured is unreachable from the table, and nothing is shown twice."""
    evaluation = everything()
    groups = [kind for kind in Shown if kind not in {Shown.main, Shown.all}]
    rows = {kind: render(evaluation, kind).row_count for kind in Shown}
    assert all(rows[kind] > 1 for kind in groups)
    assert sum(rows[kind] - 1 for kind in groups) == len(evaluation.metrics)
    assert rows[Shown.all] == sum(rows[kind] for kind in groups) > rows[Shown.main]


def test_the_table_names_metrics_as_people_do():
    console = Console(width=80, file=io.StringIO())
    console.print(render(everything(), Shown.all))
    for expected in (
        "PSnDCG@20",
        "hierarchical F1",
        "near precision",
        "calibration error@10",
        "labels per document, median",
    ):
        assert expected in console.file.getvalue()


def test_labels_used_are_those_of_the_final_sets():
    assert (everything().labels_used, everything().labels_in_taxonomy) == (3, 4)


def test_the_calibration_error_is_that_of_the_first_candidates():
    """One bin per distinct probability here: gaps of 0.1, 0.2 and, for two at 0.6 of which one is right, 0.2 in all."""
    assert everything().metrics["ece@10"].value == pytest.approx((0.1 + 0.2 + 0.2) / 4)


def test_sizes_of_final_sets_are_no_fractions():
    """Their intervals are not cut at 1."""
    rankings = Rankings.from_lists([[0, 1, 2], [0], [1, 2], [3]], [[True] * 3, [False], [True] * 2, [True]])
    metrics = evaluate(rankings, Gold.from_lists([[0]] * 4), n_labels=4, resamples=200).metrics
    assert (metrics["set_size_mean"].value, metrics["set_size_median"].value) == (1.5, 1.5)
    assert metrics["set_size_mean"].high > 2
    assert metrics["coverage"].value == pytest.approx(3 / 4)


@pytest.mark.parametrize(("kind", "why"), [(Shown.hierarchy, "has a parent"), (Shown.calibration, "no probabilities")])
def test_a_group_without_metrics_says_why(kind, why):
    """An empty table would look like a fault."""
    console = Console(width=100, file=io.StringIO())
    console.print(render(small(), kind))
    assert why in console.file.getvalue()
