"""Embedders: texts to unit vectors, one file for each kind, and how a user names one."""

from __future__ import annotations

from labelmill.models.embedders.base import Embedder
from labelmill.models.embedders.loading import leaves_this_machine, load_embedder
from labelmill.models.embedders.memo import MemoEmbedder

__all__ = ["Embedder", "MemoEmbedder", "leaves_this_machine", "load_embedder"]
