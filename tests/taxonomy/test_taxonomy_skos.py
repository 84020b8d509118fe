"""SKOS vocabularies in RDF/XML, Turtle and N-Triples."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc

import pytest

from labelmill.errors import TaxonomyError
from labelmill.taxonomy import Taxonomy, check

rdflib = pytest.importorskip("rdflib", reason="the extra 'skos' is not installed")

TURTLE = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix bake: <http://bake.example/> .

bake:scheme a skos:ConceptScheme ; skos:prefLabel "Baking"@en .
bake:bread a skos:Concept ;
  skos:prefLabel "bread"@en, "Brot"@de ;
  skos:altLabel "loaf, baked"@en, "Laib"@de ;
  skos:hiddenLabel "braed"@en ;
  skos:definition "What is baked of dough."@en ;
  skos:narrower bake:rye .
bake:rye a skos:Concept ;
  skos:prefLabel "Roggenbrot"@de ;
  skos:altLabel "Schwarzbrot"@de ;
  skos:notation "01.2" ;
  skos:scopeNote "Of rye."@en .
bake:roll a skos:Concept ;
  skos:prefLabel "roll"@en-GB ;
  skos:broader bake:bread .
"""
LANGUAGES = ["en", *(f"x{letter}" for letter in "abcdefghijklmno")]
BREAD, ROLL, RYE = "http://bake.example/bread", "http://bake.example/roll", "http://bake.example/rye"


@pytest.fixture
def turtle(tmp_path):
    path = tmp_path / "bake.ttl"
    path.write_text(TURTLE)
    return path


def test_concepts_become_labels(turtle):
    """Names and aliases in the language, definitions, broader and reversed narrower; the scheme is no label."""
    taxonomy = Taxonomy.read(turtle)
    bread, roll, rye = taxonomy
    assert (bread.id, bread.name, bread.aliases) == (BREAD, "bread", ("loaf, baked", "braed"))
    assert (bread.description, bread.parents) == ("What is baked of dough.", ())
    assert (roll.name, roll.parents) == ("roll", (BREAD,))
    assert (rye.name, rye.aliases, rye.parents) == ("Roggenbrot", ("Schwarzbrot",), (BREAD,))
    assert (rye.description, rye.fields) == ("Of rye.", {"notation": "01.2"})


def test_the_language_can_be_chosen(turtle):
    """Another language gives its names, and falls back where a concept has none in it."""
    bread, roll, _ = Taxonomy.read(turtle, language="de")
    assert (bread.name, bread.aliases, roll.name) == ("Brot", ("Laib",), "roll")


@pytest.mark.parametrize(
    ("suffix", "form"), [(".rdf", "xml"), (".xml", "pretty-xml"), (".nt", "nt"), (".ttl.gz", "turtle")]
)
def test_every_serialisation_is_the_same_taxonomy(turtle, tmp_path, suffix, form):
    """RDF/XML, N-Triples and packed Turtle give the same labels in the same order, and so the same key."""
    data = rdflib.Graph().parse(turtle).serialize(format=form, encoding="utf-8")
    path = tmp_path / f"other{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    assert Taxonomy.read(path).labels == Taxonomy.read(turtle).labels
    assert Taxonomy.read(path).key == Taxonomy.read(turtle).key


@pytest.mark.parametrize(("suffix", "form"), [(".rdf", "xml"), (".nt", "nt"), (".ttl", "turtle")])
def test_problems_have_lines(turtle, tmp_path, suffix, form):
    """A concept without a name is told by the line on which its URI is first a subject."""
    graph = rdflib.Graph().parse(turtle)
    graph.remove((rdflib.URIRef(ROLL), rdflib.SKOS.prefLabel, None))
    path = tmp_path / f"other{suffix}"
    graph.serialize(path, format=form, encoding="utf-8")
    report = check(path)
    (problem,) = [problem for problem in report.problems if problem.code == "empty-name"]
    assert "roll" in path.read_text().splitlines()[problem.line - 1]


@pytest.mark.parametrize(
    ("name", "content", "line", "says"),
    [
        ("t.ttl", TURTLE + "\nbake:x [[[ .", 20, "this is not Turtle"),
        ("t.rdf", "<rdf>\n<open>", 2, "this is not RDF/XML"),
        ("t.nt", "no triple\n", None, "this is not N-Triples"),
        ("t.nt", b"\xff\xfe\xfd", None, "this is not N-Triples"),
        ("t.ttl", "", None, "skos:Concept"),
        ("t.ttl", TURTLE.replace("skos:Concept ", "skos:Collection "), None, "skos:Concept"),
        ("t.ttl", TURTLE.replace("bake:roll a", "[] a"), None, "has no URI"),
        ("t.ttl", "[" * 5000, None, "this is not Turtle"),
    ],
)
def test_what_is_no_vocabulary_is_one_error(tmp_path, name, content, line, says):
    """Wrong syntax, no concepts, a concept without a URI: one error, with the line where the parser tells it."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TaxonomyError, match=says) as raised:
        Taxonomy.read(path)
    assert "\n" not in str(raised.value)
    if line:
        assert raised.value.line == line


RDF = """<?xml version="1.0"?>
<!DOCTYPE rdf:RDF [
{declared}
]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:skos="http://www.w3.org/2004/02/skos/core#">
<skos:Concept rdf:about="http://bake.example/bread"><skos:prefLabel>{name}</skos:prefLabel></skos:Concept>
</rdf:RDF>
"""


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY b SYSTEM "file:///etc/hostname">',
        '<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;',
        f'<!ENTITY b "{"x" * 5000}">',
    ],
)
def test_entities_that_explode_or_fetch_are_refused(tmp_path, declared):
    """Nested, external and long entities are an error on their line, before anything is expanded or fetched."""
    path = tmp_path / "t.rdf"
    path.write_text(RDF.format(declared=declared, name="&b;"))
    with pytest.raises(TaxonomyError, match="external, nested or long") as raised:
        Taxonomy.read(path)
    assert raised.value.line == 3


def test_a_short_entity_is_an_abbreviation(tmp_path):
    """What OWL files use entities for keeps working."""
    path = tmp_path / "t.owl"
    path.write_text(RDF.format(declared='<!ENTITY b "bread">', name="rye &b;"))
    assert Taxonomy.read(path).names == ("rye bread",)


def test_without_rdflib_the_extra_is_named(turtle):
    """Where rdflib is not installed, the error is the line that installs it."""
    code = """
import sys
import tracemalloc
sys.modules["rdflib"] = None
from labelmill.errors import MissingExtraError
from labelmill.taxonomy import Taxonomy
try:
    Taxonomy.read(sys.argv[1])
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(turtle)], capture_output=True, text=True, check=True)
    assert "pip install 'labelmill[skos]'" in done.stdout


def test_names_of_another_language_are_one_doubt(turtle):
    """Counted in one line with its first label; a region's name is of the language."""
    (problem,) = check(turtle).problems
    assert (problem.severity, problem.code) == ("warning", "other-language")
    assert problem.message == "1 label has no name in the language 'en' and one of another in its place (1 de)"
    assert RYE in problem.remedy
    german = [problem.message for problem in check(turtle, language="de").problems]
    assert german == ["1 label has no name in the language 'de' and one of another in its place (1 en-gb)"]
    assert not check(turtle, under=[ROLL]).problems


def test_languages_come_in_any_order(tmp_path):
    """Aliases before the name, and a region's name before the language's own, give what the usual order gives."""
    triples = [
        '<http://b.example/1> <http://www.w3.org/2004/02/skos/core#altLabel> "Laib"@de .',
        '<http://b.example/1> <http://www.w3.org/2004/02/skos/core#altLabel> "loaf"@en .',
        '<http://b.example/1> <http://www.w3.org/2004/02/skos/core#prefLabel> "bread, British"@en-GB .',
        '<http://b.example/1> <http://www.w3.org/2004/02/skos/core#prefLabel> "bread"@EN .',
        '<http://b.example/1> <http://www.w3.org/2004/02/skos/core#altLabel> "pain"@fr .',
        "<http://b.example/1> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://www.w3.org/2004/02/skos/core#Concept> .",
    ]
    path = tmp_path / "t.nt"
    for order in (triples, triples[::-1]):
        path.write_text("\n".join(order) + "\n")
        (label,) = Taxonomy.read(path)
        assert (label.name, label.aliases) == ("bread", ("loaf",))


def test_the_graph_is_not_held_in_memory(tmp_path):
    """What other languages say of 600 concepts leaves no trace: reading takes 2 MB, where a graph takes 15."""
    path = tmp_path / "large.nt"
    skos, kind = "http://www.w3.org/2004/02/skos/core#", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    with path.open("w") as file:
        for concept in (f"<http://b.example/{number}>" for number in range(600)):
            file.write(f"{concept} <{kind}> <{skos}Concept> .\n")
            file.writelines(f'{concept} <{skos}prefLabel> "{concept} {code}"@{code} .\n' for code in LANGUAGES)
    Taxonomy.read(path)  # what is imported with the first file stays
    tracemalloc.start()
    try:
        taxonomy = Taxonomy.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(taxonomy) == 600
    assert taxonomy[0].name == "<http://b.example/0> en"
    assert peak < 5e6
