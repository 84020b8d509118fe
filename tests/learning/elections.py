"""Votes of voters whose accuracy is known, drawn or written down."""

from __future__ import annotations

import numpy as np

from labelmill.learning.votes import KnownLabels, Voter, Votes


def ballots(rows, documents=None, labels=None, voters=None, silent=()):
    """Make votes of (voter, document, label, sign) with confidence and rank behind, where these matter."""
    full = [(*row, *(1.0, 0)[len(row) - 4 :]) for row in rows]
    columns = list(zip(*sorted(full, key=lambda row: (row[1], row[2], row[0])), strict=True)) if full else [()] * 6
    kinds = (np.int32, np.int32, np.int32, np.int8, np.float32, np.int32)
    voter, document, label, sign, confidence, rank = (
        np.array(values, dtype=kind) for values, kind in zip(columns, kinds, strict=True)
    )
    count = voters or int(voter.max(initial=-1)) + 1
    return Votes(
        [Voter(f"v{number}", number in silent) for number in range(count)],
        documents or int(document.max(initial=-1)) + 1,
        labels or int(label.max(initial=-1)) + 1,
        voter,
        document,
        label,
        sign,
        confidence,
        rank,
    )


def judged(true_yes, false_yes, *, documents=400, labels=20, each=6, share=0.7, seed=0):
    """Draw pairs, which of them are true, and votes for and against; returns votes, the pairs' keys, and the truth."""
    random = np.random.default_rng(seed)
    keys = np.unique(np.repeat(np.arange(documents), each) * labels + random.integers(0, labels, documents * each))
    truth = random.random(len(keys)) < random.beta(2, 3, labels)[keys % labels]
    rows = []
    for voter, rates in enumerate(zip(true_yes, false_yes, strict=True)):
        here = np.flatnonzero(random.random(len(keys)) < share)
        yes = random.random(len(here)) < np.where(truth[here], *rates)
        rows += [(voter, keys[i] // labels, keys[i] % labels, 1 if y else -1) for i, y in zip(here, yes, strict=True)]
    return ballots(rows, documents, labels), keys, truth


def chosen(accuracy, *, documents=600, labels=3, share=0.6, seed=0):
    """Draw a label for each document, and votes for one each; returns votes and the labels."""
    random = np.random.default_rng(seed)
    truth = random.choice(labels, documents, p=np.arange(1, labels + 1) / sum(range(1, labels + 1)))
    rows = []
    for voter, right in enumerate(accuracy):
        for document in np.flatnonzero(random.random(documents) < share):
            wrong = random.choice([label for label in range(labels) if label != truth[document]])
            rows.append((voter, document, truth[document] if random.random() < right else wrong, 1))
    return ballots(rows, documents, labels), truth


def gold_of(documents, labels):
    """Know one label of each document."""
    documents = np.asarray(documents, dtype=np.int64)
    return KnownLabels(documents, documents, np.asarray(labels, dtype=np.int64))


def scores_of(soft, votes):
    """Lay soft labels out, shape (documents, labels)."""
    table = np.zeros((votes.documents, votes.labels))
    table[soft.document, soft.label] = soft.score
    return table
