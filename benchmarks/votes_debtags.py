"""Retrievers, keyword functions, names and the embedded model as voters on software descriptions, beside each alone.

Run it with ``python benchmarks/votes.py debtags``. It needs the development data. A few documents with gold teach where
it says so, and all figures are of the others. Nothing here was chosen by test documents: the functions were written
from what the tags are called.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from data import data_folder, show_building
from numpy.typing import NDArray

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import Corpus, read_documents
from labelmill.eval import Gold, Rankings, evaluate
from labelmill.learning.combining import combine
from labelmill.learning.votes import KnownLabels, SoftLabels, Votes
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.voting.apply import Electorate, apply_votes
from labelmill.pipelines.voting.electing import hold_election
from labelmill.pipelines.voting.importing import import_votes
from labelmill.pipelines.voting.interviewing import Prompting

_TAUGHT = 100
_DEEP = 10
"""Ranks of a lane that are votes."""

FUNCTIONS = """
import re
from labelmill import labeling_function

def said(document, table):
    words = set(re.findall(r"[a-z0-9+#.-]+", document.text.lower()))
    return sorted({label for word, labels in table.items() if word in words for label in labels.split()})

@labeling_function
def package_name(document):
    name = document.text.partition(":")[0]
    if re.search(r"^lib.*-perl$", name):
        return ["devel::lang:perl", "devel::library", "implemented-in::perl"]
    if name.startswith("python"):
        return ["devel::lang:python", "implemented-in::python"]
    if name.endswith("-dev"):
        return ["devel::library", "role::devel-lib"]
    if name.endswith("-doc"):
        return "role::documentation"
    if name.endswith("-data"):
        return "role::app-data"
    if name.startswith("lib"):
        return "role::shared-lib"
    return "role::program"

@labeling_function
def languages(document):
    return said(document, {
        "python": "implemented-in::python", "perl": "implemented-in::perl", "java": "implemented-in::java",
        "ruby": "implemented-in::ruby", "php": "implemented-in::php", "ocaml": "implemented-in::ocaml",
        "haskell": "implemented-in::haskell", "c++": "implemented-in::c++", "lisp": "implemented-in::lisp"})

@labeling_function
def toolkits(document):
    return said(document, {
        "gtk": "uitoolkit::gtk interface::x11", "gtk+": "uitoolkit::gtk interface::x11",
        "gnome": "suite::gnome uitoolkit::gtk interface::x11", "qt": "uitoolkit::qt interface::x11",
        "kde": "suite::kde uitoolkit::qt interface::x11", "ncurses": "uitoolkit::ncurses interface::text-mode",
        "sdl": "uitoolkit::sdl interface::x11", "x11": "interface::x11", "gui": "interface::x11",
        "graphical": "interface::x11", "opengl": "interface::3d"})

@labeling_function
def interfaces(document):
    return said(document, {
        "command-line": "interface::commandline", "command": "interface::commandline", "daemon": "interface::daemon",
        "server": "interface::daemon network::server", "web": "interface::web", "shell": "interface::shell"})

@labeling_function
def games(document):
    return said(document, {
        "game": "use::gameplaying", "games": "use::gameplaying", "puzzle": "game::puzzle use::gameplaying",
        "arcade": "game::arcade use::gameplaying", "board": "game::board", "strategy": "game::strategy"})

@labeling_function
def formats(document):
    return said(document, {
        "xml": "works-with-format::xml", "html": "works-with-format::html", "pdf": "works-with-format::pdf",
        "png": "works-with-format::png works-with::image", "mp3": "works-with-format::mp3 works-with::audio",
        "audio": "works-with::audio", "sound": "works-with::audio", "video": "works-with::video",
        "image": "works-with::image", "images": "works-with::image", "database": "works-with::db",
        "mail": "works-with::mail", "text": "works-with::text", "fonts": "works-with::font"})

@labeling_function
def purposes(document):
    return said(document, {
        "editor": "use::editing", "edit": "use::editing", "convert": "use::converting", "converts": "use::converting",
        "viewer": "use::viewing", "view": "use::viewing", "search": "use::searching", "monitor": "use::monitor",
        "download": "use::downloading", "printing": "use::printing", "compiler": "devel::compiler",
        "debugger": "devel::debugger", "chat": "use::chatting", "play": "use::playing", "backup": "admin::backup"})

@labeling_function
def protocols(document):
    return said(document, {
        "http": "protocol::http", "ftp": "protocol::ftp", "irc": "protocol::irc", "ssh": "protocol::ssh",
        "smtp": "protocol::smtp", "ldap": "protocol::ldap", "dns": "protocol::dns", "ipv6": "protocol::ipv6"})
"""

QUESTIONS = """
document = "the description of a software package"
characters = 900

[[questions]]
name = "asked_role"
question = "What is the package: a program, a library, documentation, or data for another program?"
answers = ["program", "library", "documentation", "data"]
[questions.votes]
program = "role::program"
library = ["devel::library", "role::devel-lib"]
documentation = "role::documentation"
data = "role::app-data"

[[questions]]
name = "asked_interface"
question = "How does a person use it: in windows, at the command line, in a browser, or is it not for persons?"
answers = ["windows", "command line", "browser", "not for persons"]
[questions.votes]
windows = "interface::x11"
"command line" = "interface::commandline"
browser = "interface::web"

[[questions]]
name = "asked_game"
question = "Is it a game?"
answers = ["yes", "no"]
[questions.votes]
yes = "use::gameplaying"
no = { label = "use::gameplaying", vote = -1 }
"""


def measure_debtags(count: int, asked: int) -> dict[str, Any]:
    """Have all voters vote on test documents, and measure each alone and all together."""
    folder = data_folder("debtags")
    taxonomy = Taxonomy.read(folder / "labels.jsonl.gz")
    every = read_documents([folder / "docs-test.jsonl.gz"])
    documents = [item for item in every if isinstance(item, Document) and item.labels][:count]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "votes.duckdb"
        _cast(Path(scratch), path, taxonomy, documents)
        result = _measure_all(path, documents)
        if asked:
            _ask(Path(scratch), path, taxonomy, documents[:asked])
            result = {"without_the_model": result, "with_the_model": _measure_all(path, documents)}
    return result


def _measure_all(path: Path, documents: Sequence[Document]) -> dict[str, Any]:
    """Measure each voter, and every way to combine them."""
    election = hold_election(path, gold=GoldCorpus(tuple(documents)))
    gold = election.known
    taught = gold.only(np.sort(np.random.default_rng(0).permutation(gold.documents)[:_TAUGHT]))
    rest = np.setdiff1d(gold.documents, taught.documents)
    names = [each.voter for each in election.voters]
    result: dict[str, Any] = {"documents": len(rest), "votes": len(election.votes), "alone": {}, "together": {}}
    for place, name in enumerate(names):
        votes = election.votes
        mine = (votes.voter == place) & (votes.sign > 0)
        worth = np.where(votes.rank > 0, 1 / np.maximum(votes.rank, 1), votes.confidence)
        order = np.lexsort((votes.label[mine], votes.document[mine]))
        soft = SoftLabels(*(each[mine][order] for each in (votes.document, votes.label, worth)))
        ranked = bool((votes.rank[mine] > 0).any())
        result["alone"][name] = _measure(soft, election.votes, gold, rest, 1 / 5 if ranked else 0.0)
    for method in ("majority", "weighted", "dawid-skene", "pool", "ranks", "auto"):
        for known, told in ((None, ""), (taught, f", taught by {_TAUGHT}")):
            if known is not None and method in {"majority", "ranks"}:
                continue
            found = combine(election.votes, known, method=method)
            least = 0.5 if found.method != "ranks" else 1.0
            figures = _measure(found.soft, election.votes, gold, rest, least)
            result["together"][f"{method}{told}"] = figures | {"used": found.method}
    _print(result)
    return result


def _cast(scratch: Path, path: Path, taxonomy: Taxonomy, documents: Sequence[Document]) -> None:
    """Write the votes of lanes, functions and names."""
    with Labeler(taxonomy, progress=show_building) as labeler:
        rows = labeler.label([each.text for each in documents], ranked=True)
    table = [
        {"voter": hit.lane.replace("/", " by "), "document": document.id, "label": one.label, "rank": hit.rank}
        for document, row in zip(documents, rows, strict=True)
        for one in row
        for hit in one.evidence
        if hit.rank <= _DEEP
    ]
    import_votes(_write(scratch / "lanes.jsonl", table), path, taxonomy)
    (scratch / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
    corpus = _corpus(scratch / "docs.jsonl", documents)
    done = apply_votes(corpus, path, taxonomy, Electorate(functions=[scratch / "functions.py"], aliases=True))
    print("functions failed:", dict(done.failed), {key: done.examples[key][1] for key in done.failed})


def _ask(scratch: Path, path: Path, taxonomy: Taxonomy, documents: Sequence[Document]) -> None:
    """Have the embedded model answer questions about some documents."""
    (scratch / "questions.toml").write_text(QUESTIONS, encoding="utf-8")
    asking = Electorate(prompts=[scratch / "questions.toml"], prompting=Prompting("embedded"))
    done = apply_votes(_corpus(scratch / "few.jsonl", documents), path, taxonomy, asking)
    print(f"the model: {done.documents} documents, {done.requests} requests, {done.tokens} tokens,", end=" ")
    print(f"{done.seconds:.0f} s, failed: {dict(done.failed)}", flush=True)


def _corpus(path: Path, documents: Sequence[Document]) -> Corpus:
    return Corpus([_write(path, [{"id": each.id, "text": each.text} for each in documents])])


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _measure(
    soft: SoftLabels, votes: Votes, gold: KnownLabels, rest: NDArray[np.int64], least: float
) -> dict[str, float]:
    """Compute RP@5 and micro F1 over some documents; ties are broken by chance."""
    noise = np.random.default_rng(0).random(len(soft)) * 1e-7
    ranked: dict[int, list[tuple[float, int, bool]]] = {int(each): [] for each in rest}
    for document, label, score, extra in zip(soft.document, soft.label, soft.score, noise, strict=True):
        if int(document) in ranked:
            ranked[int(document)].append((-float(score + extra), int(label), bool(score >= least and score > 0)))
    rows = [sorted(ranked[int(each)]) for each in rest]
    told = {int(each): list[int]() for each in rest}
    for document, label in zip(gold.document, gold.label, strict=True):
        if int(document) in told:
            told[int(document)].append(int(label))
    rankings = Rankings.from_lists([[one[1] for one in row] for row in rows], [[one[2] for one in row] for row in rows])
    found = evaluate(rankings, Gold.from_lists(list(told.values())), n_labels=votes.labels, ks=(5,), resamples=1)
    return {name: round(100 * found.metrics[name].value, 1) for name in ("rp@5", "micro_f1")}


def _print(result: dict[str, Any]) -> None:
    print(f"debtags: {result['documents']} test documents, {result['votes']:,} votes")
    for part in ("alone", "together"):
        for name, row in result[part].items():
            used = f"  ({row['used']})" if row.get("used", name) != name.partition(",")[0] else ""
            print(f"  {part:<9} {name:<38} RP@5 {row['rp@5']:5.1f}  F1 {row['micro_f1']:5.1f}{used}", flush=True)
