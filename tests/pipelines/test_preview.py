"""What a dry run says, against what the run then does."""

from __future__ import annotations

import random

import pytest
from small_world import NAMES, TEXTS

from labelmill import Taxonomy
from labelmill.corpus import Corpus
from labelmill.errors import ModelRejected
from scripted import ScriptedModel, write_jsonl


def agrees(preview, done):
    """The questions that were foretold are those that were asked."""
    return (preview.calls, preview.infer_reused + preview.rank_reused) == (done.calls, done.reused)


def test_before_the_first_run_everything_is_to_be_done(make_labeler, corpus, tmp_path):
    """Nothing is asked and no file is made; Rank's questions are counted though they are not known yet."""
    out, model = tmp_path / "runs.duckdb", ScriptedModel()
    labeler = make_labeler(model, rank="listwise")
    seen = []
    preview = labeler.preview_corpus(Corpus([corpus]), out, on_progress=lambda so_far: seen.append(so_far.documents))
    assert seen == [len(TEXTS)]
    assert (preview.documents, preview.infer_calls, preview.retrieve_runs, preview.rank_calls) == (len(TEXTS),) * 4
    assert (preview.skipped, preview.failed, preview.infer_reused, preview.retrieve_reused) == (0, 0, 0, 0)
    assert not out.exists()
    assert model.requests == []
    assert agrees(preview, labeler.label_corpus([corpus], out))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"top_k": 2}, (8, 0, 8, 0, 8, 0)),
        ({"threshold": 0.3}, (8, 0, 8, 0, 8, 0)),
        ({"listed": 3}, (8, 0, 8, 0, 0, 8)),
        ({"rank": "fusion"}, (8, 0, 8, 0, 0, 0)),
        ({"rank": "pointwise"}, (8, 0, 8, 0, 0, 8)),
        ({"rank": "whole"}, (8, 0, 8, 0, 0, 8)),
        ({"taxonomy": Taxonomy.from_names([*NAMES, "climb rocks"])}, (8, 0, 0, 8, None, None)),
        ({"infer": "windows"}, (0, 0, 0, 8, None, None)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_a_change_costs(make_labeler, corpus, tmp_path, change, expected):
    """A threshold asks nothing, another Rank asks Rank alone, another taxonomy never asks Infer again."""
    out, model = tmp_path / "runs.duckdb", ScriptedModel()
    make_labeler(model, rank="listwise").label_corpus([corpus], out)
    asked = len(model.requests)
    labeler = make_labeler(model, **({"rank": "listwise"} | change))
    preview = labeler.preview_corpus(Corpus([corpus]), out)
    found = [
        preview.infer_reused,
        preview.infer_calls,
        preview.retrieve_reused,
        preview.retrieve_runs,
        preview.rank_reused,
        preview.rank_calls,
    ]
    assert [number for number, wanted in zip(found, expected, strict=True) if wanted is not None] == [
        wanted for wanted in expected if wanted is not None
    ]
    assert len(model.requests) == asked, "a preview asks nothing"
    if change.get("rank") != "pointwise":  # which this model cannot answer
        done = labeler.label_corpus([corpus], out)
        assert agrees(preview, done)
        assert done.done == len(TEXTS)


def test_what_is_done_and_what_stays_failed_is_left_out(make_labeler, tmp_path):
    """As the run itself leaves it out; rows that cannot be read are counted apart; a text that repeats counts once."""
    rows = [{"id": str(number), "text": text} for number, text in enumerate(TEXTS)]
    rows += [{"id": "same", "text": TEXTS[0]}, {"id": "empty", "text": ""}]
    corpus = write_jsonl(tmp_path / "docs.jsonl", rows)
    out, model = tmp_path / "runs.duckdb", ScriptedModel(troubles={"violin": ModelRejected("no")})
    labeler = make_labeler(model)
    first = labeler.preview_corpus(Corpus([corpus]), out)
    assert (first.documents, first.failed, first.infer_calls, first.infer_reused) == (len(TEXTS) + 1, 1, len(TEXTS), 0)
    labeler.label_corpus([corpus], out)
    again = labeler.preview_corpus(Corpus([corpus]), out)
    assert (again.documents, again.skipped, again.calls) == (0, len(rows), 0)
    retried = labeler.preview_corpus(Corpus([corpus]), out, retry_failed=True)
    assert (retried.documents, retried.failed, retried.calls) == (1, 1, 1)
    model.troubles.clear()
    assert agrees(retried, labeler.label_corpus([corpus], out, retry_failed=True))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stages", [("lm", "listwise"), ("both", "fusion"), ("windows", "listwise"), ("lm", "whole")])
def test_the_run_does_what_was_foretold(make_labeler, tmp_path, stages, seed):
    """Of corpora with repeated texts and pieces, of which another run has done a part, and this run another."""
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(TEXTS, k=chance.choice([1, 1, 2, 9]))) for _ in range(100)]
    rows = [{"id": f"d{number:03}", "text": chance.choice(texts)} for number in range(150)] + [{"id": "e", "text": ""}]
    infer, rank = stages
    out, labeler = tmp_path / "runs.duckdb", make_labeler(ScriptedModel(), infer=infer, rank=rank, chunk_characters=300)
    other = make_labeler(ScriptedModel(), infer=infer, chunk_characters=300)
    other.label_corpus([write_jsonl(tmp_path / "other.jsonl", chance.sample(rows, 20))], out, run="other")
    labeler.label_corpus([write_jsonl(tmp_path / "before.jsonl", chance.sample(rows, 30))], out, run="r")
    corpus = write_jsonl(tmp_path / "docs.jsonl", rows)
    preview = labeler.preview_corpus(Corpus([corpus]), out, run="r")
    done = labeler.label_corpus([corpus], out, run="r")
    assert (preview.documents, preview.failed, preview.skipped) == (done.done, done.failed, done.skipped)
    assert min(preview.calls, preview.infer_reused + preview.rank_reused) > 5
    assert agrees(preview, done)
    again = labeler.preview_corpus(Corpus([corpus]), out, run="r")
    assert (again.documents, again.failed, again.skipped, again.calls) == (0, 0, len(rows), 0)
