"""The command line: one module per group of commands, each command a thin call of one public function."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the entry point of ``labelmill``."""
    from labelmill.cli.app import run

    run()
