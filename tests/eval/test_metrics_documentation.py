"""The page on the metrics names every one of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from labelmill.eval import Gold, Hierarchy, Rankings, evaluate

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_names_exactly_the_metrics_that_there_are():
    """By the names that JSON has, with k for the depth."""
    page, _, _ = PAGE.read_text(encoding="utf-8").partition("## Gold outside the taxonomy")
    rankings = Rankings.from_lists([[0, 1], [1, 0], [0, 1]], [[True, False]] * 3)
    found = evaluate(
        rankings,
        Gold.from_lists([[0], [0], [1]]),
        n_labels=2,
        ks=(5,),
        resamples=3,
        hierarchy=Hierarchy.from_lists([[1], []]),
        probabilities=np.full((3, 2), 0.5),
    )
    names = {name.replace("@5", "@k") for name in found.metrics} | {"labels_used", "labels_in_taxonomy"}
    documented = set(re.findall(r"`([a-z_0-9@]+)`", "\n".join(re.findall(r"^\|.*", page, re.MULTILINE))))
    assert documented == names
