"""Gaps: from what the documents of a run say, and no label is near to, to the next version of its taxonomy."""

from labelmill.pipelines.gaps.accepting import NextVersion, accept
from labelmill.pipelines.gaps.finding import Gaps, Limits, find_gaps
from labelmill.pipelines.gaps.of_run import RunGaps, gaps_of_run
from labelmill.pipelines.gaps.proposals import Proposal, read_proposals, write_proposals

__all__ = [
    "Gaps",
    "Limits",
    "NextVersion",
    "Proposal",
    "RunGaps",
    "accept",
    "find_gaps",
    "gaps_of_run",
    "read_proposals",
    "write_proposals",
]
