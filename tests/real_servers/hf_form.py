"""Write a llama-like model out of a GGUF file in the form that vLLM serves; run by the Python that has vLLM.

transformers dequantises the weights to float32. The model that it makes of a GGUF file keeps traces of its origin in
its configuration, at which vLLM stumbles, so the weights move into a fresh model.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

LEFT_BEHIND = {"quantization_config", "architectures", "model_type", "_name_or_path"}


def write(weights: Path, folder: Path) -> None:
    """Write configuration, weights and tokenizer into `folder`, which appears only when it is whole."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    place = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    read = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    kept = {name: value for name, value in read.config.to_dict().items() if name not in LEFT_BEHIND}
    fresh = LlamaForCausalLM(LlamaConfig(**kept | {"tie_word_embeddings": True}))
    missing, unexpected = fresh.load_state_dict(read.state_dict(), strict=False)
    if set(missing) | set(unexpected) - {"lm_head.weight"}:
        raise SystemExit(f"{weights} is no such model: {missing} are missing, {unexpected} are too many")
    fresh.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.rename(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
