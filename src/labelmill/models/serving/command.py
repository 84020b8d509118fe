"""The command line and the environment that vLLM is started with; flags that the user gave win over ours."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from labelmill.errors import InputError
from labelmill.models.serving.installation import Installation

_LANGUAGE_MODEL = (
    ("--enable-prefix-caching",),
    ("--enable-prompt-tokens-details",),  # else no answer says how much of its prompt was in the cache
    # Free whitespace lets a model pad a structured answer up to its maximum length.
    ("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}'),
    # The defaults of a model's author, such as a penalty on repeated words, would hold for answers of numbers too.
    ("--generation-config", "vllm"),
)
_EMBEDDER = (("--runner", "pooling"), ("--convert", "embed"))
_GPU = (("--max-num-seqs", "256"),)
_CPU = (
    ("--max-num-seqs", "32"),
    ("--dtype", "float32"),
    ("--max-model-len", "auto"),
    ("--block-size", "32"),
    ("--enforce-eager",),  # compiling needs a C++ compiler and takes minutes
)
_QUIET = MappingProxyType({"VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})
_FEW_CORES = 4
_UNFOLLOWED = ("--uds", "--ssl-keyfile", "--ssl-certfile", "--headless", "--grpc", "--root-path")
_EVERYWHERE = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104 - to tell how to reach it
_SECRETS = ("VLLM_API_KEY", "OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that a start of vLLM depends on.

    Attributes:
        command: The command line.
        environment: The whole environment.
        model: The name to ask the server for.
        host: Where the server can be reached from this machine.
        port: Its port.
        log: The file that takes all that vLLM prints.
        embeddings: Whether it serves an embedder.
        exposed: Whether other machines can reach it.
        secrets: What must not be shown of what vLLM prints.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    model: str
    host: str
    port: int
    log: Path
    embeddings: bool = False
    exposed: bool = False
    secrets: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The server's base URL."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/v1"

    @property
    def spec(self) -> str:
        """What `--lm` or `--embedder` takes."""
        return f"{self.model}@{self.url}"


def prepare(
    installation: Installation,
    model: str,
    *,
    port: int = 8000,
    name: str | None = None,
    embeddings: bool = False,
    flags: Sequence[str] = (),
    log: Path | None = None,
) -> Launch:
    """Decide how vLLM is started.

    Args:
        installation: Which vLLM.
        model: A name that vLLM knows how to fetch, or a folder.
        port: Where to listen; 0 for any that is free.
        name: What clients call the model; by default the folder's name, or `model` itself.
        embeddings: Whether to serve an embedder instead of a language model.
        flags: Further flags of vLLM's. One that is also ours replaces ours.
        log: The file for vLLM's output; it is added to. By default a new one in the user's folder for logs.

    Raises:
        InputError: The model, a flag or the port cannot be used.
    """
    source, usual_name = _model(model)
    _check_flags(flags)
    name = _value(flags, "--served-model-name") or name or usual_name
    host = _value(flags, "--host") or "127.0.0.1"
    port = _free_port(host, _port(_value(flags, "--port"), port))
    ours = [("--host", host), ("--port", str(port)), ("--served-model-name", name), ("--disable-uvicorn-access-log",)]
    ours += [*(_EMBEDDER if embeddings else _LANGUAGE_MODEL), *(_CPU if installation.cpu else _GPU)]
    given = {_plain(flag) for flag in flags if flag.startswith("--")}
    chosen = [word for flag in ours if _plain(flag[0]) not in given for word in flag]
    theirs = list(flags)
    if _value(flags, "--port") == "0":  # vLLM would choose one and not tell
        theirs += ["--port", str(port)]
    return Launch(
        command=(*installation.start, source, *chosen, *theirs),
        environment=_environment(cpu=installation.cpu, local=Path(source).is_absolute()),
        model=name,
        host=_EVERYWHERE.get(host, host),
        port=port,
        log=log or _log_file(name, port),
        embeddings=embeddings,
        exposed=not (host in {"localhost", "::1"} or host.startswith("127.")),
        secrets=_secrets(flags),
    )


def _model(model: str) -> tuple[str, str]:
    """Give what vLLM is told and what the model is called; a folder or file must be there."""
    if not model.strip() or model.startswith("-") or not model.isprintable():
        raise InputError(f"{model!r} names no model", remedy="Name one or give its folder, before the -- of the flags.")
    path = Path(model).expanduser()
    if path.exists():
        if path.is_dir() and not any(path.glob("*.json")):
            raise InputError("the folder holds no model", path=path, remedy="Give one with a config.json.")
        return str(path.resolve()), path.resolve().name
    if model.startswith((".", "/", "~")):
        raise InputError("there is no such folder", path=path, remedy="Give a model's folder or its name.")
    return model, model


def _check_flags(flags: Sequence[str]) -> None:
    if _value(flags, "--model"):
        raise InputError("the model is named twice", remedy="Leave out --model after the --.")
    if flags and not flags[0].startswith("-"):
        raise InputError(f"{flags[0]!r} is no flag", remedy="Give one MODEL, then -- and the flags of vLLM.")
    for flag in _UNFOLLOWED:
        if any(given.startswith("--") and _plain(given) == _plain(flag) for given in flags):
            raise InputError(f"labelmill serve cannot watch a server with {flag}", remedy="Start vLLM by hand.")


def _plain(flag: str) -> str:
    """Reduce a flag to the setting it is about: ``--no-enable-x``, ``--enable_x`` and ``--enable-x=1`` are one."""
    return re.split(r"[=.]", flag, maxsplit=1)[0].replace("_", "-").removeprefix("--").removeprefix("no-")


def _value(flags: Sequence[str], name: str) -> str:
    """Read a flag's value, the last where it is given twice; empty where it is not given."""
    found = ""
    for place, flag in enumerate(flags):
        if flag.startswith("--") and _plain(flag) == _plain(name):
            following = flags[place + 1] if place + 1 < len(flags) else ""
            found = flag.partition("=")[2] or following
    return found


def _port(given: str, usual: int) -> int:
    try:
        return int(given or usual)
    except ValueError:
        raise InputError(f"{given!r} is no port") from None


def _free_port(host: str, port: int) -> int:
    """See that nobody listens there: vLLM would share the port with another vLLM and say nothing."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that has just been left is free
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot listen on {host}:{port}: {reason}", remedy="Choose another --port.") from None


def _environment(*, cpu: bool, local: bool) -> dict[str, str]:
    """Take this process's environment, and say nothing to anybody; what the user has set otherwise holds."""
    ours = {"HF_HUB_OFFLINE": "1"} if local else {}
    if cpu:
        ours["VLLM_CPU_KVCACHE_SPACE"] = "1"  # GiB
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if 0 < len(cores) <= _FEW_CORES:  # left to itself, vLLM would keep one of them free
            ours["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, cores))
    return {**ours, **os.environ, **_QUIET, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def _log_file(name: str, port: int) -> Path:
    from platformdirs import user_log_path

    plain = re.sub(r"[^\w.-]+", "-", name)[-60:]
    stamp = time.strftime("%Y%m%dT%H%M%S")
    return user_log_path("labelmill", appauthor=False) / f"serve-{plain}-{port}-{stamp}.log"


def _secrets(flags: Sequence[str]) -> tuple[str, ...]:
    named = [_value(flags, "--api-key"), _value(flags, "--hf-token")]
    return tuple(secret for secret in [*named, *(os.environ.get(name, "") for name in _SECRETS)] if secret.strip())
