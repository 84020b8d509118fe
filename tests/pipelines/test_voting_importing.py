"""Votes out of files: what is in them is what is stored, and a file that cannot be used replaces nothing."""

from __future__ import annotations

import pytest

from labelmill.errors import CorpusError, InputError
from labelmill.pipelines.voting.importing import import_labels, import_votes
from labelmill.store import Store
from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl

LABELS = Taxonomy.from_names(["bread", "soup"])


def votes_of(path):
    with Store(path) as store:
        return store.connection.execute("SELECT voter, document, label, vote FROM votes ORDER BY ALL").fetchall()


@pytest.mark.parametrize("name", ["550E8400-E29B-41D4-A716-446655440000", "2024-01-01T00:00:00Z", "2024-01-01 00:00"])
def test_ids_of_json_are_read_as_they_are_written(tmp_path, name):
    """And not as the UUIDs and dates that they look like: they would meet no document."""
    table = write_jsonl(tmp_path / "v.jsonl", [{"document": name, "label": "bread"}])
    import_votes(table, tmp_path / "v.duckdb", LABELS)
    assert votes_of(tmp_path / "v.duckdb") == [("v", name, "bread", 1)]


def test_ids_of_json_may_be_numbers_and_texts(tmp_path):
    """A text is one without quotes still."""
    rows = [{"document": 1, "label": "bread"}, {"document": "a", "label": "soup", "vote": -1}]
    import_votes(write_jsonl(tmp_path / "v.jsonl", rows), tmp_path / "v.duckdb", LABELS)
    assert votes_of(tmp_path / "v.duckdb") == [("v", "1", "bread", 1), ("v", "a", "soup", -1)]


def test_a_field_that_appears_late_counts(tmp_path):
    """Behind the rows out of which DuckDB guesses what fields there are."""
    rows = [{"document": "a", "label": "bread"}] * 21_000 + [{"document": "b", "label": "bread", "vote": -1}]
    import_votes(write_jsonl(tmp_path / "v.jsonl", rows), tmp_path / "v.duckdb", LABELS)
    assert votes_of(tmp_path / "v.duckdb") == [("v", "a", "bread", 1), ("v", "b", "bread", -1)]


def test_documents_that_cannot_be_used_replace_nothing(tmp_path):
    """A wrong field of labels, or a file that is none, leaves what the voter said before."""
    out = tmp_path / "v.duckdb"
    docs = write_jsonl(tmp_path / "ann.jsonl", [{"id": "a", "text": "flour", "labels": ["bread"]}])
    import_labels([docs], out, LABELS, "ann")
    with pytest.raises(InputError, match="no document has 'tags'"):
        import_labels([docs], out, LABELS, "ann", labels_field="tags")
    with pytest.raises(CorpusError):
        import_labels([tmp_path / "nowhere.jsonl"], out, LABELS, "ann")
    assert votes_of(out) == [("ann", "a", "bread", 1)]
    with pytest.raises(InputError, match="no document has 'tags'"):
        import_labels([docs], tmp_path / "new.duckdb", LABELS, "ann", labels_field="tags")
    assert not (tmp_path / "new.duckdb").exists()
