"""Keys of content, and sets of millions of them in memory. What goes into a key is decided where it is made.

A set keeps the first 64 bits of each key alone. That two of n keys agree in them by chance has odds of about
n² / 2⁶⁵: 3 in a million at 10⁷ keys, 3 in 10,000 at 10⁸.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Numbers = NDArray[np.uint32]

_NOTHING: Bits = np.empty(0, np.uint64)
_SMALLEST = 256
_SPARE = 64
_FULL = 0.75
"""Of the slots, at most; beyond it, probing gets long. A new table is half full: 10.7 to 16 bytes a key."""

_SLICE = 1 << 18
"""Keys that are placed at once, so that a table is made with little memory beside it."""


def content_key(*parts: Any) -> str:
    """Hash values into a key: SHA-256 over their canonical JSON, so that no two lists of parts run together."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def text_key(text: str) -> str:
    """Hash one text, such as a document's id, into a key of 64 bits: MD5, which DuckDB has too."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]


def key_bits(keys: Iterable[str]) -> Bits:
    """Take the first 64 bits of keys.

    Raises:
        ValueError: A key does not begin with 16 hexadecimal digits.
    """
    raw = bytes.fromhex("".join([key[:16] for key in keys]))
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64)


class KeySet:
    """A set of keys by their first 64 bits, in 10.7 to 16 bytes each and up to twice that for a moment while it grows.

    Open addressing with linear probing: a key's home is its share of 2⁶⁴ of the table, so that keys in order have homes
    in order, and a table is made in one pass. Keys are hashes, hence evenly spread.

    Args:
        bits: First 64 bits of the keys to begin with, in any order, repeated or not.
    """

    def __init__(self, bits: Bits | None = None) -> None:
        """Make a table for these keys."""
        self._build(_NOTHING if bits is None else _sorted(_marked(bits)))

    def __len__(self) -> int:
        """Count the keys."""
        return self._count

    def __contains__(self, key: str) -> bool:
        """Tell whether a key is there, or one with the same first 64 bits."""
        bits = int(key[:16], 16) or 1
        return self._slots[self._find(bits)] == bits

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self._table.nbytes

    def add(self, key: str) -> bool:
        """Add a key; say whether it is new."""
        bits = int(key[:16], 16) or 1
        slot = self._find(bits)
        return not self._slots[slot] and self._take(slot, bits)

    def update(self, bits: Bits) -> None:
        """Add many keys by their first 64 bits; the table is made anew."""
        bits = _sorted(_marked(bits))
        self._merge(bits[~self.contains(bits)])

    def contains(self, bits: Bits) -> NDArray[np.bool_]:
        """Tell of each key, by its first 64 bits, whether it is there."""
        bits = _marked(bits)
        found: NDArray[np.bool_] = self._table[self._find_all(bits)] == bits
        return found

    def _find(self, bits: int) -> int:
        """Return the slot that holds these bits, or the empty one where they belong."""
        slots = self._slots
        slot = (bits >> 32) * self._homes_in_all >> 32
        while slots[slot] not in {0, bits}:
            slot += 1
        return slot

    def _find_all(self, bits: Bits) -> NDArray[np.int64]:
        slots = self._homes(bits)
        open_ = np.arange(len(bits))
        while len(open_):
            there = self._table[slots[open_]]
            open_ = open_[(there != 0) & (there != bits[open_])]
            slots[open_] += 1
        return slots

    def _homes(self, bits: Bits) -> NDArray[np.int64]:
        return ((bits >> np.uint64(32)) * np.uint64(self._homes_in_all) >> np.uint64(32)).astype(np.int64)

    def _take(self, slot: int, bits: int) -> bool:
        """Put a key into an empty slot, and make the table larger where that is due."""
        self._slots[slot] = bits
        self._count += 1
        if self._count > self._most or slot + 2 >= len(self._slots):  # the last slot stays empty: it ends every search
            self._merge(_NOTHING)
        return True

    def _merge(self, new: Bits) -> None:
        old = self._table[self._table != 0]
        del self._slots, self._table  # the old table need not lie beside the new one
        merged = np.concatenate([old, new])
        del old
        merged.sort()
        self._build(merged)

    def _build(self, bits: Bits) -> None:
        """Place sorted keys, each into its home or the first free slot behind it and all before it."""
        self._count = len(bits)
        self._homes_in_all = max(_SMALLEST, 2 * len(bits))
        self._most = int(self._homes_in_all * _FULL)
        # No search wraps around: the slots behind the last home take what is pushed out of it.
        self._table = np.zeros(self._homes_in_all + _SPARE, dtype=np.uint64)
        free = 0
        for start in range(0, len(bits), _SLICE):
            part = bits[start : start + _SLICE]
            steps = np.arange(len(part))
            slots = np.maximum(np.maximum.accumulate(self._homes(part) - steps), free) + steps
            free = int(slots[-1]) + 1
            if free + _SPARE > len(self._table):  # only where keys are no hashes
                longer = np.zeros(free + _SPARE - len(self._table), np.uint64)
                self._table = np.concatenate([self._table, longer])
            self._table[slots] = part
        self._slots = self._table.data


class KeyMap(KeySet):
    """Keys by their first 64 bits, each with a number below 2³², in 16 to 24 bytes a key.

    Args:
        bits: First 64 bits of the keys to begin with; of one that is repeated, the first number counts.
        numbers: Their numbers.
    """

    def __init__(self, bits: Bits | None = None, numbers: Numbers | None = None) -> None:
        """Make a table for these keys."""
        if bits is None or numbers is None:
            bits, numbers = _NOTHING, np.empty(0, np.uint32)
        self._build_map(_marked(bits), numbers)

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self._table.nbytes + self._numbers.nbytes

    def get(self, key: str) -> int | None:
        """Return a key's number; None where the key is not there."""
        bits = int(key[:16], 16) or 1
        slot = self._find(bits)
        return int(self._numbers[slot]) if self._slots[slot] else None

    def put(self, key: str, number: int) -> None:
        """Set a key's number."""
        bits = int(key[:16], 16) or 1
        slot = self._find(bits)
        self._numbers[slot] = number
        if not self._slots[slot]:
            self._take(slot, bits)

    def add(self, key: str) -> bool:
        """Add a key with the number 0; say whether it is new."""
        if key in self:
            return False
        self.put(key, 0)
        return True

    def update(self, bits: Bits, numbers: Numbers | None = None) -> None:
        """Add many keys with their numbers, or 0; those that are there keep theirs."""
        there = self._table != 0
        given = np.zeros(len(bits), np.uint32) if numbers is None else numbers
        merged = np.concatenate([self._table[there], _marked(bits)])
        self._build_map(merged, np.concatenate([self._numbers[there], given]))

    def _merge(self, new: Bits) -> None:
        self.update(new)

    def _build_map(self, bits: Bits, numbers: Numbers) -> None:
        order = np.argsort(bits, kind="stable")
        bits = bits[order]
        first = _first(bits)
        bits, numbers = bits[first], numbers[order[first]]
        self._build(bits)
        self._numbers = np.zeros(len(self._table), np.uint32)
        for start in range(0, len(bits), _SLICE):
            part = slice(start, start + _SLICE)
            self._numbers[self._find_all(bits[part])] = numbers[part]


def _marked(bits: Bits) -> Bits:
    """Take 0, which marks an empty slot, for 1."""
    return np.maximum(bits, np.uint64(1))


def _sorted(bits: Bits) -> Bits:
    """Sort, and leave out what is repeated; at 10⁷ keys ten times as fast as `np.unique`, which hashes them."""
    bits = np.sort(bits)
    return bits[_first(bits)]


def _first(bits: Bits) -> NDArray[np.bool_]:
    """Tell of sorted keys which are not the same as the one before."""
    first = np.ones(len(bits), dtype=np.bool_)
    np.not_equal(bits[1:], bits[:-1], out=first[1:])
    return first
