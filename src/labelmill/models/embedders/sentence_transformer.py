"""Any model of sentence-transformers, by name or folder: the way to larger embedders and to a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError, MissingExtraError
from labelmill.models.embedders.texts import encodable


class SentenceTransformerEmbedder:
    """A model that sentence-transformers loads.

    torch picks its kernels by the size of a batch, so that a text's vector may differ in its last bits (about 1e-7)
    with what else is in the call. Only the embedders `minilm`, `use` and `wordllama` promise the same bits.

    Args:
        model: A folder, or a name that sentence-transformers resolves.
        batch_size: Texts a batch.

    Attributes:
        name: ``st:`` and the model.
        fingerprint: The model's name; a folder whose content changes must change its name.
    """

    def __init__(self, model: str, *, batch_size: int = 64) -> None:
        """Prepare; the model is loaded with the first text."""
        self.name = f"st:{model}"
        self.fingerprint = self.name
        self._model_name = model
        self._batch_size = batch_size

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, d), rows of length 1.

        Raises:
            MissingExtraError: The extra ``gpu`` is not installed.
            InputError: There is no such model.
        """
        if not texts:
            return self.embed(["x"])[:0]  # the method that tells the width has changed its name over the versions
        vectors = self._model.encode(
            [encodable(text) for text in texts],
            batch_size=self._batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError(f"the embedder {self.name!r}", "gpu") from error
        try:
            return SentenceTransformer(self._model_name)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"sentence-transformers cannot load {self._model_name!r}: {reason}",
                remedy="Name a folder with the model, or a model that this machine can download.",
            ) from error
