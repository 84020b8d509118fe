"""Fitting a fusion to gold; what it is made of is chosen on documents that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import GoldError
from labelmill.learning.fusion import LearnedFusion, Linear, Trees

Fit = Callable[["Examples"], LearnedFusion]

_DIGITS = 7
_SETTINGS = {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 8, "min_samples_leaf": 30}
_RIDGE = 10.0
_FEW_NUMBERS = 10_000_000
_STRENGTHS = (0.003, 0.01, 0.03)
"""Inverse strengths of the regression's penalty, the strongest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Candidates of gold documents, and whether they are gold.

    Attributes:
        columns: What is known of a candidate.
        values: Shape (n, columns).
        correct: Whether each is a gold label of its document, shape (n,).
        groups: The candidate's document, from 0, rising, shape (n,).
        parts: The part of the candidate's document, shape (n,): those of one part are held out together, wherever
            something is learned, since what is known of them may come from the labels of all other parts.
    """

    columns: tuple[str, ...]
    values: NDArray[np.float64]
    correct: NDArray[np.bool_]
    groups: NDArray[np.int64]
    parts: NDArray[np.int64]

    def take(self, rows: NDArray[np.bool_]) -> Examples:
        """Keep the candidates that a mask of shape (n,) names."""
        columns, values = self.columns, self.values[rows]
        return Examples(columns, values, self.correct[rows], self.groups[rows], self.parts[rows])

    def only(self, kept: Sequence[int]) -> Examples:
        """Keep some columns."""
        return replace(self, columns=tuple(self.columns[i] for i in kept), values=self.values[:, kept])


@dataclass(frozen=True, slots=True, eq=False)
class FusionFit:
    """A fusion, and what it gives candidates whose documents it was not fitted on.

    Attributes:
        fusion: Fitted on all documents.
        kind: What it is made of.
        log_odds: Cross-fitted, shape (n,).
        log_losses: Mean cross-fitted log loss in nats of every kind that was tried.
    """

    fusion: LearnedFusion
    kind: str
    log_odds: NDArray[np.float64]
    log_losses: dict[str, float]


def fit_fusion(examples: Examples) -> FusionFit:
    """Choose what a fusion is made of by cross-validation over parts of the documents, and fit it on all of them.

    Args:
        examples: Of at least two parts.

    Raises:
        GoldError: No candidate is right, or all are, or there are fewer parts than two.
    """
    linear = {f"linear C={c}": cross_fit(examples, _linear_of(c)) for c in _STRENGTHS}
    strength = min(_STRENGTHS, key=lambda c: log_loss(linear[f"linear C={c}"], examples.correct))
    boosted = cross_fit(examples, fit_trees)
    found = linear | {"trees": boosted, "both": (linear[f"linear C={strength}"] + boosted) / 2}
    losses = {kind: log_loss(scores, examples.correct) for kind, scores in found.items()}
    kind = min(losses, key=lambda each: losses[each])
    fusion = LearnedFusion(
        columns=examples.columns,
        linear=None if kind == "trees" else _linear_of(strength)(examples).linear,
        trees=fit_trees(examples).trees if kind in {"trees", "both"} else None,
    )
    return FusionFit(fusion, kind, found[kind], losses)


def cross_fit(examples: Examples, fit: Fit) -> NDArray[np.float64]:
    """Give each candidate's log-odds by a model that was fitted without the part of its document, shape (n,).

    Raises:
        GoldError: What is left for a model has no right candidate, or none that is wrong, or is nothing at all.
    """
    log_odds = np.zeros(len(examples.values))
    if not len(log_odds):
        raise _too_little(examples)
    for part in np.unique(examples.parts):
        inside = examples.parts == part
        seen = examples.take(~inside)
        if not 0 < np.count_nonzero(seen.correct) < len(seen.correct):
            raise _too_little(examples)
        log_odds[inside] = fit(seen).log_odds(examples.values[inside])
    return log_odds


def log_loss(log_odds: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Average the negative log-likelihood, in nats."""
    return float(np.logaddexp(0, np.where(correct, -log_odds, log_odds)).mean())


def fit_quickly(examples: Examples) -> LearnedFusion:
    """Fit a fusion of both kinds with few, coarse trees: to compare columns, not to use."""
    linear, trees = _linear_of(_STRENGTHS[1])(examples), fit_trees(examples, learning_rate=0.12, max_iter=50)
    return LearnedFusion(columns=examples.columns, linear=linear.linear, trees=trees.trees)


def fit_trees(examples: Examples, **settings: float) -> LearnedFusion:
    """Fit boosted trees (scikit-learn's histogram gradient boosting) and write them down.

    Args:
        examples: What to fit them to.
        settings: Other settings of scikit-learn than those of the final fusion.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(**_SETTINGS | settings, l2_regularization=_RIDGE, random_state=0)
    with _one_thread():
        model.fit(examples.values, examples.correct)
        expected = model.decision_function(examples.values)
    fusion = LearnedFusion(columns=examples.columns, trees=_write(model))
    # Its nodes are no public interface: whoever changes them is found out here, and not by wrong labels.
    if not np.allclose(fusion.log_odds(examples.values), expected, atol=1e-3):
        raise RuntimeError("scikit-learn stores its trees in another way than labelmill reads: use the locked version")
    return fusion


def _linear_of(strength: float) -> Fit:
    def fit(examples: Examples) -> LearnedFusion:
        from sklearn.linear_model import LogisticRegression

        means, scales = examples.values.mean(axis=0), examples.values.std(axis=0)
        scales = np.where(scales > 1e-9 * np.maximum(1, np.abs(means)), scales, 1.0)
        model = LogisticRegression(C=strength, solver="newton-cholesky")
        with _one_thread():
            model.fit((examples.values - means) / scales, examples.correct)
        linear = Linear(
            intercept=_short(model.intercept_[0]),
            weights=tuple(map(_short, model.coef_[0])),
            means=tuple(map(_short, means)),
            scales=tuple(map(_short, scales)),
        )
        return LearnedFusion(columns=examples.columns, linear=linear)

    return fit


def _one_thread() -> Any:
    """Keep OpenMP and BLAS to one thread: the work is small, and where others are busy, threads wait for each other."""
    from threadpoolctl import threadpool_limits  # of scikit-learn

    return threadpool_limits(limits=1)


def _write(model: Any) -> Trees:
    """Lay scikit-learn's trees out one after the other, the larger side of every node behind it."""
    roots: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    left: list[int] = []

    def lay(nodes: Any, index: int) -> None:
        node, place = nodes[index], len(columns)
        leaf = bool(node["is_leaf"])
        columns.append(-1 if leaf else int(node["feature_idx"]))
        # Thresholds whole: one that is rounded may pass a value that it was set to hold.
        values.append(_short(node["value"]) if leaf else float(node["num_threshold"]))
        left.append(0)
        if not leaf:
            lay(nodes, node["right"])
            left[place] = len(columns)
            lay(nodes, node["left"])

    for (predictor,) in model._predictors:  # noqa: SLF001 - checked where this is called
        roots.append(len(columns))
        lay(predictor.nodes, 0)
    return Trees(
        baseline=_short(model._baseline_prediction.item()),  # noqa: SLF001
        roots=tuple(roots),
        columns=tuple(columns),
        values=tuple(values),
        left=tuple(left),
    )


def _short(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")


def _too_little(examples: Examples) -> GoldError:
    documents, right = len(np.unique(examples.groups)), len(np.unique(examples.groups[examples.correct]))
    return GoldError(
        f"{np.count_nonzero(examples.correct)} of {len(examples.correct)} candidates of {documents} gold documents are "
        f"right, in {right} of them: too little to learn from",
        remedy="Give some tens of documents, whose gold labels the retrievers find.",
    )
