"""Where the rows of a key lie: the keys of a column in memory, each with its batch, so that no table is searched whole.

Only the first 64 bits are kept: what is found here is asked of the file again, what is not found is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from labelmill.keys import Bits, KeyMap, Numbers
from labelmill.store.database import Store

_STRETCH = 4096
"""Batches that are read at once while keys are loaded, so that DuckDB holds few of them."""


def load_keys(
    store: Store, table: str, key: str, where: str = "true", parameters: Sequence[Any] = ()
) -> tuple[Bits, Numbers]:
    """Read the first 64 bits of a table's keys, and their batches.

    Args:
        store: Where the table is.
        table: Its name.
        key: The column, or an expression that gives 16 hexadecimal digits or more.
        where: Which rows.
        parameters: What `where` has placeholders for.
    """
    count, last = store.first(f"SELECT count(*), max(batch) FROM {table} WHERE {where}", parameters) or (0, None)  # noqa: S608
    bits, batches = np.empty(count, np.uint64), np.empty(count, np.uint32)
    query = (
        f"SELECT ('0x' || {key}[1:16])::UBIGINT AS bits, batch FROM {table} "  # noqa: S608 - names of ours
        f"WHERE ({where}) AND batch BETWEEN ? AND ?"
    )
    filled = 0
    for start in range(0, last + 1 if count else 0, _STRETCH):
        columns = store.connection.execute(query, [*parameters, start, start + _STRETCH - 1]).fetchnumpy()
        part = slice(filled, filled + len(columns["bits"]))
        bits[part], batches[part] = columns["bits"], columns["batch"]
        filled = part.stop
    return bits, batches


def batches_of(keys: KeyMap, wanted: Iterable[str]) -> dict[str, int]:
    """Return those of some keys that may be in the file, each with its batch."""
    found = ((key, keys.get(key)) for key in wanted)
    return {key: batch for key, batch in found if batch is not None}


def last_batch(store: Store) -> int:
    """Return the number of the last commit of a file; 0 where there was none."""
    (last,) = store.first(_LAST_BATCH) or (0,)
    return int(last)


_LAST_BATCH = (
    "SELECT greatest((SELECT max(batch) FROM stages), (SELECT max(batch) FROM documents), "
    "(SELECT max(batch) FROM failures), 0)"
)
