"""One server of each kind for all tests, started by the first that needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import servers
from servers import Server, vllm_python
from vllm_host import VllmHost, vllm_host


@pytest.fixture(scope="session")
def vllm() -> Iterator[VllmHost]:
    """The place where vLLM runs, if it is installed."""
    with vllm_host(vllm_python()) as host:
        yield host


@pytest.fixture(scope="session")
def scripted() -> Iterator[Server]:
    """The server with rules."""
    with servers.scripted() as server:
        yield server


@pytest.fixture(scope="session")
def words() -> Iterator[Server]:
    """The server with rules for yes and no."""
    with servers.words() as server:
        yield server


@pytest.fixture(scope="session")
def embedded() -> Iterator[Server]:
    """The embedded server."""
    with servers.embedded() as server:
        yield server


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The server of the test's kind; see `servers.on`."""
    found = request.getfixturevalue(request.param)
    return servers.vllm(found) if isinstance(found, VllmHost) else found
