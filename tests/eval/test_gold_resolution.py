from __future__ import annotations

import pytest

from labelmill.errors import GoldError
from labelmill.eval import Rankings, evaluate, resolve_gold
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy


@pytest.fixture
def taxonomy() -> Taxonomy:
    return Taxonomy.from_labels(
        [
            Label(id="k1", name="bake, then glaze"),
            Label(id="k2", name="glaze"),
            Label(id="k3", name="glaze"),
            Label(id="k4", name="proof dough"),
        ]
    )


def test_gold_names_labels_by_id_or_by_unique_name(taxonomy):
    resolved = resolve_gold([("a", ["k4", "bake, then glaze"]), ("b", None), ("c", ())], taxonomy)
    assert resolved.documents == ("a", "b", "c")
    assert resolved.gold.indptr.tolist() == [0, 2, 2, 2]
    assert resolved.gold.labels.tolist() == [0, 3]
    assert resolved.unresolved == ()
    assert not resolved.summary


def test_an_id_and_a_name_of_one_label_are_one_gold_label(taxonomy):
    assert resolve_gold([("a", ["k4", "proof dough", "k4"])], taxonomy).gold.labels.tolist() == [3]


def test_unresolved_labels_stay_in_the_gold_set_and_are_reported(taxonomy):
    """A name that two labels share and a name that nobody has are both kept, each with its own number and reason."""
    resolved = resolve_gold([("a", ["whisk", "k1"]), ("b", ["glaze", "whisk"]), ("c", ["whisk", "whisk"])], taxonomy)
    assert resolved.gold.labels.tolist() == [-2, 0, -3, -2, -2]
    assert [(label.text, label.documents, label.first) for label in resolved.unresolved] == [
        ("whisk", 3, "a"),
        ("glaze", 1, "b"),
    ]
    assert all(label.message for label in resolved.unresolved)
    assert not resolved.summary.endswith(".")
    assert resolved.summary.startswith("2 gold labels are not in the taxonomy and count as missed, for example 'whisk'")


def test_restricting_the_taxonomy_does_not_make_a_run_look_better(taxonomy):
    """The same single right answer scores the same, whether the other gold label was missed or had been removed."""
    documents = [("a", ["k1", "k4"])]
    fewer = Taxonomy.from_labels([label for label in taxonomy if label.id != "k4"])
    scores = [
        evaluate(
            Rankings.from_lists([[0]], [[True]]),
            resolve_gold(documents, labels).gold,
            n_labels=len(labels),
            resamples=10,
        ).metrics
        for labels in (taxonomy, fewer)
    ]
    assert scores[0] == scores[1]
    assert scores[1]["rp@5"].value == pytest.approx(1 / 2)


def test_gold_of_another_taxonomy_is_an_error(taxonomy):
    with pytest.raises(
        GoldError, match=r"none of the 2 distinct gold labels .* 'fly' of document 'a'\. .* belong together"
    ):
        resolve_gold([("a", ["fly", "swim"]), ("b", [])], taxonomy)


def test_no_gold_at_all_resolves_to_nothing(taxonomy):
    assert resolve_gold([("a", None)], taxonomy).gold.sizes.tolist() == [0]
