"""What can be said of the voters of a file: the figures of each, and who says the same as another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labelmill.learning.majority import weighted_majority
from labelmill.learning.voter_figures import Echo, VoterFigures, echoes_of, figures_of
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.voting.electing import Election, hold_election
from labelmill.store import Store
from labelmill.store.votes import read_vote_failures

_FEWEST_JUDGED = 20


@dataclass(frozen=True, slots=True, eq=False)
class VotesSummary:
    """Figures of voters.

    Attributes:
        election: The votes.
        figures: Of each voter.
        echoes: Voters that say the same too often.
        failures: How often each failed, by kind, as far as is kept, with an example.
    """

    election: Election
    figures: VoterFigures
    echoes: Sequence[Echo]
    failures: Sequence[tuple[str, str, int, str]]

    def rows(self) -> list[dict[str, Any]]:
        """List the voters with their figures."""
        each = self.figures
        return [
            {
                "voter": voter.voter,
                "kind": voter.kind,
                "votes": int(each.votes[place]),
                "against": int(each.against[place]),
                "labels": int(each.labels[place]),
                "documents": int(each.shown[place]),
                "coverage": round(float(each.coverage[place]), 6),
                "overlap": round(float(each.overlap[place]), 6),
                "conflict": round(float(each.conflict[place]), 6),
                "judged": int(each.judged[place]),
                "accuracy": round(float(each.right[place] / each.judged[place]), 6) if each.judged[place] else None,
                "complete": voter.complete,
            }
            for place, voter in enumerate(self.election.voters)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        voters = self.election.voters
        return {
            "documents": self.election.votes.documents,
            "documents_with_votes": int(np.count_nonzero(np.bincount(self.election.votes.document, minlength=1))),
            "votes": len(self.election.votes),
            "gold_documents": len(self.election.known.documents),
            "voters": self.rows(),
            "correlated": [
                {
                    "voters": [voters[each.first].voter, voters[each.second].voter],
                    "common": each.common,
                    "agreement": round(each.agreement, 6),
                    "expected": round(each.expected, 6),
                }
                for each in self.echoes
            ],
            "failures": [
                {"voter": voter, "kind": kind, "kept": count, "example": example}
                for voter, kind, count, example in self.failures
            ],
            "notes": list(self.election.notes),
        }


def summarise_votes(
    path: str | Path, *, voters: Sequence[str] = (), gold: GoldCorpus | None = None, exclusive: bool = False
) -> VotesSummary:
    """Look at the votes of a file; raises as `hold_election` does.

    Args:
        path: The DuckDB file.
        voters: Whose votes; everybody's by default.
        gold: Documents with gold, which say who is right.
        exclusive: Whether a document has exactly one label.
    """
    election = hold_election(path, voters=voters, gold=gold)
    figures = figures_of(election.votes, election.known, exclusive=exclusive)
    accuracy = weighted_majority(election.votes, election.known, exclusive=exclusive)[1].accuracy
    measured = (figures.right + 1) / (figures.judged + 2)
    accuracy = np.where(figures.judged >= _FEWEST_JUDGED, measured, accuracy)
    with Store(path) as store:
        failed = read_vote_failures(store)
    names = {voter.voter for voter in election.voters}
    counted = Counter((voter, kind) for voter, _, kind, _ in failed if voter in names)
    examples: dict[tuple[str, str], str] = {}
    for voter, document, kind, message in failed:
        examples.setdefault((voter, kind), f"{document}: {message}" if document else message)
    failures = [(voter, kind, count, examples[voter, kind]) for (voter, kind), count in sorted(counted.items())]
    return VotesSummary(election, figures, echoes_of(election.votes, accuracy, exclusive=exclusive), failures)
