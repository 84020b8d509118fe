"""``labelmill serve``: a model server that labelling finds all it wants at, or a look at one that runs."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, duration, put, put_json, put_table, say

if TYPE_CHECKING:
    from labelmill.models.capabilities import Capabilities
    from labelmill.models.serving import Launch

_WIDTH = 100
"""Columns of a progress line where there is no terminal."""


def serve(
    model: Annotated[str | None, typer.Argument(help="A model's name, or the folder with its files.")] = None,
    flags: Annotated[list[str] | None, typer.Argument(help="After --: flags of vLLM's, which win over ours.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen, on 127.0.0.1; 0 for any port.")] = 8000,
    name: Annotated[str | None, typer.Option(help="What clients call the model. Default: the folder's name.")] = None,
    embeddings: Annotated[bool, typer.Option("--embeddings", help="Serve an embedder, not a language model.")] = False,
    python: Annotated[Path | None, typer.Option(help="The Python of an environment that has vLLM.")] = None,
    log: Annotated[Path | None, typer.Option(help="File for vLLM's output. Default: a new one, which is told.")] = None,
    check: Annotated[
        str | None, typer.Option(metavar="URL", help="Only look what a running server can do: URL or MODEL@URL.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Serve a model with vLLM for labelling, until Ctrl-C; or tell what a running server can do.

    Once the server answers, the value for --lm (with --embeddings, for --embedder) is printed.

    Example: labelmill serve Qwen/Qwen3-4B --port 8001 -- --max-model-len 8192
    """
    if check is not None:
        _check(check, as_json=as_json)
        return
    if model is None:
        raise typer.BadParameter("Name a MODEL to serve, or a server with --check URL.")
    from labelmill.models.serving import find_vllm, prepare
    from labelmill.models.serving import serve as run

    installation = find_vllm(python)
    launch = prepare(installation, model, port=port, name=name, embeddings=embeddings, flags=flags or (), log=log)
    build = "for CPUs" if installation.cpu else "for GPUs"
    say(f"Starting vLLM {installation.version or '(unknown version)'} {build}; its log: {launch.log}")
    shown = Progress()

    def starting(seconds: float, line: str) -> None:
        width = shutil.get_terminal_size((_WIDTH, 0)).columns - 1
        shown.show(f"starting {duration(seconds)}: {line}"[:width])

    def ready(launch: Launch) -> None:
        shown.end()
        _tell(launch, as_json=as_json)

    def stopping(seconds: float) -> None:
        shown.end()
        with suppress(OSError):  # Ctrl-C has ended also who read this, as in `labelmill serve … |& tee FILE`
            say(f"vLLM ends; it waits for open requests, {seconds:g} s at most. A second Ctrl-C ends them at once.")

    try:
        ending = run(launch, starting=starting, ready=ready, stopping=stopping)
    finally:
        shown.end()
    with suppress(OSError):
        say(ending.why or "vLLM has ended.")
    raise typer.Exit(ending.code)


def _tell(launch: Launch, *, as_json: bool) -> None:
    """Print what to give to other commands."""
    option = "embedder" if launch.embeddings else "lm"
    if launch.exposed:
        say("Other machines can reach this server. Anybody there can use it, but for an --api-key.")
    if launch.secrets:
        say("Clients take the server's key from OPENAI_API_KEY.")
    say(f"Ready, until Ctrl-C. Next: labelmill label DOCS -t TAXONOMY -o RUNS --{option} {launch.spec}")
    if as_json:
        put_json({option: launch.spec, "url": launch.url, "model": launch.model, "log": str(launch.log)})
    else:
        put(launch.spec)


def _check(text: str, *, as_json: bool) -> None:
    import asyncio
    from dataclasses import asdict

    from labelmill.errors import InputError
    from labelmill.models.capabilities import examine
    from labelmill.models.spec import ModelSpec

    spec = ModelSpec.parse(text)
    if spec.kind != "server":
        raise InputError(f"{text!r} is no server", remedy="Give its URL, such as http://127.0.0.1:8000/v1.")
    found = asyncio.run(examine(spec.url, spec.model))
    if as_json:
        uses = {"pointwise": found.pointwise, "hit_rate": found.hit_rate, "shortcomings": found.shortcomings}
        put_json(asdict(found) | uses)
    else:
        _show(found)
    if not (found.chat or found.embedding_size):
        raise typer.Exit(1)


def _show(found: Capabilities) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from labelmill.models.capabilities import describe

    table = Table("what", "at this server", box=box.SIMPLE)
    for what, how in describe(found):
        table.add_row(what, Text(how))  # as it is: a server's words are no markup
    put_table(table)
    for line in found.shortcomings:
        put(f"- {line}")
