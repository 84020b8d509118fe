"""What only a process of its own can show: what is imported, what a pipe sees, and that standard error stays clean."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ["numpy", "duckdb", "dspy", "openai", "rich", "sklearn", "scipy", "pydantic", "tantivy"]


def python(*args: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(str(arg) for arg in args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.mark.parametrize(
    "what", ["import labelmill", "from labelmill.cli import main; sys.argv = ['labelmill', '--help']; main()"]
)
def test_nothing_heavy_is_imported_for_nothing(what):
    """By the package, and by the help of the command line."""
    code = f"""
import sys
try:
    {what}
except SystemExit as ended:
    assert not ended.code
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_reader_that_leaves_is_no_error(runs, recipes):
    """`labelmill eval … | head -1` ends without a complaint."""
    command = (
        f"set -o pipefail; '{sys.executable}' -m labelmill eval '{runs}' --gold '{recipes}' --resamples 20 | (exit 0)"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_whole_command_says_what_it_should_and_no_more(recipes, tags, tmp_path):
    """No library logs, warns or reports at the end; a home folder that cannot be written is no obstacle."""
    environment = {**os.environ, "HOME": "/proc/nowhere", "LABELMILL_CACHE": str(tmp_path / "cache")}
    options = ["--taxonomy", tags, "--out", tmp_path / "r.duckdb", "--embedder", "wordllama", "--run", "r"]
    done = python("-W", "error::ResourceWarning", "-m", "labelmill", "label", recipes, *options, env=environment)
    assert (done.returncode, done.stdout) == (0, "")
    told = [line for line in done.stderr.splitlines() if " of " not in line]
    assert [line.split(":")[0].split(" in ")[0] for line in told] == ["No language model", "Run r", "Done", "Next"]


def test_an_error_of_a_whole_command_is_one_line(tmp_path, tags):
    """As seen by a shell, the end of the interpreter included."""
    (tmp_path / "r.duckdb").write_text("no database", encoding="utf-8")
    done = python("-m", "labelmill", "runs", tmp_path / "r.duckdb")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"labelmill: {tmp_path / 'r.duckdb'} is not a DuckDB file.")
