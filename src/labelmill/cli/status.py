"""``labelmill status``: how far a run is, asked from another process than the one that labels."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.console import duration, put, put_json
from labelmill.errors import StoreError

if TYPE_CHECKING:
    from labelmill.store import RunSummary
    from labelmill.store.heartbeat import Pulse

_SILENT_SECONDS = 15.0
"""Without a sign of life, after which a person is told of it; a run gives one every second."""

_CLOSING_SECONDS = 5.0
"""That a run may take to close its file after its last sign of life."""


def status(
    runs_file: options.RunsFile,
    watch: Annotated[bool, typer.Option("--watch", help="Say it again every few seconds until the run ends.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="Between two looks of --watch.")] = 2.0,
    as_json: options.Json = False,
) -> None:
    """Tell how far the run is that is being written: documents, time to go, tokens, servers.

    Where none is being written, tell how the last one ended. With --watch, --json prints one object a line.

    Example: labelmill status runs.duckdb --watch
    """
    while True:
        pulse, summary = _look(runs_file)
        if as_json:
            value = _plain(runs_file, pulse, summary)
            put(json.dumps(value, ensure_ascii=False)) if watch else put_json(value)
        else:
            for line in _of_summary(summary, pulse, runs_file) if summary else _of_pulse(pulse):
                put(line)
        if summary or not watch:
            return
        time.sleep(seconds)


def _look(path: Path) -> tuple[Pulse | None, RunSummary | None]:
    """Read the sign of life of the run that is being written, and where there is none, the last run's summary."""
    from labelmill.store import Store
    from labelmill.store.heartbeat import read_heartbeat
    from labelmill.store.reader import last_run, run_names
    from labelmill.store.summary import summarise

    until = time.monotonic() + _CLOSING_SECONDS
    while True:
        pulse = read_heartbeat(path)
        if pulse and pulse.alive:
            return pulse, None
        try:
            with Store(path) as store:
                known = pulse is not None and pulse.run in run_names(store)
                return pulse, summarise(store, pulse.run if pulse and known else last_run(store))
        except StoreError as error:
            # A run gives its first sign of life a moment after it opened the file, and its last a moment before it
            # closes it.
            if not (holder := re.search(r" is in use by (process \d+|another process)", str(error))):
                raise
            if time.monotonic() > until:
                raise StoreError(
                    f"{path} is in use by {holder.group(1)}, which writes no run: votes, for one. "
                    "It says itself how far it is; wait until it ends."
                ) from None
        time.sleep(0.2)


def _plain(path: Path, pulse: Pulse | None, summary: RunSummary | None) -> dict[str, Any]:
    value: dict[str, Any] = {"file": str(path), "writing": summary is None}
    if summary:
        return value | summary.as_dict()
    return value | {"age_seconds": round(pulse.age_seconds, 1), **pulse.values} if pulse else value


def _of_pulse(pulse: Pulse | None) -> Iterator[str]:
    if pulse is None:
        return
    get = pulse.values.get
    finished, total = get("done", 0) + get("failed", 0) + get("skipped", 0), get("total")
    share = f" of {total:,} ({finished / total:.1%})" if total else ""
    yield (
        f"Run {pulse.run}: {pulse.state}, {finished:,}{share} documents, {get('documents_per_second', 0):,.1f}/s, "
        f"{get('failed', 0):,} failed now, {duration(get('eta_seconds'))} to go"
    )
    if get("requests"):
        yield (
            f"  {get('requests'):,} requests now, {_tokens(get('prompt_tokens', 0), get('cached_tokens', 0))}, "
            f"{get('completion_tokens', 0):,} written, {get('tokens_per_second', 0):,.0f} tokens/s; "
            f"{get('reused', 0):,} answers used again"
        )
    for server in get("servers") or ():
        yield f"  {server['url']}: {server['state']}, {server['in_flight']:,} of {server['limit']:,} in flight"
    if get("message"):
        yield f"  {get('message')}"
    if pulse.age_seconds > _SILENT_SECONDS:
        yield f"  no sign of life for {duration(pulse.age_seconds)}, though process {get('pid')} is there"


def _of_summary(summary: RunSummary, pulse: Pulse | None, path: Path) -> Iterator[str]:
    when = summary.updated.astimezone().strftime("%Y-%m-%d %H:%M")
    yield (
        f"Run {summary.run}: {summary.state}, {summary.documents:,} documents done, {summary.failures:,} failed, "
        f"{duration(summary.seconds)} at work, last written {when}"
    )
    if summary.requests:
        yield (
            f"  {summary.requests:,} requests, {_tokens(summary.prompt_tokens, summary.cached_tokens)}, "
            f"{summary.completion_tokens:,} written; {summary.calls:,} answers went in"
        )
    if summary.state == "killed":
        who = f"Process {pulse.values.get('pid')}" if pulse else "The process that wrote it"
        yield f"  {who} is gone. What was committed is in {path}: run the same command again to go on."
    elif summary.state == "interrupted":
        yield "  Run the same command again to go on."
    elif summary.state == "budget":
        yield "  Run the same command with a larger budget to go on."


def _tokens(read: int, cached: int) -> str:
    return f"{read:,} tokens read" + (f" ({cached / read:.0%} cached)" if cached else "")
