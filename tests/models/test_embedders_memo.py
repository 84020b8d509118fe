"""The memory of an embedder: each distinct text once, order kept, size bounded."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labelmill.models.embedders import MemoEmbedder
from labelmill.models.embedders.base import TokenEmbedder
from toy_embedder import HashedWords


class CountingEmbedder:
    """A deterministic stand-in that writes down what it was asked."""

    name = "counting"
    fingerprint = "counting-1"

    def __init__(self):
        self.asked = []
        self.calls = 0

    def embed(self, texts):
        self.calls += 1
        self.asked.extend(texts)
        return np.array([[len(text), hash(text) % 1009] for text in texts], dtype=np.float32).reshape(-1, 2)


@given(
    calls=st.lists(st.lists(st.text("abc", max_size=3), max_size=12), max_size=8),
    capacity=st.integers(min_value=0, max_value=6),
)
def test_gives_what_the_embedder_gives(calls, capacity):
    """Whatever the calls and the capacity, the vectors are the embedder's own, and the memory keeps its bound."""
    memo = MemoEmbedder(CountingEmbedder(), capacity)
    for texts in calls:
        np.testing.assert_array_equal(memo.embed(texts), CountingEmbedder().embed(texts))
        assert len(memo) <= capacity


def test_embeds_each_text_once():
    """Repeats within a call and across calls cost nothing."""
    inner = CountingEmbedder()
    memo = MemoEmbedder(inner, 10)
    memo.embed(["a", "b", "a"])
    memo.embed(["b", "c", "b"])
    assert inner.asked == ["a", "b", "c"]
    memo.embed(["a", "c"])
    assert inner.calls == 2


def test_forgets_what_was_longest_unused():
    """A full memory drops the text whose last use is the oldest."""
    inner = CountingEmbedder()
    memo = MemoEmbedder(inner, 2)
    memo.embed(["a", "b"])
    memo.embed(["a"])
    memo.embed(["c"])
    inner.asked.clear()
    memo.embed(["a", "c"])
    assert inner.asked == []
    memo.embed(["b"])
    assert inner.asked == ["b"]


def test_does_not_keep_documents():
    """A long text is embedded but not remembered."""
    memo = MemoEmbedder(CountingEmbedder(), 10)
    assert memo.embed(["a" * 5000]).shape == (1, 2)
    assert len(memo) == 0


def test_goes_by_the_embedders_name_and_fingerprint():
    """Remembering changes no vector, so it changes no key."""
    memo = MemoEmbedder(CountingEmbedder())
    assert (memo.name, memo.fingerprint) == ("counting", "counting-1")


def test_threads_share_one():
    """Calls at the same time embed each text once."""

    class SlowEmbedder(CountingEmbedder):
        def embed(self, texts):
            time.sleep(0.001)  # long enough for the other threads to come in
            return super().embed(texts)

    inner = SlowEmbedder()
    memo = MemoEmbedder(inner, 100)
    start = threading.Barrier(8)

    def ask(thread):
        start.wait(10)
        return [memo.embed([f"text {number}"]) for number in range(20)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len(inner.asked) == 20
    for vectors in found:
        np.testing.assert_array_equal(vectors, found[0])


def test_has_vectors_of_tokens_where_the_embedder_has():
    """Absent stays absent; what is there gives the same."""
    assert not isinstance(MemoEmbedder(CountingEmbedder()), TokenEmbedder)
    memo = MemoEmbedder(HashedWords())
    assert isinstance(memo, TokenEmbedder)
    (mine,), (own,) = memo.embed_tokens(["a b"]), HashedWords().embed_tokens(["a b"])
    np.testing.assert_array_equal(mine, own)
    np.testing.assert_array_equal(memo.tokenise(["b a b"])[0], HashedWords().tokenise(["b a b"])[0])
