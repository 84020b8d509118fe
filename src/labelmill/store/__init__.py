"""The DuckDB file: its schema, the one writer of a run, and the readers."""

from labelmill.store.database import Store
from labelmill.store.reader import RankedLabels
from labelmill.store.results import DocumentResult, Spending, StageResult
from labelmill.store.stored import Stored
from labelmill.store.summary import RunSummary
from labelmill.store.writer import RunWriter

__all__ = ["DocumentResult", "RankedLabels", "RunSummary", "RunWriter", "Spending", "StageResult", "Store", "Stored"]
