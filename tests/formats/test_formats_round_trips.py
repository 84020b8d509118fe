"""What is written for another tool and read back says the same, whatever names there are."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from written_formats import HOSTILE, TEXTS, chosen, items, labels_of, taxonomies, taxonomy_of

from labelmill.errors import InputError
from labelmill.formats import Item, Judged, Scored, Vote
from labelmill.formats.argilla import read_records, write_records
from labelmill.formats.card import Card, render_card
from labelmill.formats.cleanlab import read_examples, write_examples
from labelmill.formats.hugging_face import DOCUMENTS, Origin, prepare_folder, read_folder, write_documents
from labelmill.formats.label_studio import read_tasks, write_interface, write_tasks
from labelmill.formats.snorkel import Ballots, read_matrix, write_matrix
from labelmill.formats.wrench import ABSTAINS, read_split, write_split

_settings = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def resolved(taxonomy, votes: tuple[Vote, ...]) -> list[int]:
    """Look labels up as an import does."""
    return [taxonomy.resolve(vote.label) for vote in votes]


@_settings
@given(st.data())
def test_label_studio_gives_final_sets_back(tmp_path: Path, data: st.DataObject):
    """With ranks, and with scores where they are probabilities; texts and ids as they were."""
    taxonomy = data.draw(taxonomies())
    documents = data.draw(items(taxonomy))
    path = tmp_path / "tasks.json"
    assert write_tasks(path, documents, labels_of(taxonomy), "a run") == len(documents)
    back = list(read_tasks(path))
    assert [each.document for each in back] == [item.document for item in documents]
    for item, judged in zip(documents, back, strict=True):
        (opinion,) = judged.opinions
        assert (opinion.who, opinion.predicted, judged.text) == ("a run", True, item.text or "")
        assert resolved(taxonomy, opinion.votes) == [each.label for each in chosen(item)]
        assert [vote.rank for vote in opinion.votes] == [each.rank for each in chosen(item)]
        sure = [each.score if 0 < each.score <= 1 else 1.0 for each in chosen(item)]
        assert [vote.confidence for vote in opinion.votes] == sure


@_settings
@given(st.data())
def test_argilla_gives_final_sets_back(tmp_path: Path, data: st.DataObject):
    """In the order of their ranks, with scores; an empty set is no suggestion."""
    taxonomy = data.draw(taxonomies())
    documents = data.draw(items(taxonomy, probabilities=True))
    path = tmp_path / "records.json"
    write_records(path, documents, labels_of(taxonomy), "a run", scores=True)
    back = list(read_records(path))
    assert [each.document for each in back] == [item.document for item in documents]
    for item, judged in zip(documents, back, strict=True):
        assert judged.text == (item.text or "")
        votes = [vote for opinion in judged.opinions for vote in opinion.votes]
        assert resolved(taxonomy, tuple(votes)) == [each.label for each in chosen(item)]
        assert [vote.confidence for vote in votes] == [each.score or 1.0 for each in chosen(item)]
        assert [vote.rank for vote in votes] == [*range(1, len(chosen(item)) + 1)]


@settings(_settings, max_examples=15)
@given(st.data())
def test_hugging_face_keeps_every_row(tmp_path: Path, data: st.DataObject):
    """In the Parquet file itself, bit by bit; and read back, for final sets and against the rest."""
    taxonomy = data.draw(taxonomies())
    documents = data.draw(items(taxonomy))
    folder = tmp_path / "set"
    prepare_folder(folder)
    assert write_documents(folder, documents, labels_of(taxonomy), Origin("it's a run", probabilities=False)) == len(
        documents
    )
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT * FROM read_parquet(?)", [str(folder / DOCUMENTS)]).fetchall()
    expected = [
        (
            item.document,
            item.text,
            [taxonomy[each.label].id for each in chosen(item)],
            [
                {"label": taxonomy[each.label].id, "rank": each.rank, "score": each.score, "selected": each.selected}
                for each in item.predictions
            ],
            None if item.gold is None else [taxonomy[each].id for each in item.gold],
        )
        for item in documents
    ]
    assert rows == expected
    for item, judged in zip(documents, read_folder(folder), strict=True):
        (opinion,) = judged.opinions
        assert opinion.who == "it's a run"
        assert [(vote.label, vote.vote, vote.rank) for vote in opinion.votes] == [
            (taxonomy[each.label].id, 1 if each.selected else -1, each.rank) for each in item.predictions
        ]
        assert judged.gold == (None if item.gold is None else tuple(taxonomy[each].id for each in item.gold))


@_settings
@given(st.data(), st.booleans(), st.booleans())
def test_cleanlab_gives_labels_and_probabilities_back(
    tmp_path: Path, data: st.DataObject, exclusive: bool, sparse: bool
):
    """Dense and sparse alike, of one label a document or several."""
    taxonomy = data.draw(taxonomies())
    documents = [
        Item(item.document, item.text, (item.gold or (0,))[:1] if exclusive else item.gold or (0,), item.predictions)
        for item in data.draw(items(taxonomy, probabilities=True))
    ]
    assume(documents)
    path = tmp_path / "examples.npz"
    written = write_examples(path, documents, labels_of(taxonomy), exclusive=exclusive, dense=0 if sparse else 10**6)
    assert written.sparse == sparse
    back = list(read_examples(path))
    assert [(each.document, each.gold) for each in back] == [
        (item.document, tuple(taxonomy[each].id for each in item.gold)) for item in documents
    ]
    if exclusive:
        if not written.sparse:
            with np.load(path, allow_pickle=False) as arrays:
                assert np.allclose(arrays["pred_probs"].sum(axis=1), 1)
        return
    for item, judged in zip(documents, back, strict=True):
        said = {
            vote.label: vote.confidence if vote.vote > 0 else 1 - vote.confidence for vote in judged.opinions[0].votes
        }
        wanted = {taxonomy[each.label].id: each.score for each in item.predictions}
        assert said == pytest.approx({name: score for name, score in wanted.items() if score or written.sparse})


@st.composite
def ballots(draw: st.DrawFn, *, exclusive: bool) -> Ballots:
    """Draw votes of some voters."""
    voters = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    documents = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    labels = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    pairs = st.tuples(st.integers(0, len(documents) - 1), st.integers(0, len(voters) - 1))
    places = st.tuples(pairs, st.integers(0, len(labels) - 1))
    votes = sorted(draw(st.lists(places, unique_by=(lambda each: each[0]) if exclusive else (lambda each: each))))
    size = len(votes)
    columns = {
        "sign": [1] * size if exclusive else draw(st.lists(st.sampled_from([1, -1]), min_size=size, max_size=size)),
        "confidence": draw(st.lists(st.sampled_from([1.0, 0.5, 0.125]), min_size=size, max_size=size)),
        "rank": draw(st.lists(st.integers(0, 5), min_size=size, max_size=size)),
    }
    shown = np.array(draw(st.lists(st.booleans(), min_size=len(voters), max_size=len(voters))))
    shown = np.tile(shown, (len(documents), 1)) if draw(st.booleans()) else np.ones((len(documents), len(voters)), bool)
    for (document, voter), _ in votes:
        shown[document, voter] = True
    return Ballots(
        voters,
        np.array([draw(st.booleans()) for _ in voters]),
        documents,
        labels,
        labels,
        np.array([voter for (_, voter), _ in votes], np.int64),
        np.array([document for (document, _), _ in votes], np.int64),
        np.array([label for _, label in votes], np.int64),
        np.array(columns["sign"], np.int64),
        np.array(columns["confidence"], np.float64),
        np.array(columns["rank"], np.int64),
        shown,
    )


def rows_of(judged: list[Judged]) -> set[tuple[str, str, Vote]]:
    """List votes with who cast them on what."""
    return {
        (each.document, opinion.who, vote) for each in judged for opinion in each.opinions for vote in opinion.votes
    }


@_settings
@given(st.data(), st.booleans())
def test_snorkel_gives_every_vote_back(tmp_path: Path, data: st.DataObject, exclusive: bool):
    """With confidence and rank, who was shown what, and whose silence is a no."""
    votes = data.draw(ballots(exclusive=exclusive))
    path = tmp_path / "votes.npz"
    write_matrix(path, votes, exclusive=exclusive)
    electors, read = read_matrix(path)
    back = list(read)
    assert dict(electors.silence) == dict(zip(votes.voters, votes.silence.tolist(), strict=True))
    assert electors.together == bool(votes.shown.all())
    assert [each.document for each in back] == list(votes.documents)
    assert rows_of(back) == {
        (
            votes.documents[votes.document[place]],
            votes.voters[votes.voter[place]],
            Vote(
                votes.labels[votes.label[place]],
                int(votes.sign[place]),
                float(votes.confidence[place]),
                int(votes.rank[place]),
            ),
        )
        for place in range(len(votes.voter))
    }
    for row, each in enumerate(back):
        shown = {votes.voters[voter] for voter in np.flatnonzero(votes.shown[row])}
        assert {opinion.who for opinion in each.opinions} == shown


@_settings
@given(st.data())
def test_wrench_gives_every_vote_back(tmp_path: Path, data: st.DataObject):
    """With texts and classes; names of voters are in a file beside it."""
    taxonomy = data.draw(taxonomies())
    called = labels_of(taxonomy).handles
    voters = data.draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    classes = st.integers(ABSTAINS, len(taxonomy) - 1)
    ids = data.draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    rows = [
        (name, data.draw(st.none() | TEXTS), data.draw(classes), [data.draw(classes) for _ in voters]) for name in ids
    ]
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    assert write_split(tmp_path / "set", "test", rows, called, voters) == len(rows)
    back = list(read_split(tmp_path / "set" / "test.json"))
    for (name, text, label, votes), judged in zip(rows, back, strict=True):
        assert (judged.document, judged.text) == (name, text or "")
        gold = None if judged.gold is None else taxonomy.resolve(*judged.gold)
        assert gold == (None if label == ABSTAINS else label)
        said = [[taxonomy.resolve(vote.label) for vote in opinion.votes] for opinion in judged.opinions]
        assert said == [[] if vote == ABSTAINS else [vote] for vote in votes]
        assert [opinion.who for opinion in judged.opinions] == voters


@pytest.mark.parametrize("tree", [True, False])
def test_an_interface_has_a_choice_for_every_label(tmp_path: Path, tree: bool):
    """Whatever its name, but for characters that XML has not: then there is no interface, and a reason."""
    from xml.etree import ElementTree as ET

    path = tmp_path / "interface.xml"
    names = [name for name in HOSTILE if name.isprintable()]
    taxonomy = taxonomy_of(names, tree=tree)
    labels = labels_of(taxonomy)
    assert write_interface(path, labels) == ""
    choices = list(ET.parse(path).getroot().iter("Choice"))
    assert [each.get("alias", each.get("value")) for each in choices] == list(labels.handles)
    assert [each.get("value") for each in choices] == names
    assert "XML has not" in write_interface(path, labels_of(taxonomy_of(HOSTILE, tree=tree)))


def test_an_interface_that_cannot_be_written_is_one_line(tmp_path: Path):
    """And what stands there stays."""
    (tmp_path / "interface.xml").mkdir()
    with pytest.raises(InputError, match=r"interface\.xml.*cannot be written"):
        write_interface(tmp_path / "interface.xml", labels_of(taxonomy_of(["a"])))


def test_splits_of_one_folder_have_the_same_classes_and_voters(tmp_path: Path):
    """What names them is not written over: splits that are there would mean something else."""
    write_split(tmp_path, "train", [("d", None, 0, [1])], ["ham", "spam"], ["a"])
    write_split(tmp_path, "test", [("e", None, 0, [1])], ["ham", "spam"], ["a"])
    write_split(tmp_path / "alone", "train", [], ["a"], ["x"])
    write_split(tmp_path / "alone", "train", [], ["b"], ["y"])  # nothing else is there that would change its meaning
    for classes, voters, name in ((["spam", "ham"], ["a"], "label"), (["ham", "spam"], ["b"], "voters")):
        with pytest.raises(InputError, match=rf"{name}\.json.*says something else"):
            write_split(tmp_path, "train", [("d", None, 1, [0])], classes, voters)
    for name in ("label", "../train"):  # would be written over the classes, or elsewhere
        with pytest.raises(InputError, match="is no split"):
            write_split(tmp_path, name, [], ["ham", "spam"], ["a"])
    (judged,) = read_split(tmp_path / "train.json")
    assert (judged.gold, judged.opinions[0].who) == (("ham",), "a")


@pytest.mark.parametrize(("documents", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (30_000_000, "10M<n<100M")])
def test_a_card_says_sizes_as_the_hub_does(documents: int, size: str):
    """It knows these words and no others."""
    assert f"size_categories:\n- {size}\n" in render_card(Card("run", documents, documents, {}, {}))


def test_a_name_that_two_labels_share_is_not_used(tmp_path: Path):
    """Their ids are: what comes back is one label, and the right one."""
    from labelmill.records import Label
    from labelmill.taxonomy import Taxonomy

    taxonomy = Taxonomy((Label("a", "bank"), Label("b", "Bank"), Label("c", "a")))
    path = tmp_path / "tasks.json"
    predictions = tuple(Scored(place, place + 1, 1.0, True) for place in range(3))
    write_tasks(path, [Item("d", None, None, predictions)], labels_of(taxonomy), "run")
    (judged,) = read_tasks(path)
    assert resolved(taxonomy, judged.opinions[0].votes) == [0, 1, 2]
