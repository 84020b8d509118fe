"""How fast an evaluation is: against plain Python for rankings, against scikit-learn for final sets, in one run.

Absolute seconds say more of the machine than of the code; the ratios hold anywhere. Run it with
``python benchmarks/metrics.py [DOCUMENTS]``; 20,000 documents with 50 predictions each are a million predictions.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics import f1_score

from labelmill.eval import Gold, Hierarchy, Rankings, evaluate
from labelmill.eval.metrics import find_hits, score_rankings

WIDTH = 50
LABELS = 14_000
KS = (1, 5, 10, 50)


def corpus(documents: int) -> tuple[Rankings, Gold]:
    """Make rankings with a long tail of labels, five gold labels a document, about half of them ranked."""
    generator = np.random.default_rng(0)
    labels = np.minimum(generator.pareto(0.6, (documents, WIDTH)) * 40, LABELS - 1).astype(np.int32)
    ranked = np.take_along_axis(labels, generator.integers(0, WIDTH, (documents, 3)), axis=1)
    gold = np.concatenate([ranked, generator.integers(0, LABELS, (documents, 2))], axis=1)
    selected = np.broadcast_to(np.arange(WIDTH) < 5, labels.shape)
    return Rankings(labels, selected), Gold.from_lists(gold.tolist())


def hierarchy(labels: int) -> Hierarchy:
    """Make a hierarchy in which labels have ten children on average and, now and then, two parents."""
    generator = np.random.default_rng(1)
    parents = [[place // 10] for place in range(labels)]
    for place in generator.integers(11, labels, labels // 5).tolist():
        parents[place].append(int(generator.integers(0, place)))
    parents[0] = []
    return Hierarchy.from_lists(parents)


def seconds(act: Callable[[], object], repeat: int = 3) -> float:
    """Give the best of a few runs."""
    times = []
    for _ in range(repeat):
        start = perf_counter()
        act()
        times.append(perf_counter() - start)
    return min(times)


def plain_rankings(ranked: list[list[int]], gold: list[set[int]]) -> list[float]:
    """Score RP@k and nDCG@k as their definitions read."""
    totals = [0.0] * (2 * len(KS))
    for labels, wanted in zip(ranked, gold, strict=True):
        hits = [label in wanted for label in labels]
        for i, k in enumerate(KS):
            ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
            gain = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits[:k], start=1) if hit)
            totals[2 * i] += sum(hits[:k]) / min(k, len(wanted))
            totals[2 * i + 1] += gain / ideal
    return [total / len(ranked) for total in totals]


def sklearn_sets(rankings: Rankings, gold: Gold) -> tuple[float, float]:
    """Score micro and macro F1 on sparse indicator matrices."""
    rows, columns = np.nonzero(rankings.selected)
    shape = len(gold), LABELS
    chosen = csr_matrix((np.ones(len(rows), dtype=np.int8), (rows, rankings.labels[rows, columns])), shape=shape)
    truth = csr_matrix((np.ones(len(gold.labels), dtype=np.int8), gold.labels, gold.indptr), shape=shape)
    occurring = np.flatnonzero(np.asarray((chosen + truth).sum(axis=0)).ravel())
    micro, macro = (
        f1_score(truth, chosen, average=average, labels=occurring, zero_division=0) for average in ("micro", "macro")
    )
    return float(micro), float(macro)


def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rankings, gold = corpus(documents)
    ranked = [[label for label in row if label >= 0] for row in rankings.labels.tolist()]
    wanted = [set(gold.labels[a:b].tolist()) for a, b in zip(gold.indptr[:-1], gold.indptr[1:], strict=True)]
    evaluation = evaluate(rankings, gold, n_labels=LABELS, ks=KS, resamples=1).metrics
    expected = dict(zip((f"{m}@{k}" for k in KS for m in ("rp", "ndcg")), plain_rankings(ranked, wanted), strict=True))
    expected |= dict(zip(("micro_f1", "macro_f1"), sklearn_sets(rankings, gold), strict=True))
    worst = max(abs(evaluation[name].value - value) for name, value in expected.items())
    distinct = sum(map(len, ranked))
    print(
        f"{documents * WIDTH:,} predictions, {distinct:,} distinct; largest difference from the references: {worst:.1e}"
    )

    ours = seconds(lambda: score_rankings(find_hits(rankings, gold), gold.sizes, KS))
    plain = seconds(lambda: plain_rankings(ranked, wanted), repeat=1)
    print(f"ranking metrics: {ours:.3f} s, plain Python {plain:.3f} s, ratio {plain / ours:.1f}")
    ours = seconds(lambda: evaluate(rankings, gold, n_labels=LABELS, ks=KS, resamples=1))
    theirs = seconds(lambda: sklearn_sets(rankings, gold), repeat=1)
    print(f"all metrics: {ours:.3f} s, scikit-learn's two F1 alone {theirs:.3f} s, ratio {theirs / ours:.1f}")
    everything = {"hierarchy": hierarchy(100_000), "probabilities": np.full(rankings.labels.shape, 0.5)}
    above = seconds(lambda: evaluate(rankings, gold, n_labels=100_000, ks=KS, resamples=1, **everything), repeat=1)
    print(f"with a hierarchy of 100,000 labels and a calibration error: {above:.3f} s")
    whole = seconds(lambda: evaluate(rankings, gold, n_labels=100_000, ks=KS, **everything), repeat=1)
    print(f"all with 1,000 resamples: {whole:.2f} s, scikit-learn 1,000 times, ratio {1000 * theirs / whole:.0f}")


if __name__ == "__main__":
    main()
