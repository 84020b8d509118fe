"""A run in words: every kind of program is said, and what a run did not have is not."""

from __future__ import annotations

import pytest
from reported_runs import decided

from labelmill.pipelines.report_figures import threshold_in_use
from labelmill.pipelines.report_words import describe_program
from labelmill.pipelines.spec import ProgramSpec


def said(program, stage):
    return dict(describe_program(program)).get(stage, "")


@pytest.mark.parametrize("infer", ["windows", "lm", "both"])
@pytest.mark.parametrize("rank", ["fusion", "listwise", "pointwise", "whole"])
def test_every_kind_of_program_is_said(infer, rank):
    """The model is named where it takes part, and nowhere else."""
    program = ProgramSpec(infer=infer, rank=rank, model="tiny-lm", top_k=7).described()
    assert ("tiny-lm" in said(program, "Infer")) == (infer != "windows")
    assert ("tiny-lm" in said(program, "Rank")) == (rank != "fusion")
    assert "at most 7 labels" in said(program, "Decide")
    assert ("probability of at least 0.5" in said(program, "Decide")) == (rank == "pointwise")
    assert "reciprocal rank" in said(program, "Retrieve")
    assert said(program, "Learned") == ""


def test_what_was_learned_is_said():
    program = decided(0.25, "recall>=0.8", group_thresholds={"g": 0.1}) | {"examples": 40, "prompts": {"infer": {}}}
    learned = said(program, "Learned")
    assert "the fusion (a regression on 1 columns), the calibration (platt), the prompts of infer" in learned
    assert "the decision, 40 gold documents" in learned
    assert "learned fusion" in said(program, "Retrieve")
    assert "at least 0.25; 1 groups of labels" in said(program, "Decide")


def test_a_program_of_another_version_is_still_described():
    assert said({}, "Decide") == "at most a few labels a document"
    assert said({"infer": "oracle"}, "Infer") == "oracle"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ({"rank": "fusion"}, None),
        ({"rank": "pointwise"}, 0.5),
        ({"rank": "pointwise", "threshold": 0.0}, 0.0),
        (decided(0.25), 0.25),
        (decided(0.25) | {"threshold": 0.4}, 0.4),
        (decided(0.25) | {"rank": "pointwise", "decision": None}, None),
    ],
)
def test_the_threshold_in_use_is_the_one_that_the_program_decides_by(program, expected):
    assert threshold_in_use(program) == expected
