"""``labelmill taxonomy diff``: what changed between two versions, and where labels went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import put, put_json, say
from labelmill.cli.taxonomy.group import app

if TYPE_CHECKING:
    from labelmill.records import Label
    from labelmill.taxonomy import Proposal, Targets, Taxonomy, TaxonomyDiff

Old = Annotated[Path, typer.Argument(help="The version before, in any format of a taxonomy.")]
New = Annotated[Path, typer.Argument(help="The version after.")]
Map = Annotated[
    Path | None,
    typer.Option("--map", help="Where labels went under other ids: CSV, TSV or JSONL with the fields old and new."),
]
AcceptDetected = Annotated[
    bool, typer.Option("--accept-detected", help="Take what is detected for true, beside --map.")
]

_TITLES = {
    "added": "added",
    "removed": "removed",
    "renamed": "renamed",
    "reidentified": "of another id",
    "redescribed": "of another description",
    "realiased": "of other aliases",
    "moved": "of other parents",
    "merged": "merged",
    "split": "split",
}


@app.command("diff")
def show_diff(
    old: Old,
    new: New,
    map_file: Map = None,
    accept_detected: AcceptDetected = False,
    write_map: Annotated[
        Path | None, typer.Option("--write-map", help="Write what is detected to this file, to be corrected for --map.")
    ] = None,
    labels_where: options.Where = None,
    language: options.Language = "en",
    limit: Annotated[int, typer.Option(min=0, help="Labels of one kind of change to print at most.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Say what changed between two versions: added, removed, renamed, described anew, moved, merged, split.

    Labels are the same where their ids are. Where ids vanished, it says where the labels probably went and why; that
    counts once it is confirmed, by --map or --accept-detected.

    Example: labelmill taxonomy diff skills-2025.csv skills-2026.csv --write-map map.csv
    """
    from labelmill.taxonomy import write_map as write

    before, after, targets, proposals = read_versions(old, new, map_file, labels_where, language)
    changes = compare(before, after, targets, proposals if accept_detected else ())
    if write_map:
        write(write_map, proposals)
        say(
            f"Wrote {len(proposals):,} that were detected to {write_map}: correct it, and give it as --map {write_map}."
        )
    open_ones = () if accept_detected else proposals
    if as_json:
        sizes = {"old": {"path": str(old), "labels": len(before)}, "new": {"path": str(new), "labels": len(after)}}
        put_json(sizes | changes.as_dict() | {"detected": [each.as_dict() for each in open_ones]})
        return
    put(f"{old} ({len(before):,} labels) -> {new} ({len(after):,} labels)")
    for line in (*_counts(changes), *_details(changes, limit), *_detected(open_ones, limit)):
        put(line)


def read_versions(
    old: Path, new: Path, map_file: Path | None, labels_where: str | None, language: str
) -> tuple[Taxonomy, Taxonomy, Targets, Sequence[Proposal]]:
    """Read two versions and the map between them, and detect what the map does not say."""
    from labelmill.taxonomy import Taxonomy, detect, read_map

    before = Taxonomy.read(old, where=labels_where, language=language)
    after = Taxonomy.read(new, where=labels_where, language=language)
    targets = read_map(map_file, before, after) if map_file else {}
    return before, after, targets, detect(before, after, targets)


def compare(before: Taxonomy, after: Taxonomy, targets: Targets, taken: Sequence[Proposal]) -> TaxonomyDiff:
    """Compare two versions by a map and what was taken of the proposals."""
    from labelmill.taxonomy import diff

    detected = {each.source.id: tuple(label.id for label in each.into) for each in taken}
    return diff(before, after, {**detected, **targets})


def _counts(changes: TaxonomyDiff) -> Iterator[str]:
    for kind, count in changes.counts.items():
        yield f"  {_TITLES[kind]:<23}{count:>9,}"
    yield f"  {'unchanged':<23}{changes.unchanged:>9,}"
    if changes.reordered:
        yield "  labels that went on stand in another order"


def _details(changes: TaxonomyDiff, limit: int) -> Iterator[str]:
    """Show the first of each kind: as sentences about the label, its id in brackets."""
    for kind, lines in _lines(changes).items():
        listed = [line for _, line in zip(range(limit), lines, strict=False)]
        if listed:
            yield f"{_TITLES[kind]}:"
            yield from (f"  {line}" for line in listed)
            if (more := changes.counts[kind] - len(listed)) > 0:
                yield f"  … {more:,} more; --limit shows more, --json all"


def _lines(changes: TaxonomyDiff) -> dict[str, Iterator[str]]:
    return {
        "added": map(_label, changes.added),
        "removed": map(_label, changes.removed),
        "renamed": (f"{_label(pair.old)} -> {_text(pair.new.name)}" for pair in changes.renamed),
        "reidentified": (f"{_label(pair.old)} -> [{_text(pair.new.id)}]" for pair in changes.reidentified),
        "redescribed": (
            f"{_label(pair.new)}: {_text(pair.old.description) or 'nothing'} -> "
            f"{_text(pair.new.description) or 'nothing'}"
            for pair in changes.redescribed
        ),
        "realiased": (
            f"{_label(pair.new)}: {_listed('+', set(pair.new.aliases) - set(pair.old.aliases))}"
            f"{_listed('-', set(pair.old.aliases) - set(pair.new.aliases))}".rstrip()
            for pair in changes.realiased
        ),
        "moved": (
            f"{_label(pair.new)}: {', '.join(map(_text, pair.old.parents)) or 'the top'} -> "
            f"{', '.join(map(_text, pair.new.parents)) or 'the top'}"
            for pair in changes.moved
        ),
        "merged": (f"{' + '.join(map(_label, each.sources))} -> {_label(each.into)}" for each in changes.merged),
        "split": (f"{_label(each.source)} -> {' + '.join(map(_label, each.into))}" for each in changes.split),
    }


def _detected(proposals: Sequence[Proposal], limit: int) -> Iterator[str]:
    if not proposals:
        return
    yield f"detected, and not taken ({len(proposals):,}): confirm by --accept-detected, or by --write-map and --map"
    for each in proposals[:limit]:
        yield f"  {_label(each.source)} -> {' + '.join(map(_label, each.into))}: {each.why}"
    if (more := len(proposals) - limit) > 0:
        yield f"  … {more:,} more"


def _label(label: Label) -> str:
    return _text(label.name) if label.id == label.name else f"{_text(label.name)} [{_text(label.id)}]"


def _listed(sign: str, texts: set[str]) -> str:
    return "".join(f"{sign}{_text(text)!r} " for text in sorted(texts))


def _text(text: str, width: int = 80) -> str:
    """Put a text of the user's on one line."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
