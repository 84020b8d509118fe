"""The account that keeps a run within its budget, and runs that are kept within one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import TEXTS

from labelmill.models.client import Completion
from labelmill.pipelines.budget import Account, Budget, size_of
from labelmill.records import Document, Failure
from labelmill.store import Store
from scripted import ScriptedModel, write_jsonl


def test_without_a_cap_there_is_always_room():
    """Whatever was spent."""
    account = Account(Budget(), tokens=10**12, seconds=10**9, open=1000)
    assert account.room_for(32, 10**9) is True


def test_before_anything_is_known_one_batch_goes():
    """What a batch may cost is learned from the first alone, lest many break the cap together."""
    account = Account(Budget(tokens=10_000))
    assert account.room_for(32, 0) is True
    account.open += 32
    assert account.room_for(32, 0) is None
    account.settle(32, tokens=320, spent=320)
    assert account.room_for(32, 0) is True


def test_batches_that_ask_nothing_teach_nothing():
    """All their answers were stored: those of the next may not be."""
    account = Account(Budget(tokens=10_000))
    for _ in range(9):
        account.open += 32
        account.settle(32, tokens=0, spent=0)
    assert account.room_for(32, 0) is True
    account.open += 32
    assert account.room_for(32, 0) is None


def test_no_more_is_under_way_than_was_seen():
    """One, one, two, four, and so on: what is known is as much as what is risked."""
    account = Account(Budget(tokens=10**9))
    at_once = []
    for _ in range(5):
        while account.room_for(32, 0):
            account.open += 32
        at_once.append(account.open // 32)
        for _ in range(int(at_once[-1])):
            account.settle(32, tokens=32, spent=32)
    assert at_once == [1, 1, 2, 4, 8]


def test_what_the_dearest_cost_is_set_aside_for_what_is_under_way():
    """At 10 tokens for each unit of size, 1,000 tokens take 100, those under way included."""
    account = Account(Budget(tokens=1000), tokens=100, seen=1000, dearest=10)
    assert account.room_for(90, 0) is True
    assert account.room_for(91, 0) is False
    account.open = 60
    assert account.room_for(30, 0) is True
    assert account.room_for(31, 0) is None, "those under way may turn out cheaper"
    account.settle(60, tokens=1200, spent=60)
    assert account.dearest == 20


def test_spent_is_spent():
    """Earlier sittings count; at the cap nothing more is taken, whatever is under way."""
    account = Account(Budget(tokens=1000), tokens=1000, open=5)
    assert account.room_for(1, 0) is False


def test_hours_are_those_of_all_sittings():
    """Half an hour before and half an hour now make one."""
    account = Account(Budget(hours=1), seconds=1800)
    assert account.room_for(1, 1799) is True
    assert account.room_for(1, 1800) is False


def test_a_batch_is_as_large_as_its_documents_are_long():
    """A question is asked for each piece, however short; a row that cannot be read asks none."""
    short, long = Document("a", "x"), Document("b", "x" * 2400)
    assert size_of([short], 1200) == pytest.approx(1, abs=0.001)
    assert size_of([long, short], 1200) == pytest.approx(4, abs=0.001)
    assert size_of([Failure("c", "read", "no-text", "none")], 1200) == 0


@given(
    sizes=st.lists(st.floats(0.1, 50), min_size=1, max_size=60),
    budget=st.integers(1, 20_000),
    at_once=st.integers(1, 20),
    data=st.data(),
)
def test_costs_that_follow_size_stay_within_the_budget_but_for_one_batch(sizes, budget, at_once, data):
    """However large the batches, in whatever order they end: it always goes on, and stops where the next may not fit."""
    account, open_, waiting = Account(Budget(tokens=budget)), [], list(sizes)
    costs = {index: round(10 * size) + 1 for index, size in enumerate(sizes)}
    while waiting:
        room = account.room_for(waiting[0], 0)
        if room is False:
            break
        if room is None or len(open_) == at_once:
            assert open_, "it would wait for nothing"
            size, cost = open_.pop(data.draw(st.integers(0, len(open_) - 1)))
            account.settle(size, tokens=cost, spent=cost)
            continue
        size = waiting.pop(0)
        account.open += size
        open_.append((size, costs[len(sizes) - len(waiting) - 1]))
    for size, cost in open_:
        account.settle(size, tokens=cost, spent=cost)
    dearest = max(costs.values())
    assert account.tokens <= budget + dearest
    # With rounding aside, it does not stop early either.
    assert not waiting or account.tokens + account.dearest * waiting[0] > budget


class Dear(ScriptedModel):
    """Reads a token for every four characters of the document, and ten more."""

    async def complete(self, body, **more):
        answer = await super().complete(body, **more)
        return Completion(answer.content, 10 + len(self.requests[-1].text) // 4, 0, 2)


def spent(out) -> int:
    with Store(out) as store:
        return store.first("SELECT sum(prompt_tokens + completion_tokens)::BIGINT FROM spent")[0]


def ended(out) -> tuple:
    with Store(out) as store:
        return store.first(
            "SELECT (SELECT state FROM runs WHERE run = 'r'), count(*), count(DISTINCT document) FROM documents "
            "WHERE run = 'r'"
        )


@pytest.mark.parametrize("order", ["rising", "falling", "answered before"])
def test_a_run_stops_at_its_budget_and_goes_on_with_a_larger_one(make_labeler, tmp_path, order):
    """With four batches under way where it may: it takes one batch more than the budget at most, and loses nothing."""
    lengths = sorted(20 + 7 * (number % 100) for number in range(640))
    lengths = lengths[::-1] if order == "falling" else lengths
    texts = [f"{number:04}. " + (TEXTS[number % 8] * 20)[:length] for number, length in enumerate(lengths)]
    rows = [{"id": f"d{number:04}", "text": text} for number, text in enumerate(texts)]
    out, corpus = tmp_path / "runs.duckdb", write_jsonl(tmp_path / "docs.jsonl", rows)
    one_batch = 32 * (13 + max(map(len, texts)) // 4)
    budget, already = (640 * 13 + sum(map(len, texts)) // 4) // 2, 0
    if order == "answered before":  # ten batches cost nothing, and then the next would break the budget together
        half = write_jsonl(tmp_path / "half.jsonl", rows[:320])
        make_labeler(Dear(), concurrency=500).label_corpus([half], out, run="before")
        budget, already = one_batch * 3 // 2, spent(out)
    model = Dear(pause=0.002)
    labeler = make_labeler(model, concurrency=500, top_k=2)
    first = labeler.label_corpus([corpus], out, run="r", budget=Budget(tokens=budget))
    assert first.state == "budget"
    assert budget - one_batch <= spent(out) - already <= budget + one_batch
    again = labeler.label_corpus([corpus], out, run="r", budget=Budget(tokens=budget))
    assert again.state == "budget"
    assert spent(out) - already <= budget + one_batch, "every sitting looks at what all have spent"
    rest = labeler.label_corpus([corpus], out, run="r", budget=Budget(tokens=10**9))
    assert (rest.state, ended(out)) == ("finished", ("finished", 640, 640))
    asked = [request.text for request in model.requests]
    assert len(asked) == len(set(asked)), "nothing is asked twice"
