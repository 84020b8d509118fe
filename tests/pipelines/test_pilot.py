"""What a pilot predicts, against corpora whose true totals are known."""

from __future__ import annotations

import gc
import logging
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import NAMES, TEXTS

from labelmill import Labeler, Taxonomy
from labelmill.corpus import Corpus
from labelmill.errors import ModelError, ModelGone, ModelRefused, ModelRejected
from labelmill.pipelines.estimate import Estimate, Prices, cost_of, hours_of, total_of
from labelmill.pipelines.pilot import Sample
from labelmill.records import Document, Failure
from scripted import ScriptedModel, write_jsonl
from scripted_server import ScriptedServer
from toy_embedder import HashedGrams


def corpus(count, seed=0):
    """Documents of very different lengths."""
    chance = random.Random(seed)
    return [Document(str(number), "x" * int(chance.lognormvariate(5, 1))) for number in range(count)]


def test_a_sample_is_drawn_from_the_whole_corpus():
    """Every document has the same chance; what cannot be read is counted apart; the seed decides."""
    items = [*corpus(500), Failure("f", "read", "no-text", "none")]
    drawn = Sample.draw(items, 50, seed=1)
    assert (len(drawn.documents), drawn.count, drawn.unreadable) == (50, 500, 1)
    assert drawn.characters == sum(len(item.text) for item in items[:-1])
    assert drawn == Sample.draw(items, 50, seed=1)
    assert drawn != Sample.draw(items, 50, seed=2)
    counts = np.zeros(500)
    for seed in range(400):
        counts[[int(item.id) for item in Sample.draw(items, 50, seed).documents]] += 1
    assert counts.sum() == 400 * 50
    # Each is drawn 40 times, give or take: 6 standard deviations of a binomial.
    assert np.all(np.abs(counts - 40) < 36)


def test_a_small_corpus_is_taken_whole():
    """And its total is then known, not estimated."""
    drawn = Sample.draw(corpus(20), 50, seed=0)
    lengths = np.array([len(item.text) for item in drawn.documents])
    assert len(drawn.documents) == 20
    assert total_of(lengths, lengths * 2, drawn.count, drawn.characters) == Estimate(*[2.0 * drawn.characters] * 3)


def test_tokens_that_follow_from_length_are_predicted_by_length():
    """Prompt tokens are nearly linear in characters: the interval is narrow, and holds the truth."""
    documents = corpus(5000)
    noise = np.random.default_rng(0)
    tokens = {item.id: 300 + len(item.text) / 4 + noise.normal(0, 5) for item in documents}
    truth = sum(tokens.values())
    held, widths = 0, []
    for seed in range(100):
        drawn = Sample.draw(documents, 50, seed)
        lengths = np.array([len(item.text) for item in drawn.documents])
        estimate = total_of(
            lengths, np.array([tokens[item.id] for item in drawn.documents]), drawn.count, drawn.characters
        )
        held += estimate.low <= truth <= estimate.high
        widths.append((estimate.high - estimate.low) / truth)
    assert held >= 88
    assert np.median(widths) < 0.02


def test_an_interval_of_95_percent_holds_the_truth_as_often():
    """Also where length says nothing."""
    documents = corpus(5000)
    chance = np.random.default_rng(3)
    values = {item.id: chance.gamma(2, 20) for item in documents}
    truth = sum(values.values())
    held = 0
    for seed in range(200):
        drawn = Sample.draw(documents, 50, seed)
        lengths = np.array([len(item.text) for item in drawn.documents])
        estimate = total_of(
            lengths, np.array([values[item.id] for item in drawn.documents]), drawn.count, drawn.characters
        )
        held += estimate.low <= truth <= estimate.high
    assert held >= 176


@pytest.mark.parametrize("values", [[5] * 10, [0] * 10])
def test_what_is_the_same_for_all_has_no_spread(values):
    """One question a document is one question a document."""
    drawn = Sample.draw(corpus(100), 10, seed=0)
    lengths = np.array([len(item.text) for item in drawn.documents])
    estimate = total_of(lengths, np.array(values), drawn.count, drawn.characters)
    assert estimate.low == pytest.approx(estimate.high) == pytest.approx(values[0] * 100)


def test_hours_come_from_the_middle_of_the_pilot():
    """Four documents a second once the first are done; the tail, when nothing more was fed, does not count."""
    moments = np.concatenate([np.arange(5, 25, 0.25), [40.0, 60.0]])
    estimate = hours_of(moments, fed=25.0, documents=14_400)
    assert estimate.value == pytest.approx(1.0, rel=0.05)
    assert estimate.low <= 1.0 <= estimate.high


def test_a_pilot_fed_all_at_once_is_taken_as_a_whole():
    """Thirty documents, done nearly together: between the first of them and the last there is nothing to measure."""
    moments = np.linspace(220, 226, 30)
    estimate = hours_of(moments, fed=0.1, documents=30).times(3600)
    assert estimate.value == pytest.approx(226)
    assert estimate.low <= 113
    assert estimate.high >= 452
    # Also where feeding ended a little after the first few, which were short.
    moments[:6] = np.linspace(0.5, 1, 6)
    assert hours_of(moments, fed=1.5, documents=30).times(3600).value == pytest.approx(226)


@pytest.mark.parametrize("count", [16, 40])
def test_the_interval_of_a_whole_pilot_holds_the_rate_of_a_steady_run(count):
    """Twenty under way, each for 10 to 90 seconds: one every 2.5 seconds, in the long run."""
    moments = np.linspace(10, 90, min(count, 20))
    moments = np.concatenate([moments, 50 + moments])[:count]
    estimate = hours_of(moments, fed=0.0, documents=1000, faster=max(20 / count, 1)).times(3600)
    assert estimate.low <= 2500 <= estimate.value <= estimate.high


def test_a_pilot_of_few_documents_says_less():
    """And one that had a part of the servers' requests under way leaves room for a run that is faster."""
    few, more = (hours_of(np.full(count, 10.0), fed=0.0, documents=100) for count in (3, 30))
    assert few.high / few.value > 1.5 * more.high / more.value
    assert hours_of(np.full(30, 10.0), fed=0.0, documents=100, faster=4).low == pytest.approx(more.low / 4)


@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=120), st.floats(0, 1e5), st.floats(1, 50))
def test_the_expected_hours_lie_within_their_interval(moments, fed, faster):
    """Whatever the moments were."""
    estimate = hours_of(np.array(moments), fed, 1000, faster=faster)
    assert 0 < estimate.low <= estimate.value <= estimate.high < np.inf


def test_tokens_out_of_a_cache_are_never_known():
    """Not even where all documents were in the pilot: at another time the cache holds something else."""
    lengths, cached = np.array([100, 200, 300, 400]), np.array([0, 48, 64, 16])
    estimate = total_of(lengths, cached, 4, 1000, repeatable=False)
    assert estimate.value == pytest.approx(128)
    assert estimate.low < 100
    assert estimate.high > 156


def test_costs_add_up():
    """Tokens at their prices, cached ones at their own, and GPUs by the hour."""
    totals = {
        "calls": Estimate(1, 1, 1),
        "prompt_tokens": Estimate(2e6, 1e6, 3e6),
        "cached_tokens": Estimate(1e6, 1e6, 1e6),
        "completion_tokens": Estimate(1e6, 1e6, 1e6),
    }
    hours = Estimate(2, 1, 3)
    assert cost_of(totals, hours, Prices(prompt=1, completion=4)) == Estimate(6, 5, 7)
    assert cost_of(totals, hours, Prices(prompt=1, cached=0.5, completion=4)) == Estimate(5.5, 4.5, 6.5)
    assert cost_of(totals, hours, Prices(gpu_hour=3, gpus=2)) == Estimate(12, 6, 18)


def plan(lm, corpus, **settings):
    """Plan Infer and listwise Rank with ten documents or a little more, drawn from a corpus."""
    options = {"infer": "lm", "rank": "listwise", "embedders": [HashedGrams()], "candidates": 8, "top_k": 3}
    with Labeler(Taxonomy.from_names(NAMES), lm=lm, **options) as labeler:
        return labeler.plan_corpus(Corpus([corpus]), **{"documents": 60, "seconds": 0.0} | settings)


def write_documents(path, count, more=()):
    """Write documents of one to twelve texts each, every one its own."""
    chance = random.Random(7)
    texts = [" ".join(chance.choices(TEXTS, k=chance.randint(1, 12))) for _ in range(count)]
    rows = [{"id": f"d{number:04}", "text": f"{number}. {text}"} for number, text in enumerate(texts)]
    return write_jsonl(path, [*rows, *more])


def test_a_plan_foretells_what_the_server_then_counts(tmp_path):
    """Calls, tokens and their price for the whole corpus, from a tenth of it; nothing is stored."""
    corpus = write_documents(tmp_path / "docs.jsonl", 1000, [{"id": "empty", "text": ""}])
    with ScriptedServer() as server:
        planned = plan(f"scripted@{server.url}", corpus, prices=Prices(prompt=1, cached=0.5, completion=4), seed=3)
        piloted = server.spent["requests"]
        assert (planned.documents, planned.unreadable, planned.pilot_failures) == (1000, 1, 0)
        assert 60 <= planned.pilot < 300
        server.spent.clear()
        with Labeler(
            Taxonomy.from_names(NAMES),
            lm=f"scripted@{server.url}",
            infer="lm",
            rank="listwise",
            embedders=[HashedGrams()],
            candidates=8,
            top_k=3,
        ) as labeler:
            labeler.label_corpus([corpus], tmp_path / "runs.duckdb")
        truth = server.spent
    assert piloted < truth["requests"] / 2
    for estimate, counted in [
        (planned.calls, truth["requests"]),
        (planned.prompt_tokens, truth["prompt"]),
        (planned.cached_tokens, truth["cached"]),
        (planned.completion_tokens, truth["completion"]),
        (planned.cost, (truth["prompt"] - truth["cached"] / 2 + 4 * truth["completion"]) / 1e6),
    ]:
        # The seed is fixed: nineteen of twenty intervals of 95% hold the truth, and these should be narrow.
        assert estimate.low <= counted <= estimate.high
        assert estimate.value == pytest.approx(counted, rel=0.05)
    assert 0 < planned.hours.low <= planned.hours.value <= planned.hours.high


def test_a_corpus_that_is_labelled_whole_is_known(tmp_path):
    """Its figures are counts, not estimates."""
    corpus = write_documents(tmp_path / "docs.jsonl", 30)
    with ScriptedServer() as server:
        planned = plan(f"scripted@{server.url}", corpus)
    assert planned.pilot == 30
    assert planned.calls == Estimate(*[float(server.spent["requests"])] * 3)
    assert planned.prompt_tokens == Estimate(*[float(server.spent["prompt"])] * 3)
    assert planned.cached_tokens.low < server.spent["cached"] < planned.cached_tokens.high


def test_a_pilot_of_which_nothing_comes_says_why(tmp_path):
    """No figure can be made of it, and none is."""
    corpus = write_documents(tmp_path / "docs.jsonl", 30)
    with pytest.raises(ModelError, match=r"none of 30 documents could be labelled; d\d+ failed at infer \(rejected\)"):
        plan(ScriptedModel(troubles={" ": ModelRejected("too long")}), corpus)


@pytest.mark.parametrize("error", [ModelGone("nobody answers"), ModelRefused("wrong key")])
def test_a_server_that_refuses_a_pilot_is_one_error(tmp_path, caplog, error):
    """However many requests it refuses at once; none is reported behind it."""
    corpus = write_documents(tmp_path / "docs.jsonl", 100)
    with caplog.at_level(logging.ERROR), pytest.raises(type(error), match=str(error)):
        plan(ScriptedModel(troubles={" ": error}, pause=0.01), corpus)
    gc.collect()
    assert caplog.messages == []


class Counting(ScriptedModel):
    """Remembers in `most` how many requests it had at once."""

    open = most = 0

    async def complete(self, body, **more):
        self.open += 1
        self.most = max(self.most, self.open)
        answer = await super().complete(body, **more)
        self.open -= 1
        return answer


def test_a_pilot_asks_as_many_at_once_as_a_run_does(tmp_path):
    """Else its hours would not be those of a run."""
    model = Counting(pause=0.02)
    plan(model, write_documents(tmp_path / "docs.jsonl", 200), documents=150)
    assert model.most == 32


def test_a_slow_pilot_labels_no_more_than_it_was_asked_for(tmp_path):
    """What it was asked for takes longer than it may go on: no other document is begun, not even at the beginning."""
    model = Counting(pause=0.1)
    planned = plan(model, write_documents(tmp_path / "docs.jsonl", 30), documents=10, seconds=0.05)
    assert (planned.pilot, model.most, len(model.asked("infer"))) == (10, 10, 10)


def test_a_fast_pilot_goes_on_until_the_servers_are_busy(tmp_path):
    """Three documents for each of the 32 requests that the model takes at once."""
    model = Counting(pause=0.01)
    planned = plan(model, write_documents(tmp_path / "docs.jsonl", 200), documents=8, seconds=1e6)
    assert (planned.pilot, model.most) == (96, 32)


def test_a_pilot_tells_how_far_it_is(tmp_path):
    """From nothing done to all done."""
    told = []
    corpus = write_documents(tmp_path / "docs.jsonl", 30)
    plan(ScriptedModel(), corpus, documents=20, on_progress=told.append)
    assert (told[0].done, told[0].documents) == (0, 20)
    assert (told[-1].done, told[-1].documents) == (20, 20)
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert len({progress.done for progress in told}) > 2
