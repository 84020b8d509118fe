"""What several ways of combining votes think, averaged: a linear opinion pool (Stone 1961).

Ways that err differently are seldom wrong and certain together, so the mean is less often certain and wrong than each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelmill.learning.votes import SoftLabels


def pool(opinions: Sequence[SoftLabels], labels: int) -> SoftLabels:
    """Average probabilities; who does not name a pair gives it none.

    Args:
        opinions: One or more, each pair at most once in each.
        labels: How many labels there are.
    """
    keys = np.concatenate([soft.document * labels + soft.label for soft in opinions])
    pairs, place = np.unique(keys, return_inverse=True)
    total = np.bincount(place, np.concatenate([soft.score for soft in opinions]), len(pairs))
    return SoftLabels(pairs // labels, pairs % labels, total / len(opinions))
