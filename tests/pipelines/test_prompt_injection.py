"""Documents that give orders, and a model that obeys them: no label outside the candidates, and every document ends."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import pytest
from hostile_texts import HOSTILE, LOOPS, OBEYED
from small_world import NAMES

from labelmill import Labeler, Taxonomy
from labelmill.models.client import Completion
from labelmill.store import Store
from toy_embedder import HashedGrams

LISTED = 4
CANDIDATES = 8

NEXT_TOKENS = [
    [{}],
    [{"rob": -0.01, "bank": -5.0}],
    [{"yes": -0.1, "no": -3.0}, {"<|im_end|>": 0.0}, {"YES": 0.0, " yes": 0.0}],
    [{"Yes": -800.0, "No": -900.0}, {"no": 0.0}],
]


class ObedientModel:
    """A `ChatModel` that writes what the document orders, whatever it was asked.

    Args:
        obeyed: What it writes, in turn.
        truncated: Whether its answers end at their maximum length.
        next_tokens: What it wants to write first, in turn.
    """

    def __init__(
        self, obeyed: list[str], *, truncated: bool = False, next_tokens: Sequence[Mapping[str, float]] = ({},)
    ) -> None:
        self.model = self.identity = "obedient"
        self.bodies: list[dict] = []
        self._obeyed = itertools.cycle(obeyed)
        self._truncated = truncated
        self._next_tokens = itertools.cycle(next_tokens)

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        self.bodies.append(orjson.loads(body))
        return Completion(next(self._obeyed), 10, 4, 2, truncated=self._truncated, next_token=next(self._next_tokens))


def label(lm: ObedientModel | str, folder: Path, texts: list[str], **settings) -> Path:
    """Label texts, named by their place, into a file."""
    corpus = folder / "docs.jsonl"
    # With escapes, since half a character can be written in no other way.
    rows = [json.dumps({"id": f"h{n}", "text": text}) for n, text in enumerate(texts)]
    corpus.write_text("\n".join(rows), encoding="utf-8")
    out = folder / "runs.duckdb"
    usual = {"infer": "lm", "rank": "listwise", "candidates": CANDIDATES, "listed": LISTED, "top_k": 3}
    embedders = {"embedders": [HashedGrams()]}
    with Labeler(Taxonomy.from_names(NAMES), lm=lm, **embedders, **usual | settings) as labeler:
        labeler.label_corpus([corpus], out, run="r")
    return out


def assert_held(out: Path, documents: int) -> int:
    """See that all documents ended once and nothing foreign was predicted; return how many are done."""
    with Store(out) as store:
        query = store.connection.execute
        done, failed = (
            [row[0] for row in query(f"SELECT document FROM {table}").fetchall()] for table in ("documents", "failures")
        )
        assert sorted(done + failed) == sorted(f"h{n}" for n in range(documents))
        reasons = query("SELECT stage, kind, message FROM failures").fetchall()
        assert all(stage and kind and message and "\n" not in message for stage, kind, message in reasons)
        predictions = query("SELECT document, label, rank, score, selected, retrieval_rank FROM predictions").fetchall()
    assert {row[0] for row in predictions} <= set(done)
    assert {row[1] for row in predictions} <= set(NAMES)
    assert len({row[:2] for row in predictions}) == len({(row[0], row[2]) for row in predictions}) == len(predictions)
    assert all(math.isfinite(row[3]) and row[2] <= CANDIDATES for row in predictions)
    assert all(row[5] <= LISTED for row in predictions if row[4]), "a label was selected that was not shown"
    return len(done)


def test_there_are_fifty():
    """Each its own."""
    assert len(set(HOSTILE)) == len(HOSTILE) == 50


@pytest.mark.parametrize(("infer", "truncated"), [("lm", False), ("lm", True), ("both", False), ("windows", False)])
def test_a_model_that_obeys_the_document_names_no_label_of_its_own(tmp_path, infer, truncated):
    """Whatever it writes, for Infer and for Rank: predictions are candidates, or the document failed with a reason."""
    model = ObedientModel(OBEYED, truncated=truncated)
    out = label(model, tmp_path, HOSTILE, infer=infer)
    assert 0 < assert_held(out, len(HOSTILE)) < len(HOSTILE)


@pytest.mark.parametrize("next_tokens", NEXT_TOKENS, ids=str)
def test_pointwise_probabilities_are_of_candidates_alone(tmp_path, next_tokens):
    """Whatever token the model wants to write: none is a label."""
    out = label(
        ObedientModel(["yes"], next_tokens=next_tokens), tmp_path, HOSTILE[::5], infer="windows", rank="pointwise"
    )
    assert_held(out, len(HOSTILE[::5]))


@pytest.mark.parametrize("truncated", [False, True])
def test_a_model_that_is_shown_all_labels_names_no_other(tmp_path, truncated):
    """Whatever it writes: every label that it adds to the candidates is one of the taxonomy, and is there once."""
    model = ObedientModel(OBEYED, truncated=truncated)
    out = label(model, tmp_path, HOSTILE, infer="windows", rank="whole", candidates=3)
    with Store(out) as store:
        found = store.connection.execute("SELECT document, label, rank FROM predictions").fetchall()
        (failed,) = store.first("SELECT count(*) FROM failures")
    assert {row[1] for row in found} <= set(NAMES)
    assert len({row[:2] for row in found}) == len({(row[0], row[2]) for row in found}) == len(found)
    assert 0 < len({row[0] for row in found}) == len(HOSTILE) - failed


@pytest.mark.parametrize("infer", ["lm", "windows"])
def test_a_model_that_cannot_stop_opening_brackets_is_harmless(tmp_path, infer):
    """Its answer is a failure of its document, not of the run."""
    out = label(ObedientModel([LOOPS]), tmp_path, HOSTILE[:1], infer=infer)
    assert assert_held(out, 1) == 0


@pytest.mark.parametrize("rank", ["listwise", "whole"])
def test_no_document_gets_out_of_its_place_in_the_prompt(tmp_path, rank):
    """However it closes fields, messages and JSON: it stands within the last message, and the schema stays as it is."""
    plain, hostile = ObedientModel(['{"chosen": [1]}']), ObedientModel(['{"chosen": [1]}'])
    (tmp_path / "plain").mkdir()
    label(plain, tmp_path / "plain", ["Anna bakes bread."], infer="windows", rank=rank, chunk_characters=8000)
    label(hostile, tmp_path, HOSTILE, infer="windows", rank=rank, chunk_characters=8000)
    assert len(hostile.bodies) == len(HOSTILE)
    (expected,) = plain.bodies
    for body in hostile.bodies:
        assert {**body, "messages": body["messages"][:-1]} == {**expected, "messages": expected["messages"][:-1]}
        assert body["messages"][-1]["role"] == "user"
        assert body["messages"][-1]["content"].startswith("[[ ## text ## ]]\n")


@pytest.mark.slow
@pytest.mark.models
def test_a_real_model_names_no_label_of_its_own(tmp_path):
    """The embedded one, asked to rank; a document that it fails to answer for is a failure with a reason."""
    out = label("embedded", tmp_path, HOSTILE[::4], infer="windows")
    assert_held(out, len(HOSTILE[::4]))
