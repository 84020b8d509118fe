"""All candidates of a document in one request: vLLM's ``/generative_scoring``, where it reads what a chat would.

The endpoint takes text and no messages, so the chat template's text is found once for a prompt: by tokenising a chat
and turning the tokens back. It is used only where samples show that it reads the same tokens and gives the same
probabilities as chat completions do.
"""

from __future__ import annotations

import asyncio
import math
import os.path
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from labelmill.errors import ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.judging import (
    TRIES,
    Verdict,
    complete_all,
    judge_by_completions,
    read_probabilities,
    word_share,
)
from labelmill.models.served import Answer, ServedModel

_YES = ("yes", "Yes", "YES", " yes", " Yes")
_NO = ("no", "No", "NO", " no", " No")
_TOLERANCE = 0.15
"""How far scoring and completions may be apart on the samples.

They read the same tokens, so they differ by rounding; but logits of 16 and more are an eighth apart in bfloat16.
"""

_SPELLING_SHARE = 0.01
"""Of the probability of yes: a spelling that has less on all samples is not asked for."""

_SHAPING = {"messages", "chat_template", "chat_template_kwargs"}
"""Fields of a request that decide what the template makes of it."""

_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading the answer of a server raises that has endpoints of these names and means something else by them."""

_TOKENS_PER_BYTE = 3
"""More than any tokenizer makes of a byte of text, normalisation included."""


@dataclass(frozen=True, slots=True)
class _Chats:
    """The requests of one document, taken apart.

    Attributes:
        fixed: What all documents share: every message but the last, and what else shapes the template.
        contents: The last message of each candidate.
        shared: How many characters of the contents are the query; what follows is the item.
    """

    fixed: dict[str, Any]
    contents: list[str]
    shared: int

    @classmethod
    def read(cls, bodies: Sequence[bytes]) -> _Chats | None:
        """Take requests apart; None where they do not differ in the last message alone."""
        requests = [orjson.loads(body) for body in bodies]
        contents = [request["messages"].pop()["content"] for request in requests]
        if any(request != requests[0] for request in requests) or not all(isinstance(c, str) for c in contents):
            return None
        prefix = os.path.commonprefix([min(contents), max(contents)])  # noqa: RUF071 - of texts, not paths
        # Before the last line's first space: tokens begin with a space rather than end with one.
        line = prefix.rfind("\n") + 1
        space = prefix.find(" ", line)
        return cls(requests[0], contents, space if space >= 0 else line)

    @property
    def key(self) -> bytes:
        """Identify what is fixed."""
        return orjson.dumps(self.fixed)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How to score the candidates of one prompt at one server.

    Attributes:
        model: The server.
        head: The template's text before the last message's content.
        tail: And behind it, up to where the answer begins.
        yes: Tokens of yes to ask for by their spelling, one request each.
        words: All tokens of yes and no; each probability is one of these alone.
        context_tokens: The longest prompt that the server does not cut, and the answer's token.
    """

    model: ServedModel
    head: str
    tail: str
    yes: Mapping[str, int]
    words: tuple[int, ...]
    context_tokens: int

    async def judge(self, bodies: Sequence[bytes], *, turn: int = 0, group: str = "") -> Verdict:
        """Judge the candidates of one document; see `labelmill.models.judging.judge`."""
        start = time.perf_counter()
        chats = _Chats.read(bodies)
        if chats is None:
            return await judge_by_completions(self.model, bodies, turn=turn, group=group)
        query, items = self.split(chats)
        scores, answers = [0.0] * len(items), []
        for token in self.yes.values():
            found, sent = await self._score(query, items, token, turn, group)
            scores = [score + more for score, more in zip(scores, found, strict=True)]
            answers += sent
        await self._see_that_it_fits(chats, items, answers[0])
        return Verdict(
            tuple(min(score, 1.0) for score in scores),
            prompt_tokens=sum(answer.value["usage"]["prompt_tokens"] for answer in answers),
            completion_tokens=sum(answer.value["usage"].get("completion_tokens") or 0 for answer in answers),
            seconds=time.perf_counter() - start,
            attempts=sum(answer.attempts for answer in answers),
        )

    def split(self, chats: _Chats) -> tuple[str, list[str]]:
        """Give the text that the candidates share, and each candidate's own."""
        query = self.head + chats.contents[0][: chats.shared]
        return query, [content[chats.shared :] + self.tail for content in chats.contents]

    async def _score(
        self, query: str, items: list[str], token: int, turn: int, group: str
    ) -> tuple[list[float], list[Answer]]:
        """Ask for one token's share among all words, until the shares are possible ones."""
        body = {
            "model": self.model.model,
            "query": query,
            "items": items,
            "label_token_ids": [token, *(word for word in self.words if word != token)],
            "add_special_tokens": False,  # the template has them
        }
        answers: list[Answer] = []
        for _ in range(TRIES):
            answer = await self.model.post("/generative_scoring", orjson.dumps(body), turn=turn, group=group)
            answers.append(answer)
            scores = _read_scores(answer.value, len(items))
            if all(_is_possible(score, len(self.words)) for score in scores):
                return scores, answers
        raise ModelUnavailable(f"{self.model.model} gives impossible scores, {TRIES} times in turn.")

    async def _see_that_it_fits(self, chats: _Chats, items: Sequence[str], answer: Answer) -> None:
        """Raise for a document that is too long: the server cuts it without a word, and with it the candidates.

        A cut prompt has the server's full length, and the others at least as much without the item. So where the
        average leaves room for the longest item, none was cut; otherwise the longest is counted.
        """
        longest = max(range(len(items)), key=lambda place: len(items[place].encode()))
        room = _TOKENS_PER_BYTE * len(items[longest].encode())
        if answer.value["usage"]["prompt_tokens"] / len(items) + room < self.context_tokens:
            return
        counts = [len((await _tokenize_chat(self.model, chats, place))[0]) for place in range(len(items))]
        if max(counts) >= self.context_tokens:
            raise ModelRejected(
                f"{max(counts)} tokens are too many for {self.model.model}, which takes {self.context_tokens - 1}. "
                "Set --chunk-characters lower, or serve it with a longer --max-model-len"
            )


_FOUND: WeakKeyDictionary[ServedModel, dict[bytes, asyncio.Task[Scoring | None]]] = WeakKeyDictionary()


async def find_scoring(
    model: ServedModel, bodies: Sequence[bytes], *, turn: int = 0, group: str = ""
) -> Scoring | None:
    """Find out, once for a model and a prompt, whether its candidates can be scored; None where they cannot.

    Raises:
        ModelUnavailable: The server does not answer.
        ModelRejected: The document is too long.
    """
    chats = _Chats.read(bodies)
    if chats is None:
        return None
    found = _FOUND.setdefault(model, {})
    task = found.get(chats.key)
    if task is None or (task.done() and (task.cancelled() or task.exception())):
        task = found[chats.key] = asyncio.create_task(_probe(model, bodies, chats, turn, group))
    return await asyncio.shield(task)  # others wait for it as well


async def _probe(model: ServedModel, bodies: Sequence[bytes], chats: _Chats, turn: int, group: str) -> Scoring | None:
    """Learn the template and the words, and hold scores of some candidates against their chat completions."""
    places = sorted({0, len(bodies) // 2, len(bodies) - 1})
    samples = [bodies[place] for place in places]
    try:
        scoring = await _learn(model, chats, places)
        if scoring is None:
            return None
        completions = await complete_all(model, samples, turn=turn, group=group)
        next_tokens = [completion.next_token or {} for completion in completions]
        expected, _ = read_probabilities(next_tokens)
        scoring = replace(scoring, yes=_common_spellings(scoring.yes, next_tokens))
        found = await scoring.judge(samples, turn=turn, group=group)
    except (ModelRefused, ModelRejected, *_MALFORMED):
        return None  # what is wrong, if anything is, the chat completions will say
    apart = max(abs(one - other) for one, other in zip(found.probabilities, expected, strict=True))
    return scoring if apart <= _TOLERANCE else None


async def _learn(model: ServedModel, chats: _Chats, places: Sequence[int]) -> Scoring | None:
    """Find the template's text and the tokens of the words; None where texts do not give the chat's tokens."""
    chat, context_tokens = await _tokenize_chat(model, chats, places[0])
    text = (await _ask(model, "/detokenize", tokens=chat))["prompt"]
    content = chats.contents[places[0]]
    head, found, tail = text.rpartition(content)
    scoring = Scoring(model, head, tail, {}, (), context_tokens)
    query, items = scoring.split(chats)
    begun = await _tokenize(model, query)
    for place in places:
        chat, _ = await _tokenize_chat(model, chats, place)
        if not found or begun + await _tokenize(model, items[place]) != chat:
            return None
    yes, no = [await _spellings(model, items[0], words) for words in (_YES, _NO)]
    return replace(scoring, yes=yes, words=tuple({**yes, **no}.values())) if yes and no else None


async def _spellings(model: ServedModel, text: str, words: Sequence[str]) -> dict[str, int]:
    """Find those spellings of a word that are one token each, where an answer begins."""
    before = await _tokenize(model, text)
    behind = {word: await _tokenize(model, text + word) for word in words}
    return {word: tokens[-1] for word, tokens in behind.items() if tokens[:-1] == before}


def _common_spellings(yes: Mapping[str, int], next_tokens: Sequence[Mapping[str, float]]) -> dict[str, int]:
    """Leave out spellings of yes that the model hardly uses: each one costs a request."""
    shares = {
        word: max(math.exp(tokens[word]) / word_share(tokens, "yes") if word in tokens else 0 for tokens in next_tokens)
        for word in yes
    }
    return {word: yes[word] for word in yes if shares[word] >= min(_SPELLING_SHARE, max(shares.values()))}


async def _tokenize_chat(model: ServedModel, chats: _Chats, place: int) -> tuple[list[int], int]:
    """Count a candidate's chat as the server would read it; also give the longest that it reads."""
    fixed = {key: value for key, value in chats.fixed.items() if key in _SHAPING}
    messages = [*chats.fixed["messages"], {"role": "user", "content": chats.contents[place]}]
    answer = await _ask(model, "/tokenize", **fixed | {"messages": messages})
    return list(answer["tokens"]), int(answer["max_model_len"])


async def _tokenize(model: ServedModel, text: str) -> list[int]:
    return list((await _ask(model, "/tokenize", prompt=text, add_special_tokens=False))["tokens"])


async def _ask(model: ServedModel, path: str, **fields: Any) -> dict[str, Any]:
    return (await model.post(path, orjson.dumps({"model": model.model, **fields}))).value


def _read_scores(answer: Mapping[str, Any], items: int) -> list[float]:
    scores = [float(entry["score"]) for entry in sorted(answer["data"], key=lambda entry: int(entry["index"]))]
    if len(scores) != items:
        raise ValueError(f"{len(scores)} scores for {items} items")
    return scores


def _is_possible(score: float, words: int) -> bool:
    """Tell a share from what comes of log-probabilities that are all, or all but one, minus infinity."""
    uniform = words > 2 and math.isclose(score * words, 1, rel_tol=1e-9)
    return 0 < score <= 1 and not uniform
