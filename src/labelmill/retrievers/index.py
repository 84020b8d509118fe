"""Indexes of a taxonomy, built once and cached by content, so that an edited taxonomy never meets an old index."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from labelmill.artifacts import cache_dir, remove_abandoned
from labelmill.errors import StoreError
from labelmill.retrievers.base import Embedder, TokenEmbedder
from labelmill.retrievers.bm25 import BM25
from labelmill.retrievers.characters import Characters
from labelmill.retrievers.competition import Competition
from labelmill.retrievers.dense import Dense
from labelmill.retrievers.known import VECTORS, known_vectors, remember_texts
from labelmill.retrievers.late import LateInteraction
from labelmill.retrievers.overlap import WordOverlap
from labelmill.retrievers.tokens import NameTokens
from labelmill.retrievers.views import View, names, names_and_aliases, names_with_descriptions, usages
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.usages import Usages

INDEX_VERSION = 1
"""Raised whenever what is written changes, so that older folders are left alone."""

_TEXTS_PER_CALL = 4096

Progress = Callable[[str, int, int], None]
"""Called with what is being built, how many texts are done, and of how many."""

VIEWS = {"names": names, "aliases": names_and_aliases, "descriptions": names_with_descriptions}

USAGES = "usages"
"""The view of what is no part of the labels themselves."""


class Indexes:
    """The retrievers and scorers over one taxonomy, each opened from the cache or built into it.

    Args:
        taxonomy: The labels; its `key` is part of every cache key.
        root: Where indexes are kept; the user's cache folder by default.
        progress: Told how far a build is.
        usages: Phrases that say how documents speak of labels; the key of these is part of their index's key.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        root: Path | None = None,
        progress: Progress | None = None,
        usages: Usages | None = None,
    ) -> None:
        """Remember what to index and where."""
        self.taxonomy = taxonomy
        self._usages = usages
        self._root = root or cache_dir() / "indexes"
        self._progress = progress or (lambda *_: None)
        self._opened: dict[tuple[str, str, str], Dense] = {}

    def dense(self, view: str, embedder: Embedder) -> Dense:
        """Open dense retrieval over a view: ``names``, ``aliases``, ``descriptions``, ``usages``; once an embedder."""
        opened = view, embedder.name, embedder.fingerprint
        if opened in self._opened:
            return self._opened[opened]
        texts = self._view(view)
        key = {"kind": "dense", "view": view, "embedder": embedder.fingerprint, **self._made_of(view)}
        folder = self._folder(key, lambda path: self._embed(texts, embedder, path))
        with _undamaged(folder):
            vectors = np.load(folder / VECTORS, allow_pickle=False).astype(np.float32)
        remember_texts(folder, texts.texts)
        return self._opened.setdefault(opened, Dense(texts, vectors, embedder))

    def competition(self, embedder: Embedder) -> Competition:
        """Open the comparison of candidates, by names and aliases where there are any."""
        aliases = any(label.aliases for label in self.taxonomy.labels)
        return Competition(self.dense("aliases" if aliases else "names", embedder))

    def bm25(self) -> BM25:
        """Open BM25 over names, aliases and descriptions."""
        folder = self._folder({"kind": "bm25"}, lambda path: BM25.build(self.taxonomy.labels, path))
        with _undamaged(folder):
            return BM25(folder)

    def characters(self, view: str = "aliases") -> Characters:
        """Open character n-grams over a view."""
        texts = self._view(view)
        key = {"kind": "characters", "view": view, **self._made_of(view)}
        folder = self._folder(key, lambda path: Characters.build(texts, path))
        with _undamaged(folder):
            return Characters.open(texts, folder)

    def tokens(self, embedder: TokenEmbedder) -> LateInteraction:
        """Open late interaction with names and aliases."""
        view = VIEWS["aliases"](self.taxonomy.labels)
        told = partial(self._progress, f"tokens.{embedder.name}")
        key = {"kind": "tokens", "view": view.name, "embedder": embedder.fingerprint}
        folder = self._folder(key, lambda path: NameTokens.build(view, embedder, path, told))
        with _undamaged(folder):
            return LateInteraction(view, NameTokens.open(view, folder), embedder)

    def overlap(self) -> WordOverlap:
        """Open word overlap with names, aliases and descriptions."""
        labels, told = self.taxonomy.labels, partial(self._progress, "words")
        folder = self._folder({"kind": "words"}, lambda path: WordOverlap.build(labels, path, told))
        with _undamaged(folder):
            return WordOverlap(labels, folder)

    def _view(self, name: str) -> View:
        if name != USAGES:
            return VIEWS[name](self.taxonomy.labels)
        return usages(self.taxonomy.labels, self._usages.phrases if self._usages else {})

    def _made_of(self, view: str) -> dict[str, str]:
        """Give what an index's key has to say of a view beside its name and the labels."""
        return {"usages": self._usages.key if self._usages else ""} if view == USAGES else {}

    def _embed(self, view: View, embedder: Embedder, folder: Path) -> None:
        """Write the vectors of a view: those that an older index holds, and of other texts new ones."""
        told = f"{view.name}.{embedder.name}"
        made_by = {"version": INDEX_VERSION, "kind": "dense", "embedder": embedder.fingerprint}
        vectors, known = known_vectors(self._root, made_by, view.texts)
        done, missing = int(known.sum()), np.flatnonzero(~known)
        for start in range(0, len(missing), _TEXTS_PER_CALL):
            self._progress(told, done + start, len(view.texts))
            places = missing[start : start + _TEXTS_PER_CALL]
            # Half precision on disk and in every comparison: a fresh build and a cached one give the same scores.
            fresh = embedder.embed([view.texts[place] for place in places]).astype(np.float16)
            vectors = np.zeros((len(view.texts), fresh.shape[1]), dtype=np.float16) if vectors is None else vectors
            vectors[places] = fresh
        assert vectors is not None  # a taxonomy has a label, and a label a name
        np.save(folder / VECTORS, vectors)
        self._progress(told, len(view.texts), len(view.texts))

    def _folder(self, key: Mapping[str, str], build: Callable[[Path], None]) -> Path:
        """Return the folder of an index, building it aside and moving it in when it is whole."""
        full = {"version": INDEX_VERSION, "taxonomy": self.taxonomy.key, **key}
        digest = hashlib.sha256(json.dumps(full, sort_keys=True).encode()).hexdigest()
        target = self._root / f"{key['kind']}-{digest[:24]}"
        if target.exists():
            return target
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self._root, ".building-")
            fresh = Path(tempfile.mkdtemp(prefix=".building-", dir=self._root))
        except OSError as error:
            raise StoreError(
                f"Cannot write indexes to {self._root}: {error}. Set LABELMILL_CACHE to a folder."
            ) from error
        try:
            build(fresh)
            (fresh / "key.json").write_text(json.dumps(full, indent=1), encoding="utf-8")
            _move_in(fresh, target)
        except OSError as error:
            raise StoreError(
                f"Cannot write the index {target}: {error}. Free some space or set LABELMILL_CACHE to another disk."
            ) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return target


@contextmanager
def _undamaged(folder: Path) -> Iterator[None]:
    """Say what to do where an index cannot be read: a disk that was full, a copy that was cut short."""
    try:
        yield
    except PermissionError as error:
        raise StoreError(f"The index {folder} cannot be read: permission denied. Set LABELMILL_CACHE.") from error
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise StoreError(
            f"The index {folder} is damaged ({error}). Delete that folder: it will be built anew."
        ) from error


def _move_in(fresh: Path, target: Path) -> None:
    """Move a finished folder into place; another process that was faster wins."""
    try:
        fresh.replace(target)
    except OSError:
        if not target.exists():
            raise
