"""A corpus into a store: every document ends once, what was answered is never asked again, and failures can be retried."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from small_world import NAMES, TEXTS

from labelmill import InferRetrieveRank, Taxonomy
from labelmill.errors import InputError, ModelGone, ModelRefused, ModelRejected, StoreError
from labelmill.store import Store
from labelmill.store.reader import read_failures, run_names
from labelmill.store.summary import summarise
from scripted import ScriptedModel, write_jsonl
from toy_embedder import HashedGrams


def rows(path: Path, run: str) -> list[tuple]:
    """Everything that a run predicts, evidence included."""
    with Store(path) as store:
        return store.connection.execute(
            "SELECT document, label, rank, score, selected, retrieval_rank, evidence FROM predictions WHERE run = ? "
            "ORDER BY document, rank",
            [run],
        ).fetchall()


def failures(path: Path, run: str) -> dict[str, tuple[str, str]]:
    with Store(path) as store:
        return {row["document"]: (row["stage"], row["kind"]) for row in read_failures(store, run)}


def state(path: Path, run: str) -> tuple[str, int, int]:
    with Store(path) as store:
        summary = summarise(store, run)
    return summary.state, summary.documents, summary.failures


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A hundred documents, four batches, each text its own."""
    texts = [{"id": f"d{n:03}", "text": f"{TEXTS[n % 8]} Note {n}."} for n in range(100)]
    return write_jsonl(tmp_path / "many.jsonl", texts)


def test_a_run_holds_every_document_once(make_labeler, many, tmp_path):
    """And says how far it is after every batch."""
    seen = []
    out = tmp_path / "runs.duckdb"
    done = make_labeler().label_corpus([many], out, run="r", total=100, on_progress=lambda p: seen.append(p.done))
    assert (done.done, done.failed, done.skipped, done.calls) == (100, 0, 0, 0)
    assert seen[-1] == 100
    assert len(seen) == 4
    assert state(out, "r") == ("finished", 100, 0)
    assert len(rows(out, "r")) == 800


def test_the_same_call_again_does_nothing_twice(make_labeler, many, tmp_path):
    """No question, no row more, and the name of the run is found again."""
    out = tmp_path / "runs.duckdb"
    model = ScriptedModel()
    make_labeler(model).label_corpus([many], out)
    asked = len(model.requests)
    again = make_labeler(model).label_corpus([many], out)
    assert (again.done, again.skipped, len(model.requests)) == (0, 100, asked)
    with Store(out) as store:
        assert store.connection.execute("SELECT count(*), count(DISTINCT document) FROM documents").fetchall() == [
            (100, 100)
        ]


def test_two_runs_of_the_same_program_agree(make_labeler, many, tmp_path):
    """Row by row, with other batches in flight and another order of the corpus."""
    lines = many.read_text(encoding="utf-8").splitlines(keepends=True)
    turned = tmp_path / "turned.jsonl"
    turned.write_text("".join(reversed(lines)), encoding="utf-8")
    make_labeler(ScriptedModel(), rank="listwise").label_corpus([many], tmp_path / "a.duckdb", run="r")
    make_labeler(ScriptedModel(pause=0.003), rank="listwise", concurrency=70).label_corpus(
        [turned], tmp_path / "b.duckdb", run="r"
    )
    assert rows(tmp_path / "a.duckdb", "r") == rows(tmp_path / "b.duckdb", "r")


def test_a_cheap_change_asks_nothing_again(make_labeler, corpus, tmp_path):
    """Another top_k, another kind of Rank, other labels, other retrieval: Infer's answers serve them all."""
    out = tmp_path / "runs.duckdb"
    model = ScriptedModel()
    make_labeler(model).label_corpus([corpus], out)
    assert len(model.asked("infer")) == len(TEXTS)
    make_labeler(model, top_k=1).label_corpus([corpus], out)
    make_labeler(model, taxonomy=Taxonomy.from_names([*NAMES, "climb rocks"])).label_corpus([corpus], out)
    reused = make_labeler(model, embedders=["wordllama"]).label_corpus([corpus], out).reused
    assert reused == len(TEXTS)
    assert len(model.requests) == len(TEXTS)
    make_labeler(model, rank="listwise").label_corpus([corpus], out)
    assert len(model.asked("infer")) == len(model.asked("rank")) == len(TEXTS)
    make_labeler(model, rank="listwise", top_k=1).label_corpus([corpus], out)
    assert len(model.requests) == 2 * len(TEXTS)


def test_another_model_is_asked_itself(make_labeler, corpus, tmp_path):
    """Answers belong to the model that gave them."""
    out = tmp_path / "runs.duckdb"
    make_labeler(ScriptedModel()).label_corpus([corpus], out)
    other = ScriptedModel(model="another")
    make_labeler(other).label_corpus([corpus], out)
    assert len(other.requests) == len(TEXTS)


def test_a_text_that_comes_again_in_a_later_batch_is_not_asked_again(make_labeler, tmp_path):
    """The store has its answer by then."""
    texts = [{"id": str(n), "text": f"Text {n % 40}"} for n in range(200)]
    model = ScriptedModel()
    make_labeler(model, concurrency=1).label_corpus([write_jsonl(tmp_path / "x.jsonl", texts)], tmp_path / "r.duckdb")
    assert len(model.requests) == 40


def test_every_kind_of_failure_becomes_a_row(make_labeler, tmp_path):
    """Unreadable, empty, repeated, rejected, unparseable: each with its stage and kind, under an id or file:line."""
    path = tmp_path / "mixed.jsonl"
    write_jsonl(
        path,
        [
            {"id": "good", "text": TEXTS[0]},
            {"id": "empty", "text": "  "},
            {"id": "good", "text": "Somebody else's id."},
            {"text": "No id."},
            {"id": "odd", "text": ["no", "text"]},
            {"id": "long", "text": "A violin, too long for the model."},
            {"id": "silly", "text": "A piano, answered with nonsense."},
        ],
    )
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": "cut", "text": "no en\n')
    troubles = {"violin": ModelRejected("too long"), "piano": "nonsense"}
    out = tmp_path / "runs.duckdb"
    done = make_labeler(ScriptedModel(troubles=troubles)).label_corpus([path], out, run="r")
    assert (done.done, done.failed) == (1, 7)
    found = failures(out, "r")
    assert found == {
        "empty": ("read", "empty-text"),
        f"{path}:3": ("read", "duplicate-id"),
        f"{path}:4": ("read", "missing-id"),
        "odd": ("read", "wrong-type"),
        "long": ("infer", "rejected"),
        "silly": ("infer", "unparseable"),
        f"{path}:8": ("read", "unparseable"),
    }
    assert state(out, "r") == ("finished", 1, 7)


def test_failures_are_tried_again_only_when_asked_for(make_labeler, corpus, tmp_path):
    """What succeeds then leaves the list of failures and joins the documents."""
    out = tmp_path / "runs.duckdb"
    model = ScriptedModel(troubles={"violin": ModelRejected("no"), "Guide": "nonsense"})
    make_labeler(model).label_corpus([corpus], out, run="r")
    assert set(failures(out, "r")) == {"t2", "t6"}
    asked = len(model.requests)
    del model.troubles["violin"]
    again = make_labeler(model).label_corpus([corpus], out, run="r")
    assert (again.done, again.failed, again.skipped, len(model.requests)) == (0, 0, 8, asked)
    retried = make_labeler(model).label_corpus([corpus], out, run="r", retry_failed=True)
    assert (retried.done, retried.failed, len(model.requests)) == (1, 1, asked + 3), "the unreadable one twice"
    assert set(failures(out, "r")) == {"t6"}
    assert state(out, "r") == ("finished", 7, 1)


@pytest.mark.parametrize("trouble", [ModelGone("gone"), ModelRefused("wrong key")])
def test_a_server_that_goes_in_the_middle_loses_nothing(make_labeler, many, tmp_path, trouble):
    """Committed documents stay, the run is interrupted, and the same call ends it with the same rows."""
    out, whole = tmp_path / "runs.duckdb", tmp_path / "whole.duckdb"
    model = ScriptedModel(troubles={"Note 70.": trouble})
    with pytest.raises(type(trouble)):
        make_labeler(model, concurrency=8).label_corpus([many], out, run="r")
    now, documents, failed = state(out, "r")
    assert (now, failed) == ("interrupted", 0)
    assert documents in {32, 64}
    model.troubles.clear()
    asked = len(model.requests)
    rest = make_labeler(model, concurrency=8).label_corpus([many], out, run="r")
    assert (rest.skipped, rest.done) == (documents, 100 - documents)
    assert len(model.requests) - asked <= 100 - documents
    make_labeler(ScriptedModel()).label_corpus([many], whole, run="r")
    assert rows(out, "r") == rows(whole, "r")


def test_an_edited_document_is_labelled_again(make_labeler, corpus, tmp_path):
    """Done means done with this text; its old rows are replaced, not added to."""
    out = tmp_path / "runs.duckdb"
    make_labeler().label_corpus([corpus], out, run="r")
    corpus.write_text(
        corpus.read_text(encoding="utf-8").replace("Guide dogs are trained", "Honey bees are kept"), encoding="utf-8"
    )
    done = make_labeler().label_corpus([corpus], out, run="r")
    assert (done.done, done.skipped) == (1, 7)
    assert next(row for row in rows(out, "r") if row[0] == "t6")[1] == "keep honey bees"
    assert state(out, "r") == ("finished", 8, 0)
    assert len(rows(out, "r")) == 64


def test_a_limit_can_be_raised_later(make_labeler, corpus, tmp_path):
    """The first documents are not labelled twice."""
    out = tmp_path / "runs.duckdb"
    assert make_labeler().label_corpus([corpus], out, limit=3).done == 3
    more = make_labeler().label_corpus([corpus], out)
    assert (more.done, more.skipped) == (5, 3)


def test_a_name_belongs_to_one_program(make_labeler, corpus, tmp_path):
    """Another top_k, other labels or another model under the same name would mix rows; it is refused in one line."""
    out = tmp_path / "runs.duckdb"
    make_labeler().label_corpus([corpus], out, run="r")
    before = rows(out, "r")
    for other in (
        make_labeler(top_k=2),
        make_labeler(taxonomy=Taxonomy.from_names(NAMES[:5])),
        make_labeler(ScriptedModel()),
    ):
        with pytest.raises(StoreError, match="--run") as caught:
            other.label_corpus([corpus], out, run="r")
        assert "\n" not in str(caught.value)
    assert rows(out, "r") == before


def test_runs_are_named_by_program_and_corpus(make_labeler, corpus, many):
    """The same name for the same call; another for anything that changes rows."""
    labeler = make_labeler()
    assert labeler.run_name([corpus]) == make_labeler().run_name([corpus])
    others = [
        make_labeler(top_k=1),
        make_labeler(candidates=5),
        make_labeler(ScriptedModel()),
        make_labeler(chunk_characters=300),
    ]
    names = [labeler.run_name([corpus]), labeler.run_name([many]), *(other.run_name([corpus]) for other in others)]
    assert len(set(names)) == len(names)


def test_the_same_text_in_batches_in_flight_is_asked_once(make_labeler, tmp_path):
    """However many batches hold it at the same time; one answer is stored, and all use it."""
    model = ScriptedModel(pause=0.02)
    corpus = write_jsonl(tmp_path / "same.jsonl", [{"id": f"d{n}", "text": TEXTS[0]} for n in range(100)])
    done = make_labeler(model, concurrency=64).label_corpus([corpus], tmp_path / "runs.duckdb", run="r")
    assert (done.done, done.calls, len(model.requests)) == (100, 1, 1)
    with Store(tmp_path / "runs.duckdb") as store:
        assert store.first("SELECT count(*) FROM stages") == (1,)


def test_a_repaired_row_is_tried_again_by_itself(make_labeler, tmp_path):
    """Its failure was that of another content; a row that is gone leaves no failure behind."""
    out, labeler = tmp_path / "runs.duckdb", make_labeler()
    path = tmp_path / "texts.jsonl"
    write_jsonl(path, [{"id": "a", "text": TEXTS[0]}, {"id": "b", "text": " "}, {"text": TEXTS[1]}])
    labeler.label_corpus([path], out, run="r")
    assert set(failures(out, "r")) == {"b", f"{path}:3"}
    assert labeler.label_corpus([path], out, run="r").skipped == 3
    write_jsonl(path, [{"id": "a", "text": TEXTS[0]}, {"id": "b", "text": TEXTS[2]}, {"id": "c", "text": TEXTS[1]}])
    done = labeler.label_corpus([path], out, run="r")
    assert (done.done, done.skipped) == (2, 1)
    assert failures(out, "r") == {}
    assert state(out, "r") == ("finished", 3, 0)


def test_a_limited_pass_forgets_no_failure(make_labeler, tmp_path):
    """It has not seen the rest of the corpus."""
    out, labeler = tmp_path / "runs.duckdb", make_labeler()
    path = write_jsonl(tmp_path / "texts.jsonl", [{"id": "a", "text": TEXTS[0]}, {"id": "b", "text": " "}])
    labeler.label_corpus([path], out, run="r")
    labeler.label_corpus([path], out, run="r", limit=1)
    assert set(failures(out, "r")) == {"b"}


class PickyEmbedder(HashedGrams):
    """Refuses a text, as a server does that finds it too long."""

    def embed(self, texts):
        if any("REFUSED" in text for text in texts):
            raise ModelRejected("the server answered 400: too long")
        return super().embed(texts)


def test_a_text_that_an_embedder_rejects_fails_alone(make_labeler, tmp_path):
    """The rest of its batch is labelled."""
    out = tmp_path / "runs.duckdb"
    texts = [*TEXTS[:3], "REFUSED", *TEXTS[3:5]]
    path = write_jsonl(tmp_path / "texts.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    make_labeler(embedders=[PickyEmbedder()]).label_corpus([path], out, run="r")
    assert failures(out, "r") == {"d3": ("retrieve", "rejected")}
    assert state(out, "r") == ("finished", 5, 1)


def test_a_prompt_changed_in_place_makes_another_run(make_labeler, corpus, tmp_path):
    """A module shares its stages with the labeler; what was done with the old prompt does not pass for done."""
    out, model = tmp_path / "runs.duckdb", ScriptedModel()
    labeler = make_labeler(model)
    labeler.label_corpus([corpus], out)
    predict = InferRetrieveRank(labeler.program).infer.predict
    predict.signature = predict.signature.with_instructions("List what people do.")
    done = labeler.label_corpus([corpus], out)
    assert (done.done, done.skipped, done.calls) == (len(TEXTS), 0, len(TEXTS))


def test_a_model_that_is_not_asked_is_not_looked_for(make_labeler, corpus, tmp_path):
    """With windows and fusion alone nothing needs the server, so that it may be down."""
    labeler = make_labeler("toy@http://127.0.0.1:9/v1", infer="windows", rank="fusion")
    assert labeler.label_corpus([corpus], tmp_path / "runs.duckdb").done == len(TEXTS)
    assert labeler.program.spec.model == ""


def test_a_server_that_is_not_there_leaves_no_run(make_labeler, corpus, tmp_path):
    """So that evaluation does not take an empty one for the newest."""
    labeler = make_labeler(ScriptedModel())

    @asynccontextmanager
    async def gone():
        raise ModelGone("nobody answers")
        yield

    labeler._connection = replace(labeler._connection, open=gone)
    with pytest.raises(ModelGone):
        labeler.label_corpus([corpus], tmp_path / "runs.duckdb")
    with Store(tmp_path / "runs.duckdb") as store:
        assert run_names(store) == []


@pytest.mark.parametrize("text", ["one text", [3], [None]])
def test_what_is_no_list_of_texts_is_told(make_labeler, text):
    """A single string would be a list of letters."""
    with pytest.raises(InputError, match="takes a list of texts"):
        make_labeler().label(text)


@pytest.mark.parametrize("trouble", [ModelGone("nobody answers"), ModelRefused("wrong key")])
def test_a_server_that_goes_is_the_error_of_all_who_wait_for_an_answer(make_labeler, tmp_path, trouble):
    """Also of batches that wait for a question that another batch asked."""
    model = ScriptedModel(pause=0.02, troubles={TEXTS[0]: trouble})
    corpus = write_jsonl(tmp_path / "same.jsonl", [{"id": f"d{n}", "text": TEXTS[0]} for n in range(100)])
    with pytest.raises(type(trouble)):
        make_labeler(model, concurrency=64).label_corpus([corpus], tmp_path / "runs.duckdb", run="r")
    assert state(tmp_path / "runs.duckdb", "r") == ("interrupted", 0, 0)
