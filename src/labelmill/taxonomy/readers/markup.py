"""What rdflib leaves out of reading RDF: a guard against XML entities that explode, and lines for messages."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO
from xml.parsers import expat

from labelmill.taxonomy.problems import Problem, error, quote

_LONGEST_ENTITY = 256  # characters; OWL files abbreviate namespaces by entities, and no namespace is longer
_SUBJECT = re.compile(r"""rdf:(?:about|ID)\s*=\s*["']([^"']+)["']|^\s*(?:<([^>\s]+)>|([\w.-]*):([\w.%-]+))\s""")


class _RootReached(Exception):  # noqa: N818 - a signal, never an error
    """The document type is over: nothing can be declared any more."""


def entity_problem(binary: BinaryIO) -> Problem | None:
    """Report an XML document whose entities could grow without bound or fetch other files.

    Short entities of plain text pass, for OWL files use them for namespaces. Anything else that is wrong with the
    document is left to its parser.
    """
    found: list[Problem] = []
    parser = expat.ParserCreate()

    def declared(name: str, parameter: int, value: str | None, base: object, system: object, *_: object) -> None:
        del base
        if parameter or value is None or system or "&" in value or len(value) > _LONGEST_ENTITY:
            remedy = "Write the entity's text where it is used."
            message = (
                f"the XML entity {quote(name)} is external, nested or long, which is not read from untrusted files"
            )
            found.append(error("unsafe-xml", message, parser.CurrentLineNumber, remedy))
            raise _RootReached

    def root(*_: object) -> None:
        raise _RootReached

    parser.EntityDeclHandler = declared
    parser.StartElementHandler = root
    with suppress(_RootReached, expat.ExpatError):  # the parser proper tells what is not well-formed
        parser.ParseFile(binary)
    return found[0] if found else None


def subject_lines(binary: BinaryIO, namespaces: Mapping[str, object]) -> dict[str, int]:
    """Find the line on which each URI is first a subject, as far as the text tells without parsing it.

    Args:
        binary: RDF/XML, Turtle or N-Triples, in UTF-8.
        namespaces: URIs by prefix, to expand ``ex:bread`` in Turtle.
    """
    lines: dict[str, int] = {}
    with io.TextIOWrapper(binary, "utf-8", errors="replace") as text:
        for number, line in enumerate(text, 1):
            for match in _SUBJECT.finditer(line):
                about, uri, prefix, local = match.groups()
                subject = about or uri or f"{namespaces.get(prefix, '')}{local}"
                lines.setdefault(subject, number)
    return lines
