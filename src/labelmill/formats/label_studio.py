"""Label Studio's JSON: tasks with predictions out, and tasks with annotations by several people in.

https://labelstud.io/guide/task_format and https://labelstud.io/guide/predictions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from labelmill.corpus.fields import clean
from labelmill.formats.entries import read_entries
from labelmill.formats.json_values import (
    Unfit,
    confidence_of,
    failed,
    id_of,
    list_of,
    number_of,
    object_of,
    text_of,
    texts_of,
)
from labelmill.formats.values import Item, Judged, Labels, Opinion, Scored, Vote
from labelmill.formats.writing import whole, write_entries
from labelmill.records import Failure

CONTROL, TEXT = "labels", "text"
"""What the labelling interface calls the choice of labels, and the text."""

MOST_CHOICES = 5_000
"""Labels of which an interface is written; a browser is slow with more."""

_KINDS = ("choices", "taxonomy")


def write_tasks(path: Path, items: Iterable[Item], labels: Labels, run: str) -> int:
    """Write one task per document, with the run's final set as its prediction; returns how many there are."""
    return write_entries(path, (_task(item, labels, run) for item in items))


def write_interface(path: Path, labels: Labels) -> str:
    """Write the labelling interface that such tasks need.

    Returns:
        Why it was not written, or nothing.

    Raises:
        InputError: The file cannot be written.
    """
    if len(labels.labels) > MOST_CHOICES:
        return f"{len(labels.labels):,} labels are too many for a labelling interface ({MOST_CHOICES:,})"
    view = ET.Element("View")
    ET.SubElement(view, "Text", name=TEXT, value=f"${TEXT}")
    if labels.has_hierarchy:
        top = ET.SubElement(view, "Taxonomy", name=CONTROL, toName=TEXT)
    else:
        top = ET.SubElement(view, "Choices", name=CONTROL, toName=TEXT, choice="multiple")
    nodes: dict[int, ET.Element] = {}
    for position in range(len(labels.labels)):
        _node(position, labels, top, nodes)
    content = ET.tostring(view, encoding="unicode")
    try:
        ET.fromstring(content)  # noqa: S314 - what was just written
    except ET.ParseError:
        return "a label's name has a character that XML has not"
    with whole(path) as part:
        part.write_text(content + "\n", encoding="utf-8")
    return ""


def read_tasks(
    path: Path, *, id_field: str = "id", text_field: str = TEXT, question: str | None = None
) -> Iterator[Judged | Failure]:
    """Read tasks with their annotations and predictions.

    An annotation that was cancelled says nothing. Of several by one person the newest counts, by when they were updated
    or made; the last, where the file does not say. A task whose data have no
    id is called by the task's number.

    Args:
        path: An export as JSON.
        id_field: What the tasks' data call the document's id.
        text_field: What they call its text.
        question: Of several choices that were made in one task, the one that labels documents.

    Raises:
        InputError: The file is no JSON array.
    """
    for _, entry, line in read_entries(path, of="["):
        source = f"{clean(str(path))}:{line}"
        try:
            yield _judged(object_of(entry, "the task"), source, id_field, text_field, question)
        except Unfit as reason:
            yield failed(source, reason)


def _node(position: int, labels: Labels, top: ET.Element, nodes: dict[int, ET.Element]) -> ET.Element:
    if position not in nodes:
        path = labels.paths(position) if labels.has_hierarchy else (position,)
        parent = top
        for place in path:
            if place not in nodes:
                label, handle = labels.labels[place], labels.handles[place]
                named = {"value": label.name} | ({"alias": handle} if handle != label.name else {})
                nodes[place] = ET.SubElement(parent, "Choice", named)
            parent = nodes[place]
    return nodes[position]


def _task(item: Item, labels: Labels, run: str) -> dict[str, object]:
    chosen = [each for each in item.predictions if each.selected]
    data = {"id": item.document} | ({} if item.text is None else {TEXT: item.text})
    prediction: dict[str, object] = {"model_version": run, "result": _result(chosen, labels)}
    if chosen and all(0 <= each.score <= 1 for each in chosen):  # it takes no others
        prediction["score"] = sum(each.score for each in chosen) / len(chosen)
    said = [{"label": labels.handles[each.label], "rank": each.rank, "score": each.score} for each in chosen]
    return {"data": data, "predictions": [prediction], "meta": {"labelmill": {"run": run, "labels": said}}}


def _result(chosen: list[Scored], labels: Labels) -> list[dict[str, object]]:
    if not chosen:
        return []
    if labels.has_hierarchy:
        paths = [[labels.handles[place] for place in labels.paths(each.label)] for each in chosen]
        value: dict[str, object] = {"taxonomy": paths}
    else:
        value = {"choices": [labels.handles[each.label] for each in chosen]}
    kind = next(iter(value))
    return [{"id": "labels", "from_name": CONTROL, "to_name": TEXT, "type": kind, "value": value}]


def _judged(task: dict[str, object], source: str, id_field: str, text_field: str, question: str | None) -> Judged:
    if "data" not in task:
        raise Unfit("the task has no data: export as JSON, not as JSON-MIN or CSV")
    data = object_of(task["data"], "data")
    document = id_of(data.get(id_field, task.get("id")), f"data.{id_field}")
    text = data.get(text_field)
    opinions = (*_people(task, question), *_programs(task, question))
    return Judged(document, clean(text) if isinstance(text, str) else "", opinions, None, source)


def _people(task: dict[str, object], question: str | None) -> Iterable[Opinion]:
    """List what annotators said, each once: the newest."""
    found: dict[str, Opinion] = {}
    times: dict[str, datetime] = {}
    for each in list_of(task.get("annotations"), "annotations"):
        annotation = object_of(each, "an annotation")
        if annotation.get("was_cancelled") is not True:
            who, time = _who(annotation), _time(annotation)
            if time < times.get(who, time):
                continue
            times[who] = time
            found[who] = Opinion(who, tuple(Vote(label) for label in _labels(annotation, question)))
    return found.values()


def _programs(task: dict[str, object], question: str | None) -> Iterable[Opinion]:
    """List what programs predicted, each once; some exports have numbers in place of predictions."""
    known, found = _known_scores(task), {}
    for each in list_of(task.get("predictions"), "predictions"):
        if isinstance(each, dict):
            who = text_of(each.get("model_version") or "predictions", "model_version")
            found[who] = Opinion(who, tuple(_votes(each, question, known.get(who, {}))), predicted=True)
    return found.values()


def _time(annotation: dict[str, object]) -> datetime:
    """Say when an annotation was changed last, or made; the beginning of time where it does not say."""
    for name in ("updated_at", "created_at"):
        try:
            said = datetime.fromisoformat(str(annotation.get(name)))
        except ValueError:
            continue
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    return datetime.min.replace(tzinfo=UTC)


def _who(annotation: dict[str, object]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return "annotator" if by is None else text_of(by, "completed_by")


def _labels(answer: dict[str, object], question: str | None) -> list[str]:
    """List the labels that were chosen, each once."""
    found: dict[str, list[str]] = {}
    for each in list_of(answer.get("result"), "result"):
        region = object_of(each, "an item of result")
        kind = region.get("type")
        if kind in _KINDS:
            value = object_of(region.get("value"), "value")
            control = text_of(region.get("from_name", ""), "from_name")
            found.setdefault(control, []).extend(_chosen(value.get(str(kind)), str(kind)))
    if question is not None:
        return list(dict.fromkeys(found.get(question, [])))
    if len(found) > 1:
        raise Unfit(f"several choices are made: {', '.join(map(repr, found))}; name one with --question")
    return list(dict.fromkeys(label for labels in found.values() for label in labels))


def _chosen(value: object, kind: str) -> list[str]:
    if kind == "choices":
        return texts_of(value, "choices")
    paths = [texts_of(path, "a path of taxonomy") for path in list_of(value, "taxonomy")]
    return [path[-1] for path in paths if path]


def _votes(prediction: dict[str, object], question: str | None, scores: _Scores) -> Iterator[Vote]:
    for label in _labels(prediction, question):
        rank, score = scores.get(label, (0, None))
        yield Vote(label, 1, confidence_of(score), rank)


_Scores = dict[str, tuple[int, float | None]]


def _known_scores(task: dict[str, object]) -> dict[str, _Scores]:
    """Read back the ranks and scores that `write_tasks` leaves beside a prediction, which has room for one score."""
    meta = task.get("meta")
    ours = meta.get("labelmill") if isinstance(meta, dict) else None
    if not isinstance(ours, dict) or not isinstance(ours.get("labels"), list):
        return {}
    scores: _Scores = {}
    for each in ours["labels"]:
        if isinstance(each, dict) and isinstance(each.get("label"), str):
            rank = each.get("rank")
            scores[each["label"]] = (rank if type(rank) is int and rank > 0 else 0, number_of(each.get("score")))
    return {str(ours.get("run")): scores}
