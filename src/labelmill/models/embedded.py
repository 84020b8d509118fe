"""SmolLM2-135M-Instruct in this very process, for machines with nothing else: llama.cpp's server through xllamacpp.

It shows that a program runs, not how well one can label: the model proposes usable phrases when it is shown how, and
can neither rank nor judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from labelmill.artifacts import ARTIFACTS, Progress, fetch
from labelmill.errors import MissingExtraError, ModelUnavailable

MODEL_NAME = "smollm2-135m-instruct"
CONTEXT_TOKENS = 4096
"""Of each slot: prompts of 2,000 tokens and their answers, with room to spare."""

_WHAT = "the embedded language model"
_QUIET = -1


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """An OpenAI-compatible server on 127.0.0.1, for as long as its context lasts.

    Attributes:
        base_url: ``http://127.0.0.1:PORT/v1``.
        model: The name to ask for.
        fingerprint: The weights' file and xllamacpp's version; part of every stored answer's key.
        context_tokens: The longest prompt together with its answer.
        slots: How many requests it answers at a time; more of them wait.
    """

    base_url: str
    model: str
    fingerprint: str
    context_tokens: int
    slots: int


@contextmanager
def embedded_server(
    *,
    threads: int = 1,
    slots: int = 1,
    context_tokens: int = CONTEXT_TOKENS,
    reuse_prefix: bool = False,
    progress: Progress | None = None,
) -> Iterator[EmbeddedServer]:
    """Serve SmolLM2 on a free port of 127.0.0.1 until the context ends.

    Args:
        threads: Of the model. On two cores that had other work as well, two threads took longer than one.
        slots: Requests at a time.
        context_tokens: Of each slot.
        reuse_prefix: Whether a prompt takes over what it shares with the slot's last one. Prompts with long common
            instructions are answered about three times as fast, but the last bits of the numbers then depend on what
            was asked before, and now and then a word of the answer with them. Without it, and at temperature 0, an
            answer depends on its request alone.
        progress: Called while the weights are fetched, the first time.

    Raises:
        ArtifactError: The weights cannot be fetched.
        MissingExtraError: The extra ``local`` is not installed.
        ModelUnavailable: llama.cpp cannot start with the weights.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtraError(_WHAT, "local") from error
    weights = fetch(ARTIFACTS["smollm2"], progress=progress) / "model.gguf"
    parameters = _parameters(xllamacpp, weights, threads=threads, slots=slots, context_tokens=context_tokens)
    parameters.cache_prompt = reuse_prefix
    try:
        server = xllamacpp.Server(parameters)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelUnavailable(f"{_WHAT} does not start with {weights}: {error}. Free some memory and retry") from error
    # A server that ends before its loop has begun never ends (it waits for the loop, which then begins). An answer
    # shows that the loop runs.
    server.handle_completions({"prompt": "a", "max_tokens": 1, "cache_prompt": False})
    try:
        base_url = f"{server.listening_address}/v1"
        yield EmbeddedServer(base_url, MODEL_NAME, _fingerprint(), context_tokens, slots)
    finally:
        del server  # xllamacpp ends the server with its last reference


def _parameters(xllamacpp: Any, weights: Path, *, threads: int, slots: int, context_tokens: int) -> Any:
    """Set up llama.cpp: local, quiet, no pages, no tools, and nothing that varies from run to run."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {MODEL_NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0  # the system chooses, so two processes cannot collide
    parameters.offline = True
    parameters.n_parallel = slots
    parameters.n_ctx = slots * context_tokens
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.sampling.temp = 0.0
    parameters.sampling.seed = 0
    parameters.cache_ram_mib = 0  # no store of past prompts, which would be another 8 GB
    parameters.warmup = False
    parameters.fit_params = False  # the context is as asked, not as memory allows
    parameters.verbosity = _QUIET
    parameters.ui = False
    parameters.endpoint_slots = False  # it shows the prompts
    return parameters


def _fingerprint() -> str:
    try:
        runtime = version("xllamacpp")
    except PackageNotFoundError:
        runtime = "unknown"
    return f"{MODEL_NAME}-{ARTIFACTS['smollm2'].sha256[:8]}-xllamacpp{runtime}"
