"""A run carried over to another version of its taxonomy: what stays, what goes, and that nothing else is touched."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from written_runs import LABELS, key_of

from labelmill.errors import StoreError
from labelmill.records import Failure, Label, LaneHit, Prediction
from labelmill.store import Store, Stored, migration
from labelmill.store.migration import migrate_run, taxonomy_of
from labelmill.store.reader import choose_run, export, read_failures, read_ranked, read_taxonomy
from labelmill.store.standings import read_phrases, read_program
from labelmill.store.summary import summarise
from labelmill.taxonomy import Taxonomy

IDS = [label.id for label in LABELS]
NEW = Taxonomy.from_labels(
    [
        Label("new", "of no source"),
        *(replace(label, name=f"{label.name}!", parents=()) for label in LABELS.labels[:4]),
        Label("merged", "two in one"),
        Label("part 'one'", "a part"),
        Label("part two", "another"),
    ]
)
TARGETS = {
    **{label: (label,) for label in IDS[:4]},
    IDS[4]: ("merged",),
    IDS[5]: ("merged",),
    IDS[6]: ("part 'one'", "part two"),
    IDS[7]: (IDS[0],),
    IDS[8]: (),
    IDS[9]: (),
}


def drawn(number: int, seed: int = 0) -> list[Prediction]:
    """Rank some labels; a few were named by a model and not retrieved."""
    chance = random.Random(f"{seed} {number}")
    labels = chance.sample(LABELS.labels, chance.randrange(len(IDS) + 1))
    places = chance.sample(range(1, len(labels) + 1), len(labels))
    return [
        Prediction(
            label.id,
            label.name,
            rank,
            2 - rank / 16,
            chance.random() < 0.4,
            0 if chance.random() < 0.2 else places[rank - 1],
            (LaneHit("lane", rank, 0.25, label.name), LaneHit("other", 1, 0.5)),
            places[rank - 1] / 32,
        )
        for rank, label in enumerate(labels, start=1)
    ]


def expected(predictions: list[Prediction], all_parts: bool) -> list[tuple]:
    """Say by hand what is left of a ranking."""
    gone_on: dict[str, list] = {}
    for prediction in predictions:  # the better rank first
        into = TARGETS[prediction.label]
        for target in into if len(into) == 1 or all_parts else ():
            found = gone_on.setdefault(target, [prediction, False, []])
            found[1] |= prediction.selected
            found[2] += [prediction.retrieval_rank] if prediction.retrieval_rank else []
    retrieved = {target: min(places) for target, (_, _, places) in gone_on.items() if places}
    order = sorted(retrieved, key=lambda target: (retrieved[target], list(gone_on).index(target)))
    return [
        (target, rank, best.score, selected, order.index(target) + 1 if target in order else 0, best.retrieval_score,
         [hit.query for hit in best.evidence])
        for rank, (target, (best, selected, _)) in enumerate(gone_on.items(), start=1)
    ]  # fmt: skip


def carried(written, run: str) -> dict[str, list[tuple]]:
    found: dict[str, list[tuple]] = {}
    rows = written.rows(
        "SELECT document, label, rank, score, selected, retrieval_rank, retrieval_score, evidence FROM predictions "
        f"WHERE run = '{run}' ORDER BY document, rank"
    )
    for document, *values, evidence in rows:
        found.setdefault(document, []).append((*values, [hit["query"] for hit in evidence]))
    return found


@pytest.fixture
def filled(written):
    """Two runs of two hundred documents, in batches that lie between each other's, with answers and failures."""
    with Store(written.path, write=True) as store:
        writers = [
            written.writer(store, run, key=f"k{run}", program={"infer": "lm", "rank": "listwise"})
            for run in ("old", "other")
        ]
        for start in range(0, 200, 20):
            for seed, writer in enumerate(writers):
                documents = [
                    written.document(f"d{n:03}", predictions=drawn(n, seed), stages=(f"s{n}",), retrieval=key_of(f"r{n}"))
                    for n in range(start, start + 20)
                ]  # fmt: skip
                failed = Failure(f"f{start}", "rank", "rejected", "too long", "docs.jsonl:9", 1, key_of(f"f{start}"))
                stages = [written.stage(f"s{n}", [f"phrase {n}"]) for n in range(start, start + 20)]
                writer.write(documents, [failed], [] if seed else stages)
        for writer in writers:
            writer.close("finished", 1.0)
    return written


def migrate(written, name="new", run="old", targets=TARGETS, **settings):
    with Store(written.path, write=True) as store:
        return migrate_run(store, run, NEW, targets, name=name, source="new.csv", version="1", **settings)


@pytest.mark.parametrize("all_parts", [False, True])
@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_predictions_go_where_their_labels_went(filled, monkeypatch, all_parts, at_once):
    """In the order they had: merged ones once, at the better rank; removed ones out; split ones if all parts apply."""
    monkeypatch.setattr(migration, "_BATCHES_AT_ONCE", at_once)
    before = {table: filled.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in ("documents", "predictions")}
    done = migrate(filled, all_parts=all_parts)
    wanted = {f"d{n:03}": found for n in range(200) if (found := expected(drawn(n), all_parts))}
    assert carried(filled, "new") == wanted
    for table, rows in before.items():
        assert filled.rows(f"SELECT * FROM {table} WHERE run <> 'new' ORDER BY ALL") == rows, "other runs are untouched"
    rows = [row for found in wanted.values() for row in found]
    assert (done.documents, done.failures, done.predictions) == (200, 10, len(rows))
    assert done.selected == sum(row[3] for row in rows)
    dropped = [prediction for n in range(200) for prediction in drawn(n)]
    for what, labels in ((done.removed, IDS[8:]), (done.split, [] if all_parts else [IDS[6]])):
        assert what == {
            label: (
                sum(each.label == label for each in dropped),
                sum(each.label == label and each.selected for each in dropped),
            )
            for label in labels
        }
    selected = {f"d{n:03}" for n in range(200) if any(each.selected for each in drawn(n))}
    assert done.emptied == len(selected - {name for name, found in wanted.items() if any(row[3] for row in found)})


def test_no_prediction_is_outside_the_taxonomy(filled):
    """Not even where a map leads out of it."""
    migrate(filled, targets=TARGETS | {IDS[0]: ("nowhere",)})
    inside = {label.id for label in NEW}
    assert {label for (label,) in filled.rows("SELECT DISTINCT label FROM predictions WHERE run = 'new'")} <= inside


def test_the_new_run_is_read_like_any_other(filled, tmp_path):
    """With its own version of the taxonomy, the answers that went into it, and its failures; it spent nothing."""
    migrate(filled)
    with Store(filled.path) as store:
        assert choose_run(store, None) == "new"
        assert read_taxonomy(store, "new").key == NEW.key == taxonomy_of(store, "new")
        assert read_taxonomy(store, "old").key == LABELS.key
        ranked = read_ranked(store, "new", depth=50)
        assert len(ranked.documents) == 200
        assert read_failures(store, "new") == read_failures(store, "old")
        assert read_phrases(store, "new", ["d007"]) == {"d007": ["phrase 7"]}
        assert read_program(store, "new") == read_program(store, "old")
        summary = summarise(store, "new")
        assert (summary.state, summary.calls, summary.requests) == ("migrated", 200, 0)
        assert summary.program["migrated"] == {"run": "old", "taxonomy": LABELS.key, "state": "finished"}
        assert export(store, "new", tmp_path / "out.jsonl") == len(ranked.rows)


def test_no_run_takes_it_for_its_own(filled):
    """Neither for documents that are done, nor for candidates: those of the old run are of the old labels."""
    migrate(filled)
    (keys,) = ([key for (key,) in filled.rows("SELECT key FROM documents WHERE run = 'old'")],)
    with Store(filled.path) as store:
        stored = Stored(store, "new", NEW)
        assert not any(stored.done(key) for key in keys)
        assert filled.rows("SELECT DISTINCT retrieval FROM documents WHERE run = 'new'") == [("",)]


def test_again_it_is_the_same(filled):
    """A migration is made anew under its name; what a program made, or another map, is not touched."""
    migrate(filled)
    once = carried(filled, "new")
    migrate(filled)
    assert carried(filled, "new") == once
    assert filled.rows("SELECT run FROM runs ORDER BY run") == [("new",), ("old",), ("other",)]
    for name, targets in (("other", TARGETS), ("new", TARGETS | {IDS[0]: ()})):
        with pytest.raises(StoreError, match=f"has a run '{name}' that is another one. Give another name with --as"):
            migrate(filled, name=name, targets=targets)
    with pytest.raises(StoreError, match="has no run 'nobody'"):
        migrate(filled, run="nobody")
    assert carried(filled, "new") == once


def test_a_migration_that_fails_leaves_nothing(filled, monkeypatch):
    """It is one transaction."""
    before = filled.rows("SELECT * FROM predictions ORDER BY ALL")
    monkeypatch.setattr(migration, "_FAILURES", "SELECT nonsense")
    with pytest.raises(Exception, match="nonsense"):
        migrate(filled)
    assert filled.rows("SELECT run FROM runs WHERE run = 'new'") == []
    assert filled.rows("SELECT * FROM predictions ORDER BY ALL") == before
