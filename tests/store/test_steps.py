"""The file of steps: found again by key, committed as they come, and no other kind of file is taken for it."""

from __future__ import annotations

import pytest

from labelmill.errors import StoreError
from labelmill.store import Store
from labelmill.store.steps import Step, StepStore


def test_a_step_is_found_again_as_it_was(tmp_path):
    """In the same process and in the next."""
    step = Step("a" * 32, "summarise", [{"summary": "bread — 面包 \"'"}], {"document": "d1"}, "m", "", 2, 30, 4, 5, 1.5)
    with StepStore(tmp_path / "steps.duckdb") as store:
        assert store.get(step.key) is None
        store.put(step)
        assert store.get(step.key) == step
    with StepStore(tmp_path / "steps.duckdb") as store:
        assert store.steps() == [step]
        assert len(store) == 1


def test_the_first_of_two_with_one_key_stays(tmp_path):
    """A row is never changed."""
    with StepStore(tmp_path / "steps.duckdb") as store:
        first = store.put(Step("k", "draw", [1, 2]))
        assert store.put(Step("k", "draw", [3])) == first
        assert store.connection.execute("SELECT count(*) FROM steps").fetchone() == (1,)


def test_a_problem_is_kept_too(tmp_path):
    """So that what cannot be answered is not asked for again."""
    with StepStore(tmp_path / "steps.duckdb") as store:
        store.put(Step("k", "propose", [], problem="it is no JSON"))
    with StepStore(tmp_path / "steps.duckdb") as store:
        assert store.get("k").problem == "it is no JSON"


def test_files_of_runs_and_of_steps_are_told_apart(tmp_path):
    """Either refuses the other's, in one line."""
    with StepStore(tmp_path / "steps.duckdb"):
        pass
    with Store(tmp_path / "runs.duckdb", write=True):
        pass
    with pytest.raises(StoreError, match="not one of labelmill's"):
        Store(tmp_path / "steps.duckdb", write=True)
    with pytest.raises(StoreError, match="not one of labelmill's"):
        StepStore(tmp_path / "runs.duckdb")


def test_another_version_is_refused(tmp_path):
    """With what to do."""
    with StepStore(tmp_path / "steps.duckdb") as store:
        store.connection.execute("UPDATE about SET steps_version = 99")
    with pytest.raises(StoreError, match="schema 99, this labelmill knows schema 1"):
        StepStore(tmp_path / "steps.duckdb")
