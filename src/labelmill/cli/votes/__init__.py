"""``labelmill votes``: the commands on votes, one module for each kind of work."""

from labelmill.cli.votes import collecting, combining, exporting, removing
from labelmill.cli.votes.group import app

__all__ = ["app", "collecting", "combining", "exporting", "removing"]
