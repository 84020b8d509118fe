"""``labelmill eval --suspects``: the table, the JSON and the review file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from labelmill.cli.console import counted, put, put_json, put_table, say
from labelmill.cli.written import check_written
from labelmill.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from labelmill.pipelines.gold import GoldCorpus
    from labelmill.pipelines.suspects import Suspect, Suspects

_SUFFIXES = {".jsonl", ".csv"}


def check_review(out: Path | None, inputs: Iterable[Path], *, replace: bool) -> None:
    """Refuse a file for review that cannot be written, or that a reviewer may have filled in.

    Raises:
        InputError: Its suffix is unknown, or as `check_written` has it.
    """
    if out is not None and out.suffix not in _SUFFIXES:
        raise InputError(f"unknown format {out.suffix!r}", path=out, remedy="Use .jsonl or .csv.")
    check_written(out, inputs, replace=replace, why="the verdicts in it are lost.")


def find(runs_file: Path, gold: GoldCorpus, run: str | None, count: int, lm: Sequence[str]) -> Suspects:
    """Find suspects, and have a model judge them where one is given."""
    from labelmill.pipelines.suspects import suspects_of_run

    found = suspects_of_run(runs_file, gold, run=run, count=count)
    if not lm:
        return found
    from labelmill.pipelines.suspect_judge import judge_suspects

    return judge_suspects(runs_file, gold, found, lm)


def show(found: Suspects, *, out: Path | None, as_json: bool) -> None:
    """Print suspects, and write them to a file for review where one is given."""
    for note in found.notes:
        say(f"Note: {note}.")
    if out is not None:
        write([*found.wrong, *found.missing], out)
        say(f"Wrote {counted(len(found.wrong) + len(found.missing), 'suspect')} to {out}.")
    if as_json:
        put_json(found.as_dict())
        return
    put(f"Run {found.run}: {counted(found.gold_labels, 'gold label')} of {counted(found.documents, 'document')}")
    put_table(_table("gold, probably wrong", found.wrong))
    put_table(_table("not gold, probably missing", found.missing))


def write(suspects: Sequence[Suspect], target: Path) -> None:
    """Write one row per suspect, with an empty ``verdict`` for the reviewer; see `check_review`.

    Raises:
        InputError: The file cannot be written.
    """
    from labelmill.pipelines.suspects import Suspect

    rows = [asdict(one) | {"verdict": ""} for one in suspects]
    try:
        with target.open("w", encoding="utf-8", newline="") as file:
            if target.suffix == ".jsonl":
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            else:
                writer = csv.DictWriter(file, [*(field.name for field in fields(Suspect)), "verdict"])
                writer.writeheader()
                writer.writerows(rows)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=target, remedy="Name another file.") from None


def _table(title: str, suspects: Sequence[Suspect]) -> Table:
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    numbers = [Column(name, justify="right") for name in ("score", "usual", "rank")]
    judged = any(one.judged is not None for one in suspects)
    columns = [*numbers, *([Column("judged", justify="right")] if judged else [])]
    table = Table("document", Column("label", no_wrap=False), *columns, "text", box=box.SIMPLE, title=title)
    for one in suspects:
        verdict = ["" if one.judged is None else f"{one.judged:.2f}"] if judged else []
        cells = [f"{one.score:.2f}", f"{one.threshold:.2f}", "" if one.rank is None else str(one.rank), *verdict]
        # Text, because a name or a document may hold what rich takes for markup.
        table.add_row(Text(one.document), Text(f"{one.name} ({one.label})"), *cells, Text(one.excerpt))
    return table
