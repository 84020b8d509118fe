"""What a run was, in words for a person: its program by stage, what it was over, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labelmill.store import RunSummary

_INFER = {
    "windows": "every run of one to six words of each sentence, without a model",
    "lm": "phrases that {model} proposes",
    "both": "phrases that {model} proposes, and every run of one to six words of each sentence",
}
_VOTERS_NAMED = 10
_RANK = {
    "fusion": "in the order of the fusion; no model is asked",
    "listwise": "{model} chooses among the first {listed}",
    "whole": "{model} chooses among all labels",
    "pointwise": "{model} is asked yes or no of each of the first {listed}",
}


def describe_program(program: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Say what each stage does, by the specification that is stored with a run.

    A run of another version may lack fields, or have others: what is not known is not said.
    """
    if made := program.get("combine"):
        return _describe_votes(made, program)
    words = {"model": str(program.get("model") or "a model"), "listed": program.get("listed", "few")}
    task = program.get("task") or {}
    lines = [
        ("Task", f"a label is {task.get('label', 'a label')}; a document is {task.get('document', 'a document')}"),
        ("Infer", _INFER.get(str(program.get("infer")), str(program.get("infer"))).format(**words)),
        ("Retrieve", _retrieve(program)),
        ("Rank", _RANK.get(str(program.get("rank")), str(program.get("rank"))).format(**words)),
        ("Decide", _decide(program)),
    ]
    if learned := _learned(program):
        lines.insert(4, ("Learned", learned))
    return tuple(lines)


def _describe_votes(made: Mapping[str, Any], program: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Say how votes were combined."""
    voters = made.get("voters") or ()
    shown = ", ".join(str(each.get("voter")) for each in voters[:_VOTERS_NAMED])
    more = f" and {len(voters) - _VOTERS_NAMED} more" if len(voters) > _VOTERS_NAMED else ""
    gold = made.get("gold_documents")
    return (
        ("Voters", f"{len(voters)}: {shown}{more}"),
        ("Combined by", f"{made.get('method')}: {made.get('why')}"),
        ("Gold that taught", f"{gold:,} documents, which keep it" if gold else "none"),
        ("Decide", _decide(program)),
    )


def describe_cost(summary: RunSummary) -> tuple[tuple[str, str], ...]:
    """Say what a run took; nothing of models where none took part."""
    pace = f"{summary.documents / summary.seconds:,.2f} a second" if summary.seconds > 0 else "not measured"
    lines = [
        ("Documents", f"{summary.documents:,} done, {summary.failures:,} failed"),
        ("Without a label", f"{summary.unlabelled:,}"),
        ("Labels given", f"{summary.selected:,} of {summary.predictions:,} ranked"),
        ("Time at work", f"{summary.seconds:,.1f} seconds"),
        ("Documents in that time", pace),
    ]
    if summary.model or summary.requests or summary.calls:
        share = summary.cached_share
        cached = "" if share is None else f", {share:.0%} of them out of a prefix cache"
        lines += [
            ("Requests", f"{summary.requests:,} sent, for {summary.calls:,} answers"),
            ("Tokens read", f"{summary.prompt_tokens:,}{cached}"),
            ("Tokens written", f"{summary.completion_tokens:,}"),
        ]
    return tuple(lines)


def describe_material(summary: RunSummary, source: str, labels: int) -> tuple[tuple[str, str], ...]:
    """Say what a run was over: taxonomy, corpus, model."""
    return (
        ("Taxonomy", f"{source or 'without a file'}: {labels:,} labels, version {summary.taxonomy[:12]}"),
        ("Corpus", ", ".join(summary.corpus)),
        ("Model", summary.model or "none"),
        ("State", f"{summary.state}; begun {summary.started:%Y-%m-%d %H:%M} UTC"),
    )


def _retrieve(program: Mapping[str, Any]) -> str:
    embedders = ", ".join(map(str, program.get("embedders") or ())) or "no embedder"
    fused = "learned fusion" if program.get("fusion") else "reciprocal rank"
    lanes = f", over {len(program['lanes'])} lanes with weights of their own" if program.get("lanes") else ""
    scorers = f"; looked at closer by {', '.join(map(str, program['scorers']))}" if program.get("scorers") else ""
    kept = f"; {program['candidates']} candidates are kept" if "candidates" in program else ""
    return f"vectors ({embedders}), words and characters, fused by {fused}{lanes}{scorers}{kept}"


def _learned(program: Mapping[str, Any]) -> str:
    parts = []
    if fusion := program.get("fusion"):
        kinds = [what for key, what in (("linear", "a regression"), ("trees", "trees")) if fusion.get(key)]
        parts.append(f"the fusion ({' and '.join(kinds)} on {len(fusion.get('columns', ()))} columns)")
    if program.get("blend"):
        parts.append("what a model's answer adds")
    if calibration := program.get("calibration"):
        parts.append(f"the calibration ({calibration.get('kind')})")
    if prompts := program.get("prompts"):
        parts.append(f"the prompts of {' and '.join(sorted(map(str, prompts)))}")
    if program.get("decision"):
        parts.append("the decision")
    examples = program.get("examples")
    if count := examples if isinstance(examples, int) else len(examples or ()):
        parts.append(f"{count:,} gold documents whose labels are a lane")
    return ", ".join(parts)


def _decide(program: Mapping[str, Any]) -> str:
    most = f"at most {program.get('top_k', 'a few')} labels a document"
    decision = program.get("decision")
    if (threshold := program.get("threshold")) is not None:
        return f"{most}, with a score of at least {threshold:g}"
    if decision:
        groups = len(decision.get("group_thresholds") or ())
        own = f"; {groups} groups of labels have thresholds of their own" if groups else ""
        return f"{most}, with a probability of at least {decision.get('threshold', 0):.4g}{own}"
    return f"{most}, with a probability of at least 0.5" if program.get("rank") == "pointwise" else most
