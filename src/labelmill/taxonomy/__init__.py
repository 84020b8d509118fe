"""The label space: read from a file, check, restrict, search, write."""

from __future__ import annotations

from labelmill.taxonomy.checks import CheckReport, check
from labelmill.taxonomy.lineage import Lineage
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.problems import Problem
from labelmill.taxonomy.search import Match, show
from labelmill.taxonomy.tree import Twig, tree
from labelmill.taxonomy.writer import write_jsonl

__all__ = ["CheckReport", "Lineage", "Match", "Problem", "Taxonomy", "Twig", "check", "show", "tree", "write_jsonl"]
