"""A run against a server whose answers are broken in every way that networks know, and that dies twice on the way."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest
from small_world import NAMES, TEXTS

from fault_proxy import RATES, FaultProxy
from labelmill import Labeler, Taxonomy
from labelmill.store import Store
from labelmill.store.summary import summarise
from scripted import write_jsonl
from scripted_server import ScriptedServer
from toy_embedder import HashedGrams

TIMEOUT = 1.0
"""Many times what the scripted server takes, also on a busy machine."""


def write_corpus(path: Path, documents: int) -> Path:
    """Write documents each of which is its own, so that each asks its own questions."""
    rows = [{"id": f"d{n:04}", "text": f"{TEXTS[n % 8]} Note {n}."} for n in range(documents)]
    return write_jsonl(path, rows)


def label(url: str, corpus: Path, out: Path, **options) -> None:
    """Label a corpus with Infer and listwise Rank."""
    settings = {"infer": "lm", "rank": "listwise", "embedders": [HashedGrams()], "candidates": 8, "top_k": 3}
    with Labeler(Taxonomy.from_names(NAMES), lm=f"scripted@{url}", timeout=TIMEOUT, **settings) as labeler:
        labeler.label_corpus([corpus], out, run="r", **options)


def rows(out: Path) -> dict[str, list[tuple]]:
    """What each document that is done was given; it may be nothing."""
    with Store(out) as store:
        found: dict[str, list[tuple]] = {}
        for document, *row in store.connection.execute(
            "SELECT document, label, rank, score, selected, retrieval_rank, evidence FROM documents "
            "LEFT JOIN predictions USING (run, document) ORDER BY document, rank"
        ).fetchall():
            found.setdefault(document, []).append(tuple(row))
    return found


def ids(out: Path, table: str) -> list[str]:
    with Store(out) as store:
        return [row[0] for row in store.connection.execute(f"SELECT document FROM {table} ORDER BY 1").fetchall()]


def restart_at(server: ScriptedServer, proxy: FaultProxy, moments: list[int], over: threading.Event) -> None:
    """Close server and proxy for a moment whenever so many requests have been answered."""
    for moment in moments:
        while server.spent["requests"] < moment:
            if over.wait(0.005):
                return
        proxy.close()
        server.restart(0.7)
        proxy.open()


@contextlib.contextmanager
def restarting(server: ScriptedServer, proxy: FaultProxy, moments: list[int]):
    """Restart while the block runs."""
    over = threading.Event()
    thread = threading.Thread(target=restart_at, args=(server, proxy, moments, over))
    thread.start()
    try:
        yield thread
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("documents", [20, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_broken_network_and_a_server_that_dies_cost_time_and_nothing_else(tmp_path, documents):
    """Every document ends once, with the rows of a faultless run or with a reason; tried again, none is left behind."""
    corpus = write_corpus(tmp_path / "docs.jsonl", documents)
    broken, whole = tmp_path / "broken.duckdb", tmp_path / "whole.duckdb"
    with ScriptedServer() as server, FaultProxy(server.url, seed=20260) as proxy:
        label(server.url, corpus, whole)
        faultless = server.spent["requests"]
        moments = [faultless + faultless * third // 3 for third in (1, 2)]
        with restarting(server, proxy, moments) as restarts:
            label(proxy.url, corpus, broken)
            restarts.join(10)
        done, failed = ids(broken, "documents"), ids(broken, "failures")
        assert not restarts.is_alive()
        assert sorted(done + failed) == [f"d{n:04}" for n in range(documents)]
        expected = rows(whole)
        assert len(expected) == documents
        assert rows(broken) == {document: expected[document] for document in done}
        assert len(failed) <= 0.02 * documents
        with Store(broken) as store:
            assert summarise(store, "r").state == "finished"
            told = store.connection.execute("SELECT stage, kind, message FROM failures").fetchall()
        assert all(stage in {"infer", "rank"} and kind and message for stage, kind, message in told)
        if documents > 100:
            assert set(proxy.injected) == {*RATES, "none"}
        label(server.url, corpus, broken, retry_failed=True)
        assert rows(broken) == expected
        assert ids(broken, "failures") == []
