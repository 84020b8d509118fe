"""Active learning: which documents to give a person next, and as what."""

from labelmill.pipelines.acquiring.acquire import Acquired, NextDocument, next_documents
from labelmill.pipelines.acquiring.texts import write_to_label

__all__ = ["Acquired", "NextDocument", "next_documents", "write_to_label"]
