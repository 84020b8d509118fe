"""The prefix cache's counters, as servers give them."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from labelmill.models.prefix_cache import PrefixCache, read_prefix_cache
from labelmill.models.served import ServedModel
from word_server import WordServer

METRICS = """# HELP vllm:prefix_cache_queries_total Prefix cache queries, in tokens.
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0",model_name="toy"} 1.28e+06
vllm:prefix_cache_queries_total{engine="1",model_name="toy"} 7.0
vllm:prefix_cache_queries_created{engine="0",model_name="toy"} 1.79e+09
vllm:prefix_cache_hits_total{engine="0",model_name="toy"} 900000.0
vllm:prefix_cache_hits_total{engine="1",model_name="toy"} 4.0
vllm:external_prefix_cache_hits_total{engine="0",model_name="toy"} 11.0
"""


class Counting(WordServer):
    """A server with counters."""

    metrics = METRICS

    async def answer(self, request):
        return web.Response(text=self.metrics) if request.path == "/metrics" else await super().answer(request)


def read(*servers):
    async def go():
        async with ServedModel([server.url for server in servers]) as model:
            return await read_prefix_cache(model)

    return asyncio.run(go())


@pytest.fixture
def counting():
    with Counting() as server:
        yield server


def test_engines_and_servers_add_up(counting):
    """A server without counters adds nothing."""
    assert read(counting) == PrefixCache(1280007, 900004)
    with Counting() as second, WordServer() as third:
        assert read(counting, second, third) == PrefixCache(2 * 1280007, 2 * 900004)


def test_without_counters_nothing_is_claimed(counting):
    """None, and not zero."""
    counting.metrics = "process_cpu_seconds_total 3\n"
    assert read(counting) is None


def test_what_came_between_two_readings():
    """And nothing where the server has begun to count anew."""
    assert PrefixCache(10, 4).since(PrefixCache(6, 1)) == PrefixCache(4, 3)
    assert PrefixCache(10, 4).since(PrefixCache(11, 1)) is None
