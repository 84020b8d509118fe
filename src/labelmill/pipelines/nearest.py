"""Demonstrations chosen for each document: of a pool of gold documents, those nearest to it.

With many labels, a few examples for all documents show few of them; the nearest ones show those that are likely (Milios
et al. 2023, arXiv 2309.10954). The price is the prefix cache: no two documents begin alike behind the instructions.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol

import dspy
import numpy as np
from numpy.typing import NDArray

from labelmill.errors import ModelRejected
from labelmill.keys import content_key, text_key
from labelmill.prompts.compiled import PromptState
from labelmill.retrievers.base import Embedder, best_labels
from labelmill.retrievers.documents import embed_documents

NEAREST_VERSION = 1
"""Raised whenever the same pool would give other demonstrations."""

_REMEMBERED = 8192

Fold = Mapping[str, frozenset[int]]
"""By the key of a piece of a gold document, the parts of the gold that have it."""


class Nearest:
    """Finds the demonstrations for a text; exact, for up to some thousand in the pool. Copies share one.

    A document is never shown itself: a demonstration whose document has the same piece does not count. Threads may
    share one.

    Args:
        state: The prompt: its demonstrations are the pool, `PromptState.nearest` says how many are shown.
        embedder: Of texts and demonstrations.
        folds: While something is learned: documents of one part are shown none of each other.

    Attributes:
        fingerprint: Of the pool, the embedder and the number.
    """

    def __init__(self, state: PromptState, embedder: Embedder, folds: Fold | None = None) -> None:
        """Embed the pool."""
        self.state = state
        self.fingerprint = content_key(NEAREST_VERSION, embedder.fingerprint, state.model_dump(mode="json"))
        self._pool = [dspy.Example(**dict(each)) for each in state.demonstrations]
        self._embedder = embedder
        self._vectors = embed_documents(embedder, [[str(each["text"])] for each in state.demonstrations])
        self._own: dict[str, set[int]] = {}
        for place, pieces in enumerate(state.sources):
            for piece in pieces:
                self._own.setdefault(piece, set()).add(place)
        self._folds = folds or {}
        self._parts = [frozenset[int]().union(*(self._folds.get(each, ()) for each in own)) for own in state.sources]
        self._known: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._turn = threading.Lock()

    def __deepcopy__(self, _memo: dict[int, object]) -> Nearest:
        """Stay one."""
        return self

    def of(self, text: str) -> list[dspy.Example]:
        """Give the demonstrations for a text, the nearest last, next to the document."""
        (places,) = self.find([text])
        return [self._pool[place] for place in places]

    def find(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Find the places in the pool of the demonstrations for each text, the nearest last; what is found is kept.

        Texts that the embedder refuses are shown none.
        """
        with self._turn:
            found = {text: self._known[text] for text in texts if text in self._known}
        for text, vector in self._embed([text for text in dict.fromkeys(texts) if text not in found]).items():
            found[text] = () if vector is None else self._choose(text, vector)
        with self._turn:
            for text, places in found.items():
                self._known[text] = places
                self._known.move_to_end(text)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return [found[text] for text in texts]

    def _embed(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32] | None]:
        if not texts:
            return {}
        try:
            return dict(zip(texts, embed_documents(self._embedder, [[text] for text in texts]), strict=True))
        except ModelRejected:  # by an embedder's server, which does not say which
            if len(texts) == 1:
                return {texts[0]: None}
            return {text: vector for each in texts for text, vector in self._embed([each]).items()}

    def _choose(self, text: str, vector: NDArray[np.float32]) -> tuple[int, ...]:
        # One product a text, not one a batch: its last bits depend on the shape.
        cosines = self._vectors @ vector
        cosines[self._left_out(text)] = -np.inf
        return tuple(best_labels(cosines, self.state.nearest).tolist()[::-1])

    def _left_out(self, text: str) -> list[int]:
        """List what does not count for a text: its own document, and those that are held out with it."""
        key = text_key(text)
        own, parts = self._own.get(key, set()), self._folds.get(key, frozenset())
        return sorted(own | {place for place, its in enumerate(self._parts) if its & parts})


class Shows(Protocol):
    """A stage whose documents may be shown demonstrations of their own."""

    predict: dspy.Predict
    nearest: Nearest | None


def shown_to(stage: Shows, text: str) -> dict[str, list[dspy.Example]]:
    """Give the demonstrations that a text is shown under the name that both DSPy and `Template.body` have for them.

    Nothing where all are shown the same: demonstrations that an optimiser has given since take the place of the pool.
    """
    if stage.nearest is None or stage.predict.demos:
        return {}
    return {"demos": stage.nearest.of(text)}


def shown_key(stage: Shows, text: str) -> tuple[tuple[int, ...], ...]:
    """Say for a question's key which of the pool its prompt shows; nothing where all texts are shown the same."""
    if stage.nearest is None or stage.predict.demos:
        return ()
    return tuple(stage.nearest.find([text]))


def with_pool(fingerprint: str, nearest: Nearest | None) -> str:
    """Identify a prompt together with the pool of its demonstrations, where it has one."""
    return fingerprint if nearest is None else content_key(fingerprint, nearest.fingerprint)


def take(stage: Shows, state: PromptState, embedder: Embedder | None, folds: Fold | None = None) -> None:
    """Give a stage a prompt, in place; raises as `PromptState.apply` does."""
    state.apply(stage.predict)
    pool = state.nearest and state.demonstrations and embedder is not None
    stage.nearest = Nearest(state, embedder, folds) if pool and embedder is not None else None


def state_of(stage: Shows) -> PromptState:
    """Take a stage's prompt, with the pool of its demonstrations where it has one."""
    state = PromptState.of(stage.predict)
    if stage.nearest is None or stage.predict.demos:
        return state
    return stage.nearest.state.model_copy(update={"instructions": state.instructions})
