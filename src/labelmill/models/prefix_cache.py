"""How much of what servers read was in their prefix caches, by their own counters: scoring says nothing of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labelmill.models.served import ServedModel

_COUNTER = re.compile(r"^vllm:prefix_cache_(queries|hits)_total(?:\{[^}]*\})? (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PrefixCache:
    """Tokens of prompts since servers started, or between two readings.

    Attributes:
        queries: That were looked for in the cache.
        hits: That were found there.
    """

    queries: int
    hits: int

    def since(self, earlier: PrefixCache) -> PrefixCache | None:
        """Give what came after an earlier reading; None where a server has started anew in between."""
        later = PrefixCache(self.queries - earlier.queries, self.hits - earlier.hits)
        return later if min(later.queries, later.hits) >= 0 else None


async def read_prefix_cache(model: ServedModel) -> PrefixCache | None:
    """Read vLLM's counters, over all servers and their engines; None where no server has them.

    They count whoever asks. So a difference is a run's own only while nobody else uses the servers.
    """
    counts = {"queries": 0, "hits": 0}
    found = [pair for text in await model.texts("/metrics") for pair in _COUNTER.findall(text)]
    for what, value in found:
        counts[what] += int(float(value))
    return PrefixCache(**counts) if found else None
