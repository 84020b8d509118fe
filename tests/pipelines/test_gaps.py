"""Gaps: what documents say and no label is near to, as proposals, and the next version of the taxonomy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import NAMES, TEXTS

from labelmill import Taxonomy
from labelmill.corpus import Corpus
from labelmill.errors import InputError, ModelRejected
from labelmill.models.client import Completion
from labelmill.pipelines.gaps import Limits, Proposal, accept, gaps_of_run, read_proposals, write_proposals
from labelmill.pipelines.gaps.clusters import cluster, medoid, split
from labelmill.pipelines.gaps.naming import name_proposals
from labelmill.pipelines.gaps.phrases import Windows
from labelmill.pipelines.gaps.proposals import NearLabel, Part
from labelmill.pipelines.gaps.splits import overloaded
from labelmill.prompts.card import TaskCard
from labelmill.records import Label
from labelmill.store import Store
from labelmill.store.phrases import count_groups, count_proposed, read_supporting
from labelmill.taxonomy import check, write_jsonl
from scripted import ScriptedModel
from scripted import write_jsonl as write_rows
from toy_embedder import HashedGrams

KNIVES = ["sharpen kitchen knives", "Sharpen kitchen knives", "sharpen the kitchen knives", "sharpening kitchen knives"]


def vectors(count: int, seed: int, width: int = 8) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("count", "likeness"), [(0, 0.5), (1, 0.5), (700, 0.4), (1500, 0.8), (600, 2.0)])
def test_clusters_are_those_of_one_comparison_after_the_other(count, likeness):
    """Each vector goes to the nearest leader before it, or leads; blocks change nothing."""
    given_vectors = vectors(count, 1)
    leaders: list[int] = []
    wanted = []
    for place, one in enumerate(given_vectors):
        scores = given_vectors[leaders] @ one if leaders else np.array([])
        if len(scores) and scores.max() >= likeness:
            wanted.append(leaders[int(scores.argmax())])
        else:
            leaders.append(place)
            wanted.append(place)
    assert cluster(given_vectors, likeness).tolist() == wanted


def test_the_medoid_is_in_the_middle_of_what_counts():
    """Two near to each other outweigh a third; weight moves it."""
    three = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    assert medoid(three, [1, 1, 1]) == 1
    assert medoid(three, [1, 1, 9]) == 2


def test_two_bundles_are_split_and_one_is_not_apart():
    """The difference within and between is large for two things and small for one; weights count."""
    two = np.concatenate([np.tile([1, 0.1, 0], (4, 1)), np.tile([0, 0.1, 1], (3, 1))]).astype(np.float32)
    two /= np.linalg.norm(two, axis=1, keepdims=True)
    halves = split(two, np.ones(7))
    assert halves is not None
    assert sorted([int(halves.first.sum()), int((~halves.first).sum())]) == [3, 4]
    assert halves.within - halves.between > 0.9
    assert split(np.tile(np.float32([1, 0]), (3, 1)), np.ones(3)) is None


@pytest.fixture
def short() -> Taxonomy:
    """The twelve labels without two that the texts name."""
    return Taxonomy.from_names([name for name in NAMES if name not in {"sail small boats", "train guide dogs"}])


@pytest.fixture
def proposed(make_labeler, short, tmp_path):
    """A run of nine documents for which a model proposed phrases: eight that a label is near to, and knives in three."""
    rows = [{"id": f"t{n}", "text": text} for n, text in enumerate(TEXTS)] + [{"id": "t8", "text": "Knives, again."}]
    said = {text: [NAMES[n]] for n, text in enumerate(TEXTS)} | {"Knives, again.": [KNIVES[2]]}
    said[TEXTS[0]] += [KNIVES[0], "one of a kind"]
    said[TEXTS[1]] += [KNIVES[1], KNIVES[3]]
    model = ScriptedModel(phrases=lambda request: said[request.text])
    path = tmp_path / "runs.duckdb"
    corpus = write_rows(tmp_path / "docs.jsonl", rows)
    make_labeler(model, taxonomy=short, infer="lm").label_corpus([corpus], path, run="r")
    return path


def test_phrases_are_counted_by_document_and_spelling(proposed):
    """Case tells no phrases apart; the most frequent spelling, then the first, stands for a phrase."""
    with Store(proposed) as store:
        counted = count_proposed(store, "r")
        groups = count_groups(store, "r", {"sharpen kitchen knives": 7, "sharpening kitchen knives": 7, "absent": 2})
    assert counted[0] == ("sharpen kitchen knives", "Sharpen kitchen knives", 2)
    assert all(before[2] >= after[2] for before, after in pairwise(counted))
    assert groups == {7: (2, ("t0", "t1"))}


def test_what_no_label_is_near_to_is_proposed_with_its_evidence(proposed, short):
    """One new label for three spellings in three documents; what is near to a label, or said once, is not proposed."""
    found = gaps_of_run(proposed, embedder=HashedGrams(), limits=Limits(near=0.9, alike=0.8, alias=2.0))
    names = [each.name.casefold() for each in found.proposals]
    knives = next(each for each in found.proposals if "knives" in each.name.casefold())
    assert knives.kind == "new"
    assert knives.documents == 3
    assert knives.sample == ("t0", "t1", "t8")
    assert {phrase.casefold() for phrase in knives.phrases} == {phrase.casefold() for phrase in KNIVES}
    assert len(knives.nearest) == 3
    assert knives.nearest[0].likeness >= knives.nearest[1].likeness
    assert {near.label for near in knives.nearest} <= {label.id for label in short}
    assert "one of a kind" not in names
    assert not set(names) & {name.casefold() for name in short.names}
    again = gaps_of_run(proposed, embedder=HashedGrams(), limits=Limits(near=0.9, alike=0.8, alias=2.0))
    assert again.proposals == found.proposals


def test_what_one_label_alone_comes_near_to_is_an_alias(proposed):
    """Under other words: near enough to that one, and to no other as much."""
    found = gaps_of_run(proposed, embedder=HashedGrams(), limits=Limits(near=0.95, alias=0.3, margin=0.0, documents=1))
    aliases = [each for each in found.proposals if each.kind == "alias"]
    assert aliases
    assert all(each.label == each.nearest[0].label and not each.parents for each in aliases)


def test_limits_are_kept_and_what_they_leave_out_is_told(proposed):
    found = gaps_of_run(proposed, embedder=HashedGrams(), limits=Limits(documents=1, proposals=1, phrases=1))
    assert len([each for each in found.proposals if each.kind != "split"]) == 1
    assert found.found.looked_at <= found.found.phrases


def test_without_a_model_texts_have_to_be_given(make_labeler, short, corpus, tmp_path):
    """A run of windows holds no texts; with them, windows are phrases, of documents of the run alone."""
    path = tmp_path / "runs.duckdb"
    make_labeler(taxonomy=short).label_corpus([corpus], path, run="r")
    with pytest.raises(InputError, match=r"runs\.duckdb: no language model proposed phrases .* with --docs"):
        gaps_of_run(path, embedder=HashedGrams())
    with pytest.raises(InputError, match="standard input"):
        gaps_of_run(path, embedder=HashedGrams(), docs=Corpus(["-"]))
    rows = [{"id": f"t{n}", "text": text} for n, text in enumerate(TEXTS)] + [{"id": "new", "text": "Unheard of."}]
    more = write_rows(tmp_path / "more.jsonl", rows)
    found = gaps_of_run(path, embedder=HashedGrams(), docs=Corpus([more]), limits=Limits(documents=1))
    assert any("guide dogs" in phrase.casefold() for each in found.proposals for phrase in each.phrases)
    assert not any("new" in each.sample for each in found.proposals)
    assert any("1 documents are not in the run" in note for note in found.notes)


def test_windows_are_counted_in_bounded_memory(tmp_path):
    """What is in one document so far is forgotten where there is too much, and that is told."""
    rows = [{"id": str(n), "text": f"Carve wood. Thing{n} number{n} other{n}."} for n in range(40)]
    corpus = Corpus([write_rows(tmp_path / "docs.jsonl", rows)])
    bounded = Windows(corpus, most=30)
    found = {phrase.key: phrase.documents for phrase in bounded.phrases(["carve wood"])}
    assert found["carve wood"] == 40
    assert len(found) < 60
    assert any("lower bounds" in note for note in bounded.notes)
    assert Windows(corpus).phrases(["carve wood"])[0].key in {"carve", "carve wood", "wood"}


def test_words_that_names_do_not_have_begin_and_end_no_name(tmp_path):
    """Of many documents and no label, "applicants" in "applicants carve wood"; what fewer have may be what is missing."""
    rows = [{"id": str(n), "text": "Applicants carve wood today." if n < 25 else "Polish marble."} for n in range(30)]
    corpus = Corpus([write_rows(tmp_path / "docs.jsonl", rows)])
    keys = {phrase.key for phrase in Windows(corpus).phrases(["carve wood", "carve stone", "wood"])}
    assert keys == {"carve", "carve wood", "wood", "polish", "polish marble", "marble"}


def test_a_label_of_two_things_is_proposed_to_be_split():
    """Banks of rivers and of money, in documents enough on both sides; a label of one thing is not."""
    money = [("lend money at the bank", 3, ("a",)), ("lend money at a bank", 2, ("b",))]
    river = [("mow grass by water", 4, ("c",)), ("mow grass by the water", 2, ("d",))]
    taxonomy = Taxonomy.from_names(["bank", "money"])
    said = {"bank": [*money, *river], "money": money, "gone": [*money, *river]}
    (found,) = overloaded(said, taxonomy, HashedGrams(), separation=0.2, least=2, told=lambda *_: None)
    assert (found.kind, found.label, found.documents) == ("split", "bank", 11)
    assert [part.documents for part in found.parts] == [6, 5]
    assert set(found.parts[0].phrases) == {phrase for phrase, _, _ in river}
    assert found.parts[0].sample == ("c", "d")
    assert overloaded(said, taxonomy, HashedGrams(), separation=0.2, least=6, told=lambda *_: None) == []


def test_what_speaks_for_selected_labels_is_read_back(proposed):
    """The query of the best lane, once a document, of labels with more than one."""
    with Store(proposed) as store:
        found = read_supporting(store, "r", least=2)
    for said in found.values():
        assert len(said) > 1
        assert all(query and documents == len(sample) for query, documents, sample in said)


@dataclass
class Namer:
    """A model that answers by the first phrase it is shown."""

    answers: dict[str, object]
    model: str = "namer"
    identity: str = "namer"
    asked: list[str] = field(default_factory=list)

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        shown = json.loads(body)["messages"][-1]["content"]
        self.asked.append(shown)
        answer = next(answer for key, answer in self.answers.items() if key in shown)
        if isinstance(answer, Exception):
            raise answer
        return Completion(str(answer))


def test_bad_names_of_a_model_leave_the_documents_words():
    """Empty, no JSON, a name that is taken, the same name twice, a refusal: each keeps what it had."""
    proposals = [Proposal(kind="new", name=f"p{n}", phrases=(f"phrase {n}",)) for n in range(7)]
    proposals.append(Proposal(kind="split", name="bank", label="bank", parts=(Part(name="x", phrases=("phrase 7",)),)))
    answers = [
        json.dumps({"name": "Good   Name\n"}),
        json.dumps({"name": "  "}),
        "no JSON at all",
        json.dumps({"name": "BANK"}),
        json.dumps({"name": "good name"}),
        ModelRejected("too long"),
        json.dumps({"name": "y" * 500}),
        json.dumps({"name": "river bank"}),
    ]
    model = Namer({f"phrase {n}": answer for n, answer in enumerate(answers)})
    named = name_proposals(proposals, Taxonomy.from_names(["bank"]), TaskCard(), model, lambda *_: None)
    assert [each.name for each in named.proposals] == ["Good Name", "p1", "p2", "p3", "p4", "p5", "y" * 100, "bank"]
    assert named.proposals[-1].parts[0].name == "river bank"
    assert named.kept == 5


def test_proposals_are_read_as_they_were_written(tmp_path):
    near = NearLabel(label="b", name="bread", likeness=0.5)
    proposals = [
        Proposal(
            kind="new", name="knives", parents=("b",), documents=3, sample=("a",), phrases=("x",), nearest=(near,)
        ),
        Proposal(kind="split", name="bank", label="b", parts=(Part(name="river"), Part(name="money")), separation=0.4),
    ]
    path = tmp_path / "p.jsonl"
    write_proposals(proposals, path)
    assert read_proposals(path) == [(1, proposals[0]), (2, proposals[1])]
    with pytest.raises(InputError, match="cannot be written"):
        write_proposals(proposals, tmp_path / "no" / "p.jsonl")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", r"p\.jsonl:2: this is no JSON"),
        (
            '{"kind": "old", "name": "x"}',
            r"p\.jsonl:2: 'kind' must be new, alias or split\. Mend or delete",
        ),
        ('{"kind": "new", "name": "x", "acept": true}', r"p\.jsonl:2: a proposal has no 'acept'\. Mend"),
        ("[]", r"p\.jsonl:2: a line must be an object, as gaps writes it\. Mend"),
        ('{"name": "x"}', r"there is no 'kind', which a proposal needs\. Mend"),
        ('{"kind": "new", "name": 5}', r"'name' must be a text\. Mend"),
        ('{"kind": "new", "name": "x", "accept": "yes"}', r"'accept' must be true or false\. Mend"),
        ('{"kind": "new", "name": "x", "accept": 1}', r"'accept' must be true or false\. Mend"),
        ('{"kind": "new", "name": "x", "phrases": "y"}', r"'phrases' must be a list of texts\. Mend"),
        ('{"kind": "new", "name": "x", "parents": [1]}', r"'parents\[0\]' must be a text\. Mend"),
        ('{"kind": "new", "name": "x", "documents": -1}', r"'documents' must be 0 or more\. Mend"),
        ('{"kind": "new", "name": "x", "parts": {}}', r"'parts' must be a list of objects\. Mend"),
        ('{"kind": "split", "name": "x", "parts": [{}]}', r"there is no 'parts\[0\]\.name', which a proposal needs"),
        ('{"kind": "split", "name": "x", "parts": ["y"]}', r"'parts\[0\]' must be an object, as gaps writes it\. Mend"),
    ],
)
def test_a_line_that_is_no_proposal_is_told(tmp_path, line, says):
    path = tmp_path / "p.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=says):
        read_proposals(path)


BREADS = Taxonomy.from_labels(
    [
        Label("b", "bread", ("loaf",), "baked", (), 0.5, {"kind": "item", "code": "1"}),
        Label("r", "rye bread", (), "", ("b",), None, {"kind": "item", "code": "2"}),
        Label("k", "knife"),
    ]
)


def test_the_next_version_has_what_was_accepted():
    """A new label with its phrases, its parent and the fields that its neighbours share; an alias; a split."""
    near = tuple(NearLabel(label=each, name="", likeness=0.5) for each in ("b", "r"))
    proposals = [
        Proposal(
            kind="new", name="oat  bread", parents=("b",), phrases=("oat bread", "oats loaf", "loaf"), nearest=near
        ),
        Proposal(kind="alias", name="blade", label="k"),
        Proposal(kind="split", name="", label="r", parts=(Part(name="dark rye", phrases=("black",)), Part(name="b"))),
        Proposal(kind="alias", name="Loaf", label="k"),
        Proposal(kind="new", name="Knife"),
    ]
    made = accept(BREADS, list(enumerate(proposals, 1)), "p.jsonl")
    labels = {label.id: label for label in made.taxonomy}
    assert [label.id for label in made.taxonomy][:3] == ["b", "r", "k"]
    assert labels["b"] == BREADS[0]
    assert labels["k"].aliases == ("blade",)
    oat = labels["oat bread"]
    assert (oat.aliases, oat.parents, oat.fields) == (("oats loaf",), ("b",), {"kind": "item"})
    assert labels["dark rye"].parents == ("r",)
    assert labels["b (2)"].name == "b"
    assert (made.labels, made.aliases) == (3, 3)
    assert [note.split(": ")[0] for note in made.notes] == ["p.jsonl:4", "p.jsonl:5"]


@pytest.mark.parametrize(
    ("proposal", "says"),
    [
        (Proposal(kind="new", name=" "), r"p\.jsonl:3: this proposal has no name"),
        (
            Proposal(kind="new", name="x", parents=("q",)),
            r"p\.jsonl:3: no label has the id 'q', which is a parent of 'x'",
        ),
        (Proposal(kind="alias", name="x", label="q"), r"p\.jsonl:3: no label has the id 'q'\. Correct it, or give"),
        (Proposal(kind="split", name="x"), r"p\.jsonl:3: no label has the id ''"),
    ],
)
def test_what_cannot_be_accepted_is_one_line(proposal, says):
    with pytest.raises(InputError, match=says):
        accept(BREADS, [(3, proposal)], "p.jsonl")


WORDS = st.sampled_from(["bread", "Bread", " knife ", "loaf", "oat", "new\nname", "b", "r", "ß", "SS"])
PROPOSALS = st.lists(
    st.one_of(
        st.builds(Proposal, kind=st.just("new"), name=WORDS, phrases=st.lists(WORDS).map(tuple), parents=st.sampled_from([(), ("b",), ("r", "r", "b")])),
        st.builds(Proposal, kind=st.just("alias"), name=WORDS, label=st.sampled_from(["b", "r", "k"])),
        st.builds(Proposal, kind=st.just("split"), name=WORDS, label=st.sampled_from(["b", "k"]), parts=st.lists(st.builds(Part, name=WORDS, phrases=st.lists(WORDS).map(tuple)), max_size=3).map(tuple)),
    ),
    max_size=8,
)  # fmt: skip


@given(proposals=PROPOSALS)
def test_whatever_is_accepted_the_next_version_is_sound(proposals, tmp_path_factory):
    """No error, no new warning of colliding names, and every old label as it was but for more aliases."""
    made = accept(BREADS, list(enumerate(proposals, 1)))
    path = tmp_path_factory.mktemp("next") / "next.jsonl"
    write_jsonl(made.taxonomy, path)
    report = check(path)
    assert report.errors == 0
    assert not {problem.code for problem in report.problems} & {"same-name", "shared-alias", "repeated-alias"}
    for before, after in zip(BREADS, made.taxonomy, strict=False):
        assert (after.id, after.name, after.parents, after.prior) == (
            before.id,
            before.name,
            before.parents,
            before.prior,
        )
        assert after.aliases[: len(before.aliases)] == before.aliases
    assert len(made.taxonomy) == len(BREADS) + made.labels
