"""``labelmill taxonomy``: the commands on taxonomies, one module for each kind of work."""

from labelmill.cli.taxonomy import files, gaps
from labelmill.cli.taxonomy.group import app

__all__ = ["app", "files", "gaps"]
