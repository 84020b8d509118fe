"""Next: what a run, its votes and the gold say of which documents a person should label."""

from __future__ import annotations

import json

import numpy as np
import pytest

from labelmill.corpus import read_documents
from labelmill.errors import InputError, StoreError
from labelmill.learning.acquisition import Weights
from labelmill.pipelines.acquiring import next_documents, write_to_label
from labelmill.pipelines.acquiring.acquire import Wanted
from labelmill.pipelines.acquiring.gold_so_far import GoldSoFar
from labelmill.pipelines.gold import GoldCorpus
from labelmill.records import Document
from labelmill.store import RunWriter, Store
from labelmill.store.combined import CombinedLabels, write_combined
from labelmill.store.vote_writer import VoteWriter
from labelmill.store.votes import VoterRow
from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl
from toy_embedder import HashedGrams

NAMES = [f"label {number}" for number in range(8)]
LABELS = Taxonomy.from_names(NAMES)
ONLY_DOUBT = Weights(1, 0, 0, 0)


def make_run(path, rows, name="run", *, calibrated=True, corpus=(), cut=0.5):
    """Write a run of documents, each a mapping of labels to probabilities."""
    documents = sorted(rows)
    flat = [
        (place, label, score, rank)
        for place, document in enumerate(documents)
        for rank, (label, score) in enumerate(sorted(rows[document].items(), key=lambda each: -each[1]), 1)
    ]
    row, label, score, rank = zip(*flat, strict=True)
    columns = CombinedLabels(
        documents,
        np.array(row, np.int64),
        np.array([NAMES[each] for each in label], dtype=np.object_),
        np.array(rank, np.int32),
        np.array(score, np.float64),
        np.array(score) >= cut,
    )
    program = {"infer": "windows", "rank": "fusion", "calibration": {"kind": "none"} if calibrated else None}
    with Store(path, write=True) as store:
        writer = RunWriter(
            store, run=name, key=name, program=program, taxonomy=LABELS, taxonomy_source="", corpus=corpus, version="0"
        )
        write_combined(store, writer, name, columns, [], lambda _done, _total: None)
        writer.close("finished", 0.0)
    return path


ROWS = {
    "sure": {0: 0.99, 1: 0.01},
    "torn": {2: 0.55, 3: 0.45},
    "mild": {4: 0.8, 5: 0.1},
}


def chosen(path, gold=None, **wanted):
    return [each.document for each in next_documents(path, gold, Wanted(**wanted)).documents]


def test_expected_wrong_decisions_order_documents(tmp_path):
    """Of what is given and should not be, and of what is not and should."""
    path = make_run(tmp_path / "r.duckdb", ROWS)
    found = next_documents(path, None, Wanted(3, weights=ONLY_DOUBT)).documents
    assert [each.document for each in found] == ["torn", "mild", "sure"]
    assert [each.doubt for each in found] == pytest.approx([0.9, 0.3, 0.02])
    assert [each.name for each in found[0].doubtful] == ["label 2", "label 3"]
    assert (found[0].reason, found[0].labelled) == ("uncertainty", False)


def test_scores_that_are_no_probabilities_count_by_how_near_they_are_to_the_cut(tmp_path):
    """And the reader is told."""
    rows = {"near": {0: 21.0, 1: 19.9}, "far": {2: 30.0, 3: 1.0}, "none": {4: 5.0, 5: 2.0}}
    path = make_run(tmp_path / "r.duckdb", rows, calibrated=False, cut=20.0)
    found = next_documents(path, None, Wanted(2, weights=ONLY_DOUBT))
    assert found.documents[0].document == "near"
    assert "no probabilities" in found.notes[0]


def test_gold_teaches_what_scores_mean(tmp_path):
    """From 30 documents of the run on."""
    random = np.random.default_rng(0)
    rows = {f"d{number:02}": {0: float(random.uniform(0, 40)), 1: 1.0} for number in range(60)}
    gold = GoldCorpus(
        tuple(Document(name, "", (NAMES[0],) if rows[name][0] > 25 else (NAMES[2],)) for name in sorted(rows)[:40])
    )
    path = make_run(tmp_path / "r.duckdb", rows, calibrated=False, cut=20.0)
    found = next_documents(path, gold, Wanted(1, weights=ONLY_DOUBT))
    (first,) = found.documents
    assert abs(rows[first.document][0] - 25) < 6
    assert "gold taught" in found.notes[0]


def test_documents_with_gold_are_not_new_and_their_labels_are_not_rare(tmp_path):
    """Gold of documents that the run does not have counts for its labels."""
    path = make_run(tmp_path / "r.duckdb", {"a": {0: 0.6}, "b": {1: 0.6}, "c": {2: 0.6}})
    gold = GoldCorpus((Document("a", "", (NAMES[0],)), Document("elsewhere", "", (NAMES[1],))))
    found = next_documents(path, gold, Wanted(5, weights=Weights(0, 0, 1, 0)))
    assert [each.document for each in found.documents] == ["c", "b"]
    assert found.documents[0].tail == ("label 2",)
    assert (found.pool, found.labelled) == (2, 1)


def test_runs_that_choose_otherwise_disagree(tmp_path):
    """Of several runs, the first ranks."""
    path = make_run(tmp_path / "r.duckdb", {"same": {0: 0.9}, "other": {1: 0.9}})
    make_run(path, {"same": {0: 0.9}, "other": {2: 0.9}}, "second")
    assert chosen(path, count=1, runs=("run", "second"), weights=Weights(0, 1, 0, 0)) == ["other"]


def test_voters_that_contradict_each_other_disagree(tmp_path):
    """Also one who says nothing, where silence is a no; not one who was not shown the document."""
    path = make_run(tmp_path / "r.duckdb", {"agreed": {0: 0.9}, "alone": {0: 0.9}, "unseen": {0: 0.9}})
    with Store(path, write=True) as store:
        for voter, shown, said in (
            ("u", "agreed alone unseen", "agreed alone unseen"),
            ("v", "agreed alone", "agreed"),
        ):
            writer = VoteWriter(store, [VoterRow(voter, "rules")], LABELS, voter)
            writer.write(shown.split(), [(voter, each, NAMES[0], 1, 1.0, 0) for each in said.split()])
            writer.finish()
    found = next_documents(path, None, Wanted(3, weights=Weights(0, 1, 0, 0))).documents
    assert [each.document for each in found if each.parts["disagreement"] > 0] == ["alone"]


def test_lanes_disagree_where_there_is_nobody_else(tmp_path):
    """A lane votes for what it ranks among its first five."""
    path = make_run(tmp_path / "r.duckdb", {"a": {0: 0.9}, "b": {0: 0.9}})
    with Store(path, write=True) as store, store.transaction():
        store.connection.execute(
            "UPDATE predictions SET evidence = [{'lane': 'x', 'rank': 1, 'score': 1::FLOAT, 'query': ''}, "
            "{'lane': 'y', 'rank': CASE WHEN document = 'a' THEN 1 ELSE 40 END, 'score': 1::FLOAT, 'query': ''}]"
        )
    found = next_documents(path, None, Wanted(2, weights=Weights(0, 1, 0, 0))).documents
    assert [each.parts["disagreement"] for each in found] == [1.0, 0.0]
    assert found[0].document == "b"


def test_a_large_run_is_looked_at_by_its_best_and_a_sample(tmp_path, monkeypatch):
    """The same on every call; another seed draws another sample."""
    from labelmill.pipelines.acquiring import acquire

    monkeypatch.setattr(acquire, "_SHORTLIST", 20)
    rows = {f"d{number:03}": {number % 8: 0.5 if number == 77 else 0.95} for number in range(300)}
    path = make_run(tmp_path / "r.duckdb", rows)
    found, again, other = (next_documents(path, None, Wanted(2, seed=seed, weights=ONLY_DOUBT)) for seed in (0, 0, 1))
    assert found == again
    assert (found.looked_at, found.pool) == (20, 300)
    assert found.documents[0].document == other.documents[0].document == "d077"


def test_gold_that_run_and_annotators_deny_is_labelled_again(tmp_path):
    """Of documents with gold, the one that has a label too many and lacks another comes first, and is told so."""
    rows = {f"d{number}": {number % 4: 0.95, 7: 0.02} for number in range(8)}
    gold = [Document(name, "", (NAMES[int(name[1]) % 4],)) for name in rows]
    gold[5] = Document("d5", "", (NAMES[6],))
    path = make_run(tmp_path / "r.duckdb", rows)
    found = next_documents(path, GoldCorpus(tuple(gold)), Wanted(3, among="gold")).documents
    assert (found[0].document, found[0].labelled) == ("d5", True)
    assert {(each.name, each.gold) for each in found[0].doubtful} >= {("label 6", True), ("label 1", False)}
    assert found[0].to_label()["gold"] == ["label 6"]


def test_new_documents_and_another_look_are_on_one_scale(tmp_path):
    """What is worth more comes first; what is labelled and agreed on comes last."""
    rows = {"torn": {0: 0.5, 1: 0.5, 2: 0.5}, "wrong": {3: 0.97}, "fine": {3: 0.97}}
    gold = GoldCorpus((Document("wrong", "", (NAMES[5],)), Document("fine", "", (NAMES[3],))))
    path = make_run(tmp_path / "r.duckdb", rows)
    assert chosen(path, gold, count=3, among="both", weights=ONLY_DOUBT) == ["torn", "wrong", "fine"]


def test_what_annotators_labelled_is_in_an_order_of_its_own(tmp_path):
    """That of a set of texts is another in every process, and with it what is kept of much gold."""
    names = [f"d{number:02}" for number in range(40)]
    path = make_run(tmp_path / "r.duckdb", {name: {0: 0.9} for name in names})
    with Store(path, write=True) as store:
        writer = VoteWriter(store, [VoterRow("ann", "imported", silence=True)], LABELS, "ann")
        writer.write(names, [("ann", each, NAMES[5], 1, 1.0, 0) for each in names])
        writer.finish()
    with Store(path) as store:
        assert list(GoldSoFar.read(store, "run", LABELS, None, ["ann"]).labels) == names


def test_gold_of_annotators_is_what_more_than_half_of_them_gave(tmp_path):
    """As it is imported: of two who differ, what both gave."""
    path = make_run(tmp_path / "r.duckdb", {"one": {0: 0.9}})
    with Store(path, write=True) as store:
        for voter, given in (("ann", (5, 6)), ("bob", (5, 7))):
            writer = VoteWriter(store, [VoterRow(voter, "imported", silence=True)], LABELS, voter)
            writer.write(["one"], [(voter, "one", NAMES[each], 1, 1.0, 0) for each in given])
            writer.finish()
    with Store(path) as store:
        assert GoldSoFar.read(store, "run", LABELS, None, ["ann", "bob"]).labels == {"one": frozenset({5})}


def test_two_annotators_who_agree_need_no_third(tmp_path):
    """They are voters of the file, and count apart."""
    path = make_run(tmp_path / "r.duckdb", {"one": {0: 0.9}, "two": {1: 0.9}})
    with Store(path, write=True) as store:
        for voter, shown in (("ann", ["one", "two"]), ("bob", ["two"])):
            writer = VoteWriter(store, [VoterRow(voter, "imported", silence=True)], LABELS, voter)
            writer.write(shown, [(voter, each, NAMES[5], 1, 1.0, 0) for each in shown])
            writer.finish()
    found = next_documents(path, None, Wanted(2, annotators=("ann", "bob"), among="gold")).documents
    doubt = {each.document: next(one.probability for one in each.suggestions if one.gold) for each in found}
    assert doubt["one"] < doubt["two"]
    with pytest.raises(StoreError, match=r"no voter 'eve'\. It has: ann, bob"):
        next_documents(path, None, Wanted(annotators=("eve",)))


def test_texts_come_from_the_corpus_and_are_near_by_an_embedder(tmp_path):
    """A document that is there twice under two ids is given once; what is filled in is read back as gold."""
    texts = {"a": "bake bread", "b": "bake bread", "c": "a violin"}
    docs = write_jsonl(tmp_path / "docs.jsonl", [{"id": name, "text": text} for name, text in texts.items()])
    path = make_run(tmp_path / "r.duckdb", {"a": {0: 0.5}, "b": {1: 0.5}, "c": {2: 0.9}}, corpus=[str(docs)])
    found = next_documents(path, None, Wanted(2, texts=True, embedder=HashedGrams()))
    assert sorted(each.text for each in found.documents) == ["a violin", "bake bread"]
    out = tmp_path / "out.jsonl"
    assert write_to_label((each.to_label() for each in found.documents), out) == 2
    assert [each.labels for each in read_documents([out])] == [None, None]
    rows = [json.loads(line) | {"labels": ["label 1"]} for line in out.read_text().splitlines()]
    assert [each.labels for each in read_documents([write_jsonl(tmp_path / "filled.jsonl", rows)])] == [
        ("label 1",)
    ] * 2


def test_what_is_not_there_is_told(tmp_path):
    """A corpus that moved; gold that is of other documents; nothing left to choose."""
    path = make_run(tmp_path / "r.duckdb", ROWS, corpus=["/nowhere/docs.jsonl"])
    with pytest.raises(InputError, match="Say where the documents are now with --docs"):
        next_documents(path, None, Wanted(texts=True))
    elsewhere = GoldCorpus((Document("x", "", (NAMES[0],)),))
    with pytest.raises(InputError, match="none can be labelled again"):
        next_documents(path, elsewhere, Wanted(among="gold"))
    everything = GoldCorpus(tuple(Document(name, "", (NAMES[0],)) for name in ROWS))
    with pytest.raises(InputError, match="no document that could be chosen"):
        next_documents(path, everything)
