"""The examples that users start from: their gold labels and their task cards fit their taxonomies."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from labelmill.artifacts import ARTIFACTS, status
from labelmill.eval import resolve_gold
from labelmill.taxonomy import Taxonomy, check
from labelmill.taxonomy.esco import esco_taxonomy

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def esco() -> Taxonomy:
    if not status(ARTIFACTS["esco"]).cached:
        pytest.skip("the artifact 'esco' is not in the cache")
    return esco_taxonomy(ARTIFACTS["esco"].folder / "esco.csv")


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fits(taxonomy: Taxonomy, stem: Path) -> None:
    """Gold and card resolve, ids are unique, and no worked example gives a document away."""
    documents = read(stem.with_suffix(".jsonl"))
    card = tomllib.loads(stem.with_suffix(".toml").read_text(encoding="utf-8"))
    gold = resolve_gold([(document["id"], document["labels"]) for document in documents], taxonomy)
    assert gold.summary == ""
    assert gold.gold.sizes.min() >= 1
    assert len(set(gold.documents)) == len(documents)
    worked = card["examples"]
    assert resolve_gold([(example["text"], example["labels"]) for example in worked], taxonomy).summary == ""
    assert not {example["text"] for example in worked} & {document["text"] for document in documents}


def test_the_tags_of_the_recipes_are_a_taxonomy_without_a_single_warning():
    assert check(EXAMPLES / "recipes" / "tags.csv").problems == ()


def test_the_recipes_fit_their_tags():
    fits(Taxonomy.read(EXAMPLES / "recipes" / "tags.csv"), EXAMPLES / "recipes" / "recipes")


def test_the_tags_show_what_a_csv_can_hold():
    """A comma in a name, several aliases in a cell, two levels of parents."""
    taxonomy = Taxonomy.read(EXAMPLES / "recipes" / "tags.csv")
    assert taxonomy[taxonomy.resolve("pie, quiche, tart")].aliases == ("pie", "quiche", "tart", "galette")
    path = [taxonomy[position].id for position in taxonomy.path(taxonomy.resolve("mushrooms"))]
    assert path == ["ingredient", "vegetables", "mushroom"]


@pytest.mark.models
def test_the_job_ads_fit_esco_with_and_without_its_groups(esco):
    fits(esco, EXAMPLES / "job_ads")
    fits(esco.where("kind = 'skill'"), EXAMPLES / "job_ads")
