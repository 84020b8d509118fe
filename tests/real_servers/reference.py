"""Next-token probabilities by transformers, the authority that served ones are held against; run as hf_form.py is.

Standard input is ``{"model": FOLDER, "prompts": [MESSAGES, ...], "words": [WORD, ...]}``; standard output has an object
per prompt: for each word the sum of the probabilities of its spellings, in float32, over the whole vocabulary.
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def word_probabilities(folder: str, prompts: list[list[dict[str, str]]], words: list[str]) -> list[dict[str, float]]:
    """Read every prompt to its end and say how probable each word is as the next token, however it is written."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    written = [tokenizer.decode([token]).strip().casefold() for token in range(len(tokenizer))]
    spellings = {word: [token for token, text in enumerate(written) if text == word] for word in words}
    found = []
    with torch.inference_mode():
        for messages in prompts:
            text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
            probabilities = torch.softmax(model(ids).logits[0, -1].double(), dim=-1)
            found.append({word: float(probabilities[tokens].sum()) for word, tokens in spellings.items()})
    return found


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(word_probabilities(asked["model"], asked["prompts"], asked["words"]), sys.stdout)
