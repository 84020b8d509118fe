"""``labelmill taxonomy diff|migrate``: what changed between two versions, and what that does to gold and runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import counted, put, put_json, say
from labelmill.cli.taxonomy.group import app
from labelmill.cli.written import Replace, check_written
from labelmill.errors import InputError, StoreError

if TYPE_CHECKING:
    from labelmill.pipelines.gold_migration import GoldMigration
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
    replace: Replace = False,
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

    check_written(write_map, [old, new, map_file], replace=replace)
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
    put(f"{old} ({counted(len(before), 'label')}) -> {new} ({counted(len(after), 'label')})")
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


@app.command()
def migrate(
    old: Old,
    new: New,
    file: Annotated[
        Path, typer.Argument(help="Documents with gold labels (JSONL, CSV, TSV), or a DuckDB file of runs.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="For gold: the file to write, of the same format.")
    ] = None,
    run: options.Run = None,
    name: Annotated[
        str | None, typer.Option("--as", help="For a run: the name of the new one. Default: made of the old one's.")
    ] = None,
    map_file: Map = None,
    accept_detected: AcceptDetected = False,
    all_parts: Annotated[
        bool, typer.Option("--all-parts", help="Take every part of a label that was split; else it is left out.")
    ] = False,
    replace: Replace = False,
    labels_where: options.Where = None,
    language: options.Language = "en",
    labels_field: options.LabelsField = "labels",
    limit: Annotated[int, typer.Option(min=0, help="Labels of one kind to print at most.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Carry gold labels, or a run's predictions, over to the next version of a taxonomy; no model is asked.

    Labels that were removed are left out and counted, of merged ones one stays. The predictions become a new run.

    Example: labelmill taxonomy migrate skills-2025.csv skills-2026.csv ads.jsonl --out ads-2026.jsonl --map map.csv
    """
    check_written(out, [old, new, map_file, file], replace=replace)
    before, after, targets, proposals = read_versions(old, new, map_file, labels_where, language)
    changes = compare(before, after, targets, proposals if accept_detected else ())
    if proposals and not accept_detected:
        say(
            f"Note: {counted(len(proposals), 'label')} seeming gone, or of another meaning, probably went elsewhere: "
            "see labelmill taxonomy diff. Take that with --accept-detected or --map."
        )
    if _is_store(file):
        if out:
            raise InputError("--out is for gold", remedy="A run is written into its own file; name it with --as.")
        _migrate_run(file, run, name, before, after, changes, all_parts=all_parts, limit=limit, as_json=as_json)
        return
    if run or name:
        raise InputError(f"--run and --as are for a DuckDB file, and {file} is none", remedy="Leave them out.")
    if out is None:
        raise InputError("nothing says where to write to", remedy="Name a file with --out.")
    _migrate_gold(
        file, out, before, after, changes, all_parts=all_parts, labels_field=labels_field, limit=limit, as_json=as_json
    )


def _is_store(file: Path) -> bool:
    """Tell a DuckDB file by its suffix, or by what it says of itself."""
    if file.suffix.lower() in {".duckdb", ".db"} or not file.is_file():
        return file.suffix.lower() in {".duckdb", ".db"}
    with file.open("rb") as opened:
        return opened.read(12)[8:] == b"DUCK"


def _migrate_gold(
    file: Path,
    out: Path,
    before: Taxonomy,
    after: Taxonomy,
    changes: TaxonomyDiff,
    *,
    all_parts: bool,
    labels_field: str,
    limit: int,
    as_json: bool,
) -> None:
    from labelmill.pipelines.gold_migration import migrate_gold

    done = migrate_gold(file, out, before, after, changes.targets, all_parts=all_parts, labels_field=labels_field)
    if as_json:
        put_json({"file": str(out), **done.as_dict()})
    else:
        _report_gold(done, out, limit)
    if done.unreadable:
        raise typer.Exit(3)


def _report_gold(done: GoldMigration, out: Path, limit: int) -> None:
    from labelmill.pipelines.gold_migration import Fate

    put(
        f"Wrote {counted(done.documents, 'document')} to {out}: {counted(done.times(Fate.kept), 'label')} unchanged, "
        f"{done.times(Fate.changed):,} changed, {done.merged:,} merged into one that was there"
    )
    titles = {
        Fate.removed: "removed, and left out",
        Fate.in_parts: "split, and left out: --all-parts takes all parts",
        Fate.unknown: "not of the old version, and left as they were",
    }
    for fate, title in titles.items():
        found = done.of(fate)
        lines = [
            f"{_text(each.text)}{_became(each.into) if fate is Fate.in_parts else ''}: {each.times:,} times, "
            f"first in {each.first}"
            for each in found[:limit]
        ]
        _put_list(title, len(found), lines)
    if done.emptied:
        put(f"  {counted(done.emptied, 'document')} without any label left")
    if done.unreadable:
        rows = counted(done.unreadable, "row")
        put(f"  {rows} that cannot be read, copied as they were, the first in {done.first_unreadable}")


def _migrate_run(
    file: Path,
    run: str | None,
    name: str | None,
    before: Taxonomy,
    after: Taxonomy,
    changes: TaxonomyDiff,
    *,
    all_parts: bool,
    limit: int,
    as_json: bool,
) -> None:
    from labelmill import __version__
    from labelmill.store import Store
    from labelmill.store.migration import migrate_run, taxonomy_of
    from labelmill.store.reader import choose_run

    with Store(file) as store:  # for reading first: nothing is written where something is wrong
        chosen = choose_run(store, run)
        if taxonomy_of(store, chosen) != before.key:
            raise StoreError(
                f"{file}: run {chosen!r} was labelled with another version than {before.source}. "
                "Give the one it was labelled with, and the same --labels-where."
            )
    with Store(file, write=True) as store:
        done = migrate_run(
            store,
            chosen,
            after,
            changes.targets,
            name=name or f"{chosen}-on-{after.key[:8]}",
            source=after.source,
            version=__version__,
            all_parts=all_parts,
        )
    if as_json:
        put_json(done.as_dict())
        return
    put(
        f"Run {done.run}, of run {done.source}: {counted(done.documents, 'document')}, {done.failures:,} failed, "
        f"{counted(done.predictions, 'prediction')}, {done.selected:,} of them in final sets; "
        f"{done.merged:,} merged into one that was there"
    )
    for title, found in (
        ("removed, and left out", done.removed),
        ("split, and left out: --all-parts takes all parts", done.split),
    ):
        lines = [
            f"{_label(before[before.position(label)])}: {counted(times, 'prediction')}, {selected:,} in final sets"
            for label, (times, selected) in list(found.items())[:limit]
        ]
        _put_list(title, len(found), lines)
    if done.emptied:
        put(f"  {counted(done.emptied, 'document')} without any label left in the final set")


def _became(into: Sequence[str]) -> str:
    return f" -> {' + '.join(map(_text, into))}"


def _put_list(title: str, count: int, lines: Sequence[str]) -> None:
    if not count:
        return
    put(f"  {title} ({counted(count, 'label')})")
    for line in lines:
        put(f"    {line}")
    if (more := count - len(lines)) > 0:
        put(f"    … {more:,} more; --limit shows more, --json all")
