"""An edited taxonomy: what is asked anew, what a dry run foretells of it, and that the rows are those of a fresh file."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from small_world import NAMES, TEXTS
from workshop import TASKS, diary

from labelmill import Labeler, Taxonomy
from labelmill.corpus import Corpus
from labelmill.errors import ModelRejected
from labelmill.keys import text_key
from labelmill.models.client import Completion
from labelmill.pipelines.tuning import tune
from labelmill.prompts.compiled import PromptState
from labelmill.records import Label
from labelmill.store import Store
from scripted import ScriptedModel, write_jsonl
from toy_embedder import HashedGrams

GOLD = {entry.text: set(entry.labels) for entry in diary(30)}
"""What the model knows: else tuning would find it of no use."""


def chosen(request) -> list[int]:
    """Choose what is known to be right, else by a hash of the text and the candidates: another list, another answer."""
    if gold := GOLD.get(request.text):
        return [number for number, name in enumerate(request.candidates, start=1) if name in gold]
    drawn = zlib.crc32("\n".join((request.text, *request.candidates)).encode())
    return [number for number in range(1, len(request.candidates) + 1) if drawn >> number & 1]


class Judge(ScriptedModel):
    """Answers every kind of question by a rule that depends on all of it."""

    async def complete(self, body: Any, *, turn: int = 0, group: str = "") -> Completion:
        """Give one token its probability, or follow the rules."""
        request = json.loads(body)
        if "top_logprobs" not in request:
            return await super().complete(body, turn=turn, group=group)
        self.answered += 1
        question = request["messages"][-1]["content"]
        text, _, rest = question.removeprefix("Text:\n").rpartition("\n\nCandidate: ")
        chance = zlib.crc32(question.encode()) % 97 / 100 + 0.01
        if gold := GOLD.get(text):
            chance = 0.9 if rest.partition("\n")[0] in gold else 0.1
        return Completion("yes", 10, 4, 1, next_token={"yes": math.log(chance), "no": math.log(1 - chance)})


OLD = Taxonomy.from_labels(Label(f"l{n}", name, (f"to {name}",)) for n, name in enumerate(NAMES))


def edit(taxonomy: Taxonomy) -> Taxonomy:
    """Add two labels, rename one, merge one into another, leave one out, and change the order."""
    labels = {label.id: label for label in taxonomy}
    first, second, third, fourth, *_ = taxonomy
    labels[first.id] = replace(first, name=f"{first.name} well")
    labels[second.id] = replace(second, aliases=(*second.aliases, third.name))
    del labels[third.id], labels[fourth.id]
    return Taxonomy.from_labels([Label("new", "feed the geese"), *labels.values(), Label("new2", "mend nets")])


@pytest.fixture
def texts(tmp_path):
    """Short and long documents, one of them twice."""
    texts = [*TEXTS, " ".join(TEXTS), TEXTS[0], " ".join(TEXTS[::2] * 3)]
    return write_jsonl(tmp_path / "docs.jsonl", [{"id": f"d{n:02}", "text": text} for n, text in enumerate(texts)])


def rows(path, run) -> dict[str, list]:
    """Read all that a run says, but for what names the run and the moment."""
    queries = {
        "predictions": "SELECT * EXCLUDE (run, batch) FROM predictions WHERE run = ? ORDER BY document, rank",
        "documents": "SELECT * EXCLUDE (run, batch) FROM documents WHERE run = ? ORDER BY document",
        "failures": "SELECT * EXCLUDE (run, batch) FROM failures WHERE run = ? ORDER BY document",
    }
    with Store(path) as store:
        return {table: store.connection.execute(query, [run]).fetchall() for table, query in queries.items()}


POOL = PromptState(
    instructions="Say which apply.",
    demonstrations=[{"text": text, "candidates": "1. a\n2. b", "chosen": [1 + n % 2]} for n, text in enumerate(TEXTS)],
    nearest=2,
    sources=[[text_key(text)] for text in TEXTS],
)

KINDS: dict[str, dict[str, Any]] = {
    "listwise": {"rank": "listwise", "listed": 3},
    "listwise, phrases alone": {"rank": "listwise", "infer": "lm", "listed": 3},
    "listwise, windows alone": {"rank": "listwise", "infer": "windows", "listed": 3},
    "listwise, chunks": {"rank": "listwise", "listed": 3, "chunk_characters": 200, "chunk_overlap": 20},
    "listwise, demonstrations of its own": {"rank": "listwise", "listed": 3, "prompts": {"rank": POOL}},
    "pointwise": {"rank": "pointwise", "listed": 3},
    "pointwise, chunks": {"rank": "pointwise", "listed": 3, "chunk_characters": 200, "chunk_overlap": 20},
    "whole": {"rank": "whole"},
    "phrases and no Rank": {"rank": "fusion", "infer": "both"},
}


def relabel(make: Callable[[ScriptedModel, Taxonomy], Labeler], old: Taxonomy, new: Taxonomy, docs, folder) -> tuple:
    """Label with the old version, foretell, label with the new one, and label with that from nothing."""
    kept, fresh = folder / "kept.duckdb", folder / "fresh.duckdb"
    make(Judge(choose=chosen), old).label_corpus([docs], kept, run="old")
    model = Judge(choose=chosen)
    labeler = make(model, new)
    preview = labeler.preview_corpus(Corpus([docs]), kept, run="new")
    assert (model.requests, model.answered) == ([], 0)
    done = labeler.label_corpus([docs], kept, run="new")
    again = Judge(choose=chosen)
    make(again, new).label_corpus([docs], fresh, run="new")
    assert rows(kept, "new") == rows(fresh, "new")
    assert preview.rank_open == 0, "every number is known beforehand"
    assert (preview.calls, preview.infer_calls) == (done.calls, 0)
    assert preview.infer_reused + preview.rank_reused == done.reused
    found = labeler.builds_on(kept, "new")
    assert found == preview.builds_on
    assert (found.run, found.labels, found.documents) == ("old", len(old), preview.documents)
    return kept, preview, done, model, again


def shown_to_model(path, listed) -> dict[str, list[str]]:
    """Name the candidates that the model was shown of each document, by run and document."""
    with Store(path) as store:
        found = store.connection.execute(
            "SELECT run, document, list(name ORDER BY retrieval_rank) FROM predictions JOIN runs USING (run) "
            "JOIN labels USING (taxonomy, label) WHERE retrieval_rank BETWEEN 1 AND ? GROUP BY ALL",
            [listed],
        ).fetchall()
    return {f"{run} {document}": names for run, document, names in found}


@pytest.mark.parametrize("kind", KINDS)
def test_only_changed_candidates_are_asked_about(make_labeler, texts, tmp_path, kind):
    """As many questions as foretold, none about a document whose candidates are the same, the rows of a fresh file."""
    settings = KINDS[kind]

    def make(model, taxonomy):
        return make_labeler(model, taxonomy=taxonomy, **settings)

    kept, preview, done, model, again = relabel(make, OLD, edit(OLD), texts, tmp_path)
    assert again.answered > model.answered
    if settings["rank"] in {"listwise", "pointwise"}:
        shown = shown_to_model(kept, settings["listed"])
        same = {f"d{n:02}" for n in range(preview.documents) if shown[f"old d{n:02}"] == shown[f"new d{n:02}"]}
        assert 0 < len(same) < preview.documents
        assert preview.builds_on.kept == len(same)
        texts_of = {row["id"]: row["text"] for row in map(json.loads, texts.read_text().splitlines())}
        changed = " ".join(text for name, text in texts_of.items() if name not in same)
        assert all(request.text in changed for request in model.requests)
    elif settings["rank"] == "whole":
        assert (preview.builds_on.kept, done.calls) == (0, len(set(TEXTS)) + 2)
    else:
        assert (preview.builds_on.kept, done.calls) == (preview.documents, 0)


@pytest.mark.parametrize("rank", ["listwise", "pointwise", "whole"])
def test_what_no_prompt_shows_costs_nothing(make_labeler, texts, tmp_path, rank):
    """Another id, another description: the lists of names are the same, and every answer is used again."""
    new = Taxonomy.from_labels(replace(label, id=f"x{label.id}") for label in OLD)

    def make(model, taxonomy):
        return make_labeler(model, taxonomy=taxonomy, rank=rank, listed=4)

    _, preview, done, model, _ = relabel(make, OLD, new, texts, tmp_path)
    assert (done.calls, model.answered, preview.builds_on.kept) == (0, 0, preview.documents)


@pytest.mark.parametrize("rank", ["listwise", "pointwise"])
def test_a_tuned_program_asks_about_changed_candidates_alone(tmp_path, rank):
    """Its order of candidates, its demonstrations and its examples are learned, and its questions keyed alike."""
    old = Taxonomy.from_names(TASKS)
    program = tune(
        old,
        diary(30),
        lm=Judge(choose=chosen),
        embedders=[HashedGrams()],
        rank=rank,
        optimiser="nearest" if rank == "listwise" else None,
        candidates=10,
        pool=15,
        keep_all=True,
        listed=4,
    )
    program.write(tmp_path / "program.json")
    labels = [label for label in old if label.id != TASKS[3]]
    new = Taxonomy.from_labels([*labels, Label("new", "hang lanterns")])
    entries = [{"id": entry.id, "text": entry.text} for entry in diary(20, seed=5)]

    def make(model, taxonomy):
        return Labeler(taxonomy, program=tmp_path / "program.json", lm=model, embedders=[HashedGrams()])

    docs = write_jsonl(tmp_path / "diary.jsonl", entries)
    _, preview, done, _, _ = relabel(make, old, new, docs, tmp_path)
    assert 0 < preview.builds_on.kept < preview.documents
    assert 0 < done.calls <= preview.documents - preview.builds_on.kept


def test_a_run_says_on_what_it_builds(make_labeler, texts, tmp_path):
    """On the newest run that asked the same, of another version of the taxonomy; final sets are of no matter."""
    out = tmp_path / "runs.duckdb"
    labelers = {
        "another program": make_labeler(Judge(), rank="listwise", listed=2, taxonomy=OLD),
        "no model": make_labeler(rank="fusion", taxonomy=OLD),
        "old": make_labeler(Judge(), rank="listwise", listed=3, top_k=2, taxonomy=OLD),
        "other labels": make_labeler(
            Judge(), rank="listwise", listed=3, taxonomy=Taxonomy.from_names(["sing", "dance", "whistle", "hum"])
        ),
    }
    for name, labeler in labelers.items():
        labeler.label_corpus([texts], out, run=name)
    labeler = make_labeler(Judge(), rank="listwise", listed=3, taxonomy=edit(OLD))
    assert labeler.preview_corpus(Corpus([texts]), out, run="new").builds_on.run == "old"
    assert labeler.builds_on(out, "new").documents == 0
    labeler.label_corpus([texts], out, run="new")
    assert labeler.builds_on(out, "new").documents == len(TEXTS) + 3
    assert labelers["old"].builds_on(out, "old").run == "new", "whichever way the taxonomy was changed"
    assert labelers["no model"].builds_on(out, "no model") is None
    assert labelers["other labels"].builds_on(out, "other labels") is None
    assert labeler.builds_on(tmp_path / "nothing.duckdb", "new") is None


def test_old_versions_stay_queryable(make_labeler, texts, tmp_path):
    """A run keeps its taxonomy: what it says before and after another was labelled is the same."""
    out = tmp_path / "runs.duckdb"
    make_labeler(Judge(choose=chosen), rank="listwise", taxonomy=OLD).label_corpus([texts], out, run="old")
    before = rows(out, "old"), shown_to_model(out, 8)
    make_labeler(Judge(choose=chosen), rank="listwise", taxonomy=edit(OLD)).label_corpus([texts], out, run="new")
    after = shown_to_model(out, 8)
    assert rows(out, "old") == before[0]
    assert {key: names for key, names in after.items() if key.startswith("old ")} == before[1]


class Picky(HashedGrams):
    """Refuses a word."""

    def embed(self, texts):
        """Embed, or refuse all of it, as a server does."""
        if any("violin" in text.casefold() and "look for" in text.casefold() for text in texts):
            raise ModelRejected("too long")
        return super().embed(texts)


def test_a_text_that_an_embedder_refuses_is_no_end_of_a_dry_run(make_labeler, texts, tmp_path):
    """The run fails that document alone, and asks nothing of it; so says the dry run."""
    settings = {"rank": "listwise", "infer": "windows", "listed": 3, "embedders": [Picky("picky")]}
    labeler = make_labeler(Judge(choose=chosen), taxonomy=OLD, **settings)
    preview = labeler.preview_corpus(Corpus([texts]), tmp_path / "runs.duckdb", run="r")
    done = labeler.label_corpus([texts], tmp_path / "runs.duckdb", run="r")
    assert done.failed > 0
    assert preview.calls == done.calls
