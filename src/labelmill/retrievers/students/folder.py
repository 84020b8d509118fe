"""A student as a folder: a header in JSON, plain arrays, and where there are trees, Omikuji's own files.

Whatever a folder holds, reading it runs nothing: arrays are read without pickle, and what they point at is checked
before anything follows them. The header has the SHA-256 of every file but the program, which names the student's key.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from labelmill.errors import InputError
from labelmill.keys import content_key
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.students.features import FEATURES_VERSION, SLOTS, Features, TfIdf
from labelmill.retrievers.students.linear import ARRAYS, LinearModel
from labelmill.retrievers.students.student import Model, Student
from labelmill.retrievers.students.trees import TREES, NamedTrees, TreeModel
from labelmill.taxonomy import Taxonomy

HEADER = "student.json"
_ARRAYS = "arrays.npz"
_HELD = "held.npz"
_SEEN = "seen"
_REMEDY = "Make one with: labelmill distill RUNS.duckdb --corpus DOCS --out STUDENT"
_VERSION = 1

_COLUMNS = ("precision", "recall", "agreement", "given", "right", "wanted")
"""Of what `held.npz` has of each reference: how certain an answer was, and how right."""

_DAMAGED = (ValueError, TypeError, EOFError, OSError, MemoryError, RuntimeError, TokenError, zipfile.BadZipFile)
"""What numpy and zipfile raise for a file that is none of theirs."""

Kind = Literal["linear", "omikuji"]
FeatureKind = Literal["tfidf", "embedding", "both"]


class Header(BaseModel):
    """What a student is.

    Attributes:
        labelmill_student: The version of this format.
        kind: ``linear``, or ``omikuji`` for trees.
        named: Whether trees have weights of labels' names beside them; a linear student's are among its own.
        features: What it looks at.
        features_version: Of the features' own making.
        embedder: The embedder's specification, where it looks at vectors; else empty.
        embedder_fingerprint: Of that embedder.
        width: Of the embedder's vectors.
        labels: Ids of the labels that it knows, in its own order.
        files: SHA-256 of every other file but the program, by its path within the folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labelmill_student: Literal[1] = 1
    kind: Kind
    named: bool = False
    features: FeatureKind
    features_version: int = FEATURES_VERSION
    embedder: str = ""
    embedder_fingerprint: str = ""
    width: int = 0
    labels: tuple[str, ...]
    files: Mapping[str, str] = {}

    @property
    def has_weights(self) -> bool:
        """Whether its arrays have weights of features."""
        return self.kind == "linear" or self.named


@dataclass(frozen=True, slots=True, eq=False)
class StudentFolder:
    """A student that was read, and not yet been given a taxonomy and an embedder.

    Attributes:
        path: The folder.
        header: What it is.
        held: What it said of documents that it had not seen, and how right that was; by what it was compared with.
        seen: The keys of the documents that it learned from, uint64, ascending, shape (N,).
    """

    path: Path
    header: Header
    held: Mapping[str, NDArray[np.float64]]
    seen: NDArray[np.uint64]
    _arrays: Mapping[str, NDArray[Any]]

    @property
    def key(self) -> str:
        """Identify it: everything that decides what it says."""
        files = {name: digest for name, digest in self.header.files.items() if name != _HELD}
        return content_key("student", self.header.model_dump(mode="json", exclude={"files"}), files)

    @classmethod
    def read(cls, path: str | Path) -> StudentFolder:
        """Read a folder that `write_student` wrote.

        Raises:
            InputError: It is not there, no student, damaged, or of another version.
        """
        folder = Path(path)
        header = _read_header(folder)
        try:
            for name, digest in header.files.items():
                if _hash(_inside(folder, name)) != digest:
                    raise InputError(
                        f"{name} is not the file that the student was written with", path=path, remedy=_REMEDY
                    )
            arrays = _load(folder / _ARRAYS, ARRAYS if header.has_weights else {}, header)
            held = _load_held(folder / _HELD)
        except _DAMAGED as error:
            raise InputError(f"the student is damaged: {error}", path=path, remedy=_REMEDY) from error
        return cls(folder, header, held, np.sort(arrays.pop(_SEEN)), arrays)

    def open(self, taxonomy: Taxonomy, embedder: Embedder | None) -> Student:
        """Give it a taxonomy, of which it may know other labels, and the embedder that it names, where it does.

        Raises:
            InputError: Its parts do not fit each other, or it knows no label of the taxonomy.
        """
        place = {label.id: position for position, label in enumerate(taxonomy.labels)}
        positions = np.array([place.get(label, -1) for label in self.header.labels], dtype=np.int32)
        if not (positions >= 0).any():
            raise InputError("the student knows no label of this taxonomy", path=self.path, remedy=_REMEDY)
        try:
            tfidf = TfIdf(self._arrays["slots"], self._arrays["idf"]) if "slots" in self._arrays else None
            width = (len(tfidf.slots) if tfidf else 0) + self.header.width
            labels = len(self.header.labels)
            model: Model
            if self.header.kind == "linear":
                model = LinearModel.of(self._arrays, width, labels)
            else:
                model = trees = TreeModel.read(self.path / TREES, width, labels)
                if self.header.named:
                    model = NamedTrees(trees, LinearModel.of(self._arrays, width, labels))
        except ValueError as error:
            raise InputError(f"the student is damaged: {error}", path=self.path, remedy=_REMEDY) from error
        fingerprint = content_key(self.key, "" if embedder is None else embedder.fingerprint)
        return Student(Features(tfidf, embedder), model, positions, fingerprint)


def write_student(
    path: str | Path,
    *,
    labels: Sequence[str],
    features: Features,
    model: LinearModel | TreeModel | NamedTrees,
    held: Mapping[str, NDArray[np.float64]],
    seen: NDArray[np.uint64],
    width: int,
    embedder: str,
    beside: Callable[[Path, str], None],
) -> str:
    """Write a student's folder, whole or not at all; one that is there is replaced, anything else is not.

    Args:
        path: The folder.
        labels: Ids of the labels, in the model's order.
        features: What the model looks at.
        model: The model.
        held: What `StudentFolder.held` has.
        seen: What `StudentFolder.seen` has.
        width: Of the embedder's vectors; 0 without one.
        embedder: How the user names it.
        beside: Writes what else belongs into the folder, given it and the student's key.

    Returns:
        The student's key.

    Raises:
        InputError: Something else is there, or the folder cannot be written.
    """
    target = Path(path).resolve()  # a link stays one
    check_target(target)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            words = {"slots": features.tfidf.slots, "idf": features.tfidf.idf} if features.tfidf else {}
            trees = model.trees if isinstance(model, NamedTrees) else model if isinstance(model, TreeModel) else None
            weights = (
                model.names if isinstance(model, NamedTrees) else model if isinstance(model, LinearModel) else None
            )
            known = {} if weights is None else weights.arrays()
            _save(scratch / _ARRAYS, words | known | {_SEEN: seen})
            _save(scratch / _HELD, held)
            if trees is not None:
                trees.write(scratch / TREES)
            names = sorted(str(each.relative_to(scratch)) for each in scratch.rglob("*") if each.is_file())
            kind: FeatureKind = "tfidf" if features.embedder is None else "both" if features.tfidf else "embedding"
            header = Header(
                kind="linear" if trees is None else "omikuji",
                named=trees is not None and weights is not None,
                features=kind,
                embedder=embedder,
                embedder_fingerprint="" if features.embedder is None else features.embedder.fingerprint,
                width=width,
                labels=tuple(labels),
                files={name: _hash(scratch / name) for name in names},
            )
            (scratch / HEADER).write_text(header.model_dump_json(indent=1) + "\n", "utf-8")
            key = StudentFolder(scratch, header, {}, seen, {}).key
            beside(scratch, key)
            scratch.chmod(0o755)  # as any folder; a temporary one is its owner's alone
            _take_place(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise InputError(f"the student cannot be written: {error.strerror or error}", path=path) from error
    return key


def _take_place(fresh: Path, target: Path) -> None:
    """Put a folder in another's place, which is there and whole until it is renamed, and back where that fails."""
    old = fresh.with_name(f"{fresh.name}.old")
    if target.exists():
        target.replace(old)
    try:
        fresh.replace(target)
    except BaseException:
        if old.exists():
            old.replace(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_target(path: Path) -> None:
    """See that a student can be written: nothing else is there, and the folder around it is.

    Raises:
        InputError: Something else is, or the folder is not.
    """
    if path.exists() and not (path / HEADER).is_file():
        raise InputError("there is something else than a student", path=path, remedy="Name a new folder with --out.")
    if not path.absolute().parent.is_dir():
        raise InputError("there is no such folder for the student", path=path, remedy="Make it, or name another --out.")


def _read_header(folder: Path) -> Header:
    path = folder / HEADER
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"this is no student: {error.strerror or error}", path=path, remedy=_REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is no JSON: {error}", path=path, remedy=_REMEDY) from error
    version = content.get("labelmill_student") if isinstance(content, dict) else None
    if version != _VERSION:
        said = "this is no student" if version is None else f"this is a student of version {version!r}"
        raise InputError(f"{said}; version {_VERSION} is understood", path=path, remedy=_REMEDY)
    try:
        header = Header.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise InputError(f"{place}: {problem['msg']}", path=path, remedy=_REMEDY) from error
    if header.features_version != FEATURES_VERSION:
        said = f"its features are of version {header.features_version}; version {FEATURES_VERSION} is understood"
        raise InputError(said, path=path, remedy=_REMEDY)
    if len(set(header.labels)) != len(header.labels) or (header.width > 0) == (header.features == "tfidf"):
        raise InputError("its labels or its features contradict themselves", path=path, remedy=_REMEDY)
    needed = {_ARRAYS, _HELD}
    if missing := needed - set(header.files):
        raise InputError(f"it lacks {min(missing)}", path=path, remedy=_REMEDY)
    return header


def _inside(folder: Path, name: str) -> Path:
    """Name a file within the folder; a header may ask for none elsewhere."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"it names the file {name!r}, which is elsewhere")
    return path


def _load(path: Path, wanted: Mapping[str, Any], header: Header) -> dict[str, NDArray[Any]]:
    """Load arrays of the types and shapes that they must have."""
    arrays = _load_any(path)
    words = {"slots": np.int32, "idf": np.float32} if header.features != "embedding" else {}
    needed = words | dict(wanted) | {_SEEN: np.uint64}
    for name, kind in needed.items():
        if name not in arrays:
            raise ValueError(f"it has no {name}")
        if arrays[name].dtype != kind or arrays[name].ndim != 1:
            raise ValueError(f"its {name} are no row of {np.dtype(kind).name}")
    if words:
        slots, idf = arrays["slots"], arrays["idf"]
        rising = len(slots) == len(idf) and (np.diff(slots) > 0).all() and np.isfinite(idf).all()
        if not rising or (len(slots) and not (slots[0] >= 0 and slots[-1] < SLOTS)):
            raise ValueError("its words are out of order")
    return {name: arrays[name] for name in needed}


def _load_held(path: Path) -> dict[str, NDArray[np.float64]]:
    """Load what was said of documents left out: of each that it was compared with columns of numbers, equally long."""
    held = _load_any(path)
    for name, column in held.items():
        if column.dtype != np.float64 or column.ndim != 1 or not np.isfinite(column).all():
            raise ValueError(f"its {name} are no row of numbers")
    for against in {name.partition(".")[0] for name in held}:
        own = [held.get(f"{against}.{column}", np.empty(0)) for column in _COLUMNS]
        if not len(own[0]) or len({len(column) for column in own}) > 1:
            raise ValueError(f"its columns of {against} do not fit each other")
    return held


def _load_any(path: Path) -> dict[str, NDArray[Any]]:
    """Load an archive of arrays as it lies; a packed one could become larger than memory."""
    with zipfile.ZipFile(path) as archive:
        if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
            raise ValueError(f"{path.name} is packed")
    with np.load(path, allow_pickle=False) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{strange[0]!r} of {path.name} is no array")
    return arrays


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an archive as `np.savez` does, whose arguments a type checker takes for its own."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
