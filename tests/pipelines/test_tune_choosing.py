"""What to keep: what a trial takes is what is left of the lanes, scorers and embedders takes."""

from __future__ import annotations

import pytest
from workshop import diary, workshop

from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.spec import make_spec
from labelmill.pipelines.tuning.choosing import choose
from labelmill.pipelines.tuning.gathering import GoldSet, gather
from labelmill.pipelines.tuning.parts import parts_of
from toy_embedder import HashedGrams, HashedWords


class Second(HashedWords):
    """The same under another name, which no scorer rests on."""

    name = "second"


LANES = {"names/text": 1.0, "names/windows": 2.0, "bm25/text": 1.0}


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The parts of a program with two embedders, and every trial; a lane takes a second, and the scorer ten."""
    spec = make_spec(embedders=("toy", "second"), lanes=LANES, scorers=("overlap",), pool=12, candidates=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELMILL_CACHE", str(tmp_path_factory.mktemp("indexes")))
        program = assemble(spec, workshop(), embedders=[HashedGrams(), Second("second-1")], learning=True)
        gold = GoldSet.of(spec, workshop(), diary(30))
        gathered = gather(program, gold, [[]] * len(gold))
    parts = parts_of(program, {lane.name: 1.0 for lane in program.retrieve.lanes} | {"overlap": 10.0}, 0.0)
    return parts, choose(gathered, parts)[1]


def test_with_everything_each_lane_counts_once(tried):
    """Two embedders search names twice each, and there are BM25 and the scorer."""
    _, trials = tried
    assert trials[0].without == ()
    assert trials[0].seconds == 2 * 2 + 1 + 10


def test_an_embedder_that_is_left_out_saves_the_time_of_its_lanes(tried):
    """As a lane saves its own, with whichever embedder; what is out already saves nothing again."""
    parts, trials = tried
    names = {part.name: set(part.seconds) for part in parts}
    assert names["second"] == {"names.second/text", "names.second/windows"}
    assert trials[1].without == ("second",)
    assert trials[1].seconds == trials[0].seconds - 2
    took = {lane: 10.0 if lane == "overlap" else 1.0 for lanes in names.values() for lane in lanes}
    for trial in trials:
        gone = set().union(*(names[name] for name in trial.without))
        assert trial.seconds == sum(seconds for lane, seconds in took.items() if lane not in gone)
