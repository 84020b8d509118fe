"""Documents in: read a corpus as a stream, and cut long texts into chunks."""

from __future__ import annotations

from labelmill.corpus.chunking import chunk
from labelmill.corpus.counting import count_documents
from labelmill.corpus.reading import read_documents
from labelmill.corpus.source import Corpus

__all__ = ["Corpus", "chunk", "count_documents", "read_documents"]
