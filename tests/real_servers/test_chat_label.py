"""`labelmill label` from a file of documents to rows, with every kind of Rank that asks a model."""

from __future__ import annotations

import pytest
from servers import everywhere, label
from wording import TEXT, text

TEXTS = {"leek": TEXT, "first": text(1), "second": text(2)}


@everywhere
@pytest.mark.parametrize("rank", ["listwise"])
def test_a_whole_run(server, tmp_path, rank):
    """Every document has ranked labels of the taxonomy and a final set among them, and every answer what it cost."""
    run = label(tmp_path, TEXTS, "--lm", server.lm, "--rank", rank)
    assert (run.code, run.summary["documents"], run.summary["failures"]) == (0, len(TEXTS), 0)
    assert run.rows("SELECT document, count(*) FROM predictions GROUP BY ALL ORDER BY ALL") == [
        (document, 10) for document in sorted(TEXTS)
    ]
    assert run.rows("SELECT label FROM predictions WHERE label NOT IN (SELECT label FROM labels)") == []
    assert run.rows("SELECT document FROM predictions WHERE selected AND rank > 3") == []
    stages = run.rows("SELECT stage, count(*), min(prompt_tokens), min(attempts) FROM stages GROUP BY ALL ORDER BY ALL")
    assert [stage for stage, *_ in stages] == ["infer", "rank"]
    assert all(count == len(TEXTS) and tokens > 0 and attempts == 1 for _, count, tokens, attempts in stages)
    again = label(tmp_path, TEXTS, "--lm", server.lm, "--rank", rank)
    assert (again.code, again.summary["new_calls"]) == (0, 0)
    assert again.summary["predictions"] == run.summary["predictions"]
