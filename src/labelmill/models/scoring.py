"""All candidates of a document in one request: vLLM's ``/generative_scoring``, given what a chat would read.

The endpoint takes text and no messages, so it is given the text that the chat template makes of them. How that is
found, and whether scores can be used at all, is in `labelmill.models.trial`.
"""

from __future__ import annotations

import math
import os.path
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from labelmill.errors import ModelRejected, ModelUnavailable
from labelmill.models.judging import TRIES, Verdict
from labelmill.models.served import Answer, ServedModel

MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading the answer of a server raises that has endpoints of these names and means something else by them."""

_SHAPING = {"messages", "chat_template", "chat_template_kwargs"}
"""Fields of a request that decide what the template makes of it."""

_TOKENS_PER_BYTE = 3
"""More than any tokenizer makes of a byte of text, normalisation included."""


class NoScores(ModelUnavailable):
    """A server that scores has answered what cannot be scores, several times in turn."""


@dataclass(frozen=True, slots=True)
class Chats:
    """The requests of one document, taken apart.

    Attributes:
        fixed: What all documents share: every field, and every message but the last.
        contents: The last message for each candidate.
        shared: How many characters of the contents all candidates share; what follows is each one's own.
    """

    fixed: dict[str, Any]
    contents: list[str]
    shared: int

    @classmethod
    def read(cls, bodies: Sequence[bytes]) -> Chats | None:
        """Take requests apart; None where they do not differ in the last message alone."""
        requests = [orjson.loads(body) for body in bodies]
        contents = [request["messages"].pop()["content"] for request in requests]
        if any(request != requests[0] for request in requests) or not all(isinstance(text, str) for text in contents):
            return None
        prefix = os.path.commonprefix([min(contents), max(contents)])  # noqa: RUF071 - of texts, not paths
        # Cut before the last line's first space: tokens begin with a space rather than end with one.
        line = prefix.rfind("\n") + 1
        space = prefix.find(" ", line)
        return cls(requests[0], contents, space if space >= 0 else line)

    @property
    def key(self) -> bytes:
        """Identify what is fixed."""
        return orjson.dumps(self.fixed)

    async def tokenize(self, model: ServedModel, place: int) -> tuple[list[int], int]:
        """Have the server tokenise a candidate's chat; also give how long one may be, with its answer."""
        request = {key: value for key, value in self.fixed.items() if key in _SHAPING} | {"model": model.model}
        request["messages"] = [*self.fixed["messages"], {"role": "user", "content": self.contents[place]}]
        answer = (await model.post("/tokenize", orjson.dumps(request))).value
        return list(answer["tokens"]), int(answer["max_model_len"])


@dataclass(frozen=True, slots=True)
class _Scores:
    """What one request brought: a share for each item, and what it cost."""

    shares: list[float]
    prompt_tokens: int
    completion_tokens: int
    attempts: int

    @classmethod
    def read(cls, answer: Answer) -> _Scores:
        entries = sorted(answer.value["data"], key=lambda entry: int(entry["index"]))
        usage = answer.value["usage"]
        return cls(
            [float(entry["score"]) for entry in entries],
            int(usage["prompt_tokens"]),
            int(usage.get("completion_tokens") or 0),
            answer.attempts,
        )

    def are_possible(self, items: int, words: int) -> bool:
        """Tell shares from what comes of log-probabilities of which some or all are minus infinity."""
        even = [words > 2 and math.isclose(share * words, 1, rel_tol=1e-9) for share in self.shares]
        return len(self.shares) == items and not any(even) and all(0 < share <= 1 for share in self.shares)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How to score the candidates of one prompt.

    Attributes:
        head: The template's text before the last message's content.
        tail: And behind it, up to where the answer begins.
        yes: Tokens of yes to ask for, one request each, by their spelling.
        words: All tokens of yes and no; a share is of these together.
        context_tokens: How long a prompt and its answer may be; the server cuts what is longer.
    """

    head: str
    tail: str
    yes: Mapping[str, int]
    words: tuple[int, ...]
    context_tokens: int

    async def judge(self, model: ServedModel, chats: Chats, *, turn: int = 0, group: str = "") -> Verdict:
        """Judge the candidates of one document; see `labelmill.models.judging.judge`."""
        start = time.perf_counter()
        found = [await self._score(model, chats, token, turn, group) for token in self.yes.values()]
        return Verdict(
            tuple(min(math.fsum(shares), 1.0) for shares in zip(*(scores[-1].shares for scores in found), strict=True)),
            prompt_tokens=sum(each.prompt_tokens for scores in found for each in scores),
            completion_tokens=sum(each.completion_tokens for scores in found for each in scores),
            seconds=time.perf_counter() - start,
            attempts=sum(each.attempts for scores in found for each in scores),
        )

    def split(self, chats: Chats) -> tuple[str, list[str]]:
        """Give the text that the candidates share, and each candidate's own."""
        query = self.head + chats.contents[0][: chats.shared]
        return query, [content[chats.shared :] + self.tail for content in chats.contents]

    async def _score(self, model: ServedModel, chats: Chats, token: int, turn: int, group: str) -> list[_Scores]:
        """Ask for one token's share among all words, until the shares are possible ones; the last are."""
        query, items = self.split(chats)
        request = {
            "model": model.model,
            "query": query,
            "items": items,
            "label_token_ids": [token, *(word for word in self.words if word != token)],
            "add_special_tokens": False,  # the template has them
        }
        answers: list[_Scores] = []
        for _ in range(TRIES):
            answer = await model.post(
                "/generative_scoring", orjson.dumps(request), turn=turn, group=group, weight=len(items)
            )
            try:
                answers.append(_Scores.read(answer))
            except MALFORMED as error:
                raise NoScores("/generative_scoring did not answer scores. Check what serves the model.") from error
            await self._see_that_it_fits(model, chats, items, answers[-1])
            if answers[-1].are_possible(len(items), len(self.words)):
                return answers
        raise NoScores(f"{model.model} gives impossible scores, {TRIES} times in turn. Check what serves the model.")

    async def _see_that_it_fits(self, model: ServedModel, chats: Chats, items: Sequence[str], scores: _Scores) -> None:
        """Raise for a document that is too long: the server cuts it without a word, and with it the candidates.

        A cut prompt has the full length, and every other at least that without the cut one's item. So where the
        average leaves room for the longest item, none was cut; otherwise they are counted.
        """
        room = _TOKENS_PER_BYTE * max(len(item.encode()) for item in items)
        if scores.prompt_tokens / len(items) + room < self.context_tokens:
            return
        longest = max([len((await chats.tokenize(model, place))[0]) for place in range(len(items))])
        if longest >= self.context_tokens:
            raise ModelRejected(
                f"{longest} tokens are too many for {model.model}, which reads {self.context_tokens - 1}. "
                "Make pieces smaller (chunk_characters), or serve it with a longer --max-model-len"
            )
