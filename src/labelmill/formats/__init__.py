"""Files of other tools: one module each, which turns plain values into files and back.

They know of no store; `pipelines/exchange` joins them with it, with a corpus and with a taxonomy.
"""

from labelmill.formats.values import Electors, Item, Judged, Labels, Opinion, Scored, Vote

__all__ = ["Electors", "Item", "Judged", "Labels", "Opinion", "Scored", "Vote"]
