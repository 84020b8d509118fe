"""Every command explains itself: help, an example that parses, its place in the README."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from labelmill.cli.app import app

README = Path(__file__).parents[2] / "README.md"


def leaves(command, path: tuple[str, ...] = ()) -> dict[str, object]:
    """List the commands that do something, by their full name."""
    if not hasattr(command, "commands"):
        return {" ".join(path): command}
    return {name: leaf for key, sub in command.commands.items() for name, leaf in leaves(sub, (*path, key)).items()}


COMMANDS = leaves(typer.main.get_command(app))


def test_these_are_the_commands():
    """A command more or less is a decision, not an accident."""
    wanted = {
        "label",
        "tune",
        "plan",
        "serve",
        "eval",
        "compare",
        "report",
        "export",
        "import",
        "runs",
        "status",
        "taxonomy check",
        "taxonomy describe",
        "taxonomy show",
        "taxonomy fetch",
        "taxonomy generate",
        "taxonomy eval",
        "taxonomy diff",
        "taxonomy migrate",
        "taxonomy gaps",
        "models list",
        "models fetch",
        "votes apply",
        "votes import",
        "votes export",
        "votes summary",
        "votes combine",
        "votes remove",
        "next",
        "distill",
    }
    assert set(COMMANDS) == wanted


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_and_an_example_that_parses(name):
    """The first line says what it does; the example is one that a user can type."""
    command = COMMANDS[name]
    assert command.help
    (example,) = re.findall(r"Example: (labelmill .+)", command.help)
    words = shlex.split(example)
    assert words[1 : 1 + len(name.split())] == name.split()
    context = command.make_context(name, words[1 + len(name.split()) :])
    assert context.params


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained(name):
    """No parameter without help, but --help itself."""
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_printed(cli, name):
    """With code 0, on standard output."""
    shown = cli(*name.split(), "--help")
    assert shown.code == 0
    assert shown.out.split(maxsplit=1)[0] == "Usage:"
    assert shown.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_mentions_every_command(name):
    """What is not there does not exist for a reader."""
    assert f"labelmill {name}" in README.read_text(encoding="utf-8")


def test_usage_is_shown_where_nothing_is_asked(cli):
    """For the program and for its groups."""
    for group in ([], ["taxonomy"], ["models"], ["votes"]):
        shown = cli(*group)
        assert "Usage:" in shown.out + shown.err
        assert shown.code in {0, 2}


def test_the_help_of_the_program_names_the_exit_codes(cli):
    """They are part of the interface."""
    shown = cli("--help").out
    for code in ("0 done", "1 error", "2 usage", "3 finished with failed documents", "130 interrupted"):
        assert code in " ".join(shown.split())


def test_the_version_is_that_of_the_package(cli):
    """And nothing else is printed."""
    from labelmill import __version__

    assert cli("--version").out == f"labelmill {__version__}\n"
