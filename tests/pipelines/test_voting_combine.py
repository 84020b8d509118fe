"""Votes combined into a run: which it may replace, and which not."""

from __future__ import annotations

import pytest

from labelmill.errors import InputError
from labelmill.pipelines.voting.combine import combine_votes
from labelmill.pipelines.voting.importing import import_votes
from labelmill.store import RunWriter, Store
from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl

LABELS = Taxonomy.from_names(["bread", "soup"])


@pytest.fixture
def votes(tmp_path):
    """Two voters, two documents."""
    rows = [{"voter": v, "document": d, "label": "bread", "vote": 1} for v in "xy" for d in "ab"]
    import_votes(write_jsonl(tmp_path / "v.jsonl", rows), tmp_path / "v.duckdb", LABELS)
    return tmp_path / "v.duckdb"


@pytest.mark.parametrize("program", [{"infer": "windows"}, {"infer": "windows", "examples": ["combine"]}])
def test_a_run_that_is_not_of_votes_is_not_replaced(votes, program):
    """Though a text in its program be the name of the field that tells."""
    with Store(votes, write=True) as store:
        settings = {"program": program, "taxonomy": LABELS, "taxonomy_source": "", "corpus": [], "version": "0"}
        RunWriter(store, run="dear", key="k", **settings).close("finished", 1.0)
    with pytest.raises(InputError, match="run 'dear' is not one of votes"):
        combine_votes(votes, run="dear")


def test_a_run_of_votes_is_replaced_by_the_next_of_its_name(votes):
    """With one row a document still."""
    for method in ("majority", "dawid-skene"):
        assert combine_votes(votes, method=method, run="soft").run == "soft"
    with Store(votes) as store:
        assert store.first("SELECT count(*), count(DISTINCT document) FROM documents WHERE run = 'soft'") == (2, 2)
