"""Next-token probabilities by transformers, the authority that served ones are held against; run as hf_form.py is.

Standard input is ``{"model": FOLDER, "prompts": [MESSAGES, ...], "tokens": [TEXT, ...]}``; standard output has a list
per prompt, the log-probability of every one of the tokens in float32. A text that is not one token is an error.
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def log_probabilities(folder: str, prompts: list[list[dict[str, str]]], tokens: list[str]) -> list[list[float]]:
    """Read every prompt to its end and say how probable each token is as the next."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    wanted = [only(tokenizer.encode(token, add_special_tokens=False), token) for token in tokens]
    found = []
    with torch.inference_mode():
        for messages in prompts:
            text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
            found.append(torch.log_softmax(model(ids).logits[0, -1], dim=-1)[wanted].tolist())
    return found


def only(ids: list[int], text: str) -> int:
    if len(ids) != 1:
        raise SystemExit(f"{text!r} is {len(ids)} tokens, not one")
    return ids[0]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(log_probabilities(asked["model"], asked["prompts"], asked["tokens"]), sys.stdout)
