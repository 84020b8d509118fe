"""Every file that labelmill can fetch: embedders, the small language model, a taxonomy to try things with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from labelmill.artifacts import ARTIFACTS, Artifact, Progress, fetch, status
from labelmill.errors import InputError

_KINDS = MappingProxyType(
    {
        "minilm": "embedder",
        "use": "embedder",
        "smollm2": "language model",
        "esco": "taxonomy",
    }
)
_ARTIFACT_NAMES = MappingProxyType({"use": "use-multilingual"})
"""Where the user's name for a model is not its artifact's."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """Something that can be fetched.

    Attributes:
        name: What `fetch_model` takes, and for an embedder what `load_embedder` takes.
        kind: ``embedder``, ``language model`` or ``taxonomy``.
        description: What it is, in one line.
        license: An SPDX expression.
        download_bytes: Size of the download.
        cached: Whether its files are here.
        disk_bytes: What they take on the disk now.
        folder: Where they are, or would be.
    """

    name: str
    kind: str
    description: str
    license: str
    download_bytes: int
    cached: bool
    disk_bytes: int
    folder: Path


def list_models() -> list[CatalogEntry]:
    """List what can be fetched, and what of it is here."""
    return [_entry(name) for name in _KINDS]


def fetch_model(name: str, progress: Progress | None = None) -> Path:
    """Bring a model's files here and make from them what is made once, so that later runs need no network.

    Args:
        name: One of the names of `list_models`.
        progress: Called while the download is on its way.

    Raises:
        InputError: There is no such name.
        ArtifactError: It cannot be fetched.
        MissingExtraError: For ``minilm``, the extra ``local`` is not installed.
    """
    if name == "minilm":
        from labelmill.models.embedders.minilm import build_minilm

        return build_minilm(progress=progress).parent
    return fetch(_artifact(name), progress=progress)


def _entry(name: str) -> CatalogEntry:
    artifact = _artifact(name)
    here = status(artifact)
    return CatalogEntry(
        name=name,
        kind=_KINDS[name],
        description=artifact.description,
        license=artifact.license,
        download_bytes=artifact.size_bytes,
        cached=here.cached,
        disk_bytes=here.size_bytes,
        folder=here.folder,
    )


def _artifact(name: str) -> Artifact:
    if name not in _KINDS:
        raise InputError(f"no model {name!r} can be fetched", remedy=f"Choose one of: {', '.join(_KINDS)}.")
    return ARTIFACTS[_ARTIFACT_NAMES.get(name, name)]
