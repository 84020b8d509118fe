"""``labelmill taxonomy``: the commands on taxonomies, one module for each kind of work."""

from labelmill.cli.taxonomy import changes, describe, evaluation, files, gaps, generate
from labelmill.cli.taxonomy.group import app

__all__ = ["app", "changes", "describe", "evaluation", "files", "gaps", "generate"]
