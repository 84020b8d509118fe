"""The benchmark against IReRa: its logic holds on cases worked out by hand, and both programs run side by side."""

from __future__ import annotations

import asyncio
import importlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from labelmill import Document, Label, Taxonomy
from labelmill.eval import Gold
from labelmill.models.client import Completion
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.spec import make_spec
from toy_embedder import HashedGrams

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def program(load) -> ModuleType:
    return load("irera_program")


class Angles:
    """Texts as angles on a circle: what is near can be read off."""

    name = fingerprint = "angles"
    degrees: ClassVar = {"bread": 0, "cake": 20, "clock": 90, "watch": 120, "boat": 180, "pastry": 12, "time": 100}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        radians = np.radians([self.degrees[text] for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


NAMES = ["bread", "cake", "clock", "watch", "boat"]


class Recited:
    """A model that gives its answers one after the other."""

    model = identity = "recited"

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.requests: list[dict] = []

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        self.requests.append(json.loads(body))
        return Completion(self.answers[len(self.requests) - 1], 7, 0, 3)


def test_a_label_scores_its_nearest_query(program: ModuleType) -> None:
    """Of pastry (12 degrees) and time (100): cake is 8 away, clock 10, bread 12, watch 20, boat 80."""
    retriever = program.NameRetriever(NAMES, Angles())
    assert retriever.retrieve(["pastry", "time"], 5) == ["cake", "clock", "bread", "watch", "boat"]
    assert retriever.retrieve(["pastry", "time"], 2) == ["cake", "clock"]


def test_a_prior_multiplies_by_the_logarithm(program: ModuleType) -> None:
    """Watch's cosine of 20 degrees passes cake's of 8 where log(A·prior + e) is more than their ratio, 1.0538."""
    needed = math.exp(math.cos(math.radians(8)) / math.cos(math.radians(20))) - math.e
    for share, first in ((0.98, "cake"), (1.02, "watch")):
        retriever = program.NameRetriever(NAMES, Angles(), {"watch": share * needed / 1000}, strength=1000)
        assert retriever.retrieve(["pastry", "time"], 1) == [first]


def test_rank_reorders_options_and_the_rest_follows(program: ModuleType) -> None:
    """Names that are no options are dropped; options that Rank leaves out keep retrieval's order behind."""
    model = Recited("we look.\nSkills: pastry, time, pastry", "we pick.\nSkills: watch, Cake, sundial, bread")
    irera = program.InferRetrieveRank(program.NameRetriever(NAMES, Angles()), model)
    assert asyncio.run(irera.label("You bake.")) == ["watch", "bread", "cake", "clock", "boat"]
    infer, rank = (request["messages"][0]["content"] for request in model.requests)
    assert infer.endswith("---\n\nVacancy: You bake.\nReasoning: Let's think step by step in order to")
    assert "\nVacancy: You bake.\nOptions: cake, clock, bread, watch, boat\nReasoning:" in rank


def test_an_answer_without_names_is_continued_once(program: ModuleType) -> None:
    """The second request ends with the prefix of the names, and is for half as many tokens."""
    model = Recited("we wonder.", " time", "we pick.\nSkills: clock")
    irera = program.InferRetrieveRank(program.NameRetriever(NAMES, Angles()), model)
    assert asyncio.run(irera.label("You repair."))[:2] == ["clock", "watch"]
    again = model.requests[1]
    assert again["messages"][0]["content"].endswith("step by step in order to we wonder.\nSkills:")
    assert again["max_tokens"] == 75


def test_without_a_model_the_text_is_the_query(program: ModuleType) -> None:
    """What retrieval finds for the text is the answer."""
    irera = program.InferRetrieveRank(program.NameRetriever(NAMES, Angles()))
    assert asyncio.run(irera.label(" pastry\n")) == ["cake", "bread", "clock", "watch", "boat"]


def test_the_first_chunk_ends_at_a_late_newline(program: ModuleType) -> None:
    """3,060 characters at most, cut at the last newline unless that lies in the first 1,500."""
    assert program.first_chunk("a" * 5000) == "a" * 3060
    assert program.first_chunk("a" * 2000 + "\n" + "b" * 3000) == "a" * 2000
    assert program.first_chunk("a" * 1000 + "\n" + "b" * 3000) == "a" * 1000 + "\n" + "b" * 2059
    assert program.first_chunk(" short\nenough ") == "short\nenough"


def test_names_are_split_at_commas(program: ModuleType) -> None:
    """As theirs: case and marks stay, and with a colon only what follows the first of them counts."""
    assert program.split_names("\nC++,  Team work. ,x\n") == ["C++", "Team work.", "x"]
    assert program.split_names("Skills: bake, cook: well", split_colon=True) == ["bake", "cook"]
    assert program.split_names("") == [""]


@pytest.mark.parametrize(("rank", "calls"), [("fusion", 1), ("listwise", 2)])
def test_both_programs_are_measured_side_by_side(load, cache: Path, rank: str, calls: int) -> None:
    """Each document goes through both once; what a warm-up asked does not count."""
    irera, words = load("irera"), load("word_model")
    names = ["bake bread", "bake cakes", "repair clocks", "repair watches", "build boats", "serve guests"]
    taxonomy = Taxonomy([Label(str(number), name) for number, name in enumerate(names)])
    documents = [Document(f"d{number}", f"You {names[number % 6]} every day.") for number in range(20)]
    gold = Gold.from_lists([[number % 6] for number in range(20)])
    model = [words.Counted(words.WordModel()) for _ in range(2)]
    spec = make_spec(infer="both", rank=rank, model="words", embedders=("toy",), candidates=6, listed=6)
    retriever = load("irera_program").NameRetriever(names, HashedGrams())
    contenders = {
        irera.REFERENCE: irera.reference(retriever, taxonomy, model[0]),
        irera.OURS: irera.ours(assemble(spec, taxonomy, embedders=[HashedGrams()]), model[1], 4),
    }

    asyncio.run(irera.race(contenders, documents))
    found = irera.measure(contenders, gold, len(taxonomy))

    theirs, own = found["programs"][irera.REFERENCE], found["programs"][irera.OURS]
    assert theirs["calls_per_document"] == 2
    # The twenty documents have six texts: ours asks no question twice, theirs does.
    assert own["calls_per_document"] == calls * 6 / 20
    assert all(sorted(row) == list(range(6)) for each in contenders.values() for row in each.rankings)
    assert theirs["metrics"]["r@50"]["value"] == own["metrics"]["r@50"]["value"] == 1
    assert found["difference"]["r@50"]["difference"] == 0
    assert theirs["ratio"] == 1


def test_the_word_model_answers_both_programs_alike(load) -> None:
    """The same text gets the same phrases, whichever program asks, so that what differs is the programs."""
    words, program = load("word_model"), load("irera_program")
    asked = program.render(program.INFER_ESCO, ["Repair old clocks, and bake bread"])
    theirs = {"messages": [{"role": "user", "content": asked}]}
    question = "[[ ## text ## ]]\nRepair old clocks, and bake bread\n\nRespond with a JSON object in the form"
    own = {"messages": [{"role": "user", "content": question}], "response_format": {}}
    answers = [asyncio.run(words.WordModel().complete(json.dumps(each).encode())) for each in (theirs, own)]
    assert json.loads(answers[1].content) == {"phrases": ["Repair", "clocks", "bake bread"]}
    assert answers[0].content.endswith("\nSkills: Repair, clocks, bake bread")
    assert answers[0].prompt_tokens == words.count_tokens(asked)
