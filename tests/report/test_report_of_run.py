"""A report of a real run: its numbers are those of the evaluation, and nothing hostile in it comes alive."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from reported_runs import GOLD, NAMES, PROBABLE, RANKED, SCRIPT, decided, write_run
from well_formed import Page, cells

from labelmill.errors import GoldError, StoreError
from labelmill.eval.fates import Fate
from labelmill.pipelines.evaluate import evaluate_run
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.ledger import ledger_of_run
from labelmill.pipelines.report import report_of_run
from labelmill.report import render_page
from labelmill.report.highlight import LONGEST


@pytest.fixture
def make(tmp_path):
    """Write a run and report it."""

    def report(program, threshold=0.0, run="r", **options):
        path = tmp_path / "runs.duckdb"
        gold = write_run(path, program, threshold, run)
        return path, gold, report_of_run(path, gold, run=run, **({"resamples": 50} | options))

    return report


def test_nothing_hostile_comes_alive(make):
    """Neither of labels, of documents, of texts, of queries, nor of the run's name."""
    _, _, found = make(decided(0.3, "recall>=0.5", statement=SCRIPT), 0.3, run=f"{SCRIPT}\u202e\x07")
    html = render_page(found)
    page = Page(html)
    page.assert_inert()
    assert SCRIPT not in html
    assert page.text.count(SCRIPT) > 5
    assert not re.search("[\x00-\x08\x0b-\x1f]", html)
    html.encode()
    direct = {path[-1] for path, text in page.texts if re.search("[\u202e\u2066]", text)}
    assert direct <= {"bdi", "p", "mark"}


def test_the_policy_admits_this_very_style_and_nothing_else(make):
    _, _, found = make(PROBABLE)
    page = Page(render_page(found))
    (style,) = page.text_of("style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = (meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "url(" not in style
    assert "@import" not in style


def test_metrics_are_those_of_the_evaluation(make):
    path, gold, found = make(PROBABLE, 0.3)
    expected = evaluate_run(path, gold, resamples=50).evaluation
    rows = {row[0]: row[1:] for row in cells(render_page(found), "All metrics, in percent") if len(row) == 3}
    assert len(rows) == len(expected.metrics) + 1
    for name, title in (("micro_f1", "micro F1"), ("rp@5", "RP@5"), ("ece@10", "calibration error@10")):
        metric = expected.metrics[name]
        assert rows[title] == [f"{100 * metric.value:.1f}", f"{100 * metric.low:.1f} to {100 * metric.high:.1f}"]
    assert found.documents == expected.documents == len(GOLD)


def test_losses_are_those_of_the_ledger(make):
    path, gold, found = make(PROBABLE, 0.3)
    ledger = ledger_of_run(path, gold)
    assert (found.stages.gold, found.stages.found) == (len(ledger.entries), ledger.counts[Fate.found])
    assert [stage.lost for stage in found.stages.stages] == [ledger.counts[fate] for fate in list(Fate)[:-1]]
    rows = cells(render_page(found), f"Of {found.stages.gold} gold labels {found.stages.found} were found")
    assert rows[-1][-1] == f"{100 * ledger.ceilings['decided']:.1f}"


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.65, 0.95])
def test_the_threshold_in_use_gives_what_the_run_did(make, threshold):
    """And its place in the table is the first of all."""
    _, _, found = make(PROBABLE | {"threshold": threshold}, threshold)
    metrics = {each.name: each.value for _, figures in found.main for each in figures}
    in_use = found.thresholds.in_use
    assert (in_use.precision, in_use.recall, in_use.f1, in_use.labels) == pytest.approx(
        tuple(metrics[name] for name in ("micro precision", "micro recall", "micro F1", "labels per document, mean"))
    )
    gold = sum(map(len, GOLD.values()))
    chosen = [
        label in GOLD[document]
        for document, ranked in RANKED.items()
        for label, score in ranked[:3]
        if score >= threshold
    ]
    assert (in_use.recall, in_use.labels) == (sum(chosen) / gold, len(chosen) / len(GOLD))


@pytest.mark.parametrize("rank", ["listwise", "whole"])
def test_candidates_that_were_not_chosen_are_on_no_curve(make, rank):
    """They could not be given, whatever the threshold."""
    _, _, found = make({"rank": rank, "model": "m", "top_k": 3}, 2.0)
    assert found.thresholds is None
    assert found.reliability is None
    assert "by threshold" not in render_page(found)


def test_probabilities_have_a_curve_and_scores_have_none(make):
    _, _, found = make(PROBABLE)
    assert sum(each.count for each in found.reliability.bins) == sum(map(len, RANKED.values()))
    page = render_page(found)
    assert len(cells(page, "Calibration, by bins of equal size")) == len(found.reliability.bins) + 1
    _, _, plain = make({"rank": "fusion", "top_k": 3}, run="plain")
    assert plain.reliability is None
    assert "Calibration curve" not in render_page(plain)


# At 0.3 the documents are given 3, 2, 2 and 0 labels, of which 2, 1, 1 and 0 are right.
@pytest.mark.parametrize(
    ("promise", "kept", "measured"),
    [
        ("precision>=0.5", True, 4 / 7),
        ("precision>=0.9", False, 4 / 7),
        ("recall>=0.5", True, (2 / 3 + 1 / 2 + 1 + 0) / 4),
        ("recall>=0.6", False, (2 / 3 + 1 / 2 + 1 + 0) / 4),
        ("cost<=0.8", True, 3 / 4),
        ("cost<=0.7", False, 3 / 4),
    ],
)
def test_a_promise_is_held_to_what_is_measured(make, promise, kept, measured):
    _, _, found = make(decided(0.3, promise), 0.3)
    assert found.promise.kept is kept
    assert found.promise.measured.value == pytest.approx(measured)
    assert found.promise.measured.low <= measured <= found.promise.measured.high
    assert ("Yes, on these" if kept else "No, on these") in render_page(found)


def test_a_run_with_a_threshold_of_its_own_is_held_to_no_promise(make):
    _, _, found = make(decided(0.3, "recall>=0.5") | {"threshold": 0.1}, 0.1)
    assert (found.promise.kept, found.promise.measured) == (None, None)
    assert "threshold of its own in place of the decision" in found.promise.verdict


def test_examples_show_each_kind_once_and_the_same_for_the_same_seed(make):
    path, gold, found = make(PROBABLE, 0.3, examples=1)
    assert [each.why for each in found.examples] == ["best", "worst", "random"]
    assert len({each.document for each in found.examples}) == 3
    assert found.examples[1].document == "d3"
    assert report_of_run(path, gold, examples=1, resamples=50) == found
    assert report_of_run(path, gold, examples=0, resamples=50).examples == ()
    assert len(report_of_run(path, gold, examples=9, resamples=50).examples) == len(GOLD)


def test_examples_say_what_was_given_and_what_was_missed(make):
    _, _, found = make(PROBABLE, 0.3, examples=9)
    (example,) = (each for each in found.examples if each.document == "d0")
    assert [(each.name, each.right) for each in example.given] == [
        (NAMES[6], True),
        (NAMES[0], True),
        (NAMES[1], False),
    ]
    assert example.given[0].queries == ("word6 here", "here")
    ((missed, explanation),) = example.missed
    assert missed == NAMES[2]
    assert "ranked too low, at rank 4" in explanation
    page = Page(render_page(found))
    titles = [mark.get("title") for mark in page.of("mark")]
    assert any(title and "right: plain baking" in title for title in titles)
    assert any("missed" in mark["class"] for mark in page.of("mark"))


def test_the_nearest_phrase_to_what_was_never_proposed_is_not_highlighted(make):
    """It is named in the explanation, and speaks for nothing."""
    path, gold, _ = make(PROBABLE, 0.3)
    near = GoldCorpus(tuple(type(each)(each.id, "For example, rye.", each.labels) for each in gold.documents))
    found = report_of_run(path, near, examples=9, resamples=50)
    (example,) = (each for each in found.examples if each.document == "d3")
    ((_, explanation),) = example.missed
    assert "was never proposed; the nearest phrase was 'example'" in explanation
    assert [each for each in example.evidence if each.verdict == "missed"] == []


def test_examples_of_long_texts_are_cut(make, tmp_path):
    path, gold, _ = make(PROBABLE, 0.3)
    long = GoldCorpus(tuple(type(each)(each.id, each.text * 500, each.labels) for each in gold.documents))
    page = Page(render_page(report_of_run(path, long, examples=9, resamples=50)))
    shown = "".join(data for path, data in page.texts if "article" in path and "p" in path)
    assert len(shown) <= len(GOLD) * (LONGEST + 60)


def test_the_same_report_is_the_same_page(make):
    path, gold, found = make(decided(0.3), 0.3)
    assert render_page(report_of_run(path, gold, resamples=50)) == render_page(found)


def test_what_is_not_there_is_an_error(make, tmp_path):
    path, gold, _ = make(PROBABLE)
    with pytest.raises(StoreError, match="has no run 'other'"):
        report_of_run(path, gold, run="other")
    with pytest.raises(GoldError, match="none of the 0 documents"):
        report_of_run(path, GoldCorpus(()))
