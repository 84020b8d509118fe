"""How long the package takes to import and the command line to answer: medians of five fresh processes each.

Run it with ``python benchmarks/startup.py``. The aims are 0.3 s for the import and 0.5 s for ``labelmill --help``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from time import perf_counter

RUNS = 5
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import labelmill": [sys.executable, "-c", "import labelmill"],
    "labelmill --help": [sys.executable, "-m", "labelmill", "--help"],
}


def seconds(command: Sequence[str]) -> float:
    """Give the median wall-clock time of a command's fresh processes, the first of which is not counted."""
    times = []
    for _ in range(RUNS + 1):
        start = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    for name, command in COMMANDS.items():
        print(f"{name:<20} {seconds(command):.3f} s")


if __name__ == "__main__":
    main()
