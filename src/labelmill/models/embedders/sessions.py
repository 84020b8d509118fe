"""ONNX Runtime sessions as the embedders here open them: on the CPU, a few threads, quiet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from labelmill.errors import ArtifactError, MissingExtraError

_MOST_THREADS = 8
"""The products of small models are too short to share among more."""


def open_session(model: Path | bytes, what: str, *, threads: int = 0, custom_operators: bool = False) -> Any:
    """Open an `onnxruntime.InferenceSession`.

    Args:
        model: A file, or a serialised model.
        what: Who needs it, for messages: ``the embedder 'minilm'``.
        threads: How many share one call; 0 for the cores that there are.
        custom_operators: Whether the graph uses the operators of onnxruntime-extensions.

    Raises:
        MissingExtraError: ONNX Runtime or its extensions are not installed.
        ArtifactError: ONNX Runtime cannot load the model.
    """
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if custom_operators:
            from onnxruntime_extensions import get_library_path

            options.register_custom_ops_library(get_library_path())
    except ImportError as error:
        raise MissingExtraError(what, "local") from error
    options.intra_op_num_threads = threads or min(available_cores(), _MOST_THREADS)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; a warning for every constant that an optimisation made needless is no news
    try:
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no public base class
        place = "from memory" if isinstance(model, bytes) else str(model)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{what}: ONNX Runtime cannot load the model ({place}): {reason}"
        raise ArtifactError(f"{message}. Delete its folder, so that it is fetched again") from error


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 2


def runtime_version() -> str:
    """Name ONNX Runtime's version as far as it can matter to a vector; without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return "ort" + ".".join(version("onnxruntime").split(".")[:2])
    except PackageNotFoundError:
        return "ort-none"
