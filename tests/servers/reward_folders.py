"""Writes small reward models with random weights, and what transformers computes with them.

Usage: PYTHON reward_folders.py TOKENIZER FOLDER < TEXTS, with an environment's Python that has transformers and torch.
TEXTS is a list in JSON of objects: `chat`, a conversation; `pair`, two texts; `pieces`, texts that are tokenized one by
one. FOLDER gets `one` and `two` (classifiers of sequences with one label and with two) and `tokens` (a classifier of
tokens). Standard output has a list of objects: `one` of the chat, `pair` of the pair, and at the last token of each
piece `each`, the value of `one`, and `tokens`, that of `tokens`; all before any activation.
"""

import json
import sys
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
    ModernBertConfig,
    ModernBertForTokenClassification,
)

SIZES = {
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}


def models(tokenizer: Any) -> dict[str, Any]:
    """The three models, whose weights are the same in every run."""
    torch.manual_seed(7)
    sizes, end = {**SIZES, "vocab_size": len(tokenizer)}, tokenizer.eos_token_id
    made: dict[str, Any] = {}
    for name, n_labels in (("one", 1), ("two", 2)):
        config = LlamaConfig(**sizes, num_labels=n_labels, num_key_value_heads=2, pad_token_id=end)
        made[name] = LlamaForSequenceClassification(config)
    special = {f"{name}_token_id": end for name in ("pad", "cls", "sep", "bos", "eos")}
    made["tokens"] = ModernBertForTokenClassification(ModernBertConfig(**sizes, **special, num_labels=1))
    return made


def computed(made: dict[str, Any], tokenizer: Any, texts: dict[str, Any]) -> dict[str, Any]:
    """The values of one object of texts."""

    def one(ids: list[int]) -> float:
        return float(made["one"](torch.tensor([ids])).logits[0, 0])

    parts = [tokenizer(text, add_special_tokens=False).input_ids for text in texts["pieces"]]
    ids = torch.tensor([[token for part in parts for token in part]])
    ends = [end - 1 for end in accumulate(map(len, parts))]
    hidden = made["one"].model(ids).last_hidden_state
    return {
        "one": one(tokenizer.apply_chat_template(texts["chat"], tokenize=True, return_dict=True).input_ids),
        "pair": one(tokenizer(*texts["pair"]).input_ids),
        "each": made["one"].score(hidden)[0, ends, 0].tolist(),
        "tokens": made["tokens"](ids).logits[0, ends, 0].tolist(),
    }


def main(source: Path, folder: Path, texts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tokenizer = AutoTokenizer.from_pretrained(source)
    made = models(tokenizer)
    for name, model in made.items():
        model.eval().save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    with torch.no_grad():
        return [computed(made, tokenizer, one) for one in texts]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), json.load(sys.stdin))))
