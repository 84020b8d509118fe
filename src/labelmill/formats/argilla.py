"""Argilla's records as JSON, as Argilla 2 writes and reads them: suggestions out, responses of several users in.

https://docs.argilla.io/latest/how_to_guides/import_export/ (``dataset.records.to_json``, ``from_json``)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

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
from labelmill.formats.values import Item, Judged, Labels, Opinion, Vote
from labelmill.formats.writing import write_entries, write_json
from labelmill.records import Failure

QUESTION, FIELD = "labels", "text"
"""What the dataset calls the question and the text."""


def write_records(path: Path, items: Iterable[Item], labels: Labels, run: str, *, scores: bool) -> int:
    """Write one record per document, with the run's final set as its suggestion; returns how many there are.

    Args:
        path: The file.
        items: The documents.
        labels: Their labels; values are ids.
        run: Who suggests.
        scores: Whether scores go with it; Argilla takes them from 0 to 1 alone.
    """
    return write_entries(path, (_record(item, labels, run, scores=scores) for item in items))


def write_questions(path: Path, labels: Labels) -> None:
    """Write the settings of a dataset for such records, as ``rg.Settings.from_json`` takes them.

    Raises:
        InputError: The file cannot be written.
    """
    options = [{"value": label.id, "text": label.name} for label in labels.labels]
    field = {"name": FIELD, "title": FIELD, "required": False, "settings": {"type": "text", "use_markdown": False}}
    question = {
        "name": QUESTION,
        "title": QUESTION,
        "required": True,
        "settings": {"type": "multi_label_selection", "options": options, "options_order": "suggestion"},
    }
    settings = {"fields": [field], "questions": [question], "vectors": [], "metadata": [], "allow_extra_metadata": True}
    write_json(path, settings)


def read_records(path: Path, *, text_field: str = FIELD, question: str | None = None) -> Iterator[Judged | Failure]:
    """Read records with their responses, of every user apart, and their suggestions.

    Args:
        path: The file.
        text_field: The field that holds the text; where a record has one text alone, that counts.
        question: The one that labels documents, where a record has several.

    Raises:
        InputError: The file is no JSON array.
    """
    for _, entry, line in read_entries(path, of="["):
        source = f"{clean(str(path))}:{line}"
        try:
            yield _judged(object_of(entry, "the record"), source, text_field, question)
        except Unfit as reason:
            yield failed(source, reason)


def _record(item: Item, labels: Labels, run: str, *, scores: bool) -> dict[str, object]:
    chosen = [each for each in item.predictions if each.selected]
    suggestion = {
        "value": [labels.labels[each.label].id for each in chosen],
        "score": [each.score for each in chosen] if scores else None,
        "agent": run,
    }
    return {
        "id": item.document,
        "fields": {} if item.text is None else {FIELD: item.text},
        "metadata": {},
        # Argilla takes no suggestion without a value.
        "suggestions": {QUESTION: suggestion} if chosen else {},
        "responses": {},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }


def _judged(record: dict[str, object], source: str, text_field: str, question: str | None) -> Judged:
    if not any(name in record for name in ("fields", "responses", "suggestions")):
        raise Unfit("the record has neither fields nor responses nor suggestions, and is none of Argilla's")
    fields = object_of(record.get("fields") or {}, "fields")
    responses = object_of(record.get("responses") or {}, "responses")
    suggestions = object_of(record.get("suggestions") or {}, "suggestions")
    texts = [value for value in fields.values() if isinstance(value, str)]
    text = fields.get(text_field, texts[0] if len(texts) == 1 else "")
    people: dict[str, Opinion] = {}
    for each in list_of(responses.get(_question(responses, question)), "responses"):
        response = object_of(each, "a response")
        if response.get("status") in ("discarded", "draft"):
            continue
        who = text_of(response.get("user_id") or "user", "user_id")
        labels = texts_of(response.get("value"), "value")
        people[who] = Opinion(who, tuple(Vote(label) for label in dict.fromkeys(labels)))
    programs = []
    if (named := _question(suggestions, question)) in suggestions:
        programs.append(_suggested(object_of(suggestions[named], "a suggestion")))
    return Judged(
        id_of(record.get("id"), "id"),
        clean(text) if isinstance(text, str) else "",
        (*people.values(), *programs),
        None,
        source,
    )


def _question(answers: dict[str, object], question: str | None) -> str:
    """Name the question that labels documents: the one that was asked for, ours, or the only one."""
    if question is not None:
        return question
    if QUESTION in answers:
        return QUESTION
    if len(answers) > 1:
        raise Unfit(f"there are several questions: {', '.join(map(repr, answers))}; name one with --question")
    return next(iter(answers), QUESTION)


def _suggested(suggestion: dict[str, object]) -> Opinion:
    labels = texts_of(suggestion.get("value"), "value")
    score = suggestion.get("score")
    scores = [number_of(each) for each in (score if isinstance(score, list) else [score] * len(labels))]
    scores += [None] * (len(labels) - len(scores))
    votes: dict[str, Vote] = {}
    for rank, (label, each) in enumerate(zip(labels, scores, strict=False), 1):
        votes.setdefault(label, Vote(label, 1, confidence_of(each), rank))
    who = text_of(suggestion.get("agent") or "suggestions", "agent")
    return Opinion(who, tuple(votes.values()), predicted=True)
