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
from labelmill.taxonomy.problems import Entry, Problem, Row, error, quote
from labelmill.taxonomy.readers.concepts import Concepts
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
    concepts = Concepts(language)
    namespaces = _gathered(path, _FORMATS.get(suffix.lower(), "RDF/XML"), concepts)
    if isinstance(namespaces, Problem):
        yield namespaces
        return
    if not concepts.found:
        yield error("empty", "no subject has the type skos:Concept", None, "Name a file that holds SKOS concepts.")
        return
    with open_bytes(path) as binary:
        lines = subject_lines(binary, namespaces)
    for concept in sorted(concepts.found):
        if concepts.found[concept]:
            yield Row(concepts.label(concept), lines.get(concept), concepts.foreign(concept))
        else:
            yield error("empty-id", "a concept has no URI", lines.get(concept), "Give every concept a URI.")


def _gathered(path: Path, form: str, concepts: Concepts) -> dict[str, object] | Problem:
    """Gather the concepts while rdflib parses, and give the prefixes of namespaces; or report why not.

    The file is read once more for that, and once for its lines: rather than to be held in memory.
    """
    try:
        import rdflib
        from rdflib.parser import InputSource
    except ImportError:
        raise MissingExtraError("Reading SKOS", "skos") from None
    if form == "RDF/XML":
        with open_bytes(path) as binary:
            if problem := entity_problem(binary):
                return problem
    graph = rdflib.Graph(store=_listening(concepts))
    try:
        with _silenced("rdflib"), open_bytes(path) as binary:
            source = InputSource()
            source.setByteStream(binary)
            graph.parse(source=source, format=_PARSERS[form])
    except OSError:
        raise
    except Exception as reason:  # noqa: BLE001 - rdflib's parsers raise anything on text that is not theirs
        line = _line_of(reason)
        text = " ".join(str(reason).partition(" at ^")[0].split()) or type(reason).__name__
        return error("unreadable", f"this is not {form}: {quote(text, 120)}", line, "Export the vocabulary again.")
    return dict(graph.namespaces())


def _listening(concepts: Concepts) -> Any:
    """Make a store for rdflib that hands on what is said of concepts, and keeps no triple: those take 1.6 KB each."""
    from rdflib import RDF, Literal, URIRef
    from rdflib.plugins.stores.memory import Memory

    concept, start = URIRef(f"{_SKOS}Concept"), len(_SKOS)

    class Listening(Memory):  # type: ignore[misc]
        def add(self, triple: tuple[Any, Any, Any], _context: Any, quoted: bool = False) -> None:
            del quoted
            subject, predicate, thing = triple
            if predicate == RDF.type:
                if thing == concept:
                    concepts.is_concept(subject, named=isinstance(subject, URIRef))
            elif predicate.startswith(_SKOS):
                relation = predicate[start:]
                if isinstance(thing, Literal):
                    concepts.says(subject, relation, str(thing), thing.language or "")
                elif relation == "broader" and isinstance(thing, URIRef):
                    concepts.is_below(subject, thing)
                elif relation == "narrower" and isinstance(subject, URIRef):
                    concepts.is_below(thing, subject)

    return Listening()


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
