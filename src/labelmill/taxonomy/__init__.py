"""The label space: read from a file, check, restrict, search, write."""

from __future__ import annotations

from labelmill.taxonomy.checks import CheckReport, check
from labelmill.taxonomy.detection import Proposal, detect
from labelmill.taxonomy.diff import Targets, TaxonomyDiff, diff
from labelmill.taxonomy.label_map import read_map, write_map
from labelmill.taxonomy.lineage import Lineage
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.problems import Problem
from labelmill.taxonomy.search import Match, show
from labelmill.taxonomy.tree import Twig, tree
from labelmill.taxonomy.writer import write_jsonl

__all__ = [
    "CheckReport",
    "Lineage",
    "Match",
    "Problem",
    "Proposal",
    "Targets",
    "Taxonomy",
    "TaxonomyDiff",
    "Twig",
    "check",
    "detect",
    "diff",
    "read_map",
    "show",
    "tree",
    "write_jsonl",
    "write_map",
]
