"""The ledger: each gold label has one fate, losses add up, and the lines say what happened."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.eval.fates import STAGES, Fate
from labelmill.eval.ledger import GoldLabel, Ledger, Standing, Trace, enter, trace_document
from labelmill.eval.ledger_table import render_ledger

GOLD = {
    "bake bread": ["make loaves"],
    "repair bicycles": [],
    "play the violin": [],
    "keep bees": [],
    "sail boats": [],
}


def one_of_each() -> Trace:
    """A document with a label of every fate but failure."""
    trace = trace_document(
        GOLD,
        queries=["making loaves", "gardens"],
        candidates=["keep bees", "play the violin", "brew beer", "repair bicycles"],
        retrieved=["repair bicycles", "brew beer", "keep bees", "play the violin"],
        selected=["keep bees"],
        document="d",
    )
    unknown = GoldLabel("walk on stilts", ("walk on stilts",), known=False)
    return Trace(trace.document, (*trace.gold, unknown), trace.queries, trace.standings)


def test_every_fate_has_its_reason():
    """By rank, by choice, by the nearest phrase, by the taxonomy."""
    entries = {entry.name: entry for entry in enter([one_of_each()], top_k=2)}
    assert {name: entry.fate for name, entry in entries.items()} == {
        "bake bread": Fate.not_retrieved,
        "repair bicycles": Fate.ranked_low,
        "play the violin": Fate.cut,
        "keep bees": Fate.found,
        "sail boats": Fate.not_proposed,
        "walk on stilts": Fate.outside,
    }
    assert (entries["repair bicycles"].retrieval_rank, entries["repair bicycles"].rank) == (1, 4)
    assert entries["bake bread"].query == "making loaves"
    assert entries["bake bread"].similarity >= 0.5
    assert entries["keep bees"].similarity is None


def test_each_fate_is_explained_in_one_line():
    """The line names the label, and what came nearest or where it stood."""
    lines = [entry.explain() for entry in enter([one_of_each()], top_k=2)]
    assert lines[0] == "gold label 'bake bread' was never retrieved; the nearest phrase was 'making loaves'"
    assert lines[1] == "gold label 'repair bicycles' was ranked too low, at rank 4 (retrieved at rank 1)"
    assert lines[2] == "gold label 'play the violin' was cut by the decision, at rank 2 (retrieved at rank 4)"
    assert lines[3] == "gold label 'keep bees' was found at rank 1 (retrieved at rank 3)"
    assert lines[4].startswith("gold label 'sail boats' was never proposed; ")
    assert lines[5] == "gold label 'walk on stilts' is not in the taxonomy"
    failed = Trace("d", (GoldLabel("x", ("two\nlines",)),), failed=True)
    assert enter([failed], top_k=2)[0].explain() == r"gold label 'two\nlines' was lost with its document, which failed"
    silent = enter([trace_document({"rye": []}, [], [], [])], top_k=1)[0]
    assert silent.explain() == "gold label 'rye' was never proposed; no phrase came near to it"


def test_what_is_selected_is_found_at_any_rank():
    """A decision may choose more than its usual number; the ledger follows the final set."""
    trace = trace_document({"c": []}, [], ["a", "b", "c"], ["c"])
    assert enter([trace], top_k=1)[0].fate is Fate.found


def test_how_near_is_near_can_be_chosen():
    """The same phrase proposes a label or does not."""
    trace = trace_document({"bake bread": []}, ["bakes breads"], [], [])
    fates = [enter([trace], top_k=1, near=near)[0].fate for near in (0.3, 0.9)]
    assert fates == [Fate.not_retrieved, Fate.not_proposed]


label_ids = st.integers(0, 9).map(lambda number: f"label {number}")
standings = st.builds(Standing, st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from(["", "q"]))


@st.composite
def traces(draw) -> Trace:
    gold = draw(st.lists(label_ids, unique=True, max_size=5))
    labels = tuple(GoldLabel(label, (label,), draw(st.booleans())) for label in gold)
    queries = tuple(draw(st.lists(label_ids, max_size=3)))
    document = draw(st.sampled_from(["a", "b", "c", "d"]))
    retrieved = draw(st.dictionaries(label_ids, standings, max_size=5))
    return Trace(document, labels, queries, retrieved, draw(st.booleans()))


@given(st.lists(traces(), max_size=6), st.integers(1, 6))
def test_losses_add_up_to_exactly_the_gold_labels_that_were_not_found(documents, top_k):
    """Found ones are counted here from what was drawn; recall never rises from stage to stage and ends at the recall."""
    ledger = Ledger(tuple(enter(documents, top_k=top_k)), top_k)
    gold = [(trace, label) for trace in documents for label in trace.gold]
    found = sum(
        label.known and not trace.failed and label.id in trace.standings and trace.standings[label.id].selected
        for trace, label in gold
    )
    assert len(ledger.entries) == sum(ledger.counts.values()) == len(gold)
    assert sum(count for fate, count in ledger.counts.items() if fate is not Fate.found) == ledger.lost
    assert ledger.lost == len(gold) - found
    ceilings = list(ledger.ceilings.values())
    assert ceilings == sorted(ceilings, reverse=True)
    assert ceilings[-1] == pytest.approx(found / max(1, len(gold)))
    assert sum(len(worst.entries) for worst in ledger.worst_labels(99)) == ledger.lost
    assert sum(len(worst.entries) for worst in ledger.worst_documents(99)) == ledger.lost


@given(st.lists(traces(), min_size=2, max_size=4))
def test_a_document_has_the_same_fates_alone(documents):
    """The batch is a matter of speed."""
    together = enter(documents, top_k=3)
    assert together == [entry for trace in documents for entry in enter([trace], top_k=3)]


def ledger_of(found: dict[str, list[str]], gold: dict[str, list[str]]) -> Ledger:
    documents = [
        trace_document({label: [] for label in labels}, [], found[document], found[document], document=document)
        for document, labels in gold.items()
    ]
    return Ledger(tuple(enter(documents, top_k=5)), 5)


def test_the_worst_lost_most_then_the_largest_share():
    """Two of two is worse than two of three; the found are not among them."""
    gold = {"d1": ["x", "y"], "d2": ["x", "y"], "d3": ["y", "z"]}
    ledger = ledger_of({"d1": [], "d2": ["x"], "d3": ["y", "z"]}, gold)
    assert [(worst.name, len(worst.entries), worst.gold) for worst in ledger.worst_labels()] == [
        ("y", 2, 3),
        ("x", 1, 2),
    ]
    assert [worst.key for worst in ledger.worst_documents()] == ["d1", "d2"]
    assert [worst.key for worst in ledger.worst_documents(1)] == ["d1"]


def test_json_has_every_count_and_the_lines():
    """Keys are words without blanks; stages and fates are all there, also those of nought."""
    ledger = Ledger(tuple(enter([one_of_each()], top_k=2)), 2)
    plain = json.loads(json.dumps(ledger.as_dict(worst=3)))
    assert plain["fates"] == {
        "outside": 1,
        "failed": 0,
        "not_proposed": 1,
        "not_retrieved": 1,
        "ranked_low": 1,
        "cut": 1,
        "found": 1,
    }
    assert (plain["gold"], plain["lost"], plain["found"]) == (6, 5, 1)
    assert list(plain["ceilings"]) == list(STAGES)
    assert len(plain["worst_labels"]) == 3
    (document,) = plain["worst_documents"]
    assert len(document["losses"]) == 5
    assert "nearest phrase" in document["losses"][0]["explanation"]


def test_brackets_in_names_are_shown_as_they_are():
    """rich would take them for colours."""
    from rich.console import Console

    trace = trace_document({"[red]alarm[/red]": []}, [], [], [], document="[bold]")
    console = Console(width=200)
    with console.capture() as shown:
        for table in render_ledger(Ledger(tuple(enter([trace], top_k=5)), 5)):
            console.print(table)
    assert "[red]alarm[/red]" in shown.get()
    assert "[bold]" in shown.get()


def test_an_empty_ledger_divides_by_nothing():
    """No gold label, no loss."""
    ledger = Ledger((), 5)
    assert ledger.lost == 0
    assert len(render_ledger(ledger)) == 1
