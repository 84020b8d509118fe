"""The embedder behind a server, against vLLM. It comes last: the chat server is ended for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
from numpy.typing import NDArray
from servers import label
from vllm_host import EMBEDDINGS, MODEL, VllmHost
from wording import TEXT, text

from labelmill.models.embedders import load_embedder

pytestmark = [pytest.mark.vllm, pytest.mark.models]

SAME = 1e-4
"""Of a cosine: what is computed beside a text changes the last digits of its vector."""


@pytest.fixture
def name(vllm: VllmHost) -> str:
    """What ``--embedder`` is given."""
    return f"{MODEL}@{vllm.serve(EMBEDDINGS)}"


@pytest.fixture
def embed(name: str) -> Iterator[Callable[[list[str]], NDArray[np.float32]]]:
    """Embeds texts."""
    with closing(load_embedder(name)) as embedder:
        yield embedder.embed


def test_vectors_have_one_shape_and_length_1(embed):
    """One row a text, in order, however many requests it takes; hard texts among them."""
    texts = [text(number) for number in range(70)] + ["", " ", "豆 „Käse“\n\x00", "word " * 2000]
    vectors = embed(texts)
    assert vectors.shape == (len(texts), 576)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_equal_texts_have_equal_vectors(embed):
    """Alone or in a batch; and other texts have others."""
    together = embed([TEXT, text(1), TEXT, text(2)])
    (alone,) = embed([TEXT])
    assert together[0] @ together[2] == pytest.approx(1, abs=SAME)
    assert together[0] @ alone == pytest.approx(1, abs=SAME)
    assert together[0] @ together[1] < 1 - 10 * SAME


def test_no_text_gives_the_shape_all_the_same(embed):
    """Zero rows as long as any other."""
    assert embed([]).shape == (0, 576)


def test_a_run_retrieves_with_it(name, tmp_path):
    """`labelmill label` with the server as its embedder, without a language model."""
    run = label(tmp_path, {"a": TEXT, "b": text(1)}, "--embedder", name)
    assert (run.code, run.summary["documents"], run.summary["failures"]) == (0, 2, 0)
    ((program,),) = run.rows("SELECT program FROM runs")
    assert json.loads(program)["embedders"] == [name]
    counted = run.rows("SELECT document, count(*) FROM predictions GROUP BY ALL ORDER BY ALL")
    assert counted == [("a", 10), ("b", 10)]
