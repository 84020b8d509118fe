"""A long beginning that was read before is not read again, and the server says so in both places."""

from __future__ import annotations

from servers import ask, on
from wording import SHOWN, TEXT, text

BLOCK_TOKENS = 32
"""Of the prefix cache: prompts share whole blocks."""


@on("vllm")
def test_a_prompt_that_was_read_before_is_in_the_cache(server):
    """All of it but the last block, which has the next token to compute; the counters move by what answers report."""
    body = SHOWN.request(f"{TEXT} Asked twice.", server.model)
    before = server.counter("vllm:prefix_cache_queries_total"), server.counter("vllm:prefix_cache_hits_total")
    (first,), (second,) = ask(server, [body]), ask(server, [body])
    after = server.counter("vllm:prefix_cache_queries_total"), server.counter("vllm:prefix_cache_hits_total")
    assert second.prompt_tokens == first.prompt_tokens > 2 * BLOCK_TOKENS
    assert second.cached_tokens == (second.prompt_tokens - 1) // BLOCK_TOKENS * BLOCK_TOKENS
    assert after[0] - before[0] == first.prompt_tokens + second.prompt_tokens
    assert after[1] - before[1] == first.cached_tokens + second.cached_tokens


@on("vllm")
def test_documents_share_what_is_said_to_all(server):
    """Instructions and demonstrations come before the document, so they are read once for all documents."""
    ask(server, [SHOWN.request(text(-1), server.model)])
    (other,) = ask(server, [SHOWN.request(TEXT, server.model)])
    (empty,) = ask(server, [SHOWN.request("", server.model)])
    assert other.cached_tokens >= empty.prompt_tokens // 2
    assert other.cached_tokens < other.prompt_tokens
