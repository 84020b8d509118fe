"""Whether a server's scores can stand for its chat completions: found out by samples, once for a prompt.

The chat template's text comes of tokenising a chat and turning the tokens back. Scoring is used only where it then
reads the same tokens, where yes and no are one token each, and where samples get the same probabilities both ways.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from labelmill.errors import ModelGone, ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.judging import complete_all, read_probabilities, word_share
from labelmill.models.scoring import MALFORMED, Chats, NoScores, Scoring
from labelmill.models.served import ServedModel

_YES = ("yes", "Yes", "YES", " yes", " Yes")
_NO = ("no", "No", "NO", " no", " No")

_SPELLING_SHARE = 0.001
"""Of the probability of yes: a spelling that has less on all samples is not asked for."""

_TOLERANCE = 0.15
"""How far scores and completions may be apart on the samples.

They read the same tokens, so they differ by rounding; but logits of 16 and more are an eighth apart in bfloat16.
"""

_TRIALS_IN_VAIN = 3
"""Documents in a row that told nothing, after which completions it is."""

_TRIALS: WeakKeyDictionary[ServedModel, dict[bytes, asyncio.Task[Scoring | None]]] = WeakKeyDictionary()


class _TellsNothing(Exception):  # noqa: N818 - what a document is, not an error's name
    """A document whose chat completions fail; another will show whether the server can score.

    Attributes:
        count: How many documents in a row have told nothing.
    """

    count = 1


async def find_scoring(
    model: ServedModel, bodies: Sequence[bytes], chats: Chats, *, turn: int = 0, group: str = ""
) -> Scoring | None:
    """Find out, once for a model and a prompt, how its candidates can be scored; None where they cannot.

    Raises:
        ModelGone: No server answers.
        ModelRefused: No request can be answered.
    """
    trials = _TRIALS.setdefault(model, {})
    known = trials.get(chats.key)
    own = known is None or (known.done() and (known.cancelled() or known.exception() is not None))
    if known is None or own:
        vain = 0 if known is None else _vain(known)
        if vain >= _TRIALS_IN_VAIN:
            return None
        known = trials[chats.key] = asyncio.create_task(_try(model, bodies, chats, turn, group, vain))
    try:
        return await asyncio.shield(known)  # others wait for it as well
    except _TellsNothing:
        return None  # this document goes the general way; the next one is another trial


def _vain(trial: asyncio.Task[Scoring | None]) -> int:
    """Count the trials in a row that told nothing, up to this one, which has ended."""
    error = None if trial.cancelled() else trial.exception()
    return error.count if isinstance(error, _TellsNothing) else 0


async def _try(
    model: ServedModel, bodies: Sequence[bytes], chats: Chats, turn: int, group: str, vain: int
) -> Scoring | None:
    """Learn the template and the words, and hold scores of some candidates against their chat completions."""
    try:
        return await _hold_against_completions(model, bodies, chats, turn, group)
    except (_TellsNothing, ModelUnavailable) as error:  # for this document alone, perhaps
        if isinstance(error, ModelGone):
            raise
        told = _TellsNothing()
        told.count = vain + 1
        raise told from error


async def _hold_against_completions(
    model: ServedModel, bodies: Sequence[bytes], chats: Chats, turn: int, group: str
) -> Scoring | None:
    places = sorted({0, len(bodies) // 2, len(bodies) - 1})
    try:
        scoring = await _learn(model, chats, places)
        if scoring is None:
            return None
        next_tokens, expected = await _complete(model, [bodies[place] for place in places], turn, group)
        scoring = replace(scoring, yes=_common_spellings(scoring.yes, next_tokens))
        samples = replace(chats, contents=[chats.contents[place] for place in places])
        found = await scoring.judge(model, samples, turn=turn, group=group)
    except (ModelRefused, ModelRejected, NoScores, *MALFORMED):
        return None  # what is wrong, if anything is, the chat completions will say
    apart = max(abs(one - other) for one, other in zip(found.probabilities, expected, strict=True))
    return scoring if apart <= _TOLERANCE else None


async def _complete(
    model: ServedModel, samples: Sequence[bytes], turn: int, group: str
) -> tuple[list[Mapping[str, float]], Sequence[float]]:
    """Give the samples' next tokens, and the probabilities that are read from them."""
    try:
        answers = await complete_all(model, samples, turn=turn, group=group)
        next_tokens = [answer.next_token or {} for answer in answers]
        expected, unanswered = read_probabilities(next_tokens)
    except ModelRejected as error:
        raise _TellsNothing from error
    if unanswered:
        raise _TellsNothing
    return next_tokens, expected


async def _learn(model: ServedModel, chats: Chats, places: Sequence[int]) -> Scoring | None:
    """Find the template's text and the tokens of the words; None where texts do not give the chat's tokens."""
    chat, context_tokens = await chats.tokenize(model, places[0])
    text = (await _ask(model, "/detokenize", tokens=chat))["prompt"]
    head, found, tail = text.rpartition(chats.contents[places[0]])
    scoring = Scoring(head, tail, {}, (), context_tokens)
    query, items = scoring.split(chats)
    begun = await _tokenize(model, query)
    for place in places:
        chat, _ = await chats.tokenize(model, place)
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


async def _tokenize(model: ServedModel, text: str) -> list[int]:
    return list((await _ask(model, "/tokenize", prompt=text, add_special_tokens=False))["tokens"])


async def _ask(model: ServedModel, path: str, **fields: Any) -> dict[str, Any]:
    return (await model.post(path, orjson.dumps({"model": model.model, **fields}))).value
