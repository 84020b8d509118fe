"""Voting on a corpus: what fails is told by name, and never stops the rest."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.pipelines.voting import pool
from labelmill.pipelines.voting.apply import Electorate, apply_votes
from labelmill.store import Store
from labelmill.store.votes import read_vote_failures, read_voters
from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl
from toy_embedder import HashedGrams

LABELS = Taxonomy.from_names(["bread", "soup"])

HOSTILE = """
import os, time
from labelmill import labeling_function

@labeling_function
def good(document):
    print("what a function prints is not in the way")
    assert document.labels is None
    return {"bread": 1} if "flour" in document.text else {"bread": -0.5}

@labeling_function
def raises(document):
    raise KeyError("two\\nlines")

@labeling_function
def loops(document):
    while "oven" in document.text:
        pass
    return "soup"

@labeling_function
def outside(document):
    return ["soup", "nowhere"]

@labeling_function
def dies(document):
    os._exit(3)
"""


@pytest.fixture
def corpus(tmp_path):
    """Five documents; the third has an oven."""
    texts = ["flour", "water", "oven", "flour and water", "salt"]
    rows = [{"id": f"d{number}", "text": text, "labels": ["bread"]} for number, text in enumerate(texts)]
    return Corpus([write_jsonl(tmp_path / "docs.jsonl", rows)])


def votes_of(path):
    with Store(path) as store:
        rows = store.connection.execute("SELECT voter, document, label, vote, confidence FROM votes ORDER BY ALL")
        return rows.fetchall()


def test_functions_that_fail_are_told_by_name_and_stop_nothing(tmp_path, corpus):
    """One raises, one loops, one names what is not there, one ends its process: the votes of all others are in."""
    module, out = tmp_path / "lf.py", tmp_path / "v.duckdb"
    module.write_text(HOSTILE)
    done = apply_votes(corpus, out, LABELS, Electorate(functions=[module]), limit_seconds=0.3, jobs=2)
    assert done.documents == 5
    assert dict(done.failed) == {
        ("raises", "raised"): 5,
        ("loops", "timeout"): 1,
        ("outside", "outside-taxonomy"): 5,
        ("dies", "crashed"): 3,
    }
    assert done.given_up == ["dies"]
    assert dict(done.votes) == {"good": 5, "loops": 4, "outside": 5}
    rows = votes_of(out)
    assert [row[1:] for row in rows if row[0] == "good"][:3] == [
        ("d0", "bread", 1, 1.0),
        ("d1", "bread", -1, 0.5),
        ("d2", "bread", -1, 0.5),
    ]
    assert [row[1] for row in rows if row[0] == "loops"] == ["d0", "d1", "d3", "d4"]
    with Store(out) as store:
        assert {each.voter: each.complete for each in read_voters(store)}["dies"] is False
        failures = read_vote_failures(store)
    assert ("loops", "d2", "timeout", "loops took more than 0.3 seconds") in failures
    assert ("raises", "d0", "raised", r"KeyError: 'two\nlines'") in failures


def test_the_limit_is_of_one_function_on_one_document(tmp_path):
    """Not of two functions on the same document, nor of documents at the same place of two batches."""
    module = tmp_path / "lf.py"
    module.write_text(
        "import time\nfrom labelmill import labeling_function\n"
        "def works(document):\n"
        "    until = time.process_time() + 0.3\n"
        "    while time.process_time() < until: pass\n"
        "    return 'bread'\n"
        "one, two, three = (labeling_function(name=n)(lambda d: works(d)) for n in ('one', 'two', 'three'))\n"
    )
    docs = write_jsonl(tmp_path / "d.jsonl", [{"id": "a", "text": "flour"}])
    electorate = Electorate(functions=[module])
    done = apply_votes(Corpus([docs]), tmp_path / "v.duckdb", LABELS, electorate, limit_seconds=0.5, jobs=1)
    assert (dict(done.failed), done.votes.total()) == ({}, 3)


def test_what_was_said_before_a_function_died_twice_is_asked_again(tmp_path):
    """The second time elsewhere, as one does that depends on the weather: no document goes without a word."""
    module, count = tmp_path / "lf.py", tmp_path / "count"
    module.write_text(
        "import os\nfrom labelmill import labeling_function\n"
        "@labeling_function\n"
        "def moody(document):\n"
        f"    with open({str(count)!r}, 'a') as file: file.write('x')\n"
        f"    if os.path.getsize({str(count)!r}) in (5, 8): os._exit(1)\n"  # d4, and then d2
        "    return 'bread'\n"
    )
    rows = [{"id": f"d{number}", "text": "flour"} for number in range(6)]
    docs, out = write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "v.duckdb"
    done = apply_votes(Corpus([docs]), out, LABELS, Electorate(functions=[module]), jobs=1)
    assert dict(done.failed) == {("moody", "crashed"): 2}
    assert [row[1] for row in votes_of(out)] == ["d0", "d1", "d3", "d5"]


def test_no_process_is_left_behind(tmp_path, corpus):
    """Not even one that a function started and that hangs."""
    module, pid = tmp_path / "lf.py", tmp_path / "pid"
    module.write_text(
        "import subprocess\nfrom labelmill import labeling_function\n@labeling_function\ndef starts(document):\n"
        f"    p = subprocess.Popen(['sleep', '600']); open({str(pid)!r}, 'w').write(str(p.pid))\n"
    )
    apply_votes(corpus, tmp_path / "v.duckdb", LABELS, Electorate(functions=[module]), jobs=1)
    status = Path(f"/proc/{pid.read_text()}/stat")
    if status.exists():
        assert status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_catastrophic_expression_is_under_the_time_limit(tmp_path):
    """Backtracking cannot be interrupted from within: the process goes, and the other rules vote."""
    rules = tmp_path / "r.jsonl"
    write_jsonl(
        rules,
        [
            {"label": "bread", "regex": ["^(a+)+$"], "voter": "slow"},
            {"label": "soup", "words": ["broth"], "voter": "fast"},
        ],
    )
    docs = write_jsonl(tmp_path / "d.jsonl", [{"id": "x", "text": "a" * 40 + "! broth"}, {"id": "y", "text": "aaa"}])
    done = apply_votes(Corpus([docs]), tmp_path / "v.duckdb", LABELS, Electorate(rules=[rules]), limit_seconds=0.3)
    assert dict(done.failed) == {("slow", "timeout"): 1}
    assert dict(done.votes) == {"slow": 1, "fast": 1}
    told = "slow took more than 0.3 seconds, at the rule of 'bread' in line 1, ^(a+)+$"
    assert done.examples["slow", "timeout"] == ("x", told)


def test_modules_are_of_beside_the_functions_and_not_of_the_current_folder(tmp_path, corpus, monkeypatch):
    """A file there that is called as a module of Python's is data."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (here / "mmap.py").write_text("raise SystemExit('this was only data')")
    (here / "selectors.py").write_text("raise SystemExit('this was only data')")
    (there / "words.py").write_text("FLOUR = 'flour'")
    (there / "lf.py").write_text(
        "from words import FLOUR\nfrom labelmill import labeling_function\n"
        "@labeling_function\ndef of_flour(d): return 'bread' if FLOUR in d.text else 'soup'\n"
        "@labeling_function\ndef half(d): return '\\ud800' if FLOUR in d.text else 'soup'\n"
    )
    monkeypatch.chdir(here)
    electorate = Electorate(functions=[there / "lf.py"])
    done = apply_votes(corpus, tmp_path / "v.duckdb", LABELS, electorate, jobs=1)
    assert (dict(done.failed), dict(done.votes)) == ({("half", "raised"): 2}, {"of_flour": 5, "half": 3})


def test_names_and_neighbours_vote(tmp_path, corpus):
    """The nearest have the labels of their gold; a document's own is left out, and what is no label is told."""
    out = tmp_path / "v.duckdb"
    gold = write_jsonl(
        tmp_path / "gold.jsonl",
        [
            {"id": "d0", "text": "flour", "labels": ["soup"]},
            {"id": "g", "text": "flour", "labels": ["bread", "nowhere"]},
        ],
    )
    done = apply_votes(corpus, out, LABELS, Electorate(aliases=True, neighbours=[gold], embedder=HashedGrams()), jobs=1)
    assert done.votes["aliases"] == 0
    assert dict(done.failed) == {("neighbours", "outside-taxonomy"): 1}
    assert "'nowhere'" in done.examples["neighbours", "outside-taxonomy"][1]
    rows = [row for row in votes_of(out) if row[1] == "d0"]
    assert [row[:4] for row in rows] == [("neighbours", "d0", "bread", 1)]


def test_who_votes_again_is_replaced(tmp_path, corpus):
    """The same command twice gives the same votes."""
    rules, out = tmp_path / "r.jsonl", tmp_path / "v.duckdb"
    write_jsonl(rules, [{"label": "bread", "words": ["flour"]}])
    for _ in range(2):
        apply_votes(corpus, out, LABELS, Electorate(rules=[rules]), jobs=1)
        assert len(votes_of(out)) == 2


def test_an_interruption_does_not_wait_for_functions(tmp_path):
    """The batch that is voted on would take an hour; its process goes, and nothing begins it anew."""
    module, pids = tmp_path / "lf.py", tmp_path / "pids"
    module.write_text(
        "import os, time\nfrom labelmill import labeling_function\n"
        "@labeling_function\n"
        "def sleeps(document):\n"
        "    if document.text == 'slow':\n"
        f"        with open({str(pids)!r}, 'a') as file: file.write(f'{{os.getpid()}} ')\n"
        "        time.sleep(600)\n"
        "    return 'bread'\n"
    )
    rows = [{"id": f"d{number}", "text": "slow" if number >= 256 else "flour"} for number in range(600)]
    corpus = Corpus([write_jsonl(tmp_path / "d.jsonl", rows)])

    def interrupts(_progress):
        deadline = time.monotonic() + 60
        while not pids.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        raise KeyboardInterrupt

    began = time.monotonic()
    electorate = Electorate(functions=[module])
    with pytest.raises(KeyboardInterrupt):
        apply_votes(corpus, tmp_path / "v.duckdb", LABELS, electorate, limit_seconds=300, on_progress=interrupts)
    assert time.monotonic() - began < 120
    started = [Path(f"/proc/{pid}") for pid in pids.read_text().split()]
    assert started
    assert not any(each.exists() for each in started)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("ThreadPoolExecutor")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processes that their parent died")
def test_a_killed_command_leaves_no_process_behind(tmp_path, corpus):
    """Though the function hangs in what listens to nothing."""
    module, pid = tmp_path / "lf.py", tmp_path / "pid"
    module.write_text(
        "import os, re\nfrom labelmill import labeling_function\n@labeling_function\ndef hangs(d):\n"
        f"    open({str(pid)!r}, 'w').write(str(os.getpid()))\n    re.search('^(a+)+$', 'a' * 60 + '!')\n"
    )
    labels = tmp_path / "labels.txt"
    labels.write_text("bread\n")
    command = ["votes", "apply", corpus.paths[0], "-t", labels, "--functions", module, "--seconds", "300"]
    command = [sys.executable, "-m", "labelmill", *map(str, command), "--jobs", "1", "-o", str(tmp_path / "v.duckdb")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        worker = Path(f"/proc/{pid.read_text()}")
        assert worker.exists()
        process.kill()
    deadline = time.monotonic() + 10
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.exists()


def test_a_module_that_does_not_come_to_its_end_is_told(tmp_path, corpus, monkeypatch):
    """Within the time that loading may take, and before anything changes."""
    monkeypatch.setattr(pool, "_LOADING_SECONDS", 1.0)
    module, pid = tmp_path / "lf.py", tmp_path / "pid"
    module.write_text(f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n")
    with pytest.raises(InputError, match=r"lf\.py: the module is not loaded after 1 seconds"):
        apply_votes(corpus, tmp_path / "v.duckdb", LABELS, Electorate(functions=[module]), limit_seconds=0.1)
    assert not Path(f"/proc/{pid.read_text()}").exists()
    module.write_text("import os\nos._exit(1)\n")
    with pytest.raises(InputError, match=r"lf\.py: the module ends Python when it is loaded"):
        apply_votes(corpus, tmp_path / "v.duckdb", LABELS, Electorate(functions=[module]))


def test_of_a_long_document_stretches_are_compared(tmp_path):
    """From its beginning to its end, 32 of them: five million characters took minutes."""

    class Counting(HashedGrams):
        seen = 0

        def embed(self, texts):
            self.seen += sum(map(len, texts))
            return super().embed(texts)

    gold = write_jsonl(tmp_path / "gold.jsonl", [{"id": "g", "text": "flour", "labels": ["bread"]}])
    rows = [{"id": "long", "text": "water and salt. " * 20_000 + "flour"}, {"id": "short", "text": "flour"}]
    corpus = Corpus([write_jsonl(tmp_path / "d.jsonl", rows)])
    embedder = Counting()
    done = apply_votes(corpus, tmp_path / "v.duckdb", LABELS, Electorate(neighbours=[gold], embedder=embedder))
    assert done.documents == 2
    assert embedder.seen < 33 * 1200


def test_nobody_to_vote_is_an_error(tmp_path, corpus):
    """And so are two voters of one name."""
    with pytest.raises(InputError, match="nobody is to vote"):
        apply_votes(corpus, tmp_path / "v.duckdb", LABELS, Electorate())
    rules = [tmp_path / "r.jsonl", tmp_path / "s.jsonl"]
    for each in rules:
        write_jsonl(each, [{"label": "bread", "words": ["flour"], "voter": "same"}])
    with pytest.raises(InputError, match="two voters are called 'same'"):
        apply_votes(corpus, tmp_path / "v.duckdb", LABELS, Electorate(rules=rules))
