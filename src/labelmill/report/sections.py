"""The sections of a report, each from what it shows to markup; one that has nothing to show is empty."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf

from labelmill.report.charts import Axes, Bar, Line, Whisker, draw_bars, draw_lines, draw_whiskers
from labelmill.report.highlight import show_text
from labelmill.report.markup import Markup, element, facts, join, name, table
from labelmill.report.values import Cut, Example, Figure, Given, Loss, Report, Stages, Thresholds

_WHY = {"best": "One of the best", "worst": "One of the worst", "random": "At random"}
_ROWS = 12
"""Thresholds of the table; the chart has more."""


def show_run(report: Report) -> Markup:
    """Say what was run, over what, and what it took."""
    parts = [
        element("h3", "Program"),
        facts(report.program),
        element("h3", "Material"),
        facts(report.material),
        element("h3", "Cost"),
        facts(report.cost),
    ]
    return join(parts)


def show_metrics(report: Report) -> Markup:
    """Show the main metrics, then all of them, and what they are over."""
    notes = [element("p", f"Note: {warning}.", class_="note") for warning in report.warnings]
    bars = [
        Bar(each.name, each.value, each.low, each.high, kind)
        for kind, (_, figures) in enumerate(report.main, start=1)
        for each in figures
        if each.share
    ]
    chart = draw_bars("Main metrics", "Each metric in percent, with its 95% interval; the table has them all.", bars)
    main = _figures("Main metrics, in percent unless said otherwise", report.main)
    full = element("details", element("summary", "All metrics"), _figures("All metrics, in percent", report.metrics))
    return join([*notes, chart, main, facts(report.counts), full])


def show_promise(report: Report) -> Markup:
    """Say what was promised, and whether these documents bear it out."""
    promise = report.promise
    if promise is None:
        return Markup()
    pairs = [("Promise", promise.promise), ("What it means", promise.statement)]
    if promise.measured:
        pairs.append(("Measured here", _with_interval(promise.measured)))
    pairs.append(("Kept", element("strong", promise.verdict)))
    learned = facts((f"On the gold it was learned from: {what}", value) for what, value in promise.learned)
    return join([facts(pairs), learned if promise.learned else Markup()])


def show_reliability(report: Report) -> Markup:
    """Draw what was observed against what was promised, bin by bin."""
    found = report.reliability
    if found is None:
        return Markup()
    whiskers = [Whisker(each.probability, each.observed, each.low, each.high) for each in found.bins]
    chart = draw_whiskers(
        "Calibration curve",
        "The share of right labels against the mean probability, bin by bin, with 95% intervals; on the diagonal, "
        "probabilities mean what they say. The table has the numbers.",
        ("mean probability", "right, %"),
        Axes(),
        whiskers,
    )
    rows = [
        (f"{each.probability:.3f}", f"{each.count:,}", _percent(each.observed), _range(each.low, each.high))
        for each in found.bins
    ]
    columns = ("#mean probability", "#pairs", "#right, %", "#95% interval")
    note = (
        f"The expected calibration error is {_with_interval(found.error)}, over the first {found.depth} candidates of "
        "each document. Intervals are Wilson's, which count the labels of a document as independent."
    )
    return join([chart, element("p", note), table("Calibration, by bins of equal size", columns, [("", rows)])])


def show_stages(report: Report) -> Markup:
    """Show what each stage lost, then the labels and the documents that lost most."""
    stages = report.stages
    bars = [Bar(each.name, each.ceiling) for each in stages.stages]
    chart = draw_bars("Recall by stage", "The recall that is still possible after each stage, in percent.", bars)
    columns = ("gold labels are", "lost there as", "#lost", "#% of gold", "#recall still possible, %")
    total = max(1, stages.gold)
    rows = [
        (each.name, each.fate, f"{each.lost:,}", _percent(each.lost / total), _percent(each.ceiling))
        for each in stages.stages
    ]
    caption = f"Of {stages.gold:,} gold labels {stages.found:,} were found"
    notes = [element("p", note, class_="note") for note in stages.notes]
    return join([chart, table(caption, columns, [("", rows)]), *notes, *_worst(stages)])


def show_thresholds(report: Report) -> Markup:
    """Draw precision, recall and F1 by threshold, with the one in use."""
    found = report.thresholds
    if found is None:
        return Markup()
    lines = [
        Line(title, tuple((cut.threshold, getattr(cut, attribute)) for cut in found.cuts))
        for title, attribute in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
    ]
    axes = Axes(min(0.0, found.cuts[-1].threshold), max(cut.threshold for cut in found.cuts))
    mark = None if isinf(found.in_use.threshold) else found.in_use.threshold
    chart = draw_lines(
        "Precision and recall by threshold",
        f"Over all labels together, at most {found.top_k} of a document. The table has some of the numbers.",
        (f"least {found.score}", "%"),
        axes,
        lines,
        mark,
    )
    return join([chart, _cuts(found), *(element("p", note, class_="note") for note in found.notes)])


def show_sides(report: Report) -> Markup:
    """Set frequent labels against rare ones."""
    if not report.sides:
        return Markup()
    bars = [
        Bar(f"{side.name} {title}", figure.value, figure.low, figure.high, kind)
        for side in report.sides
        for kind, (title, figure) in enumerate((("frequent", side.head), ("rare", side.tail)), start=1)
    ]
    chart = draw_bars("Frequent and rare labels", "Recall and precision over each side alone, in percent.", bars)
    rows = [
        (side.name, *(cell for each in (side.head, side.tail) for cell in (_value(each), _range(each.low, each.high))))
        for side in report.sides
    ]
    columns = ("metric", "#frequent, %", "#95% interval", "#rare, %", "#95% interval")
    note = "Frequent are the labels that carry half of all gold labels, by how often each is gold; the others are rare."
    return join(
        [chart, table("Frequent against rare labels", columns, [("", rows)]), element("p", note, class_="note")]
    )


def show_examples(report: Report) -> Markup:
    """Show documents with what speaks for their labels."""
    if not report.examples:
        return Markup()
    legend = element(
        "p",
        "Highlighted is what speaks for a label that is ",
        element("mark", "right", class_="right"),
        ", ",
        element("mark", "wrong", class_="wrong"),
        ", or gold and ",
        element("mark", "missed", class_="missed"),
        "; each says for which when pointed at, and the tables do.",
        class_="note",
    )
    return join([legend, *(_example(each, report.score) for each in report.examples)])


def _figures(caption: str, groups: Sequence[tuple[str, Sequence[Figure]]]) -> Markup:
    rows = [
        (title, [(each.name, _value(each), _range(each.low, each.high, share=each.share)) for each in figures])
        for title, figures in groups
    ]
    return table(caption, ("metric", "#value", "#95% interval"), rows)


def _cuts(found: Thresholds) -> Markup:
    step = max(1, len(found.cuts) // _ROWS)
    rows = [("", [_cut(cut) for cut in found.cuts[::step]])]
    marked = [("Highest F1", [_cut(found.best)]), ("In use", [_cut(found.in_use)])]
    columns = (f"#least {found.score}", "#precision, %", "#recall, %", "#F1, %", "#labels per document")
    return table("Final sets by threshold", columns, [*marked, ("Others", rows[0][1])])


def _cut(cut: Cut) -> tuple[str, ...]:
    threshold = "none" if isinf(cut.threshold) else f"{cut.threshold:.4g}"
    shares = (_percent(share) for share in (cut.precision, cut.recall, cut.f1))
    return threshold, *shares, f"{cut.labels:.2f}"


def _worst(stages: Stages) -> list[Markup]:
    lists = (
        ("Labels lost most often", "label", stages.labels),
        ("Documents that lost most", "document", stages.documents),
    )
    return [
        table(title, (what, "#lost", "#of", "where", "for example"), [("", [_loss(each) for each in worst])])
        for title, what, worst in lists
        if worst
    ]


def _loss(loss: Loss) -> tuple[str, ...]:
    return name(loss.name), f"{loss.lost:,}", f"{loss.gold:,}", loss.where, name(loss.example)


def _example(example: Example, score: str) -> Markup:
    parts = [
        element("h3", f"{_WHY[example.why]}: ", name(example.document), f" (F1 {_percent(example.f1)}%)"),
        show_text(example.text, example.evidence),
    ]
    if example.given:
        rows = [
            (name(each.name), f"{each.score:.3f}", "right" if each.right else "wrong", _queries(each))
            for each in example.given
        ]
        parts.append(table("Labels given", ("label", f"#{score}", "is", "found by"), [("", rows)]))
    else:
        parts.append(element("p", "No label was given."))
    if example.missed:
        missed = [(name(label), name(explanation)) for label, explanation in example.missed]
        parts.append(table("Gold labels missed", ("label", "what became of it"), [("", missed)]))
    return element("article", *parts)


def _queries(given: Given) -> Markup:
    return join(map(name, given.queries), ", ") if given.queries else Markup("the text as a whole")


def _value(figure: Figure) -> str:
    return _percent(figure.value) if figure.share else f"{figure.value:.2f}"


def _range(low: float, high: float, *, share: bool = True) -> str:
    return f"{_percent(low)} to {_percent(high)}" if share else f"{low:.2f} to {high:.2f}"


def _with_interval(figure: Figure) -> str:
    unit = "%" if figure.share else ""
    spread = _range(figure.low, figure.high, share=figure.share)
    return f"{figure.name} {_value(figure)}{unit} (95% interval {spread}{unit})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
