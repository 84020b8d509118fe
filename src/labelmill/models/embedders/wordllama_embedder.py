"""Static word-piece vectors of wordllama: 256 dimensions, no network at run time, about 20 times as fast as MiniLM.

Only wordllama's tokenizer and table are used. Its own pooling pads a batch to its longest text, which costs gigabytes
when one of them is a long document.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import MissingExtraError
from labelmill.models.embedders.texts import encodable

DIMENSIONS = 256
_CHUNK_TEXTS = 256
_MAX_CHARACTERS = 20_000
"""The mean over a longer text says no more, and its vectors would fill the memory."""


class WordLlamaEmbedder:
    """The mean of a text's static word-piece vectors.

    Attributes:
        name: ``wordllama``.
        fingerprint: The package's version (its weights come with it) and the dimensions.
    """

    def __init__(self) -> None:
        """Prepare; the table is loaded with the first text."""
        self.name = "wordllama"
        self.fingerprint = f"wordllama-{_package_version()}-{DIMENSIONS}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, 256), rows of length 1, each the same whatever else is in the call.

        A text without any word piece, such as the empty one, gets zeros: it is similar to nothing.

        Raises:
            MissingExtraError: The extra ``local`` is not installed.
        """
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            for place, ids in enumerate(self._tokenise(texts[start : start + _CHUNK_TEXTS]), start=start):
                vectors[place] = _unit_sum(self._table, ids)
        return vectors

    def _tokenise(self, texts: Sequence[str]) -> Iterator[list[int]]:
        cut = [encodable(text[:_MAX_CHARACTERS]) for text in texts]
        encodings = self._model.tokenizer.encode_batch(cut, add_special_tokens=False)
        return (encoding.ids for encoding in encodings)

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        return np.asarray(self._model.embedding, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:
        try:
            with _root_logger_kept():
                import wordllama
        except ImportError as error:
            raise MissingExtraError("the embedder 'wordllama'", "local") from error
        # Its wheel carries the weights; told where they are, it neither looks for a cache nor for the network.
        folder = Path(wordllama.__file__).parent
        model = wordllama.WordLlama.load(cache_dir=folder, dim=DIMENSIONS, disable_download=True)
        model.tokenizer.no_padding()
        return model


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Undo what wordllama does at import: it logs to standard error from then on, all libraries' INFO included."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def _unit_sum(table: NDArray[np.float32], ids: list[int]) -> NDArray[np.float32]:
    """Sum the rows of some word pieces and scale the sum to length 1; zeros where there is nothing to scale."""
    total = table[np.minimum(ids, len(table) - 1)].sum(axis=0) if ids else np.zeros(table.shape[1], np.float32)
    length = float(np.linalg.norm(total))
    return total / np.float32(length) if length > 0 else total


def _package_version() -> str:
    try:
        return version("wordllama")
    except PackageNotFoundError:
        return "none"
