"""The multilingual Universal Sentence Encoder on ONNX Runtime: 16 languages, 512 dimensions, int8.

Its graph quantises with one scale per call, so a text's vector would depend on its neighbours. Each text is therefore
a call of its own, on one thread, and several calls run side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.artifacts import ARTIFACTS, fetch
from labelmill.models.embedders.sessions import available_cores, open_session, runtime_version
from labelmill.models.embedders.texts import encodable

DIMENSIONS = 512
MAX_CHARACTERS = 2_000
"""Longer texts are cut: the graph itself sets no limit, and its memory grows with the square of the length."""

_WHAT = "the embedder 'use'"
_CHUNK_TEXTS = 16


class UniversalSentenceEncoder:
    """Sentence embeddings for Arabic, Chinese, Dutch, English, French, German, Italian, Japanese and more.

    Attributes:
        name: ``use``.
        fingerprint: The model's file, the cut, ONNX Runtime's version.
    """

    def __init__(self) -> None:
        """Prepare; the file is fetched and the session is opened with the first text."""
        self.name = "use"
        sha = ARTIFACTS["use-multilingual"].sha256[:8]
        self.fingerprint = f"use-{sha}-single-{MAX_CHARACTERS}-{runtime_version()}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, 512), rows of length 1, each the same whatever else is in the call.

        Raises:
            ArtifactError: The model's file cannot be fetched or loaded.
            MissingExtraError: The extra ``local`` is not installed.
        """
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        if not texts:
            return vectors
        session = self._session

        def embed_chunk(start: int) -> None:
            for place in range(start, min(start + _CHUNK_TEXTS, len(texts))):
                inputs = np.array([encodable(texts[place][:MAX_CHARACTERS])], dtype=object)
                vectors[place] = session.run(["outputs"], {"inputs": inputs})[0][0]

        with ThreadPoolExecutor(max_workers=available_cores()) as pool:
            list(pool.map(embed_chunk, range(0, len(texts), _CHUNK_TEXTS)))
        return vectors

    @cached_property
    def _session(self) -> Any:
        model = fetch(ARTIFACTS["use-multilingual"]) / "model.onnx"
        return open_session(model, _WHAT, threads=1, custom_operators=True)
