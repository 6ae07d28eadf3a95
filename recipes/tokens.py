"""The tokenizer of the built-in models: one token a character, and a few whole words.

A letter and its colon are one token: that makes a definition look different from a use, and finding the fact
that defines a quantity a matter of finding the same token again, which is the first thing a transformer learns.
"""

from __future__ import annotations

import string
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = ["<pad>", "<bos>", "<eos>", "<user>", "<assistant>", "<unk>"]
WORDS = ["<think>", "</think>", "Wait", "answer", "reach", "with", "left"]
DEFINITIONS = [f"{letter}:" for letter in string.ascii_lowercase]
CHARACTERS = [*string.digits, *string.ascii_lowercase, *"+-*/()=<>;?:,. \n"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}<bos><user>{{ message.content }}<assistant>"
    "{% else %}{{ message.content }}<eos>{% endif %}"
    "{% endfor %}"
)


def build() -> Tokenizer:
    """The tokenizer, with the ids of the special tokens first."""
    vocabulary = [*SPECIAL, *WORDS, *DEFINITIONS, *CHARACTERS]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.add_special_tokens(SPECIAL)
    pattern = "|".join([*WORDS, "[a-z]:", "[\\s\\S]"])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def save(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    build().save(str(folder / "tokenizer.json"))
