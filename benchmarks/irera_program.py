"""IReRa's program logic (arXiv 2401.12178), written anew after its repository, KarelDO/xmc.dspy, to compare with.

Each part names the file of theirs that it follows. The optimiser is left out, and with it demonstrations: this is the
program before it is compiled. In two things it is not theirs, and neither changes a figure but by chance: queries keep
the order of the answer, where theirs are a set, and a name that Rank repeats counts once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labelmill.models.client import ChatModel
from labelmill.retrievers.base import Embedder, best_labels

# src/programs/config.py
CONTEXT_WINDOW = 3000
WINDOW_OVERLAP = 0.02
RANK_TOPK = 50

# The models' settings in results_precompiled/*/program_state.json, and what DSPy gave a missing field at the time.
MAX_TOKENS = 150
MAX_TOKENS_AGAIN = 75
STOP = "\n\n"

REASONING = "Reasoning: Let's think step by step in order to"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a stage tells the model: src/programs/signatures.py.

    Attributes:
        instructions: The task.
        output: The prefix of the answer.
        fields: Prefix and description of each input.
    """

    instructions: str
    output: str
    fields: Mapping[str, str]


INFER_ESCO = Signature(
    "Given a snippet from a job vacancy, identify all the ESCO job skills mentioned. Always return skills.",
    "Skills:",
    {"Vacancy:": "${text}"},
)
RANK_ESCO = Signature(
    "Given a snippet from a job vacancy, pick the 10 most applicable skills from the options that are directly "
    "expressed in the snippet.",
    "Skills:",
    {"Vacancy:": "${text}", "Options:": "List of comma-separated options to choose from"},
)
_ANSWERED = "list of comma-separated ESCO skills"


def first_chunk(text: str) -> str:
    """Cut what the model and the retriever see: the first chunk of src/programs/chunking.py, the only one ever read."""
    end = int(CONTEXT_WINDOW * (1.0 + WINDOW_OVERLAP))
    snippet, rest = text[:end], text[end:]
    newline = snippet.rfind("\n")
    if rest and newline >= CONTEXT_WINDOW // 2:
        snippet = snippet[:newline]
    return snippet.strip()


def split_names(answer: str, *, split_colon: bool = False) -> list[str]:
    """Split an answer at its commas: src/utils.py, without lowering, with punctuation.

    Args:
        answer: What the model wrote.
        split_colon: Take what stands between the first colon and the next, where there is one.
    """
    if split_colon and ":" in answer:
        answer = answer.split(":")[1]
    return [name.strip() for name in answer.strip().split(",")]


class NameRetriever:
    """Dense retrieval over names, and the prior: src/programs/retriever.py and infer_retrieve.py.

    Theirs makes a dictionary for each query and label; here it is one product, which is faster.

    Args:
        names: Of the labels; equal ones are one term, as theirs are.
        embedder: Of names and queries.
        priors: By name; 0 where there is none.
        strength: ``prior_A``: 0 in all their runs on ESCO, 1000 on BioDEX.
    """

    def __init__(
        self, names: Iterable[str], embedder: Embedder, priors: Mapping[str, float] | None = None, strength: float = 0.0
    ) -> None:
        """Embed the names."""
        self.terms = list(dict.fromkeys(names))
        self._embedder = embedder
        self._vectors = embedder.embed(self.terms)
        known = priors or {}
        self._weights = np.array(
            [math.log(strength * known.get(term, 0.0) + math.e) for term in self.terms], dtype=np.float32
        )

    def retrieve(self, queries: Sequence[str], k: int) -> list[str]:
        """Find the `k` best names: the maximum over the queries, times log(A · prior + e)."""
        scores = (self._embedder.embed(list(queries)) @ self._vectors.T).max(axis=0)
        return [self.terms[place] for place in best_labels(scores * self._weights, k)]


class InferRetrieveRank:
    """The whole program: src/programs/infer_retrieve_rank.py.

    Args:
        retriever: Over the taxonomy's names.
        model: Answers Infer and Rank; without one the text is its own query, and retrieval's order stands.
        infer: The wording of Infer.
        rank: The wording of Rank.
    """

    def __init__(
        self,
        retriever: NameRetriever,
        model: ChatModel | None = None,
        infer: Signature = INFER_ESCO,
        rank: Signature = RANK_ESCO,
    ) -> None:
        """Take the parts."""
        self._retriever = retriever
        self._model = model
        self._infer = infer
        self._rank = rank

    async def label(self, text: str) -> list[str]:
        """Rank names for a text, the best first, `RANK_TOPK` at most."""
        text = first_chunk(text)
        if self._model is None:
            return self._retriever.retrieve([text], RANK_TOPK)
        # src/programs/infer.py: each query once
        queries = dict.fromkeys(split_names(await self._ask(self._model, self._infer, text)))
        options = self._retriever.retrieve(list(queries), RANK_TOPK)
        # src/programs/rank.py: what is no option is dropped, and the options that were not named follow in their order
        answer = await self._ask(self._model, self._rank, text, ", ".join(options))
        named = [name for name in dict.fromkeys(split_names(answer, split_colon=True)) if name in options]
        return named + [option for option in options if option not in named]

    async def _ask(self, model: ChatModel, signature: Signature, *inputs: str) -> str:
        """Ask for a chain of thought and the names after it, as DSPy 2.1 does.

        An answer that ends before its names is continued once, from the prefix of the names on.
        """
        prompt = render(signature, inputs)
        thought, found, names = ("\n" + await _complete(model, prompt, MAX_TOKENS)).partition("\n" + signature.output)
        if found:
            return names
        return await _complete(model, f"{prompt} {thought.strip()}\n{signature.output}", MAX_TOKENS_AGAIN)


def render(signature: Signature, inputs: Sequence[str]) -> str:
    """Write a prompt as the templates of DSPy 2.1 do: the task, the form, and the question up to the reasoning."""
    form = [f"{prefix} {described}" for prefix, described in signature.fields.items()]
    form += [f"{REASONING} ${{produce the output}}. We ...", f"{signature.output} {_ANSWERED}"]
    asked = [f"{prefix} {given}" for prefix, given in zip(signature.fields, inputs, strict=True)]
    return "\n\n---\n\n".join(
        [
            signature.instructions,
            "Follow the following format.\n\n" + "\n".join(form),
            "\n".join([*asked, REASONING]),
        ]
    )


async def _complete(model: ChatModel, prompt: str, max_tokens: int) -> str:
    body = {
        "model": model.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "stop": [STOP],
    }
    return (await model.complete(json.dumps(body, ensure_ascii=False).encode())).content
