"""`labelmill label` from a file of documents to rows, with every kind of Rank that asks a model."""

from __future__ import annotations

from servers import everywhere, label, wherever_judged
from wording import TEXT, text

TEXTS = {"leek": TEXT, "first": text(1), "second": text(2)}


@everywhere
def test_listwise(server, tmp_path):
    """Every document has ranked labels of the taxonomy and a final set of chosen ones; the same again asks nothing."""
    run = label(tmp_path, TEXTS, "--lm", server.lm, "--rank", "listwise")
    has_labels(run)
    assert run.rows("SELECT document FROM predictions WHERE selected AND (rank > 3 OR score <= 1)") == []
    assert asked(run) == {"infer": len(TEXTS), "rank": len(TEXTS)}
    again = label(tmp_path, TEXTS, "--lm", server.lm, "--rank", "listwise")
    assert (again.code, again.summary["new_calls"]) == (0, 0)
    assert again.summary["predictions"] == run.summary["predictions"]


@everywhere
def test_whole(server, tmp_path):
    """The final set is of labels that were chosen among all 62, retrieved or not; the server holds to their numbers."""
    run = label(tmp_path, TEXTS, "--lm", server.lm, "--infer", "windows", "--rank", "whole")
    assert (run.code, run.summary["documents"], run.summary["failures"]) == (0, len(TEXTS), 0)
    assert run.rows("SELECT document FROM predictions WHERE selected AND (rank > 3 OR score <= 1)") == []
    assert run.rows("SELECT document FROM predictions WHERE retrieval_rank = 0 AND score <= 1") == []
    assert run.rows("SELECT document FROM predictions GROUP BY ALL HAVING count(*) < 10") == []
    assert run.rows("SELECT label FROM predictions WHERE label NOT IN (SELECT label FROM labels)") == []
    assert asked(run) == {"rank": len(TEXTS)}
    again = label(tmp_path, TEXTS, "--lm", server.lm, "--infer", "windows", "--rank", "whole")
    assert (again.code, again.summary["new_calls"]) == (0, 0)


@wherever_judged
def test_pointwise(server, tmp_path):
    """The candidates that the model judged have probabilities for scores, and those behind them less than that."""
    run = label(tmp_path, TEXTS, "--lm", server.lm, "--infer", "windows", "--rank", "pointwise")
    has_labels(run)
    assert run.rows("SELECT document FROM predictions WHERE rank <= 5 AND score NOT BETWEEN 0 AND 1") == []
    assert run.rows("SELECT document FROM predictions WHERE rank > 5 AND (score >= 0 OR selected)") == []
    assert run.rows("SELECT document FROM predictions WHERE selected != (rank <= 3 AND score >= 0.5)") == []
    assert asked(run) == {"rank": len(TEXTS)}
    again = label(tmp_path, TEXTS, "--lm", server.lm, "--infer", "windows", "--rank", "pointwise")
    assert (again.code, again.summary["new_calls"]) == (0, 0)


def has_labels(run):
    """See that every document is done, with ten ranked labels, all of the taxonomy."""
    assert (run.code, run.summary["documents"], run.summary["failures"]) == (0, len(TEXTS), 0)
    counted = run.rows("SELECT document, count(DISTINCT label), max(rank) FROM predictions GROUP BY ALL ORDER BY ALL")
    assert counted == [(document, 10, 10) for document in sorted(TEXTS)]
    assert run.rows("SELECT label FROM predictions WHERE label NOT IN (SELECT label FROM labels)") == []


def asked(run):
    """Count the stored answers of each stage; every one cost something."""
    assert run.rows("SELECT key FROM stages WHERE prompt_tokens <= 0 OR attempts < 1") == []
    return dict(run.rows("SELECT stage, count(*) FROM stages GROUP BY ALL"))
