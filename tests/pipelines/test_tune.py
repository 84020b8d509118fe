"""Tuning a small world: better than before, the same every time, probabilities and promises that hold on fresh documents."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from workshop import TASKS, diary, workshop

from labelmill import Labeler
from labelmill.corpus import Corpus
from labelmill.errors import GoldError, InputError
from labelmill.learning.promises import parse_promise
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.spec import make_spec
from labelmill.pipelines.suspect_judge import judge_suspects
from labelmill.pipelines.suspects import suspects_of_run
from labelmill.pipelines.tuning import tune
from labelmill.pipelines.tuning.gathering import GoldSet, gather
from labelmill.records import Document
from labelmill.store import Store
from scripted import write_jsonl
from toy_embedder import HashedGrams, HashedWords
from word_server import WordServer

SETTINGS = {"candidates": 10, "pool": 12, "keep_all": True}


def learn(documents=None, embedders=None, taxonomy=None, **settings):
    return tune(
        taxonomy or workshop(),
        diary(60) if documents is None else documents,
        embedders=embedders or [HashedWords()],
        **SETTINGS | settings,
    )


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A program tuned on sixty entries, in its file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELMILL_CACHE", str(tmp_path_factory.mktemp("indexes")))
        program = learn()
    path = tmp_path_factory.mktemp("tuned") / "program.json"
    program.write(path)
    return path


@pytest.fixture
def labeler(tuned):
    """The program of the file."""
    return Labeler(workshop(), program=tuned, embedders=[HashedWords()])


@pytest.fixture(scope="module")
def fresh():
    """Entries that nothing was learned from."""
    return diary(150, seed=9)


def precision_at(k, rankings, entries):
    found = [
        len({each.name for each in ranking[:k]} & set(entry.labels)) / min(k, len(entry.labels))
        for ranking, entry in zip(rankings, entries, strict=True)
    ]
    return float(np.mean(found))


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_it_is_better_than_before(tuned, labeler, fresh):
    """On the gold by cross-validation, and about as much on fresh documents."""
    figures = ProgramFile.read(tuned).figures
    assert figures["after"]["rp@5"] > figures["before"]["rp@5"] + 0.2
    plain = Labeler(workshop(), embedders=[HashedWords()], candidates=10)
    texts = [entry.text for entry in fresh]
    before, after = (precision_at(5, each.label(texts, ranked=True), fresh) for each in (plain, labeler))
    assert after > before + 0.2
    assert before == pytest.approx(figures["before"]["rp@5"], abs=0.1)
    assert after == pytest.approx(figures["after"]["rp@5"], abs=0.1)


def test_before_is_what_a_program_gets_that_nothing_was_learned_for(tuned):
    """On the gold itself, to the last document, though the pool was found with more lanes."""
    plain = Labeler(workshop(), embedders=[HashedWords()], candidates=10)
    rankings = plain.label([entry.text for entry in diary(60)], ranked=True)
    said = ProgramFile.read(tuned).figures["before"]
    assert said["rp@5"] == pytest.approx(precision_at(5, rankings, diary(60)), abs=0.02)


def test_the_same_gold_and_seed_give_the_same_file(tuned):
    """But for how long things took; the order of the documents does not matter. Another seed deals otherwise."""
    again, other = learn(diary(60)[::-1]), learn(seed=1)
    first = ProgramFile.read(tuned)
    assert again.spec.model_dump_json() == first.spec.model_dump_json()
    assert json.dumps(_timeless(again)) == json.dumps(_timeless(first))
    assert _timeless(other) != _timeless(first)


def _timeless(program):
    figures = json.loads(json.dumps(program.figures))
    del figures["fusion"]["milliseconds"]
    return figures


def test_the_file_gives_the_predictions_of_the_process(tuned, fresh):
    """Bit for bit: nothing is lost in JSON."""
    program = learn()
    kept, read = (Labeler(workshop(), program=each, embedders=[HashedWords()]) for each in (program, tuned))
    texts = [entry.text for entry in fresh[:20]]
    assert kept.program.key == read.program.key
    assert kept.label(texts, ranked=True) == read.label(texts, ranked=True)


def test_a_run_gives_what_label_gives(labeler, fresh, tmp_path):
    """Each candidate with its probability, its place before, and whether it was selected; and so does a text alone."""
    entries, out = fresh[:30], tmp_path / "runs.duckdb"
    docs = write_jsonl(tmp_path / "docs.jsonl", [{"id": entry.id, "text": entry.text} for entry in entries])
    done = labeler.label_corpus([docs], out)
    assert (done.done, done.failed) == (30, 0)
    with Store(out) as store:
        rows = store.connection.execute(
            "SELECT document, label, rank, score, selected, retrieval_rank FROM predictions ORDER BY document, rank"
        ).fetchall()
    expected = []
    for entry in sorted(entries, key=lambda each: each.id):
        (ranking,) = labeler.label([entry.text], ranked=True)
        expected += [(entry.id, p.label, p.rank, p.score, p.selected, p.retrieval_rank) for p in ranking]
    assert [row[:3] + row[4:] for row in rows] == [row[:3] + row[4:] for row in expected]
    assert [row[3] for row in rows] == pytest.approx([row[3] for row in expected], abs=1e-6)


def test_suspects_of_a_tuned_run_can_be_judged(labeler, fresh, tmp_path):
    """Of the gold that a program holds, only the number is stored with its run: a model judges them all the same."""
    rows = [{"id": entry.id, "text": entry.text, "labels": list(entry.labels)[1:]} for entry in fresh[:6]]
    docs, out = write_jsonl(tmp_path / "docs.jsonl", rows), tmp_path / "runs.duckdb"
    labeler.label_corpus([docs], out, run="r")
    gold = GoldCorpus.read([docs])
    found = suspects_of_run(out, gold)
    with WordServer(lambda *_: {"yes": 0.4, "no": 0.6}) as server:
        judged = judge_suspects(out, gold, found, f"toy@{server.url}")
    assert judged.missing
    assert [one.judged for one in judged.missing] == pytest.approx([0.4] * len(judged.missing))


def test_texts_do_not_learn_from_their_company(labeler, fresh):
    """Alone or among others, in any order."""
    texts = [entry.text for entry in fresh[:12]]
    together = labeler.label(texts, ranked=True)
    assert labeler.label(texts[::-1], ranked=True)[::-1] == together
    assert [labeler.label([text], ranked=True)[0] for text in texts[:4]] == together[:4]


def test_scores_are_probabilities_that_mean_what_they_say(labeler, fresh):
    """In 0..1, falling with the rank; over fresh documents their sum is about the number of right ones."""
    rankings = labeler.label([entry.text for entry in fresh], ranked=True)
    scores = np.array([each.score for ranking in rankings for each in ranking])
    right = np.array(
        [each.name in entry.labels for ranking, entry in zip(rankings, fresh, strict=True) for each in ranking]
    )
    assert ((scores >= 0) & (scores <= 1)).all()
    for ranking in rankings:
        assert [each.score for each in ranking] == sorted((each.score for each in ranking), reverse=True)
    assert scores.sum() == pytest.approx(right.sum(), rel=0.15)
    for low, high in ((0, 0.2), (0.2, 0.6), (0.6, 1.01)):
        inside = (scores >= low) & (scores < high)
        assert inside.sum() > 50
        assert scores[inside].mean() == pytest.approx(right[inside].mean(), abs=0.15)


def test_the_decision_selects(tuned, labeler, fresh):
    """Exactly those of the first candidates that reach the threshold; --threshold and --top-k overrule it."""
    decision = ProgramFile.read(tuned).spec.decision
    texts = [entry.text for entry in fresh[:20]]
    rankings = labeler.label(texts, ranked=True)
    for each in (each for ranking in rankings for each in ranking):
        assert each.selected == (each.rank <= decision.top_k and each.score >= decision.threshold)
    one = Labeler(workshop(), program=tuned, embedders=[HashedWords()], top_k=1, threshold=0.0)
    assert [len(found) for found in one.label(texts)] == [1] * 20


@pytest.mark.parametrize(
    "written",
    ["precision>=0.6", *(pytest.param(each, marks=pytest.mark.slow) for each in ("recall>=0.6", "cost<=1.5"))],
)
def test_a_promise_is_kept_on_fresh_documents(written, fresh):
    """What is said of it is of this gold, and fresh documents bear it out, but for the noise of 150."""
    program = learn(diary(100), promise=parse_promise(written))
    assert program.spec.decision.promise == written
    assert "100 gold documents" in program.spec.decision.statement
    found = Labeler(workshop(), program=program, embedders=[HashedWords()]).label([entry.text for entry in fresh])
    given = [{each.name for each in labels} for labels in found]
    right = [len(labels & set(entry.labels)) for labels, entry in zip(given, fresh, strict=True)]
    wrong = [len(labels) - count for labels, count in zip(given, right, strict=True)]
    kept = {
        "precision>=0.6": sum(right) / sum(map(len, given)) - 0.6,
        "recall>=0.6": float(np.mean([n / len(entry.labels) for n, entry in zip(right, fresh, strict=True)])) - 0.6,
        "cost<=1.5": 1.5 - float(np.mean(wrong)),
    }[written]
    assert kept > -0.05
    assert sum(map(len, given)) > 75


def test_a_promise_that_cannot_be_kept_is_one_error():
    """With the most that can be promised, and what it would take."""
    with pytest.raises(InputError, match=r"'precision>=0\.99' cannot be promised .* by 60 gold documents") as caught:
        learn(promise=parse_promise("precision>=0.99"))
    assert "promise nothing (f1)" in one_line(caught)


def test_an_impossible_confidence_is_told_before_anything_is_learned():
    """Minutes earlier than the decision is made."""
    steps = []
    with pytest.raises(InputError, match="delta=5 is no error rate"):
        learn(delta=5, on_progress=steps.append)
    assert steps == []


@pytest.mark.parametrize("keep_all", [True, False])
@pytest.mark.parametrize(
    "documents",
    [
        pytest.param(diary(1), id="one"),
        pytest.param([replace(each, labels=("repair bicycles",)) for each in diary(1)] * 1, id="one label"),
        pytest.param([Document("a", "The clocks were sold."), Document("b", "Rain.")], id="no gold"),
        pytest.param([Document("a", "The clocks were sold.", ("cook rice",))], id="unknown labels"),
        pytest.param([replace(each, labels=()) for each in diary(9)], id="empty gold"),
        pytest.param([diary(1)[0], diary(1)[0]], id="the same id"),
        pytest.param([*diary(9), Document("blank", " \n", ("sell clocks",))], id="blank"),
        pytest.param([], id="nothing"),
    ],
)
def test_gold_that_teaches_nothing_is_an_error(documents, keep_all):
    """Of the kind that says so, in one line."""
    with pytest.raises(GoldError) as caught:
        learn(documents, keep_all=keep_all)
    one_line(caught)


def test_gold_whose_labels_nothing_finds_is_an_error():
    """Every candidate is wrong: there is nothing to learn."""
    documents = [Document(f"d{n}", "zzz", ("repair bicycles",)) for n in range(12)]
    with pytest.raises(GoldError, match="too little to learn from"):
        learn(documents, lanes={"bm25/text": 1.0}, candidates=5, pool=5)


def test_documents_without_labels_are_left_out():
    """And gold that the taxonomy lacks counts as gold that is not found."""
    documents = [*diary(20), *diary(5, seed=3, labelled=False)]
    documents[0] = replace(documents[0], labels=(*documents[0].labels, "cook rice"))
    figures = learn(documents).figures
    assert figures["gold"]["documents"] == 20
    assert figures["gold"]["labels"] == sum(len(each.labels) for each in documents[:20])
    assert "cook rice" in figures["gold"]["note"] or "1" in figures["gold"]["note"]


UNFIT = [replace(each, labels=()) for each in diary(20, seed=5)] + [
    replace(each, labels=("cook rice",)) for each in diary(20, seed=6)
]
"""Documents that look like the others, for which no label is right."""


def test_what_no_label_is_right_for_counts_in_a_promise(fresh):
    """Two in five of the documents to come are such ones: what they are given is wrong, and a cost is kept with it."""
    program = learn([*diary(60), *UNFIT], promise=parse_promise("cost<=1"))
    assert "100 gold documents" in program.spec.decision.statement
    assert program.figures["gold"]["without_known_labels"] == 40
    unfit = [replace(each, labels=()) for each in diary(100, seed=8)]
    entries = [*fresh, *unfit]
    found = Labeler(workshop(), program=program, embedders=[HashedWords()]).label([entry.text for entry in entries])
    wrong = [len({p.name for p in row} - set(entry.labels)) for row, entry in zip(found, entries, strict=True)]
    assert 0.3 < float(np.mean(wrong)) <= 1.1


def test_what_no_label_is_right_for_lowers_probabilities(tuned, fresh):
    """They are those of a document about which it is not known whether it is such a one."""
    texts = [entry.text for entry in fresh[:40]]
    with_them, without = (
        sum(
            p.score
            for row in Labeler(workshop(), program=each, embedders=[HashedWords()]).label(texts, ranked=True)
            for p in row
        )
        for each in (learn([*diary(60), *UNFIT]), tuned)
    )
    assert with_them < 0.75 * without


def test_documents_without_gold_do_not_count_in_rankings():
    """As in `eval`: an empty list is left out, and labels that the taxonomy lacks are not found."""
    gold, empty, unknown = diary(30), UNFIT[:20], UNFIT[20:]
    before = [learn([*gold, *more]).figures["before"]["rp@5"] for more in ([], empty, unknown)]
    assert before[1] == pytest.approx(before[0], abs=0.02)
    assert before[2] == pytest.approx(before[0] * 30 / 50, abs=0.02)


def test_two_documents_that_begin_alike_share_an_example():
    """Neither is the other's neighbour, which would give its labels away."""
    entries = diary(20)
    twins = [*entries, replace(entries[0], id="twin")]
    examples = learn(twins).spec.examples
    assert len(examples) == 20
    alike = {entry.text: entry.labels for entry in entries}
    ids = {label.name: label.id for label in workshop().labels}
    assert all(set(each.labels) == {ids[name] for name in alike[each.text]} for each in examples)


def test_what_is_held_out_together_is_left_out_together():
    """Documents that begin alike are of one part, in the gold and in the evidence; another seed deals otherwise."""
    entries = diary(40)
    twins = [replace(each, id=f"twin-{each.id}") for each in entries[:20]]
    program = assemble(make_spec(lanes={"bm25/text": 1.0}), workshop(), embedders=[HashedWords()], learning=True)
    gold = GoldSet.of(program.spec, workshop(), [*entries, *twins], seed=3)
    part = {document.id: part for document, part in zip(gold.documents, gold.parts.tolist(), strict=True)}
    assert all(part[each.id.removeprefix("twin-")] == part[each.id] for each in twins)
    assert set(part.values()) == set(range(5))
    examples = gather(program, gold, [[]] * len(gold)).examples
    np.testing.assert_array_equal(examples.parts, gold.parts[examples.groups])
    other = GoldSet.of(program.spec, workshop(), [*entries, *twins], seed=4)
    assert other.parts.tolist() != gold.parts.tolist()


def test_labels_at_random_are_not_foretold_by_a_documents_twin():
    """Each text is there ten times, with the same labels that nothing but the text tells: it is unseen when left out."""
    generator = np.random.default_rng(0)
    texts = [f"In the yard {' '.join(words)}." for words in generator.choice(["clocks", "rain", "boats"], (10, 20))]
    labels = [tuple(TASKS[each] for each in generator.choice(40, 8, replace=False)) for _ in texts]
    documents = [Document(f"{n}-{copy}", texts[n], labels[n]) for n in range(10) for copy in range(10)]
    figures = learn(documents, candidates=40, pool=40, keep_all=False).figures
    rate = 8 / 40
    chance = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert min(figures["fusion"]["log_losses"].values()) > 0.9 * chance
    assert figures["trials"][0]["log_loss"] > 0.9 * chance


def test_a_gold_documents_own_example_does_not_label_it(tuned):
    """In labelling, too, its labels do not come back to it from its own example: its text gets what a fresh one gets."""
    spec, entry = ProgramFile.read(tuned).spec, diary(60)[0]
    without = spec.model_copy(update={"examples": tuple(each for each in spec.examples if each.text != entry.text)})
    assert len(without.examples) == len(spec.examples) - 1
    pools = []
    for each in (spec, without):
        program = assemble(each, workshop(), embedders=[HashedWords()])
        columns = program.retrieve.reordering.evidence.columns
        (pool,) = program.retrieve.gather([program.queries([entry.text], [])])
        place = columns.index("label.log_share_of_gold")
        pools.append({found.label: row for found, row in zip(pool.candidates, pool.values[:, place], strict=True)})
    both = pools[0].keys() & pools[1].keys()
    assert both
    assert all(pools[0][label] == pools[1][label] for label in both)


def test_what_is_of_no_use_is_left_out(fresh):
    """Trials are told, the figures of the program are those without it, and it still labels as well."""
    program = learn(keep_all=False, on_progress=lambda _: None)
    trials, out = program.figures["trials"], program.figures["left_out"]
    assert trials[0]["without"] == ()
    assert [trial["without"][-1] for trial in trials[1:] if trial["kept"]] == out
    losses = [trial["log_loss"] for trial in trials if trial["kept"] or not trial["without"]]
    assert losses == sorted(losses, reverse=True)
    assert any(trial["front"] for trial in trials)
    assert not set(out) & {*(program.spec.lanes or {}), *program.spec.scorers}
    assert program.figures["after"]["rp@5"] > program.figures["before"]["rp@5"] + 0.2


def test_keep_all_keeps_all(tuned):
    """Every lane and scorer, and no trial is told."""
    program = ProgramFile.read(tuned)
    assert program.spec.scorers == ("late", "overlap", "competition")
    assert {"names/text", "names/windows", "bm25/text", "neighbours/text"} <= set(program.spec.lanes)
    assert len(program.spec.examples) == 60
    assert "trials" not in program.figures


def test_an_embedder_without_vectors_of_tokens_will_do():
    """Late interaction is then no evidence."""
    program = learn(diary(20), embedders=[HashedGrams()])
    assert program.spec.scorers == ("overlap", "competition")
    assert not any(column.startswith("late") for column in program.spec.fusion.columns)


def test_more_candidates_than_the_usual_pool_may_be_kept():
    """The pool grows with them."""
    program = learn(diary(20), candidates=120, pool=100)
    assert program.spec.candidates == 120
    assert program.spec.pool >= 120


def test_what_is_said_of_progress_ends():
    """Every step that has a total reaches it."""
    told = []
    learn(diary(20), on_progress=told.append)
    last = {state.step: state for state in told}
    assert {"retrieving", "learning to fuse", "calibrating"} <= set(last)
    assert all(state.done == state.total for state in last.values())


def test_a_custom_wording_and_size_stay(tuned):
    """Settings of the specification are taken over into the program."""
    program = learn(diary(20), top_k=2, chunk_characters=400)
    assert (program.spec.top_k, program.spec.chunk_characters) == (2, 400)
    assert ProgramFile.read(tuned).spec.top_k == 5


def test_long_documents_are_learned_from_in_pieces():
    """Each chunk is read; what was learned labels a long text by all of them."""
    joined = [
        Document(
            f"long-{n}", "\n\n".join(each.text for each in pair), tuple(dict.fromkeys(pair[0].labels + pair[1].labels))
        )
        for n, pair in enumerate(zip(diary(40)[::2], diary(40)[1::2], strict=True))
    ]
    program = learn(joined, chunk_characters=300, chunk_overlap=0)
    assert program.figures["after"]["rp@5"] > program.figures["before"]["rp@5"]
    made = assemble(program.spec, workshop(), embedders=[HashedWords()], learning=True)
    gold = GoldSet.of(made.spec, made.taxonomy, joined)
    assert min(map(len, gold.pieces)) >= 2
    assert len(gather(made, gold, [[]] * len(gold)).pools) == 20


def test_the_names_of_the_world_are_not_all_of_it():
    """Forty labels of which fresh entries use most: no ranking of ten can hold all."""
    used = {name for entry in diary(150, seed=9) for name in entry.labels}
    assert 30 < len(used) <= len(TASKS)


def test_a_preview_of_a_tuned_run_asks_nothing(labeler, fresh, tmp_path):
    """Planning needs no model where the program has none."""
    docs = write_jsonl(tmp_path / "d.jsonl", [{"id": entry.id, "text": entry.text} for entry in fresh[:5]])
    preview = labeler.preview_corpus(Corpus([docs]), tmp_path / "none.duckdb")
    assert (preview.documents, preview.calls) == (5, 0)


@pytest.mark.parametrize("given", [{"infer": "windows"}, {"rank": "fusion"}, {"candidates": 5}, {"pool": 20}])
def test_what_a_program_says_is_not_said_again(tuned, given):
    """One clear line, also where it says the same."""
    with pytest.raises(InputError, match=f"{next(iter(given))} cannot be set beside a program"):
        Labeler(workshop(), program=tuned, embedders=[HashedWords()], **given)


def test_embedders_given_beside_a_program_are_as_many(tuned):
    """Those that it was tuned with, in order."""
    with pytest.raises(InputError, match=r"2 embedders for a program that was tuned with 1\. Give .*: toy\."):
        Labeler(workshop(), program=tuned, embedders=[HashedWords(), HashedGrams()])
