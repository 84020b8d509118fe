"""Generating: the labels that are there are found, a killed one goes on, and no answer makes a file that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generating_models import TOPICS, Taxonomist, rubbish, topic_rows
from labelmill.corpus import Corpus
from labelmill.errors import InputError, ModelGone, ModelRejected, ModelUnavailable
from labelmill.pipelines.generating import generate
from labelmill.pipelines.generating.drafting import Drafting
from labelmill.pipelines.generating.drafts import Draft
from labelmill.pipelines.generating.evaluating import BY_LABELLING, BY_SUPPORT, evaluate_taxonomy
from labelmill.pipelines.generating.modules import Ask
from labelmill.pipelines.generating.names import narrower_first, same_name
from labelmill.pipelines.generating.tree import allot, walk
from labelmill.prompts.card import TaskCard
from labelmill.prompts.generating import propose_signature
from labelmill.store.steps import StepStore
from labelmill.taxonomy import Taxonomy, check
from scripted import write_jsonl
from toy_embedder import HashedGrams


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    """48 documents about four topics."""
    return write_jsonl(tmp_path / "topics.jsonl", topic_rows())


@pytest.fixture
def make(topics: Path, tmp_path: Path):
    """Generate with the toy embedder, into labels.jsonl of the test's folder."""

    def run(lm="none", **given):
        usual = {"use_case": "sort notes", "most": 8, "batch": 8, "embedder": HashedGrams()}
        return generate([topics], given.pop("out", tmp_path / "labels.jsonl"), lm=lm, **(usual | given))

    return run


def is_sound(made) -> None:
    """The file passes the check without errors or twins, and says what the report says."""
    report = check(made.files.taxonomy)
    assert not report.errors, report.lines()
    assert not [problem for problem in report.problems if problem.code == "same-name"], report.lines()
    taxonomy = Taxonomy.read(made.files.taxonomy)
    assert taxonomy.key == made.taxonomy.key
    told = json.loads(made.files.report.read_text(encoding="utf-8"))
    assert set(told["labels"]) == {label.id for label in taxonomy}
    for label in taxonomy:
        assert "\n" not in label.name
        assert len(label.name) <= 120
        assert int(label.fields["support"]) >= 1
        assert json.loads(label.fields["examples"])


def supports(made) -> dict[str, set[str]]:
    """Say which topics the documents under each label are about."""
    return {
        group.draft.name: {made.pool.documents[row].labels[0] for row in group.rows}
        for group, _ in walk(made.groups)
        if not group.children
    }


def test_without_a_model_topics_become_labels_named_by_their_terms(make):
    """Each label's documents are about one topic, and are quoted; criteria say what to take and what not."""
    made = make()
    is_sound(made)
    assert all(len(of) == 1 for of in supports(made).values())
    assert set().union(*supports(made).values()) == set(TOPICS)
    for label in made.taxonomy:
        assert label.description.startswith("Documents such as “")
        assert label.fields["include"]
        assert label.fields["exclude"]
    assert sum(int(label.fields["support"]) for label in made.taxonomy) == 48
    assert sum(label.prior for label in made.taxonomy) == pytest.approx(1, abs=1e-4)


def test_as_many_labels_as_asked_for(make):
    """With exactly, where there are documents enough; else as many at most."""
    assert make(exactly=True).narrowest == 8
    assert make(most=3).narrowest <= 3


def test_a_model_makes_the_labels_and_says_which_documents_show_them(make):
    """In minibatches that cover the corpus: the first shows all topics, and updates end when nothing changes."""
    model = Taxonomist()
    made = make(model)
    is_sound(made)
    assert {label.name for label in made.taxonomy} == {topic.title() for topic in TOPICS}
    assert {name.casefold(): of for name, of in supports(made).items()} == {topic: {topic} for topic in TOPICS}
    assert len(model.steps("summarise")) == 48
    assert len(model.steps("propose")) == 1
    assert len({name for text in model.steps("propose")[0].documents for name in TOPICS if name in text}) == 4
    assert len(model.steps("update")) == 2
    assert len(model.steps("review")) == 1
    assert "stopped" in {decision.kind for decision in made.decisions}
    bread = next(label for label in made.taxonomy if label.name == "Bread")
    assert bread.description == "All about bread."
    assert (bread.fields["include"], bread.fields["exclude"]) == ("Work with bread.", "All else.")


def test_the_same_command_asks_nothing_again(make):
    """And writes the same bytes."""
    first = make(Taxonomist())
    written = first.files.taxonomy.read_bytes(), first.files.report.read_bytes()
    model = Taxonomist()
    second = make(model)
    assert model.asked == []
    assert (second.asked, second.reused) == (0, first.asked)
    assert (second.files.taxonomy.read_bytes(), second.files.report.read_bytes()) == written


@pytest.mark.parametrize("after", [0, 1, 20, 47, 48, 49, 50, 51])
def test_a_killed_one_goes_on_and_ends_the_same(make, tmp_path, after):
    """At most what was in flight is asked again, and no file is written before the end."""
    whole = make(Taxonomist(), out=tmp_path / "whole.jsonl")
    killed = Taxonomist(stop_after=after)
    with pytest.raises(KeyboardInterrupt):
        make(killed)
    assert not (tmp_path / "labels.jsonl").exists()
    model = Taxonomist()
    made = make(model)
    assert made.files.taxonomy.read_bytes() == whole.files.taxonomy.read_bytes()
    assert len(model.asked) + made.reused == whole.asked
    assert len(killed.asked) - made.reused <= 32  # what may be under way at once


def test_every_step_is_in_the_file_with_its_cost(make):
    """Of the model's, the tokens; of the others, what came out."""
    made = make(Taxonomist())
    with StepStore(made.files.steps) as store:
        steps = store.steps()
    kinds = {step.step for step in steps}
    assert {"draw", "summarise", "propose", "update", "review", "kind"} <= kinds
    assert sum(step.prompt_tokens for step in steps) == made.cost.prompt_tokens == 100 * made.asked
    assert json.loads(made.files.report.read_text())["cost"]["requests"] == made.asked


@pytest.mark.parametrize("lm", ["none", "model"])
def test_a_hierarchy_is_built_from_the_top(make, lm):
    """Each narrower label has documents of its broader one alone; names stay distinct."""
    made = make(Taxonomist() if lm == "model" else "none", depth=2, most=8)
    is_sound(made)
    for group, above in walk(made.groups):
        assert len(above) <= 1
        if above:
            assert set(group.rows.tolist()) <= set(above[0].rows.tolist())
    if lm == "none":
        assert any(group.children for group in made.groups)
        assert made.narrowest <= 8


def test_names_that_narrower_labels_share_are_told_apart(make):
    """A model that proposes the same everywhere gets the broader label's name into the narrower ones'."""

    def propose(question):
        half = range(1, len(question.documents) + 1, 2)
        return {"labels": [{"name": "Easy", "documents": list(half)}, {"name": "Hard", "documents": [2]}]}

    def update(question):
        return {"fits": [1 + number % 2 for number in range(len(question.documents))], "added": [], "changed": [],
                "merged": []}  # fmt: skip

    made = make(Taxonomist(answers={"propose": propose, "update": update}), depth=2)
    is_sound(made)


def test_a_label_that_is_not_like_its_siblings_is_told(make):
    """It stays, and the report says so; a model that names most of them is not believed."""
    made = make(Taxonomist(answers={"kind": lambda _: {"odd": [2]}}))
    assert [d.kind for d in made.decisions].count("unlike") == 1
    made = make(Taxonomist(answers={"kind": lambda _: {"odd": [1, 2, 3]}}, identity="b"))
    assert "unlike" not in {d.kind for d in made.decisions}


def test_near_duplicates_are_merged_and_recorded(make):
    """By their names, where these say nearly the same."""
    names = ["Baking of sourdough bread", "Baking of sourdough breads", "Soup"]

    def propose(question):
        return {"labels": [{"name": name, "documents": [n]} for n, name in enumerate(names, 1)]}

    quiet = {"fits": [], "added": [], "changed": [], "merged": []}
    made = make(Taxonomist(answers={"propose": propose, "update": lambda _: quiet}))
    merged = [decision for decision in made.decisions if decision.kind == "merged"]
    assert [(decision.labels, decision.into) for decision in merged] == [((names[1],), names[0])]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), depth=st.sampled_from([1, 2, 3]), most=st.integers(2, 12))
def test_no_answer_makes_a_taxonomy_that_fails_its_check(topics, tmp_path_factory, seed, depth, most):
    """Duplicates, circles, 500 labels at once, empty names, names with line breaks, no JSON: the file is sound."""
    answer = rubbish(seed)
    model = Taxonomist(answers=dict.fromkeys(("summarise", "propose", "update", "review", "kind"), answer))
    made = generate(
        [topics],
        tmp_path_factory.mktemp("rubbish") / "labels.jsonl",
        use_case="sort notes",
        most=most,
        depth=depth,
        lm=model,
        batch=8,
        embedder=HashedGrams(),
    )
    is_sound(made)
    assert made.narrowest <= most


def test_a_model_that_gives_no_labels_is_done_without(make):
    """With a note, and the labels of clusters."""
    made = make(Taxonomist(answers={"propose": lambda _: {"labels": []}}))
    is_sound(made)
    assert any("without it" in note for note in made.notes)
    assert len(made.taxonomy) > 1


def test_a_document_that_the_model_rejects_stands_for_itself(make):
    """It counts as failed; that an answer cannot be read is not asked for again."""

    def summarise(question):
        return ModelRejected("too long") if "knead" in question.inputs["text"] else {"summary": "s"}

    made = make(Taxonomist(answers={"summarise": summarise}))
    assert made.failed == 3
    again = Taxonomist(answers={"summarise": summarise})
    make(again)
    assert again.asked == []


def test_a_question_that_got_no_answer_is_asked_again(make):
    """It was not the question's fault."""
    tired = Taxonomist(answers={"summarise": lambda _: ModelUnavailable("503")})
    assert make(tired).failed == 48
    fresh = Taxonomist()
    make(fresh)
    assert len(fresh.steps("summarise")) == 48


def test_a_server_that_is_gone_ends_it_and_answers_are_kept(make):
    """The next time goes on from there."""
    model = Taxonomist(answers={"review": lambda _: ModelGone("no server")})
    with pytest.raises(ModelGone):
        make(model)
    fresh = Taxonomist()
    make(fresh)
    assert {question.step for question in fresh.asked} == {"review", "kind"}


def test_prompts_stay_within_a_small_context(make):
    """Lines are cut, and the answer takes a third at most."""
    sizes = []

    class Small(Taxonomist):
        async def complete(self, body, **given):
            sizes.append(len(body))
            assert json.loads(body)["max_tokens"] <= 4096 // 3
            return await super().complete(body, **given)

    long = write_jsonl(Path(make().files.taxonomy).with_name("long.jsonl"),
                       [row | {"text": row["text"] + " word" * 3000} for row in topic_rows()])  # fmt: skip
    generate([long], long.with_name("l.jsonl"), use_case="sort", lm=Small(), batch=20, embedder=HashedGrams())
    assert max(sizes) < 4096 * 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_case": "  "}, "the use case is empty"),
        ({"most": 1}, "--max-labels is less than 2"),
        ({"out": "labels.csv"}, "written as JSON Lines"),
        ({"out": "/nowhere/labels.jsonl"}, "no such folder"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(make, change, said):
    """Before anything is read."""
    with pytest.raises(InputError, match=said):
        make(**change)


def test_a_corpus_of_one_document_is_no_corpus(tmp_path):
    """The line says how many there are and what to do."""
    docs = write_jsonl(tmp_path / "one.jsonl", [{"id": "a", "text": "alone"}, {"id": "b"}])
    with pytest.raises(InputError, match=r"1 documents, and 1 rows that cannot be read"):
        generate([docs], tmp_path / "l.jsonl", use_case="u", embedder=HashedGrams())


def test_a_taxonomy_that_was_changed_by_hand_is_not_written_over(make):
    """Nor one that was not generated; one as it was left is."""
    made = make()
    make(seed=1)
    path = made.files.taxonomy
    path.write_text(path.read_text(encoding="utf-8").replace('"name": "', '"name": "my ', 1), encoding="utf-8")
    with pytest.raises(InputError, match="changed since"):
        make()


def test_numbers_are_shared_out_in_full():
    """At least 1 to each, and no more than there are."""
    assert allot(10, [50, 30, 1]) == [5, 4, 1]
    assert allot(3, [1, 1, 1, 1]) == [1, 1, 1, 1]
    assert sum(allot(77, [3, 900, 41, 8])) == 77


def test_a_taxonomy_is_evaluated_on_documents_held_out(make, tmp_path):
    """Where documents are put by the supporting ones, topics agree in full; coverage tells what is foreign."""
    made = make()
    held_out = [row | {"id": f"new-{row['id']}", "text": f"please {row['text']}"} for row in topic_rows(5)]
    docs = write_jsonl(tmp_path / "held.jsonl", held_out)
    found = evaluate_taxonomy(made.files.taxonomy, Corpus([docs]), embedder=HashedGrams())
    ways = {way.name: way for way in found.ways}
    assert ways[BY_SUPPORT].agreement.purity > 0.9
    assert ways[BY_SUPPORT].coverage is not None
    assert ways[BY_LABELLING].coverage is None
    assert ways["k-means on these documents, k = 4"].agreement.documents == 20
    assert (found.documents, found.several, found.failed) == (20, 0, 0)
    foreign = write_jsonl(tmp_path / "f.jsonl", [{"id": str(n), "text": f"{n} {'qzx ' * n}"} for n in range(9)])
    elsewhere = evaluate_taxonomy(made.files.taxonomy, Corpus([foreign]), embedder=HashedGrams())
    assert elsewhere.ways[0].agreement is None
    assert elsewhere.ways[0].coverage < ways[BY_SUPPORT].coverage


def test_a_taxonomy_without_a_report_is_evaluated_by_labelling_alone(tmp_path, topics):
    """And documents with several gold groups do not count for the agreement."""
    names = tmp_path / "names.txt"
    names.write_text("bread\nbreads\nsoup\nbicycle\ngarden\n", encoding="utf-8")
    found = evaluate_taxonomy(names, Corpus([topics]), embedder=HashedGrams())
    assert found.ways[0].name == BY_LABELLING
    assert "no report" in found.notes[0]
    assert found.ways[0].agreement.purity == 1.0


def test_servers_hold_a_model_to_short_texts_and_longer_ones_are_read():
    """A small model fills its whole answer with one text, if it may; where no schema is kept, that is no error."""
    ask = Ask("propose", propose_signature(TaskCard(), "sort them", 9), 500)
    body = json.loads(ask.request({"documents": "[1] rye"}, "m"))
    label = body["response_format"]["json_schema"]["schema"]["$defs"]["ProposedLabel"]["properties"]
    assert (label["name"]["maxLength"], label["include"]["maxLength"], label["documents"]["maxItems"]) == (80, 300, 50)
    long = {"name": "rye", "description": "x" * 1000, "documents": list(range(99))}
    (answer,) = ask.read(json.dumps({"labels": [long]}), truncated=False)
    assert answer["labels"][0]["description"] == "x" * 1000


def test_labels_are_merged_and_dropped_in_one_answer():
    """Numbers are those of the list that the model was shown, whatever goes first."""
    drafting = Drafting(9, [Draft(name) for name in ("rye", "oak", "loaf", "elm", "yew", "bread")])
    assert drafting.review({"merged": [{"labels": [6, 1, 3]}], "dropped": [4]})
    assert [each.name for each in drafting.drafts] == ["oak", "yew", "bread"]
    merged = [(each.labels, each.into) for each in drafting.decisions if each.kind == "merged"]
    assert merged == [(("loaf",), "bread"), (("rye",), "bread")]


def test_fewer_labels_than_were_wanted_exactly_are_told(make):
    """48 documents give 24 labels of two at most, and some are alike."""
    made = make(most=40, exactly=True)
    assert 8 < made.narrowest < 40
    assert f"40 labels were wanted, and the documents give {made.narrowest}" in made.notes[-1]
    assert make(exactly=True).notes == []


def test_names_are_made_of_terms_and_no_two_of_the_same(tmp_path):
    """Whatever their order; a document is quoted only where terms do not tell, and broader labels' terms come last."""
    pairs = [("bread", "rye"), ("bread", "oat"), ("timber", "oak"), ("timber", "elm")]
    texts = [f"{ware} {kind} {ware} {kind} and {ware} lot{n}" for ware, kind in pairs for n in range(12)]
    docs = write_jsonl(tmp_path / "wares.jsonl", [{"id": f"w{n}", "text": text} for n, text in enumerate(texts)])
    made = generate(
        [docs], tmp_path / "w.jsonl", use_case="sort", most=4, depth=2, exactly=True, embedder=HashedGrams()
    )
    names = [group.draft.name for group, _ in walk(made.groups)]
    assert len(set(map(same_name, names))) == len(names) == 6
    assert not any("lot" in name for name in names)
    assert same_name("Bread, rye") == same_name("rye, bread") != same_name("rye bread, oat")
    assert narrower_first(["bread", "rye", "loaf"], ["food", "bread, oven"]) == ["rye", "loaf", "bread"]
