"""What a teacher is told of one document: the stage ledger's line for every gold label, and what was wrongly chosen."""

from __future__ import annotations

from typing import Any

from labelmill.eval.ledger import enter, trace_document
from labelmill.pipelines.optimise.cases import Case
from labelmill.taxonomy import Taxonomy

_WRONG = 5


def explain_infer(taxonomy: Taxonomy, case: Case, prediction: Any, depth: int) -> str:
    """Say which gold labels were retrieved, and which phrase came nearest to one that was not."""
    ranked = prediction.ranking[:depth]
    return _explain(taxonomy, case, prediction.get("phrases") or [], ranked, ranked, depth)


def explain_rank(taxonomy: Taxonomy, case: Case, prediction: Any, depth: int) -> str:
    """Say where each gold label was ranked, and which labels were chosen that are none."""
    chosen = prediction.get("chosen") or []
    lines = _explain(taxonomy, case, [], prediction.ranking, chosen, depth, [item.label for item in case.candidates])
    wrong = [taxonomy.labels[label].name for label in chosen if label not in case.gold][:_WRONG]
    return lines + ("".join(f"\n{name!r} was chosen and does not apply" for name in wrong))


def _explain(
    taxonomy: Taxonomy,
    case: Case,
    phrases: list[str],
    ranked: list[int],
    selected: list[int],
    depth: int,
    retrieved: list[int] | None = None,
) -> str:
    labels = taxonomy.labels
    trace = trace_document(
        {labels[position].name: labels[position].aliases for position in case.known},
        phrases,
        [labels[position].name for position in ranked],
        {labels[position].name for position in selected},
        retrieved=[labels[position].name for position in retrieved or ranked],
        document=case.document,
    )
    return "\n".join(entry.explain() for entry in enter([trace], top_k=depth))
