"""A `dspy.LM` for an OpenAI-compatible server that honours response schemas, for notebooks and DSPy's optimisers."""

from __future__ import annotations

import os

import dspy

_PROVIDER = "labelmill"


def dspy_lm(model: str, url: str, *, max_tokens: int = 256, cache: bool = False) -> dspy.LM:
    """Make the `dspy.LM` whose requests equal those of a bulk run.

    ``dspy.LM("openai/…")`` takes any server but the known ones for one without response schemas, and then sends
    none. So the server is declared to DSPy, with what vLLM supports.

    Args:
        model: The model's name at the server.
        url: Base URL of the server, with its ``/v1``.
        max_tokens: Length of an answer at most.
        cache: Whether DSPy keeps answers. Off: its cache ignores the server's address, and unpickles what it reads.
    """
    _declare()
    key = os.environ.get("OPENAI_API_KEY", "").strip() or "EMPTY"
    return dspy.LM(
        f"{_PROVIDER}/{model}", api_base=url, api_key=key, temperature=0.0, max_tokens=max_tokens, cache=cache
    )


def _declare() -> None:
    # DSPy looks up every model's price on the internet, at the first call, unless told that its own list will do.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")
    from dspy._vendor.lm15.access import AccessPolicy
    from dspy.lm15 import ModelSupport, OpenAIChatCompat, ProviderDefinition, register_provider

    access = AccessPolicy(provider=_PROVIDER, base_url="http://127.0.0.1:8000/v1")
    definition = ProviderDefinition.chat(access, compat=OpenAIChatCompat.preset("vllm"), placeholder_key="EMPTY")
    register_provider(definition, supports=ModelSupport(response_schema=True), replace=True)
