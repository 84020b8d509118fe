"""Votes on labels: cast by functions, rules, names, neighbours and runs, read from files, summed up, combined."""

from __future__ import annotations

from labelmill.pipelines.voting.functions import labeling_function

__all__ = ["labeling_function"]
