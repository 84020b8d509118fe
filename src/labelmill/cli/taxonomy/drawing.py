"""A branch of a taxonomy, printed as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labelmill.cli.console import put, put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labelmill.taxonomy import Taxonomy, Twig


def put_tree(taxonomy: Taxonomy, twigs: Sequence[Twig], *, as_json: bool) -> None:
    """Print one line a label, further in the deeper it stands, or JSON."""
    if as_json:
        put_json([_as_dict(taxonomy, twig) for twig in twigs])
        return
    for twig in twigs:
        put("  " * twig.level + _line(taxonomy, twig))


def _line(taxonomy: Taxonomy, twig: Twig) -> str:
    if twig.position is None:
        return f"… {twig.hidden:,} more"
    label = taxonomy[twig.position]
    line = f"{' '.join(label.name.split())}  [{label.id}]"
    if twig.under is not None:
        return f"{line}  ↑ drawn under {' '.join(taxonomy[twig.under].name.split())}"
    return f"{line}  ({twig.hidden:,} below)" if twig.hidden else line


def _as_dict(taxonomy: Taxonomy, twig: Twig) -> dict[str, object]:
    if twig.position is None:
        return {"level": twig.level, "more": twig.hidden}
    label = taxonomy[twig.position]
    own: dict[str, object] = {"level": twig.level, "id": label.id, "name": label.name}
    if twig.under is not None:
        return own | {"drawn_under": taxonomy[twig.under].id}
    return own | ({"below": twig.hidden} if twig.hidden else {})
