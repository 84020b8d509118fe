"""Taxonomies in SKOS (https://www.w3.org/TR/skos-reference/): RDF/XML, Turtle and N-Triples, through rdflib.

Concepts alone become labels; what has no type ``skos:Concept`` is passed over. Labels are sorted by URI, so that the
same vocabulary is the same taxonomy in every serialisation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labelmill.errors import MissingExtraError
from labelmill.records import Label
from labelmill.taxonomy.problems import Entry, Problem, Row, error, quote
from labelmill.taxonomy.readers.markup import entity_problem, subject_lines
from labelmill.taxonomy.readers.text import open_bytes

_SKOS = "http://www.w3.org/2004/02/skos/core#"
_FORMATS = {".ttl": "Turtle", ".nt": "N-Triples"}  # every other suffix is RDF/XML
_PARSERS = {"RDF/XML": "xml", "Turtle": "turtle", "N-Triples": "nt"}


def read_skos(path: Path, language: str) -> Iterator[Entry]:
    """Read the concepts of a SKOS vocabulary.

    A concept's name is its ``prefLabel`` in the language, else without a language, else in the alphabetically first
    one. Its aliases are the ``altLabel`` and ``hiddenLabel`` in the same language, the wanted one or none, its
    description is the ``definition`` or ``scopeNote``. Parents are ``broader``, and ``narrower`` read backwards.

    Raises:
        MissingExtraError: rdflib is not installed.
    """
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    with open_bytes(path) as binary:
        data = binary.read()
    graph = _parsed(data, _FORMATS.get(suffix.lower(), "RDF/XML"))
    if isinstance(graph, Problem):
        yield graph
        return
    lines = subject_lines(data.decode("utf-8", "replace"), dict(graph.namespaces()))
    from rdflib import RDF, URIRef

    concepts = sorted(set(graph.subjects(RDF.type, URIRef(_SKOS + "Concept"))))
    if not concepts:
        yield error("empty", "no subject has the type skos:Concept", None, "Name a file that holds SKOS concepts.")
    for concept in concepts:
        line = lines.get(str(concept))
        if not isinstance(concept, URIRef):
            yield error("empty-id", "a concept has no URI", line, "Give every concept a URI.")
            continue
        yield Row(_label(graph, concept, language), line)


def _parsed(data: bytes, form: str) -> Any:
    """Parse into an rdflib graph, or report why not."""
    try:
        import rdflib
    except ImportError:
        raise MissingExtraError("Reading SKOS", "skos") from None
    if form == "RDF/XML" and (problem := entity_problem(data)):
        return problem
    graph = rdflib.Graph()
    try:
        with _silenced("rdflib"):
            graph.parse(data=data, format=_PARSERS[form])
    except Exception as reason:  # noqa: BLE001 - rdflib's parsers raise anything on text that is not theirs
        line = _line_of(reason)
        text = " ".join(str(reason).partition(" at ^")[0].split()) or type(reason).__name__
        return error("unreadable", f"this is not {form}: {quote(text, 120)}", line, "Export the vocabulary again.")
    return graph


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    # rdflib logs a traceback for each literal that does not fit its datatype; no label depends on those.
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _line_of(reason: Exception) -> int | None:
    get_line = getattr(reason, "getLineNumber", None)  # of a SAXParseException
    line = get_line() if get_line else getattr(reason, "lines", None)  # of notation3's BadSyntax, counted from 0
    if not isinstance(line, int):
        return None
    return line if get_line else line + 1


def _label(graph: Any, concept: Any, language: str) -> Label:
    name, spoken = _best(graph, concept, ("prefLabel",), language)
    languages = {"", spoken, language.casefold()}
    aliases = [
        str(text)
        for relation in ("altLabel", "hiddenLabel")
        for text in sorted(_objects(graph, concept, relation))
        if (text.language or "") in languages
    ]
    description, _ = _best(graph, concept, ("definition", "scopeNote"), language)
    broader = {*_objects(graph, concept, "broader"), *_subjects(graph, concept, "narrower")}
    notations = sorted(map(str, _objects(graph, concept, "notation")))
    return Label(
        id=str(concept),
        name=name,
        aliases=tuple(dict.fromkeys(aliases)),
        description=description,
        parents=tuple(sorted(map(str, broader))),
        fields={"notation": " | ".join(notations)} if notations else {},
    )


def _best(graph: Any, concept: Any, relations: tuple[str, ...], language: str) -> tuple[str, str]:
    """Choose a text and tell its language: as wanted, a region's variant of it, none, any; ties by the alphabet."""
    wanted = language.casefold()

    def order(text: Any) -> tuple[int, str, str]:
        spoken = (text.language or "").casefold()
        rank = 0 if spoken == wanted else 1 if spoken.startswith(f"{wanted}-") else 2 if not spoken else 3
        return rank, spoken, str(text)

    for relation in relations:
        if texts := _objects(graph, concept, relation):
            best = min(texts, key=order)
            return str(best), best.language or ""
    return "", ""


def _objects(graph: Any, concept: Any, relation: str) -> list[Any]:
    from rdflib import Literal, URIRef

    kind = URIRef if relation == "broader" else Literal
    return [thing for thing in graph.objects(concept, URIRef(_SKOS + relation)) if isinstance(thing, kind)]


def _subjects(graph: Any, concept: Any, relation: str) -> list[Any]:
    from rdflib import URIRef

    return [thing for thing in graph.subjects(URIRef(_SKOS + relation), concept) if isinstance(thing, URIRef)]
