"""A small server of vLLM's kind for yes and no: chat with log-probabilities, scoring, tokenising; it reads tokens only.

What it answers follows from the text of the tokens that it was given, so that a request that reads other tokens gets
another answer. Its tokens are words with the blank before them, and the marks of its chat template.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

from loopback import LoopbackServer

_PIECE = re.compile(r"<\|\w+\|>| ?\w+| ?[^\s\w]+|\s")
_QUESTION = re.compile(r"Text:\n(.*)\n\nCandidate: (.*)\n[^\n]*<\|im_end\|>\n<\|im_start\|>assistant\n\Z", re.DOTALL)
DAMAGED = -9999.0


def mentioned(text: str, candidate: str) -> dict[str, float]:
    """Say yes by the share of the candidate's words that the text has, in two spellings; the rest is no."""
    words = candidate.split()
    yes = (1 + sum(word in text for word in words)) / (3 + len(words))
    return {"yes": 0.6 * yes, "Yes": 0.3 * yes, "no": 0.9 * (1 - yes), "The": 0.1}


class WordServer(LoopbackServer):
    """Serves the model ``toy``.

    Attributes:
        rule: Probabilities of the next token, by token, from the document and the candidate.
        context_tokens: The longest prompt and answer; scoring cuts what is longer, chat rejects it.
        scores: Whether there is ``/generative_scoring``.
        tokenizes: Whether ``/tokenize`` and ``/detokenize`` are vLLM's; else they answer as llama.cpp's do.
        prefixes: Whether its tokenizer puts a blank before every text that begins with no mark, as SentencePiece does.
        damaged: How many of the next chat answers have vLLM's damage.
        nonsense: How many of the next scoring answers are the same for all items, as from no log-probabilities at all.
        breaks_over: Requests that hold this word, if it is one, end in an error of the server.
        paths: How often each path was asked.
        prompts: The texts that were read for an answer, in order.
    """

    def __init__(self, rule: Callable[[str, str], dict[str, float]] = mentioned) -> None:
        super().__init__()
        self.rule = rule
        self.context_tokens = 4096
        self.scores = self.tokenizes = True
        self.prefixes = False
        self.damaged = self.nonsense = 0
        self.breaks_over = ""
        self.paths: Counter[str] = Counter()
        self.prompts: list[str] = []
        self._ids: dict[str, int] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.paths[request.path] += 1
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": "toy", "max_model_len": self.context_tokens}]})
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/v1/chat/completions": self._chat,
            "/tokenize": self._tokenize,
            "/detokenize": self._detokenize,
        } | ({"/generative_scoring": self._score} if self.scores else {})
        if request.path not in known:
            return web.json_response({"detail": "Not Found"}, status=404)
        body = await request.read()
        if self.breaks_over and self.breaks_over.encode() in body:
            return web.json_response({"detail": "broken"}, status=500)
        try:
            return web.json_response(known[request.path](json.loads(body)))
        except ValueError as error:
            return web.json_response({"error": {"message": str(error)}}, status=400)

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        tokens = self.encode(template(body["messages"]))
        if len(tokens) + 1 > self.context_tokens:
            raise ValueError(f"This model's maximum context length is {self.context_tokens} tokens.")
        found = sorted(self._next(tokens).items(), key=lambda pair: -pair[1])
        tops = [{"token": token, "logprob": math.log(value)} for token, value in found if value]
        if self.damaged > 0:
            self.damaged -= 1
            tops[1:] = [{"token": "!", "logprob": DAMAGED} for _ in tops[1:]]
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": found[0][0]}}
        choice |= {"finish_reason": "length"}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops[: body["top_logprobs"]]}]}
        return {"id": "1", "object": "chat.completion", "model": "toy", "choices": [choice], "usage": _usage(tokens)}

    def _score(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["add_special_tokens"] is False
        words = {number: word for word, number in self._ids.items()}
        prompts = [self.encode(body["query"]) + self.encode(item) for item in body["items"]]
        prompts = [tokens[: self.context_tokens - 1] for tokens in prompts]
        shares = []
        for tokens in prompts:
            following = self._next(tokens)
            found = [following.get(words[label], 1e-9) for label in body["label_token_ids"]]
            shares.append(1 / len(found) if self.nonsense > 0 else found[0] / math.fsum(found))
        self.nonsense -= 1
        data = [{"index": index, "object": "score", "score": share} for index, share in enumerate(shares)]
        return {"object": "list", "model": "toy", "data": data[::-1], "usage": _usage(*prompts)}

    def _tokenize(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self.tokenizes:
            return {"tokens": []}
        tokens = self.encode(template(body["messages"]) if "messages" in body else body["prompt"])
        return {"count": len(tokens), "max_model_len": self.context_tokens, "tokens": tokens}

    def _detokenize(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"prompt" if self.tokenizes else "content": self.decode(body["tokens"])}

    def encode(self, text: str) -> list[int]:
        """Turn a text into tokens; new ones get the next number."""
        prefixed = f" {text}" if self.prefixes and not text.startswith("<|") else text
        return [self._ids.setdefault(piece, len(self._ids)) for piece in _PIECE.findall(prefixed)]

    def decode(self, tokens: list[int]) -> str:
        """Turn tokens into their text."""
        texts = list(self._ids)
        return "".join(texts[token] for token in tokens)

    def _next(self, tokens: list[int]) -> dict[str, float]:
        """Give the next token's probabilities; a prompt that is not a whole one gets an end."""
        text = self.decode(tokens)
        self.prompts.append(text)
        asked = _QUESTION.search(text)
        return self.rule(asked[1].rpartition("Text:\n")[2], asked[2]) if asked else {"<|im_end|>": 1.0}


def template(messages: list[dict[str, str]]) -> str:
    """Write a chat as the model reads it, up to where its answer begins."""
    said = (f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages)
    return "".join(said) + "<|im_start|>assistant\n"


def _usage(*prompts: list[int]) -> dict[str, int]:
    tokens = sum(map(len, prompts))
    return {"prompt_tokens": tokens, "completion_tokens": len(prompts), "total_tokens": tokens + len(prompts)}
