"""Planning, previewing, capping and spreading a run from the command line."""

from __future__ import annotations

import json
import re

import pytest

from labelmill.errors import ModelRejected
from scripted import ScriptedModel, served, write_jsonl

TOKENS = 12
"""Of each answer of the scripted model: ten read, two written."""


@pytest.fixture
def many(tmp_path):
    """A hundred documents, all different."""
    rows = [{"id": f"d{number}", "text": f"Bake bread number {number} until it is brown."} for number in range(100)]
    return write_jsonl(tmp_path / "many.jsonl", rows)


def test_a_dry_run_asks_and_writes_nothing(label, recipes, tmp_path):
    """For people and for programs; afterwards the run does what was said, and then there is nothing left to do."""
    model = ScriptedModel()
    with served(model) as url:
        options = "--lm", f"scripted@{url}", "--rank", "listwise"
        told = label(recipes, *options, "--dry-run")
        foretold = json.loads(label(recipes, *options, "--dry-run", "--json").out)
        assert model.requests == []
        assert not (tmp_path / "runs.duckdb").exists()
        done = json.loads(label(recipes, *options, "--json").out)
        after = json.loads(label(recipes, *options, "--dry-run", "--json").out)
    assert told.code == 0
    assert "infer     0 answers used again, 12 to ask for" in told.out
    assert foretold["calls"] == done["new_calls"] == 24
    assert (after["documents"], after["skipped"], after["calls"]) == (0, 12, 0)


def test_a_budget_of_tokens_stops_a_run_and_a_larger_one_goes_on(label, many, cli, tmp_path):
    """At the cap or before it, with code 0 and a word that says so; what was done is kept."""
    model = ScriptedModel()
    with served(model) as url:
        options = "--lm", f"scripted@{url}", "--infer", "lm", "--run", "r"
        first = label(many, *options, "--budget-tokens", 40 * TOKENS, "--json")
        said = label(many, *options, "--budget-tokens", 40 * TOKENS)
        whole = label(many, *options, "--budget-tokens", 100 * TOKENS, "--json")
    assert (first.code, said.code, whole.code) == (0, 0, 0)
    done = json.loads(first.out)
    assert done["state"] == "budget"
    assert 0 < done["documents"] < 100
    assert done["prompt_tokens"] + done["completion_tokens"] <= 40 * TOKENS
    assert "Stopped at the budget" in said.err
    assert json.loads(whole.out)["state"] == "finished"
    assert (json.loads(whole.out)["documents"], len(model.requests)) == (100, 100)
    assert [run["state"] for run in json.loads(cli("runs", tmp_path / "runs.duckdb", "--json").out)] == ["finished"]


def test_a_budget_of_hours_counts_all_sittings(label, many):
    """With none left, nothing is begun."""
    with served(ScriptedModel()) as url:
        options = "--lm", f"scripted@{url}", "--infer", "lm", "--run", "r", "--json"
        ended = label(many, *options, "--budget-hours", 0)
    assert ended.code == 0
    assert (json.loads(ended.out)["state"], json.loads(ended.out)["documents"]) == ("budget", 0)


def test_a_plan_predicts_what_the_run_then_takes(cli, label, tags, many, tmp_path):
    """Calls exactly, where every document is one question; tokens within the interval; nothing is stored."""
    model = ScriptedModel()
    with served(model) as url:
        options = "--taxonomy", tags, "--embedder", "wordllama", "--lm", f"scripted@{url}", "--infer", "lm"
        priced = "--pilot", 20, "--pilot-seconds", 0, "--price-prompt", 10, "--price-completion", 100
        told = cli("plan", many, *options, *priced)
        asked = len(model.requests)
        plan = json.loads(cli("plan", many, *options, *priced, "--json").out)
        done = json.loads(label(many, "--lm", f"scripted@{url}", "--infer", "lm", "--json").out)
    assert (told.code, asked) == (0, 20)
    assert "tokens read" in told.out
    assert re.search(r"time +\d+:\d\d", told.out)
    assert "pilot: 0 of 20 documents, 0:00" in told.err
    assert "cost" in told.out
    assert (plan["documents"], plan["pilot"]) == (100, 20)
    assert plan["calls"]["value"] == pytest.approx(done["new_calls"])
    assert plan["prompt_tokens"]["low"] <= done["prompt_tokens"] <= plan["prompt_tokens"]["high"] + 1e-6
    assert plan["cost"]["value"] == pytest.approx((1000 * 10 + 200 * 100) / 1e6)
    assert plan["hours"]["low"] <= plan["hours"]["value"] <= plan["hours"]["high"]


def test_a_plan_needs_documents_that_can_be_read_again(cli, tags, tmp_path):
    """Standard input can be read but once; a corpus without a readable document has nothing to predict from."""
    from_stdin = cli("plan", "-", "--taxonomy", tags, "--embedder", "wordllama")
    empty = write_jsonl(tmp_path / "empty.jsonl", [{"id": "a", "text": ""}])
    from_nothing = cli("plan", empty, "--taxonomy", tags, "--embedder", "wordllama")
    assert (from_stdin.code, from_nothing.code) == (1, 1)
    assert "Give a file" in from_stdin.err
    assert "no document that can be read" in from_nothing.err


def test_several_servers_share_a_run(label, many):
    """Each does a part of it, and nothing is asked twice."""
    one, other = ScriptedModel(pause=0.005), ScriptedModel(pause=0.005)
    with served(one) as url, served(other) as another:
        done = label(many, "--lm", f"scripted@{url}", "--lm", f"scripted@{another}", "--infer", "lm", "--json")
    assert done.code == 0
    assert min(len(one.requests), len(other.requests)) > 10
    assert len(one.requests) + len(other.requests) == 100


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (("a@http://127.0.0.1:9/v1", "b@http://127.0.0.1:9/v1"), "several models: a, b"),
        (("none", "http://127.0.0.1:9/v1"), "several language models"),
        (("embedded", "embedded"), "several language models"),
    ],
)
def test_servers_of_different_models_are_refused(label, docs, specs, said):
    """A run has one model."""
    ended = label(docs, *[part for spec in specs for part in ("--lm", spec)])
    assert ended.code == 1
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_another_threshold_asks_nothing(label, many):
    """The answers and the candidates of the first run serve the second."""
    model = ScriptedModel(troubles={"number 7 ": ModelRejected("no")})
    with served(model) as url:
        options = "--lm", f"scripted@{url}", "--infer", "lm", "--rank", "listwise", "--json"
        first = label(many, *options)
        asked = len(model.requests)
        model.troubles.clear()
        again = json.loads(label(many, *options, "--threshold", "2.5").out)
    assert first.code == 3
    # The document that failed before is new to the other run.
    assert (asked, len(model.requests)) == (199, 201)
    assert (json.loads(first.out)["selected"], again["selected"]) == (99, 0)
