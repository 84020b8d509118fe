"""What reading a large SKOS vocabulary takes: peak memory and seconds, in RDF/XML, Turtle and N-Triples.

Run it with ``python benchmarks/skos.py [--concepts 100000] [--json]``. The vocabulary is made up: every concept has
names in three languages, three aliases, a definition, a notation and a broader concept. Each file is read in a process
of its own. The aim is 1.5 GB at most for 100,000 concepts.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

AIM_MB = 1500
BASE = "http://vocabulary.example/concept/"
SKOS = "http://www.w3.org/2004/02/skos/core#"
TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
WORDS = ("harp", "kiln", "ledger", "mast", "orchard", "press", "quarry", "reed", "sluice", "turbine", "vat", "winch")
LANGUAGES = ("en", "de", "fr")

Fact = tuple[str, str, str]
"""A relation, its value, and the value's language; ``uri`` for a concept."""


def facts(number: int) -> Iterator[Fact]:
    """Say what is known of a concept."""
    name = f"{WORDS[number % 12]} {WORDS[number // 12 % 12]} {number}"
    for language in LANGUAGES:
        yield "prefLabel", f"{name} ({language})", language
    for place in range(3):
        yield "altLabel", f"{WORDS[(number + place) % 12]} of {name}", "en"
    yield "definition", f"What is called {name} in the made-up trade of {WORDS[number // 7 % 12]} making.", "en"
    yield "notation", f"{number:06}", ""
    if number:
        yield "broader", f"{BASE}{(number - 1) // 10}", "uri"


def as_nt(number: int) -> Iterator[str]:
    """Write a concept as N-Triples."""
    subject = f"<{BASE}{number}>"
    yield f"{subject} <{TYPE}> <{SKOS}Concept> .\n"
    for relation, value, language in facts(number):
        thing = f"<{value}>" if language == "uri" else f'"{value}"{"@" + language if language else ""}'
        yield f"{subject} <{SKOS}{relation}> {thing} .\n"


def as_turtle(number: int) -> Iterator[str]:
    """Write a concept as Turtle."""
    yield f"<{BASE}{number}> a skos:Concept"
    for relation, value, language in facts(number):
        thing = f"<{value}>" if language == "uri" else f'"{value}"{"@" + language if language else ""}'
        yield f" ;\n  skos:{relation} {thing}"
    yield " .\n"


def as_xml(number: int) -> Iterator[str]:
    """Write a concept as RDF/XML."""
    yield f'<skos:Concept rdf:about="{BASE}{number}">\n'
    for relation, value, language in facts(number):
        if language == "uri":
            yield f'  <skos:{relation} rdf:resource="{value}"/>\n'
        else:
            tag = f' xml:lang="{language}"' if language else ""
            yield f"  <skos:{relation}{tag}>{value}</skos:{relation}>\n"
    yield "</skos:Concept>\n"


XML_START = f'<?xml version="1.0"?>\n<rdf:RDF xmlns:rdf="{TYPE.removesuffix("type")}" xmlns:skos="{SKOS}">\n'
FORMS: dict[str, tuple[str, Callable[[int], Iterator[str]], str]] = {
    ".rdf": (XML_START, as_xml, "</rdf:RDF>\n"),
    ".ttl": (f"@prefix skos: <{SKOS}> .\n", as_turtle, ""),
    ".nt": ("", as_nt, ""),
}


def write(path: Path, concepts: int) -> None:
    """Write the vocabulary in the form that the suffix names."""
    start, form, end = FORMS[path.suffix]
    with path.open("w", encoding="utf-8") as file:
        file.write(start)
        for number in range(concepts):
            file.writelines(form(number))
        file.write(end)


def read(path: Path) -> dict[str, Any]:
    """Read a vocabulary in this process, and tell what that took."""
    from labelmill import Taxonomy

    start = perf_counter()
    taxonomy = Taxonomy.read(path)
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"labels": len(taxonomy), "key": taxonomy.key, "seconds": round(seconds, 1), "peak_mb": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--concepts", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--read", type=Path, help="read this file in this process, and print what it took")
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.read)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix in FORMS:
            path = Path(folder) / f"vocabulary{suffix}"
            write(path, arguments.concepts)
            size = path.stat().st_size / 1e6
            command = [sys.executable, __file__, "--read", str(path)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[suffix] = json.loads(done.stdout) | {"file_mb": round(size)}
            path.unlink()
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{'SKOS of ' + format(arguments.concepts, ',') + ' concepts':<32}{'file MB':>9}{'seconds':>9}{'peak MB':>9}")
    for suffix, figures in found.items():
        print(f"{suffix:<32}{figures['file_mb']:>9,}{figures['seconds']:>9}{figures['peak_mb']:>9,}", flush=True)
    same = len({figures["key"] for figures in found.values()}) == 1
    worst = max(figures["peak_mb"] for figures in found.values())
    kept = "yes" if worst <= AIM_MB and same else "no"
    print(f"the same taxonomy from all: {'yes' if same else 'no'}; at most {worst:,} MB; aim kept: {kept}")


if __name__ == "__main__":
    main()
