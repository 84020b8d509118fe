"""MiniLM-L6-v2 on ONNX Runtime: English, 384 dimensions, no torch.

The graph is written once from the model's own weights (see `minilm_graph`), checked against vectors that torch
computed, and kept beside them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.artifacts import ARTIFACTS, Progress, fetch
from labelmill.errors import ArtifactError, MissingExtraError
from labelmill.models.embedders.minilm_graph import DIMENSIONS, GRAPH_VERSION, MAX_TOKENS, write_graph
from labelmill.models.embedders.sessions import open_session, runtime_version
from labelmill.models.embedders.texts import encodable

_WHAT = "the embedder 'minilm'"
_BATCH_TOKENS = 1024
_BATCH_TEXTS = 128
_WORST_COSINE = {True: 0.97, False: 0.9999}
"""The least cosine with a reference vector, by whether the graph is quantised."""


class MiniLM:
    """Sentence embeddings of all-MiniLM-L6-v2; texts beyond 256 tokens are cut.

    Args:
        quantised: Whether the products run on integers (twice as fast, cosine with float32 0.996 on average).

    Attributes:
        name: ``minilm``, or ``minilm-float32``.
        fingerprint: The weights, the graph's version and precision, ONNX Runtime's version.
    """

    def __init__(self, *, quantised: bool = True) -> None:
        """Prepare; files are fetched and the session is opened with the first text."""
        self.name = "minilm" if quantised else "minilm-float32"
        self._quantised = quantised
        self.fingerprint = (
            f"{self.name}-{ARTIFACTS['minilm'].sha256[:8]}-graph{GRAPH_VERSION}-{MAX_TOKENS}-{runtime_version()}"
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, 384), rows of length 1, each the same whatever else is in the call.

        Raises:
            ArtifactError: The model's files cannot be fetched, or are not the right ones.
            MissingExtraError: The extra ``local`` is not installed.
        """
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        if not texts:
            return vectors
        encodings = self._tokenizer.encode_batch([encodable(text) for text in texts])
        for places in _equal_length_batches([len(encoding) for encoding in encodings]):
            ids = np.array([encodings[place].ids for place in places], dtype=np.int64)
            vectors[places] = self._session.run(["vectors"], {"ids": ids})[0]
        return vectors

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Embed each token of texts; see `labelmill.retrievers.base.TokenEmbedder`.

        Longer texts are not cut but read in pieces of 254 tokens, which know nothing of each other.

        Raises:
            ArtifactError: The model's files cannot be fetched, or are not the right ones.
            MissingExtraError: The extra ``local`` is not installed.
        """
        pieces = [self._pieces(text) for text in texts]
        flat = [ids for own in pieces for ids in own]
        rows: list[NDArray[np.float32]] = [np.empty((0, DIMENSIONS), np.float32)] * len(flat)
        for places in _equal_length_batches([len(ids) for ids in flat]):
            batch = np.array([flat[place] for place in places], dtype=np.int64)
            hidden = self._token_session.run(["tokens"], {"ids": batch})[0][:, 1:-1]  # without [CLS] and [SEP]
            hidden /= np.maximum(np.linalg.norm(hidden, axis=-1, keepdims=True), 1e-12)
            for place, vectors in zip(places, hidden, strict=True):
                rows[place] = vectors
        ends = np.cumsum([len(own) for own in pieces]).tolist()
        return [np.concatenate(rows[end - len(own) : end]) for own, end in zip(pieces, ends, strict=True)]

    def tokenise(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Number the tokens of texts; see `labelmill.retrievers.base.TokenEmbedder`."""
        return [np.array([i for ids in self._pieces(text) for i in ids[1:-1]], dtype=np.int64) for text in texts]

    def _pieces(self, text: str) -> list[list[int]]:
        """Cut a text's tokens into what the model can read, each with [CLS] and [SEP]."""
        encoding = self._tokenizer.encode(encodable(text))
        return [encoding.ids, *(rest.ids for rest in encoding.overflowing)]

    @cached_property
    def _tokenizer(self) -> Any:
        return _load_tokenizer(fetch(ARTIFACTS["minilm"]))

    @cached_property
    def _session(self) -> Any:
        return open_session(build_minilm(quantised=self._quantised), _WHAT)

    @cached_property
    def _token_session(self) -> Any:
        return open_session(build_minilm(quantised=self._quantised, pooled=False), _WHAT)


def build_minilm(*, quantised: bool = True, pooled: bool = True, progress: Progress | None = None) -> Path:
    """Fetch the model and write its graph, unless they are here, and name the graph's file.

    Args:
        quantised: Whether the graph's products run on integers.
        pooled: Whether it gives one vector a text, or one a token; each has a file of its own.
        progress: Told how far the fetching is.

    Raises:
        ArtifactError: The files cannot be fetched or written, or the graph's vectors are not those of the reference.
        MissingExtraError: The extra ``local`` is not installed.
    """
    folder = fetch(ARTIFACTS["minilm"], progress=progress)
    path = folder / f"{'int8' if quantised else 'float32'}-v{GRAPH_VERSION}{'' if pooled else '-tokens'}.onnx"
    if path.is_file():
        return path
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise MissingExtraError(_WHAT, "local") from error
    graph = write_graph(load_file(folder / "model.safetensors"), quantised=quantised, pooled=pooled)
    _check(graph, folder, least=_WORST_COSINE[quantised])
    _write_whole(path, graph)
    return path


def _load_tokenizer(folder: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError(_WHAT, "local") from error
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()  # the file asks for a fixed 128
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _equal_length_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group places by length, in batches of about `_BATCH_TOKENS` tokens."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for place, length in enumerate(lengths):
        by_length[length].append(place)
    for length, places in by_length.items():
        size = max(1, min(_BATCH_TEXTS, _BATCH_TOKENS // length))
        for start in range(0, len(places), size):
            yield places[start : start + size]


def _check(graph: bytes, folder: Path, *, least: float) -> None:
    """Hold a new graph against the vectors that torch computed for the same weights."""
    reference = json.loads(files(__package__).joinpath("minilm_reference.json").read_text("utf-8"))
    tokenizer, session = _load_tokenizer(folder), open_session(graph, _WHAT)
    for case in reference["cases"]:
        ids = np.array([tokenizer.encode(case["text"]).ids], dtype=np.int64)
        vector = session.run(None, {"ids": ids})[0][0]
        if vector.ndim == 2:  # of tokens: their mean, scaled to length 1, is the text's
            vector = vector.sum(axis=0) / np.linalg.norm(vector.sum(axis=0))
        cosine = float(vector @ np.array(case["vector"], dtype=np.float32))
        if not cosine >= least:  # a nan must fail, too
            raise ArtifactError(
                f"minilm: the graph written from {folder} gives {case['text'][:40]!r} a vector at cosine {cosine:.4f} "
                f"to the reference, expected {least} or more. Update onnxruntime, or report it with its version"
            )


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there, also when two processes write it."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=".write-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as sink:
                sink.write(content)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArtifactError(
            f"minilm: cannot write {path}: {reason}. Free some space, or set LABELMILL_CACHE"
        ) from error
