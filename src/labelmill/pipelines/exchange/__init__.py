"""Runs, votes and gold to other tools and back: formats joined with the store, a corpus and a taxonomy."""

from labelmill.pipelines.exchange.gold import import_gold
from labelmill.pipelines.exchange.runs import export_run
from labelmill.pipelines.exchange.targets import files_of, files_replaced
from labelmill.pipelines.exchange.votes_in import import_opinions
from labelmill.pipelines.exchange.votes_out import export_votes

__all__ = ["export_run", "export_votes", "files_of", "files_replaced", "import_gold", "import_opinions"]
