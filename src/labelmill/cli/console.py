"""What all commands print with: results on standard output, everything for people only on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from labelmill.pipelines.preview import Preview
    from labelmill.pipelines.progress import RunProgress

_SECONDS_BETWEEN_LINES = 10.0

_KEPT = "\t\n"
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_BIDIRECTIONAL = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_HALVES = range(0xD800, 0xE000)
"""Of surrogate pairs: what stands for bytes of a file's name that are no text, and cannot be printed at all."""

_SHOWN = {each: f"\\u{each:04x}" for each in (*_CONTROLS, *_BIDIRECTIONAL, *_HALVES) if chr(each) not in _KEPT}


def harmless(text: str) -> str:
    """Show what would steer a terminal or reorder a line as an escape of JSON, which stays the same value.

    Documents, taxonomies, names of files and what models answer are not trusted. Tabs and line breaks stay.
    """
    return text.translate(_SHOWN)


def say(line: str) -> None:
    """Tell a person something, on standard error."""
    print(harmless(line), file=sys.stderr, flush=True)


def fail(line: str) -> None:
    """Tell a person what went wrong, in one line."""
    say(f"labelmill: {' '.join(line.split())}")


def put(line: str) -> None:
    """Print a line of a result; a reader that has left, as in ``labelmill … | head``, ends the program quietly."""
    _print(harmless(line))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is flushed at exit goes there
        raise SystemExit(0) from None


def put_json(value: Any) -> None:
    """Print a result for a program."""
    put(json.dumps(value, ensure_ascii=False, indent=2))


def put_table(table: Table) -> None:
    """Print a result for a person."""
    from rich.console import Console

    # Elsewhere than on a terminal nothing is cut: a name in it may be wanted for the next command.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
    table.title = _harmless_cell(table.title)
    table.columns = [
        replace(column, header=_harmless_cell(column.header), _cells=[_harmless_cell(each) for each in column.cells])
        for column in table.columns
    ]
    with console.capture() as shown:
        console.print(table)
    _print(shown.get().rstrip("\n"))  # with the styles of a terminal, which are ours


def _harmless_cell(cell: Any) -> Any:
    from rich.text import Text

    if isinstance(cell, Text) and (plain := harmless(cell.plain)) != cell.plain:
        return Text(plain, cell.style)
    return harmless(cell) if isinstance(cell, str) else cell


def counted(count: int, what: str, several: str = "") -> str:
    """Write ``1 label`` or ``2 labels``; what is called otherwise in the plural is named in it."""
    return f"{count:,} {what if count == 1 else several or f'{what}s'}"


def duration(seconds: float | None) -> str:
    """Write seconds as ``1:02:03``; ``-:--`` for unknown."""
    if seconds is None:
        return "-:--"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class Progress:
    """One line on standard error that says how far it is: rewritten on a terminal, repeated now and then elsewhere."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._terminal = sys.stderr.isatty()
        self._last = 0.0
        self._width = 0

    def show(self, line: str, *, last: bool = False) -> None:
        """Show a line; where standard error is no terminal, only every ten seconds and at the end."""
        now = time.monotonic()
        line = harmless(line)
        if self._terminal:
            print(f"\r{line:<{self._width}}", end="\n" if last else "", file=sys.stderr, flush=True)
            self._width = 0 if last else len(line)
        elif last or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            say(line)

    def end(self) -> None:
        """Leave a rewritten line as it stands."""
        if self._terminal and self._width:
            print(file=sys.stderr, flush=True)
            self._width = 0

    @contextmanager
    def until_interrupted(self, then: str) -> Iterator[None]:
        """Leave the line as it stands when the work ends, and after Ctrl-C say what is kept and how to go on."""
        try:
            yield
        except KeyboardInterrupt:
            self.end()
            say(f"Interrupted: {then}")
            raise typer.Exit(130) from None
        finally:
            self.end()

    def building(self, what: str, done: int, total: int) -> None:
        """Show how far an index or a download is."""
        self.show(f"{what}: {done:,} of {total:,}", last=done >= total)

    def fetching(self, what: str, done: int, total: int) -> None:
        """Show how far a download is, in megabytes."""
        self.show(f"fetching {what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", last=done >= total)

    def labelling(self, progress: RunProgress) -> None:
        """Show how far a run is: documents and tokens a second, failures, time to go."""
        finished = progress.done + progress.failed + progress.skipped
        total = f" of {progress.total:,}" if progress.total is not None else ""
        speed = f"{progress.tokens / max(progress.seconds, 1e-9):,.0f} tokens/s"
        tokens = f", {progress.requests:,} requests, {speed}" if progress.requests else ""
        held = f"; {progress.message}" if progress.message else ""
        self.show(
            f"labelled {finished:,}{total} documents, {progress.rate:.1f}/s{tokens}, {progress.failed:,} failed, "
            f"{duration(progress.eta_seconds)} to go{held}"
        )

    def previewing(self, preview: Preview) -> None:
        """Show how far a dry run is."""
        seen = preview.documents + preview.skipped + preview.failed
        self.show(f"looked at {seen:,} documents: {preview.calls:,} questions to ask")
