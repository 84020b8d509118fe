"""The application: its commands and its exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Annotated, NoReturn

import typer

from labelmill.cli import (
    compare,
    distill,
    evaluation,
    exchange,
    label,
    models,
    plan,
    report,
    serve,
    status,
    taxonomy,
    tune,
    votes,
)
from labelmill.cli.console import fail
from labelmill.cli.next import next_

app = typer.Typer(
    name="labelmill",
    help="Label a corpus against any taxonomy, from fifty tags to a million, with a language model that you host.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 error in use or data, 2 usage, 3 finished with failed documents, 130 interrupted.",
)
app.command("label")(label.label)
app.command("tune")(tune.tune)
app.command("distill")(distill.distill)
app.command("plan")(plan.plan)
app.command("serve")(serve.serve)
app.command("eval")(evaluation.evaluate)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("next")(next_)
app.command("export")(exchange.export)
app.command("import")(exchange.import_)
app.command("runs")(evaluation.runs)
app.command("status")(status.status)
app.add_typer(taxonomy.app, name="taxonomy")
app.add_typer(models.app, name="models")
app.add_typer(votes.app, name="votes")


def _version(value: bool) -> None:
    if value:
        from labelmill import __version__

        typer.echo(f"labelmill {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _stop(_signal: int, frame: FrameType | None) -> None:
    """Take a service manager's stop for Ctrl-C.

    While a run is on, asyncio handles Ctrl-C by cancelling it; an exception raised here instead would end up in
    whatever task is just awake.
    """
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)


def run() -> NoReturn:
    """Run the application and exit with its code; an expected error is one line, never a traceback."""
    from labelmill.errors import LabelmillError

    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except LabelmillError as error:
        fail(str(error))
        _leave(1)
    except KeyboardInterrupt:
        fail("interrupted")
        _leave(130)
    except SystemExit as end:
        _leave(end.code)
    _leave(0)


def _leave(code: str | int | None) -> NoReturn:
    """Exit, at once where a thread still waits for documents from a pipe.

    It cannot be ended, and all that it holds would be reported as leaked. What a command opened is closed by now.
    """
    if isinstance(code, int) and threading.active_count() > 1 and _is_reading():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _is_reading() -> bool:
    from labelmill.pipelines.feeding import READER

    return any(thread.name == READER for thread in threading.enumerate())
