"""``labelmill report``: what it writes, what it leaves alone, and what it says."""

from __future__ import annotations

import json

import pytest


def test_a_page_is_written_and_said(cli, runs, recipes, tmp_path):
    """A page of an earlier report gives way."""
    out = tmp_path / "report.html"
    for _ in range(2):
        shown = cli("report", runs, "--gold", recipes, "--out", out, "--resamples", 20)
        assert shown.code == 0, shown.err
        assert shown.out == ""
        assert "over 12 documents" in shown.err
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("<article>") == 9
    assert [path.name for path in tmp_path.iterdir() if "report" in path.name] == ["report.html"]


def test_json_says_where_and_how_many(cli, runs, recipes, tmp_path):
    out = tmp_path / "report.html"
    shown = cli("report", runs, "--gold", recipes, "--out", out, "--resamples", 20, "--examples", 1, "--json")
    assert json.loads(shown.out) == {"out": str(out), "documents": 12}
    assert shown.err == ""
    assert out.read_text(encoding="utf-8").count("<article>") == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("runs.duckdb", "unknown format '.duckdb'. Use .html."),
        ("notes.html", "is there and is no HTML page. Name another file, or remove this one."),
        ("folder.html", "cannot write"),
        ("nosuch/report.html", "does not exist. Create it first."),
    ],
)
def test_what_is_no_page_is_left_alone(cli, runs, recipes, tmp_path, name, message):
    """Before anything is computed, in one line."""
    (tmp_path / "notes.html").write_text("dear diary", encoding="utf-8")
    (tmp_path / "folder.html").mkdir()
    before = runs.read_bytes()
    shown = cli("report", runs, "--gold", recipes, "--out", tmp_path / name)
    assert (shown.code, shown.out) == (1, "")
    (line,) = shown.err.splitlines()
    assert message in line
    assert runs.read_bytes() == before
    assert (tmp_path / "notes.html").read_text(encoding="utf-8") == "dear diary"
