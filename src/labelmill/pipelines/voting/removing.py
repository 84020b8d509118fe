"""Taking voters out of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labelmill.store import Store
from labelmill.store.vote_writer import remove_voters
from labelmill.store.votes import check_voters, read_voters


def remove_votes(path: str | Path, voters: Sequence[str]) -> dict[str, int]:
    """Take voters out of a file with all that they said: all that are named, or none.

    Returns:
        How many votes each had.

    Raises:
        StoreError: The file cannot be used, or has no such voter.
    """
    with Store(path) as store:  # which makes no file where there is none
        check_voters(Path(path), [each.voter for each in read_voters(store)], voters)
    with Store(path, write=True) as store:
        return remove_voters(store, voters)
