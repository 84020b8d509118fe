"""The process in which a user's functions and expressions run: it may be killed at any moment, and loses nothing.

It reads lines of JSON from standard input and answers each with one on what was standard output; what the user's code
prints goes to standard error. Before each document it writes the document's place into a file that the parent maps, and
before each rule which one it is, so that the parent knows where it stands when it does not come back.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from labelmill.pipelines.voting.functions import load_functions, read_answer
from labelmill.pipelines.voting.orphans import end_with_parent
from labelmill.pipelines.voting.rules import RuleVoter, read_rules
from labelmill.records import Document

_NUMBER = 8
"""Bytes of a document's place; what is at work follows, where it is a rule."""

Vote = Callable[[Document], Any]


def main() -> None:
    """Serve requests until standard input ends."""
    end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with Path(sys.argv[1]).open("r+b") as file, mmap.mmap(file.fileno(), 0) as place:
        voters: dict[str, Vote] = {}
        for line in sys.stdin.buffer:
            request = orjson.loads(line)
            if "sources" in request:
                voters = load(request["sources"], place)
                answer: Any = list(voters)
            else:
                answer = _vote(voters[request["voter"]], request["documents"], request["start"], place)
            answers.write(orjson.dumps(answer) + b"\n")
            answers.flush()


def load(sources: Sequence[Mapping[str, str]], place: mmap.mmap) -> dict[str, Vote]:
    """Load voters from modules and files of rules, by name; raises as their readers do."""
    found: dict[str, Vote] = {}
    for source in sources:
        if source["kind"] == "function":
            found |= load_functions(source["path"])
        else:
            for name, rules in read_rules(source["path"]).items():
                found[name] = _of_rules(RuleVoter.of(name, rules), place)
    return found


def _of_rules(voter: RuleVoter, place: mmap.mmap) -> Vote:
    room = len(place) - _NUMBER - 1
    told = [str(rule).encode("utf-8", "replace")[:room].ljust(room, b"\0") for _, rule in voter.rules]

    def at(number: int) -> None:
        place[_NUMBER:-1] = told[number]

    return lambda document: voter.vote(document.text, at)


def _vote(vote: Vote, documents: Sequence[tuple[str, str]], start: int, place: mmap.mmap) -> Any:
    """Have a voter vote on documents from one place on: votes and failures, each with the document's place."""
    votes: list[tuple[int, str, float]] = []
    failures: list[tuple[int, str, str]] = []
    for number in range(start, len(documents)):
        place[:_NUMBER] = struct.pack("<q", number)
        name, text = documents[number]
        try:
            said = read_answer(vote(Document(name, text)))
        except ValueError as reason:
            failures.append((number, "raised", _told(reason)))
        except Exception as reason:  # noqa: BLE001 - whatever the user's code raises
            failures.append((number, "raised", _told(reason)))
        else:
            votes += [(number, each.label, each.worth) for each in said]
    return [votes, failures]


def _told(reason: BaseException) -> str:
    text = " ".join(f"{type(reason).__name__}: {reason}".split())
    return text.encode("utf-8", "replace").decode()[:300]


if __name__ == "__main__":
    main()
