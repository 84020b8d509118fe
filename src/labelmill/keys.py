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

_SMALLEST = 256
_FULL = 0.75
"""Of the slots, at most; beyond it, probing gets long. A new table is half full: 10.7 to 16 bytes a key."""

_SLICE = 1 << 18
"""Keys that are placed at once, so that a table is made with little memory beside it."""


def content_key(*parts: Any) -> str:
    """Hash values into a key: SHA-256 over their canonical JSON, so that no two lists of parts run together."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def text_key(text: str) -> str:
    """Hash one text, such as a document's id, into a key of 64 bits."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


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
        self._build(_unique(bits) if bits is not None else np.empty(0, np.uint64))

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
        if self._slots[slot]:
            return False
        self._slots[slot] = bits
        self._count += 1
        if self._count > self._most or slot + 2 >= len(self._slots):  # the last slot stays empty: it ends every search
            self._merge(np.empty(0, np.uint64))
        return True

    def update(self, bits: Bits) -> None:
        """Add many keys by their first 64 bits; the table is made anew."""
        bits = _unique(bits)
        self._merge(bits[~self.contains(bits)])

    def contains(self, bits: Bits) -> NDArray[np.bool_]:
        """Tell of each key, by its first 64 bits, whether it is there."""
        bits = _marked(bits)
        found = np.zeros(len(bits), dtype=np.bool_)
        open_ = np.arange(len(bits))
        slots = self._homes(bits)
        while len(open_):
            there = self._table[slots]
            found[open_] = there == bits[open_]
            further = (there != 0) & (there != bits[open_])
            open_, slots = open_[further], slots[further] + 1
        return found

    def _find(self, bits: int) -> int:
        """Return the slot that holds these bits, or the empty one where they belong."""
        slots = self._slots
        slot = (bits >> 32) * self._homes_in_all >> 32
        while slots[slot] not in {0, bits}:
            slot += 1
        return slot

    def _homes(self, bits: Bits) -> NDArray[np.int64]:
        return ((bits >> np.uint64(32)) * np.uint64(self._homes_in_all) >> np.uint64(32)).astype(np.int64)

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
        spare = 64
        self._table = np.zeros(self._homes_in_all + spare, dtype=np.uint64)
        free = 0
        for start in range(0, len(bits), _SLICE):
            part = bits[start : start + _SLICE]
            steps = np.arange(len(part))
            slots = np.maximum(np.maximum.accumulate(self._homes(part) - steps), free) + steps
            free = int(slots[-1]) + 1
            if free + spare > len(self._table):  # only where keys are no hashes
                self._table = np.concatenate([self._table, np.zeros(free + spare - len(self._table), np.uint64)])
            self._table[slots] = part
        self._slots = self._table.data


def _marked(bits: Bits) -> Bits:
    """Take 0, which marks an empty slot, for 1."""
    return np.maximum(bits, np.uint64(1))


def _unique(bits: Bits) -> Bits:
    """Sort, and leave out what is repeated; at 10⁷ keys ten times as fast as `np.unique`, which hashes them."""
    bits = np.sort(_marked(bits))
    return bits[np.concatenate([[True], bits[1:] != bits[:-1]])] if len(bits) else bits
