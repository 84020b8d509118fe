"""Vectors that older indexes hold: of an edited taxonomy, only those texts are embedded that no such index has.

An embedder gives a text the same vector in any company: an index is the same, whether its vectors are old or new.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VECTORS = "vectors.npy"
_TEXTS = "texts.npy"

_MOST_INDEXES = 16
"""Older indexes to look into, the newest first: versions of one taxonomy, and its other views."""

Hashes = NDArray[np.uint64]


def hash_texts(texts: Sequence[str]) -> Hashes:
    """Hash texts to 128 bits each: shape (n, 2)."""
    raw = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(raw, dtype="<u8").reshape(-1, 2)


def remember_texts(folder: Path, texts: Sequence[str]) -> None:
    """Note beside an index's vectors of which texts they are, unless that is noted already or cannot be."""
    target = folder / _TEXTS
    if target.exists():
        return
    part = folder / f".{_TEXTS}.{os.getpid()}.part"
    with suppress(OSError):  # a cache that cannot be written to is as good without
        try:
            with part.open("wb") as file:
                np.save(file, hash_texts(texts))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def known_vectors(
    root: Path, made_by: Mapping[str, object], texts: Sequence[str]
) -> tuple[NDArray[np.float16] | None, NDArray[np.bool_]]:
    """Find vectors of texts in older indexes.

    Args:
        root: The folder of all indexes.
        made_by: What an index's key must say for its vectors to be the same: the embedder, the version.
        texts: The texts.

    Returns:
        Vectors, shape (n, d), zero where none is known, or None where none is known at all; and which are known.
    """
    wanted = hash_texts(texts)
    known = np.zeros(len(texts), dtype=np.bool_)
    vectors: NDArray[np.float16] | None = None
    for folder in _newest(root, made_by):
        if known.all():
            break
        with suppress(OSError, ValueError, EOFError):  # what cannot be read is embedded anew
            own = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
            rows = _find(np.load(folder / _TEXTS, allow_pickle=False), wanted)
            fresh = (rows >= 0) & ~known
            if not fresh.any():
                continue
            vectors = np.zeros((len(texts), own.shape[1]), dtype=np.float16) if vectors is None else vectors
            vectors[fresh] = own[rows[fresh]]
            known |= fresh
    return vectors, known


def _newest(root: Path, made_by: Mapping[str, object]) -> Iterator[Path]:
    """List the folders of indexes that say of what texts they are and were made alike."""
    found = []
    for folder in root.glob("dense-*"):
        with suppress(OSError, ValueError):
            key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
            if (folder / _TEXTS).is_file() and made_by.items() <= key.items():
                found.append(((folder / "key.json").stat().st_mtime, folder))
    yield from (folder for _, folder in sorted(found, reverse=True)[:_MOST_INDEXES])


def _find(has: Hashes, wanted: Hashes) -> NDArray[np.intp]:
    """Find the row of each hash; -1 where there is none."""
    if not len(has):
        return np.full(len(wanted), -1, dtype=np.intp)
    # Of rows that agree in both halves, which equal texts do, any will do; in the first alone none ever does.
    order = np.argsort(has[:, 0], kind="stable")
    places = np.searchsorted(has[:, 0], wanted[:, 0], sorter=order).clip(max=len(has) - 1)
    rows = order[places]
    return np.where((has[rows] == wanted).all(axis=1), rows, -1)
