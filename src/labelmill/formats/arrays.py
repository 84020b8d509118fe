"""Arrays in an ``.npz`` file, written and read without pickle; texts are arrays of Unicode."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.corpus.fields import clean
from labelmill.errors import InputError
from labelmill.formats.writing import whole

_LARGEST = 1 << 34
"""Bytes of all arrays together at most: a small file can claim to be any size."""

_PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DAMAGED = (
    ValueError,
    TypeError,
    EOFError,
    OSError,
    MemoryError,
    RuntimeError,
    TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise for a file that is none of theirs, or locked with a password."""

Arrays = Mapping[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays, compressed.

    Raises:
        InputError: The file cannot be written, or is not called ``.npz``.
    """
    if path.suffix.lower() != ".npz":
        raise InputError(f"arrays are not written to {path.suffix or 'such a file'}", path=path, remedy="Use .npz.")
    with whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file.

    Raises:
        InputError: It is no such file, is damaged, is too large, or holds Python objects.
    """
    if not path.is_file():
        raise InputError("there is no such file", path=path, remedy="Check the path.")
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
        size = sum(member.file_size for member in members)
        if any(member.compress_type not in _PACKINGS for member in members):
            raise ValueError("it is packed otherwise")
        if size > _LARGEST:
            raise InputError(f"its arrays take {size / 1e9:,.0f} GB", path=path, remedy="Give it in parts.")
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{strange[0]!r} is no array")
    except _DAMAGED as reason:
        told = " ".join(str(reason).split())[:200]
        remedy = "Write it with numpy.savez, without objects."
        raise InputError(f"this cannot be read as arrays ({told})", path=path, remedy=remedy) from None
    return arrays


def texts(values: Sequence[str]) -> NDArray[np.str_]:
    """Make an array of texts, as wide as the longest of them."""
    return np.array(values, dtype=np.str_) if len(values) else np.empty(0, dtype="U1")


class Checked:
    """The arrays of a file, each asked for with what it has to be.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Read them."""
        self._path, self._arrays = path, read_arrays(path)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def texts(self, name: str, size: int | None = None) -> list[str]:
        """Take a list of texts.

        Raises:
            InputError: It is absent, of another kind, or not of this size.
        """
        return [clean(each) for each in self._of(name, "U", 1, size).tolist()]

    def whole_numbers(self, name: str, dimensions: int = 1, size: int | None = None) -> NDArray[np.int64]:
        """Take whole numbers; raises as `texts` does."""
        return self._of(name, "iu", dimensions, size).astype(np.int64)

    def numbers(self, name: str, dimensions: int = 1, size: int | None = None) -> NDArray[np.float64]:
        """Take numbers; raises as `texts` does."""
        return self._of(name, "iuf", dimensions, size).astype(np.float64)

    def truths(self, name: str, dimensions: int = 1, size: int | None = None) -> NDArray[np.bool_]:
        """Take what is true or false; raises as `texts` does."""
        return self._of(name, "b", dimensions, size)

    def error(self, message: str, remedy: str = "Check the format that was named.") -> InputError:
        """Make an error about this file."""
        return InputError(message, path=self._path, remedy=remedy)

    def _of(self, name: str, kinds: str, dimensions: int, size: int | None) -> NDArray[Any]:
        if name not in self._arrays:
            raise self.error(
                f"there is no array {name!r}; the arrays are {', '.join(map(repr, self._arrays)) or 'none'}"
            )
        array = self._arrays[name]
        if array.dtype.kind not in kinds or array.ndim != dimensions:
            raise self.error(f"the array {name!r} is of kind {array.dtype} and shape {array.shape}")
        if size is not None and len(array) != size:
            raise self.error(f"the array {name!r} has {len(array):,} rows, and {size:,} were expected")
        return array
