"""What a server's URL says before anything is sent."""

from __future__ import annotations

import pytest

from labelmill.models.address import is_this_machine


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost", "LOCALHOST", "localhost.", "a.localhost"]
)
def test_this_machine(host):
    """Every address and name of the loopback interface, with and without a port."""
    assert is_this_machine(f"http://{host}/v1")
    assert is_this_machine(f"https://{host}:8000/v1")


@pytest.mark.parametrize("host", ["128.0.0.1", "10.0.0.1", "[::2]", "localhost.example", "127.0.0.1.example"])
def test_other_machines(host):
    """A name that only begins like one of this machine is another's."""
    assert not is_this_machine(f"http://{host}:8000/v1")
