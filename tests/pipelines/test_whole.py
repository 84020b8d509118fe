"""Whole Rank: all labels before the document, nothing outside them, nothing that it names lost."""

from __future__ import annotations

from itertools import pairwise

import dspy
import pytest
from small_world import NAMES, TEXTS

from labelmill import InferRetrieveRank, Labeler, Taxonomy
from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.models.dspy_lm import dspy_lm
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.ledger import ledger_of_run
from labelmill.pipelines.whole import MOST_LABELS, WholeRank, by_id, by_number, join
from labelmill.prompts.card import TaskCard
from labelmill.prompts.compiled import PromptState
from labelmill.records import Candidate, Label, LaneHit
from labelmill.store import Store
from scripted import Request, ScriptedModel, served, write_jsonl
from toy_embedder import HashedGrams

LABELS = [Label(f"L{number}", name) for number, name in enumerate(NAMES)]


def rarest(request):
    """Choose the last label, and the first, whatever the text."""
    return [len(request.candidates), 1]


@pytest.fixture
def labeler(make_labeler):
    """A program that keeps so few candidates that most labels are not among them."""
    return make_labeler(ScriptedModel(choose=rarest), rank="whole", infer="windows", candidates=3)


def test_what_retrieve_did_not_find_is_put_behind():
    """Without evidence, in the order in which it was named, each once; what was found keeps its place."""
    found = [Candidate(4, 0.9, (LaneHit("bm25/text", 1, 2.0),)), Candidate(2, 0.5)]
    joined, indexes = join(found, [7, 2, 9])
    assert joined == [*found, Candidate(7, 0.0, found=False), Candidate(9, 0.0, found=False)]
    assert indexes == [2, 1, 3]
    assert join([], []) == ([], [])


def test_the_chosen_come_first_and_none_is_lost(labeler):
    """In the model's order, retrieved or not; the rest behind, as the fusion has them."""
    plain = Labeler(labeler.taxonomy, embedders=[HashedGrams()], candidates=3, top_k=3)
    for ranking, before in zip(labeler.label(TEXTS, ranked=True), plain.label(TEXTS, ranked=True), strict=True):
        assert [p.name for p in ranking[:2]] == [NAMES[-1], NAMES[0]]
        assert [p.name for p in ranking[2:]] == [p.name for p in before if p.name not in (NAMES[-1], NAMES[0])]
        assert [p.selected for p in ranking] == [True, True, *[False] * (len(ranking) - 2)]
        places = {p.name: p for p in before}
        for prediction in ranking:
            known = places.get(prediction.name)
            assert prediction.retrieval_rank == (known.rank if known else 0)
            assert prediction.evidence == (known.evidence if known else ())
        assert all(a.score >= b.score for a, b in pairwise(ranking))


def test_it_is_shown_every_label_and_the_text_alone(make_labeler):
    """In the order of the taxonomy, with what each document has in its own message."""
    model = ScriptedModel()
    make_labeler(model, rank="whole").label(TEXTS)
    asked = model.asked("rank")
    assert sorted(request.text for request in asked) == sorted(TEXTS)
    assert {request.candidates for request in asked} == {tuple(NAMES)}
    assert all(request.whole for request in asked)


def test_a_long_text_is_asked_about_by_chunk(make_labeler):
    """What the chunks' answers name first and often comes first."""
    model = ScriptedModel(choose=lambda request: [2, 12] if "bicycles" in request.text else [12])
    labeler = make_labeler(model, rank="whole", infer="windows", chunk_characters=200, chunk_overlap=0)
    (found,) = labeler.label([" ".join(TEXTS)])
    assert len(model.asked("rank")) > 2
    assert [p.name for p in found] == [NAMES[11], NAMES[1]]


def test_the_module_gives_what_a_bulk_run_gives():
    """The same requests, so the same answers, and the same predictions."""
    model = ScriptedModel(choose=rarest)
    settings = {"rank": "whole", "infer": "windows", "candidates": 3, "top_k": 3, "embedders": [HashedGrams()]}
    labeler = Labeler(Taxonomy.from_names(NAMES), lm=model, **settings)
    bulk = labeler.label(TEXTS[:3], ranked=True)
    with served(model) as url, dspy.context(lm=dspy_lm("scripted", url)):
        assert [InferRetrieveRank(labeler.program)(text=text).predictions for text in TEXTS[:3]] == bulk


def test_answers_are_used_again_where_the_labels_are_the_same(make_labeler, corpus, tmp_path):
    """Another --candidates asks nothing; another label, or another order, asks for everything."""
    out, model = tmp_path / "runs.duckdb", ScriptedModel()
    settings = {"rank": "whole", "infer": "windows"}
    make_labeler(model, **settings).label_corpus([corpus], out)
    assert make_labeler(model, candidates=5, **settings).label_corpus([corpus], out).calls == 0
    for names in ([*NAMES, "climb rocks"], NAMES[::-1]):
        changed = make_labeler(model, taxonomy=Taxonomy.from_names(names), **settings)
        preview = changed.preview_corpus(Corpus([corpus]), out)
        assert (preview.rank_calls, preview.retrieve_runs) == (len(TEXTS), len(TEXTS))
        assert changed.label_corpus([corpus], out).calls == len(TEXTS)


def test_a_dry_run_foretells_it_without_retrieving(make_labeler, corpus, tmp_path):
    """Rank's questions do not wait for phrases, nor for candidates."""
    labeler, out = make_labeler(ScriptedModel(), rank="whole"), tmp_path / "runs.duckdb"
    preview = labeler.preview_corpus(Corpus([corpus]), out)
    assert labeler.program.retrieve.seconds == {}
    assert (preview.infer_calls, preview.rank_calls, preview.retrieve_runs) == (len(TEXTS),) * 3
    done = labeler.label_corpus([corpus], out)
    assert (done.calls, done.reused) == (preview.calls, 0)


def test_what_it_named_is_no_candidate_of_another_run(labeler, make_labeler, corpus, tmp_path):
    """Candidates are read back from the rows of a run; what Retrieve did not find is told apart."""
    out = tmp_path / "runs.duckdb"
    labeler.label_corpus([corpus], out, run="whole")
    other = make_labeler(infer="windows", candidates=3)
    other.program.retrieve.retrieve = None  # it would fail: every candidate is there
    other.label_corpus([corpus], out, run="fusion")
    with Store(out) as store:
        rows = store.connection.execute(
            "SELECT run, document, label, retrieval_rank FROM predictions ORDER BY ALL"
        ).fetchall()
    by_run = {run: {row[1:] for row in rows if row[0] == run} for run in ("whole", "fusion")}
    assert {row for row in by_run["whole"] if row[2] > 0} == by_run["fusion"]
    assert any(row[2] == 0 for row in by_run["whole"])


def test_the_ledger_tells_what_a_model_named(labeler, tmp_path):
    """A gold label that was not retrieved and is given all the same is found, and it is said how."""
    rows = [{"id": "t", "text": TEXTS[1], "labels": [NAMES[-1]]}]
    docs, out = write_jsonl(tmp_path / "docs.jsonl", rows), tmp_path / "runs.duckdb"
    labeler.label_corpus([docs], out)
    (entry,) = ledger_of_run(out, GoldCorpus.read([docs])).entries
    assert entry.explain() == "gold label 'train guide dogs' was found at rank 1 (named by the model, not retrieved)"


def test_a_taxonomy_that_is_too_large_is_refused_at_once():
    """Before a server is looked for, and before anything is indexed: one line with the limit and what to do."""
    large = Taxonomy.from_names(f"label {number}" for number in range(MOST_LABELS + 1))
    with pytest.raises(InputError, match=r"1,000 at most, and this taxonomy has 1,001.*listwise") as error:
        Labeler(large, lm="http://127.0.0.1:9/v1", rank="whole")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError):
        WholeRank(TaskCard(), large.labels)


def test_old_labels_of_a_loaded_module_do_not_come_back(tmp_path):
    """A DSPy file holds the descriptions of fields, and with them the labels as they were: numbers would be others."""
    before, now = WholeRank(TaskCard(), LABELS), WholeRank(TaskCard(), LABELS[1:])
    before.predict.signature = before.predict.signature.with_instructions("Choose.")
    before.save(tmp_path / "module.json")
    now.load(tmp_path / "module.json")
    request = Request.read(now.request("t", "m"))
    assert request.candidates == tuple(NAMES[1:])
    assert b"Choose." in now.request("t", "m")
    assert now.fingerprint() != before.fingerprint()


def test_demonstrations_are_kept_by_id():
    """An edited taxonomy numbers its labels anew; labels that are gone are shown no more."""
    shown = ({"text": "a", "chosen": [2, 1]}, {"text": "b", "chosen": [12]}, {"text": "c", "chosen": []})
    state = PromptState(instructions="Choose.", demonstrations=shown)
    kept = by_id(state, LABELS)
    assert [demo["chosen"] for demo in kept.demonstrations] == [["L1", "L0"], ["L11"], []]
    assert by_number(kept, LABELS) == state
    edited = [Label("new", "a new label"), *LABELS[1:-1]]
    assert [demo["chosen"] for demo in by_number(kept, edited).demonstrations] == [[2], []]


def test_a_cut_answer_loses_its_last_number_alone():
    """It may have been cut between two digits."""
    rank = WholeRank(TaskCard(), LABELS)
    assert rank.read('{"chosen": [3, 3, 1', truncated=True) == [2]
    assert rank.read('{"chosen": [3, 1]}', truncated=False) == [2, 0]
