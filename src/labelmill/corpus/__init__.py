"""Documents in: read a corpus as a stream, and cut long texts into chunks."""

from __future__ import annotations

from labelmill.corpus.chunking import chunk
from labelmill.corpus.reading import read_documents

__all__ = ["chunk", "read_documents"]
