"""What is printed cannot steer a terminal, whatever documents, labels, voters and files are called."""

from __future__ import annotations

import json

import pytest
from rich.table import Column, Table
from rich.text import Text

from labelmill.cli.console import Progress, fail, harmless, put, put_json, put_table, say
from scripted import write_jsonl

HOSTILE = "\x1b]0;owned\x07 \x1b[2Ka\rb\x08\x7f\x9b31m\u202egpj.exe\u2066\u2028\udcff"
STEERING = set("\x1b\x07\r\x08\x7f\x9b\u202e\u2066\u2028\udcff")


def table(*cells: object) -> None:
    """Print a table of one row."""
    made = Table(*(Column(Text(HOSTILE)) for _ in cells), title=HOSTILE)
    made.add_row(*cells)
    put_table(made)


@pytest.mark.parametrize(
    "shown",
    [say, fail, put, put_json, lambda text: table(Text(text), text), Progress().show],
    ids=["say", "fail", "put", "put_json", "put_table", "progress"],
)
def test_nothing_steers_the_terminal(capsys, shown):
    shown(HOSTILE)
    printed = "".join(capsys.readouterr())
    assert not STEERING & set(printed)
    assert "owned" in printed
    assert "\\u001b" in printed


def test_json_is_the_same_value(capsys):
    """An escape there is what it was before."""
    put_json({"name": HOSTILE})
    assert json.loads(capsys.readouterr().out) == {"name": HOSTILE}


def test_tabs_line_breaks_and_scripts_stay():
    text = "a\tb\n  naïve שלום \u200f مرحبا क्\u200dष 👩\u200d🍳"
    assert harmless(text) == text


def test_names_of_labels_documents_and_files_are_shown_harmless(cli, label, tmp_path):
    """As commands print them: tables, trees, notes, errors."""
    bad = "\x1b[31mred\u202e"
    taxonomy = write_jsonl(tmp_path / "labels.jsonl", [{"id": bad, "name": bad}, {"id": "b", "name": "bread"}])
    docs = write_jsonl(tmp_path / "docs.jsonl", [{"id": bad, "text": f"{bad} bread", "labels": ["b"]}])
    runs = tmp_path / "runs.duckdb"
    done = [
        label(docs, "--taxonomy", taxonomy),
        cli("eval", runs, "--gold", docs, "--suspects", 2),
        cli("eval", runs, "--gold", docs, "--ledger"),
        cli("next", runs),
        cli("taxonomy", "show", taxonomy, "red"),
        cli("eval", runs, "--gold", tmp_path / f"{bad}.jsonl"),
    ]
    printed = "".join(each.out + each.err for each in done)
    assert "\\u001b[31mred" in printed
    assert not STEERING & set(printed)
