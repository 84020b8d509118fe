"""An embedder behind an OpenAI-compatible server: batches out, unit vectors back, a few requests side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import ModelError, ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.address import is_this_machine
from labelmill.models.embedders.texts import encodable

_TIMEOUT_SECONDS = 120.0
_RETRIED = {408, 409, 425, 429}
_FATAL = {401, 403, 404, 405}
_SHORTEST_CUT = 200
"""Characters; a text that is refused at this length is refused for another reason than its length."""


class ServerEmbedder:
    """A model at ``/embeddings`` of some URL.

    A text that is too long for the model is cut in half until the server takes it. Servers batch as they see fit, so
    a vector may differ in its last digits from call to call; nothing here can prevent that.

    Args:
        model: The model's name at the server.
        url: Base URL of the server, with its ``/v1``.
        batch_size: Texts a request.
        concurrency: Requests at a time.
        attempts: How often a request is sent before it counts as failed.
        first_wait: Seconds before the second attempt; later ones wait longer, up to half a minute.

    Attributes:
        name: The model's name and the URL, as the user wrote them.
        fingerprint: The model's name alone: the same model at another address gives the same vectors.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        batch_size: int = 64,
        concurrency: int = 4,
        attempts: int = 5,
        first_wait: float = 0.5,
    ) -> None:
        """Remember where to send; nothing is sent before the first text."""
        self.url = url.rstrip("/")
        self.name = f"{model}@{self.url}"
        self.fingerprint = f"server:{model}"
        self._model = model
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._attempts = attempts
        self._first_wait = first_wait
        self._key = os.environ.get("OPENAI_API_KEY", "").strip()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, d), rows of length 1.

        Without any text one request is sent all the same, since only the server knows d.

        Raises:
            ModelUnavailable: No answer, nor after the retries.
            ModelRejected: The server refuses one of the texts, or answers something that is no vector.
            ModelRefused: Unknown model, wrong key, or no such endpoint.
        """
        if not texts:
            return self._embed_batch(["x"])[:0]
        clean = [encodable(text) or " " for text in texts]  # servers refuse the empty text
        batches = [clean[start : start + self._batch_size] for start in range(0, len(clean), self._batch_size)]
        _ = self._client  # made here, once; the threads share it
        with ThreadPoolExecutor(max_workers=min(self._concurrency, len(batches))) as pool:
            parts = list(pool.map(self._embed_batch, batches))
        if len({part.shape[1] for part in parts}) > 1:
            raise ModelRejected(
                f"{self.url} answered vectors of several lengths. Check that one model serves the name."
            )
        return np.concatenate(parts)

    def close(self) -> None:
        """Close the connections; the next text opens new ones."""
        if "_client" in self.__dict__:
            self._client.close()
            del self._client

    def _embed_batch(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed what fits into one request; where that is rejected, one text at a time, cut as needed."""
        try:
            return self._vectors(self._request(texts), len(texts))
        except ModelRejected:
            if len(texts) > 1:
                return np.concatenate([self._embed_batch([text]) for text in texts])
            if len(texts[0]) <= _SHORTEST_CUT:
                raise
            return self._embed_batch([texts[0][: len(texts[0]) // 2]])

    def _request(self, texts: list[str]) -> list[Any]:
        """Send one request, trying again while the server is unavailable, and give the answer's rows."""
        import stamina

        body = {"model": self._model, "input": texts, "encoding_format": "float"}
        rows: list[Any] = []
        for retry in stamina.retry_context(
            on=ModelUnavailable,
            attempts=self._attempts,
            timeout=None,
            wait_initial=self._first_wait,
            wait_max=30.0,
            wait_jitter=self._first_wait,
        ):
            with retry:
                rows = self._send(body)
        return rows

    def _send(self, body: dict[str, Any]) -> list[Any]:
        import openai

        try:
            answer = self._client.post("/embeddings", body=body, cast_to=object)
        except openai.APIStatusError as error:
            raise self._status_error(error.status_code, str(error.message)) from error
        except openai.APIConnectionError as error:  # time-outs are among these
            cause = type(error.__cause__ or error).__name__
            raise ModelUnavailable(
                f"No answer from {self.url} ({cause}). Check that the server runs and that the URL ends in /v1."
            ) from error
        except ValueError as error:
            raise ModelRefused(f"{self.url}/embeddings did not answer JSON. Check that the URL ends in /v1.") from error
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise ModelRefused(f"{self.url}/embeddings answered without 'data'. Check that the URL ends in /v1.")
        rows: list[Any] = answer["data"]
        return rows

    def _vectors(self, rows: list[Any], expected: int) -> NDArray[np.float32]:
        """Put the answer's rows into the order of the texts, each scaled to length 1."""
        try:
            by_place = {int(row["index"]): row["embedding"] for row in rows}
            vectors = np.array([by_place[place] for place in range(expected)], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._unusable(f"{len(rows)} rows that are not {expected} numbered vectors of one length") from error
        if len(rows) != expected or vectors.ndim != 2:
            raise self._unusable(f"{len(rows)} vectors for {expected} texts")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise self._unusable("a vector that is zero or not finite")
        return np.asarray(vectors / lengths, dtype=np.float32)

    def _unusable(self, what: str) -> ModelRefused:
        remedy = "Check that the model is an embedder."
        return ModelRefused(f"{self.url} answered {what} for the model {self._model!r}. {remedy}")

    def _status_error(self, status: int, message: str) -> ModelError:
        """Sort an HTTP status into the three kinds; the key never appears in the message."""
        if self._key:
            message = message.replace(self._key, "***")
        line = f"{self.url} answered {status} for the embedder {self._model!r}: {' '.join(message.split())[:300]}"
        if status in _FATAL:
            remedy = "Set OPENAI_API_KEY" if status in {401, 403} else "Check the model's name and the URL"
            return ModelRefused(f"{line}. {remedy}.")
        if status in _RETRIED or status >= 500:
            return ModelUnavailable(line)
        return ModelRejected(line)

    @cached_property
    def _client(self) -> Any:
        from openai import DefaultHttpxClient, OpenAI

        return OpenAI(
            base_url=self.url,
            api_key=self._key or "EMPTY",
            http_client=DefaultHttpxClient(trust_env=not is_this_machine(self.url)),  # no proxy can reach this machine
            max_retries=0,  # stamina retries, since it knows our three kinds of errors
            timeout=_TIMEOUT_SECONDS,
        )
