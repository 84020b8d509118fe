"""Which kind of Rank a tuned program gets: whole Rank learned like the others, and the gold's choice among kinds."""

from __future__ import annotations

import numpy as np
import pytest
from workshop import TASKS, diary, workshop

from labelmill import Labeler, Taxonomy
from labelmill.errors import GoldError, InputError, ModelUnavailable
from labelmill.learning.blend import COLUMNS
from labelmill.pipelines.optimise.spending import Allowance
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.tuning import tune
from labelmill.pipelines.tuning.kinds import kinds_to_try
from labelmill.pipelines.tuning.ranking import Ranked, add
from labelmill.pipelines.whole import MOST_LABELS
from labelmill.records import Candidate
from scripted import ScriptedModel
from toy_embedder import HashedGrams

SETTINGS = {"candidates": 5, "pool": 8, "keep_all": True, "listed": 4, "top_k": 4, "infer": "windows"}
GOLD = {entry.text: entry.labels for entry in (*diary(30), *diary(30, seed=9))}


def right(request):
    """Choose what is gold, of what is shown."""
    return [n for n, name in enumerate(request.candidates, start=1) if name in GOLD[request.text]]


def sees(whole):
    """Know what is gold in one kind of question, and choose nothing in the other."""
    return lambda request: right(request) if request.whole is whole else []


def learn(model, **settings):
    return tune(workshop(), diary(30), lm=model, embedders=[HashedGrams()], **SETTINGS | {"optimiser": None} | settings)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A program whose model is shown all labels and knows which are gold: its file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELMILL_CACHE", str(tmp_path_factory.mktemp("indexes")))
        program = learn(ScriptedModel(choose=right), rank="whole")
    path = tmp_path_factory.mktemp("tuned") / "program.json"
    program.write(path)
    return path


def label(program, model, entries, **settings):
    with Labeler(workshop(), program=program, lm=model, embedders=[HashedGrams()]) as labeler:
        return labeler.label([entry.text for entry in entries], **settings)


def test_whole_rank_gets_a_say(tuned):
    """Its answers enter by whether a label was chosen and at what place; every label was shown."""
    program = ProgramFile.read(tuned)
    assert program.spec.rank == "whole"
    weights = dict(zip(COLUMNS, program.spec.blend.weights, strict=True))
    assert weights["chosen"] + weights["place"] > 1
    figures = program.figures["rank"]
    assert (figures["kind"], figures["kept"]) == ("whole", True)
    assert figures["with"]["rp@5"] > figures["without"]["rp@5"]
    assert (figures["tokens"], figures["cached_tokens"]) == (12, 4)
    assert "ranks" not in program.figures


def test_what_was_not_retrieved_is_given_where_the_model_names_it(tuned):
    """On fresh documents: probabilities in order, and of the gold that no lane found, most."""
    entries = diary(30, seed=9)
    missed = given = 0
    for ranking, entry in zip(label(tuned, ScriptedModel(choose=right), entries, ranked=True), entries, strict=True):
        assert all(0 <= p.score <= 1 for p in ranking)
        assert [p.score for p in ranking] == sorted((p.score for p in ranking), reverse=True)
        named = [p for p in ranking if p.retrieval_rank == 0]
        assert {p.name for p in named} <= set(entry.labels)
        assert all(p.evidence == () for p in named)
        missed += len(named)
        given += sum(p.selected for p in named)
    assert missed > 5
    assert given > missed / 2


def test_the_world_of_learning_is_that_of_labelling(tuned):
    """A wrong label that is named from outside counts there as it did in learning: below those that were retrieved."""
    entry = diary(1, seed=9)[0]
    (before,) = label(tuned, ScriptedModel(choose=lambda _: []), [entry], ranked=True)
    outside = next(n for n, name in enumerate(TASKS, start=1) if name not in {p.name for p in before})
    (after,) = label(tuned, ScriptedModel(choose=lambda _: [outside]), [entry], ranked=True)
    (named,) = [p for p in after if p.retrieval_rank == 0]
    assert named.name == TASKS[outside - 1]
    first = before[0]
    (chosen,) = label(tuned, ScriptedModel(choose=lambda _: [TASKS.index(first.name) + 1]), [entry], ranked=True)
    assert named.score < next(p.score for p in chosen if p.name == first.name)


@pytest.mark.parametrize("kind", ["listwise", "whole"])
def test_auto_takes_the_kind_that_knows(kind):
    """Of two kinds that are asked, each with its figures; the program is that of the kind alone."""
    model = ScriptedModel(choose=sees(kind == "whole"))
    program = learn(model, rank="auto")
    assert program.spec.rank == kind
    assert [each["kind"] for each in program.figures["ranks"]] == ["listwise", "whole"]
    assert [each["kind"] for each in program.figures["ranks"] if each["kept"]] == [kind]
    assert program.figures["rank"]["kind"] == kind
    assert set(program.figures["asked"]) == {"rank listwise", "rank whole"}
    alone = learn(ScriptedModel(choose=sees(kind == "whole")), rank=kind)
    assert alone.spec.model_dump_json() == program.spec.model_dump_json()


def test_auto_prefers_whole_where_it_brings_what_was_not_retrieved():
    """Both know; listwise sees four candidates, whole Rank all labels."""
    losses = {}
    program = learn(ScriptedModel(choose=right), rank="auto")
    for each in program.figures["ranks"]:
        losses[each["kind"]] = each["log_losses"]["with rank"]
    assert program.spec.rank == "whole"
    assert losses["whole"] < losses["listwise"]


def test_auto_takes_none_where_none_is_of_use():
    """The program asks no model, and says what each kind would have brought."""
    program = learn(ScriptedModel(choose=lambda _: []), rank="auto")
    assert (program.spec.rank, program.spec.model, program.spec.blend) == ("fusion", "", None)
    assert not any(each["kept"] for each in program.figures["ranks"])


def test_auto_asks_nothing_twice(tmp_path):
    """After a kill the same program comes of the journal alone, with the same figures, tokens included."""
    settings = {"rank": "auto", "optimiser": "labeled", "infer": "both", "journal": tmp_path / "journal"}
    first = learn(ScriptedModel(choose=right), **settings)
    silent = ScriptedModel(troubles={"": ModelUnavailable("it was asked")})
    again = learn(silent, **settings)
    assert silent.requests == []
    assert again.spec.model_dump_json() == first.spec.model_dump_json()
    assert again.figures["ranks"] == first.figures["ranks"]
    assert all(each["tokens"] > 0 for each in first.figures["ranks"])
    assert set(first.figures["prompts"]["stages"]) == {"infer", "rank listwise", "rank whole"}


def test_a_budget_is_for_all_kinds_together(tmp_path):
    """What optimising takes of it, over Infer and both kinds of Rank."""
    model = ScriptedModel(choose=right)
    settings = {"rank": "auto", "optimiser": "bootstrap", "infer": "both", "allowance": Allowance(calls=60)}
    program = learn(model, **settings)
    spent = program.figures["prompts"]
    assert spent["student"]["calls"] + spent["teacher"]["calls"] <= 60 + 32  # those under way when it ended


def test_demonstrations_of_a_tuned_program_follow_the_taxonomy(tuned):
    """They are in the file by id: with a label put before the others they show the same labels."""
    program = learn(ScriptedModel(choose=right), rank="whole")
    shown = {"text": "The clocks were painted.", "chosen": ["paint clocks", "a label that is gone"]}
    state = {"instructions": "Choose.", "demonstrations": [shown]}
    spec = program.spec.model_validate(program.spec.model_dump() | {"prompts": {"rank": state}})
    edited = Taxonomy.from_names(["a new task", *TASKS])
    with Labeler(
        edited,
        program=program.model_copy(update={"spec": spec}),
        lm=ScriptedModel(choose=lambda _: []),
        embedders=[HashedGrams()],
    ) as labeler:
        (demonstration,) = labeler.program.rank.predict.demos
    assert demonstration.chosen == [TASKS.index("paint clocks") + 2]


def test_kinds_that_apply():
    """Whole Rank up to its limit; beyond, auto does without it, and it alone is refused."""
    assert kinds_to_try("auto", MOST_LABELS) == ("listwise", "whole")
    assert kinds_to_try("auto", MOST_LABELS + 1) == ("listwise",)
    assert kinds_to_try("pointwise", 10**6) == ("pointwise",)
    with pytest.raises(InputError, match="listwise"):
        kinds_to_try("whole", MOST_LABELS + 1)


def test_a_wrong_taxonomy_is_refused_before_anything_is_asked():
    """In tuning as in labelling."""
    large = Taxonomy.from_names(f"label {number}" for number in range(MOST_LABELS + 1))
    with pytest.raises(InputError, match="1,000 at most"):
        tune(large, diary(6), lm="http://127.0.0.1:9/v1", rank="whole")
    with pytest.raises((InputError, GoldError), match="language model"):
        tune(workshop(), diary(6), rank="auto", embedders=[HashedGrams()])


def test_added_labels_are_as_unlikely_as_the_last():
    """Behind each document's candidates, gold where they are; what is there already stays where it is."""
    found = ([Candidate(3, 0.9), Candidate(1, 0.5)], [])
    ranked = Ranked(found, np.array([2.0, -1.0]), np.array([True, False]), np.array([0, 0]))
    wider = add(ranked, [[1, 5, 5], [2]], [frozenset({3, 5}), frozenset({4})])
    assert [[each.label for each in some] for some in wider.candidates] == [[3, 1, 5], [2]]
    assert wider.groups.tolist() == [0, 0, 0, 1]
    assert wider.correct.tolist() == [True, False, True, False]
    assert wider.log_odds[:3].tolist() == [2.0, -1.0, -1.0]
    assert wider.log_odds[3] < -16
    assert add(ranked, [[3], []], [frozenset(), frozenset()]).log_odds.tolist() == [2.0, -1.0]
