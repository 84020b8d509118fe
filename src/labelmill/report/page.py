"""The whole page: its head, which forbids everything but its own style, and its sections in order."""

from __future__ import annotations

import base64
import hashlib

from labelmill.report import sections
from labelmill.report.markup import Markup, clip, element, join, name, straight
from labelmill.report.style import STYLE
from labelmill.report.values import Report

_SECTIONS = (
    ("run", "What was run", sections.show_run),
    ("metrics", "How good it is", sections.show_metrics),
    ("promise", "What was promised", sections.show_promise),
    ("calibration", "Whether probabilities mean what they say", sections.show_reliability),
    ("stages", "Where gold labels were lost", sections.show_stages),
    ("thresholds", "Precision and recall by threshold", sections.show_thresholds),
    ("rare", "Frequent and rare labels", sections.show_sides),
    ("examples", "Examples", sections.show_examples),
)


def render_page(report: Report) -> str:
    """Show a report as one HTML page; the same report gives the same page.

    It loads nothing and runs nothing, and says so to the browser: the policy admits this very style and nothing else.
    """
    title = f"labelmill: run {straight(clip(report.run))}"
    shown = [(key, heading, body) for key, heading, show in _SECTIONS if (body := show(report))]
    entries = [element("li", element("a", heading, href=f"#{key}")) for key, heading, _ in shown]
    bodies = [
        element("section", element("h2", heading, id=f"{key}-heading"), body, id=key, aria_labelledby=f"{key}-heading")
        for key, heading, body in shown
    ]
    body = element(
        "body",
        element("header", element("h1", "Run ", name(report.run))),
        element("nav", element("ul", *entries), aria_label="Contents"),
        element("main", *bodies),
    )
    return f"<!doctype html>\n{element('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Markup:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        join([element("meta", charset="utf-8"), element("meta", http_equiv="Content-Security-Policy", content=policy)]),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
