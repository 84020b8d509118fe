"""Usage phrases as lanes: found by them, keyed by them, and kept by tuning only where the gold shows that they help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from workshop import THINGS, VERBS, diary, workshop

from labelmill import Labeler
from labelmill.errors import InputError
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.tuning import tune
from labelmill.retrievers.index import Indexes
from labelmill.taxonomy.usages import Usages, document_key
from toy_embedder import HashedGrams

TASKS = workshop()
LANES = {"names/text": 1.0, "bm25/text": 1.0}
SAID = {f"{verb} {thing}": (f"the {thing} were {VERBS[verb]}",) for verb in VERBS for thing in THINGS}
"""What the diary says of each task."""

GOOD = Usages(SAID)
BAD = Usages({name: SAID[other] for name, other in zip(SAID, [*list(SAID)[17:], *list(SAID)[:17]], strict=True)})
"""The same phrases, each at a label that it does not belong to."""


def found(labeler, text):
    return labeler.label([text], ranked=True)[0]


def learn(usages, **settings):
    fixed = {"candidates": 10, "pool": 12, "infer": "windows"}
    return tune(TASKS, diary(40), embedders=[HashedGrams()], usages=usages, **fixed | settings)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Tuned with phrases that are right, and with phrases that are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELMILL_CACHE", str(tmp_path_factory.mktemp("indexes")))
        return learn(GOOD), learn(BAD)


def test_a_label_is_found_by_its_phrases(make_labeler):
    """It counts for more, and what found it is told."""
    usages = Usages({"bake sourdough bread": ("flour up to the elbows", "rising overnight")})
    text, all_of = "flour up to the elbows again", {"candidates": 12}
    before, after = (
        next(each for each in found(make_labeler(usages=given, **all_of), text) if each.label == "bake sourdough bread")
        for given in (None, usages)
    )
    assert after.score > before.score + 0.05
    assert {hit.lane: hit.rank for hit in after.evidence}["usages.toy/windows"] == 1
    assert not any(hit.lane.startswith("usages") for hit in before.evidence)


def test_the_phrases_are_part_of_the_runs_key(make_labeler):
    """And of that of what is retrieved; without any, keys are what they were."""
    keys = {make_labeler(usages=usages).program.key for usages in (None, GOOD_NAMES, Usages({"tune a piano": ("y",)}))}
    assert len(keys) == 3
    fingerprints = {make_labeler(usages=u).program.retrieve.fingerprint for u in (None, GOOD_NAMES)}
    assert len(fingerprints) == 2


GOOD_NAMES = Usages({"tune a piano": ("x",)})


def test_other_phrases_never_meet_an_old_index(tmp_path):
    """And a label that has no phrases is found by its name there, too."""
    embedder = HashedGrams()
    hits = []
    for phrases in (("black and white keys",), ("something else altogether",)):
        indexes = Indexes(TASKS, tmp_path, usages=Usages({TASKS[3].id: phrases}))
        (found_,) = indexes.dense("usages", embedder).retrieve([["black and white keys"]], 5)
        assert sorted(indexes.dense("usages", embedder).retrieve([["x"]], 99)[0].labels.tolist()) == list(
            range(len(TASKS))
        )
        hits.append(dict(zip(found_.labels.tolist(), found_.scores.tolist(), strict=True)).get(3, 0.0))
    assert hits[0] == pytest.approx(1.0, abs=1e-3)
    assert hits[1] < 0.9


def test_a_file_of_phrases_is_taken_by_its_path(make_labeler, tmp_path):
    path = tmp_path / "u.jsonl"
    path.write_text('{"id": "tune a piano", "phrases": ["x"]}\n')
    assert make_labeler(usages=path).program.key == make_labeler(usages=GOOD_NAMES).program.key


def test_phrases_that_help_are_kept_and_the_program_asks_for_them(programs, tmp_path):
    """By their key; its file holds none of them."""
    kept, _ = programs
    assert "usages" not in kept.figures["left_out"]
    assert kept.spec.usages == GOOD.key
    assert {lane for lane in kept.spec.lanes if lane.startswith("usages/")} == {"usages/text", "usages/windows"}
    kept.write(tmp_path / "p.json")
    assert "were repaired" not in (tmp_path / "p.json").read_text("utf-8").partition('"examples"')[0]
    program = ProgramFile.read(tmp_path / "p.json")
    with Labeler(TASKS, program=program, usages=GOOD, embedders=[HashedGrams()]) as labeler:
        assert found(labeler, "In the morning the boats were painted.")[0].name == "paint boats"


@pytest.mark.parametrize(
    ("given", "said"), [(None, "Give that file with --usages"), (BAD, "Give --usages the file that it was made with")]
)
def test_a_program_without_its_phrases_is_refused(programs, given, said):
    with pytest.raises(InputError, match=said):
        Labeler(TASKS, program=programs[0], usages=given, embedders=[HashedGrams()])


def test_phrases_that_do_not_help_are_left_out_and_not_asked_for(programs):
    _, without = programs
    assert "usages" in without.figures["left_out"]
    assert without.spec.usages == ""
    assert not any(lane.startswith("usages/") for lane in without.spec.lanes)
    Labeler(TASKS, program=without, embedders=[HashedGrams()])
    with pytest.raises(InputError, match="searches no phrases"):
        Labeler(TASKS, program=without, usages=BAD, embedders=[HashedGrams()])


def test_the_loss_without_them_is_what_decides(programs):
    """They are tried as one part, whatever the kinds of queries."""
    kept, without = programs
    for program, better in ((kept, False), (without, True)):
        trials = program.figures["trials"]
        at = next(place for place, trial in enumerate(trials) if "usages" in trial["without"])
        base = max(
            (trial for trial in trials[:at] if trial["kept"] or not trial["without"]), key=lambda t: len(t["without"])
        )
        assert trials[at]["kept"] == better
        assert better or trials[at]["log_loss"] > base["log_loss"]


def test_phrases_of_the_gold_itself_are_refused():
    """They cannot be left out of what they were made of; the same text under another id is the same document."""
    gold = diary(20)
    usages = replace(GOOD, documents=frozenset({document_key(gold[7].text.upper())}), source="u.jsonl")
    with pytest.raises(InputError) as caught:
        tune(TASKS, gold, embedders=[HashedGrams()], usages=usages)
    assert str(caught.value).startswith("u.jsonl: 1 of 20 gold documents")
    assert repr(gold[7].id) in str(caught.value)


def test_the_order_of_labels_in_the_view_is_the_taxonomys():
    """Whatever the order of the file."""
    turned = Usages(dict(reversed(SAID.items())))
    texts = [entry.text for entry in diary(4, seed=3)]
    one, two = (Labeler(TASKS, usages=u, embedders=[HashedGrams()]).label(texts, ranked=True) for u in (GOOD, turned))
    assert one == two
    assert np.isfinite([each.score for each in one[0]]).all()
