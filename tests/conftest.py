"""What all tests share: a cache of their own for indexes, property tests without deadlines, the development data."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from chat_server import ChatServer, running

ROOT = Path(__file__).parent.parent

# A shell starts what runs in its background with these ignored, and so would every process of the tests.
for _signal in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal is signal.SIGINT else signal.SIG_DFL)

settings.register_profile("labelmill", deadline=None)
settings.load_profile("labelmill")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that starts empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LABELMILL_CACHE", str(folder))
    return folder


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A real OpenAI-compatible server with scripted answers."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data; a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("LABELMILL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}; set LABELMILL_DATA")
    return folder
