"""Keys of content, and sets of them that say what a set of Python would say."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.keys import KeyMap, KeySet, content_key, key_bits, text_key

# Few values, so that keys meet again; many beginnings alike, so that they crowd one place of the table; 0 and the last.
BITS = (
    st.integers(0, 2**64 - 1)
    | st.integers(0, 40)
    | st.integers(2**64 - 40, 2**64 - 1)
    | st.integers(0, 300).map(lambda low: 7 << 40 | low)
)
KEYS = BITS.map(lambda bits: f"{bits:016x}" + "0" * 16)


def seen(key: str) -> int:
    """Say what a set keeps of a key: 0 is taken for 1."""
    return int(key[:16], 16) or 1


def hashes(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(count)]


@given(st.lists(KEYS, max_size=700), st.lists(KEYS, max_size=50))
def test_a_key_set_says_what_a_set_says(added, asked):
    """One key after the other: whether it is new, what is there, how many."""
    keys, model = KeySet(), set()
    for key in added:
        assert keys.add(key) == (seen(key) not in model)
        model.add(seen(key))
    assert len(keys) == len(model)
    assert [key in keys for key in asked + added] == [seen(key) in model for key in asked + added]


@given(st.lists(st.lists(KEYS, max_size=300), max_size=4), st.lists(KEYS, max_size=20), st.lists(KEYS, max_size=20))
def test_many_keys_at_once(parts, single, asked):
    """Begun with many, updated with many, added to one by one."""
    keys = KeySet(key_bits(parts[0])) if parts else KeySet()
    for part in parts[1:]:
        keys.update(key_bits(part))
    for key in single:
        keys.add(key)
    model = {seen(key) for part in [*parts, single] for key in part}
    assert len(keys) == len(model)
    asked += [key for part in parts for key in part]
    assert keys.contains(key_bits(asked)).tolist() == [seen(key) in model for key in asked]
    assert [key in keys for key in asked] == [seen(key) in model for key in asked]


def test_the_size_of_a_set():
    """Up to 16 bytes a key once it is large, whether it grew or was made at once."""
    keys = hashes(30_000)
    grown, made = KeySet(), KeySet(key_bits(keys))
    for key in keys:
        assert grown.add(key)
    for table in (grown, made):
        assert len(table) == 30_000
        assert table.nbytes <= 16.1 * 30_000
        assert all(key in table for key in keys)
        assert not any(text_key(key) in table for key in keys)


NUMBERED = st.tuples(KEYS, st.integers(0, 2**32 - 1))


@given(st.lists(NUMBERED, max_size=400), st.lists(NUMBERED, max_size=400), st.lists(KEYS, max_size=20))
def test_a_key_map_says_what_a_dictionary_says(begun, put, asked):
    """Begun with many, where the first number of a key counts; put one by one, where the last one does."""
    bits, numbers = key_bits([key for key, _ in begun]), np.array([number for _, number in begun], np.uint32)
    keys = KeyMap(bits, numbers)
    model = {seen(key): number for key, number in reversed(begun)}
    for key, number in put:
        keys.put(key, number)
        model[seen(key)] = number
    for key in asked[:3]:
        assert keys.add(key) == (seen(key) not in model)
        model.setdefault(seen(key), 0)
    keys.update(bits[:3], numbers[:3])
    assert len(keys) == len(model)
    for key in asked + [key for key, _ in begun + put]:
        assert keys.get(key) == model.get(seen(key))
        assert (key in keys) == (seen(key) in model)


def test_a_key_map_grows():
    """To many times what it was made for; every number stays with its key."""
    keys, names = KeyMap(), hashes(20_000)
    for number, key in enumerate(names):
        keys.put(key, number)
    assert [keys.get(key) for key in names] == list(range(20_000))
    assert keys.nbytes <= 24.1 * 20_000


def test_bits_are_the_beginning_of_a_key():
    """The first 16 hexadecimal digits, most significant first; nothing else is a key."""
    assert key_bits([]).tolist() == []
    assert key_bits(["00000000000000ff" + "f" * 16, "8000000000000000"]).tolist() == [255, 2**63]
    assert key_bits([]).dtype == np.uint64
    with pytest.raises(ValueError, match="hexadecimal"):
        key_bits(["no key at all, nor any"])


def test_a_content_key_says_all_parts():
    """No two lists of parts run together; the order of a mapping means nothing; the key itself never changes."""
    assert content_key("a", "bc") != content_key("ab", "c") != content_key(["ab", "c"])
    assert content_key({"a": 1, "b": None}) == content_key({"b": None, "a": 1})
    assert content_key("document", "key", "id", "text") == "086b51d080e8bf8f1cdd44fb706ec7fd"
    assert len(text_key("🥖")) == 16
