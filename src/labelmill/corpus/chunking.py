"""Long texts cut into overlapping chunks at paragraphs, lines, words, in that order of preference."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter


def chunk(text: str, size: int = 1200, overlap: int = 100) -> list[str]:
    """Cut a text into chunks of at most ``size`` characters; a text that fits is one chunk, untouched.

    Every character but whitespace is in some chunk, and no chunk is blank. A blank text has no chunks.

    Args:
        text: The text.
        size: Characters of a chunk at most, from 1.
        overlap: Characters that neighbours share at most; less than ``size``.

    Raises:
        ValueError: ``overlap`` does not fit ``size``.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"the overlap must be from 0 to less than the size, but is {overlap} for size {size}")
    if not text.strip():
        return []
    if len(text) <= size:
        return [text]
    return [part for part in _splitter(size, overlap).split_text(text) if part.strip()]


@lru_cache(maxsize=8)
def _splitter(size: int, overlap: int) -> RecursiveCharacterTextSplitter:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
