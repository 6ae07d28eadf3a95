"""A model's tokenizer, in the format of tokenizers, and its chat template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from mull.models.served.template import ChatTemplate
from mull.types import Message, Prompt

N_TEXTS = 2048
"""Number of texts whose tokens are cached: a prompt is tokenized when it is quoted, reserved and drawn."""
OPEN, CLOSE = "\ue000", "\ue001"
"""Characters for private use, which stand around the number of a token that a message spells out."""


class ModelTexts:
    """Text to tokens and back. A special token that a message spells out is read as text, never as the token."""

    def __init__(self, tokenizer: str, template: ChatTemplate | None) -> None:
        from tokenizers import Tokenizer

        self._template = template
        self._reader: Any = Tokenizer.from_str(tokenizer)  # reads special tokens, which templates hold
        self._plain: Any = Tokenizer.from_str(tokenizer)
        self._plain.encode_special_tokens = True
        added = self._reader.get_added_tokens_decoder().values()
        self._special = sorted((one.content for one in added if one.special), key=len, reverse=True)
        self._spelt = re.compile("|".join(map(re.escape, self._special)) or "(?!)")
        self._encode = lru_cache(N_TEXTS)(lambda text: tuple(self._plain.encode(text, add_special_tokens=False).ids))
        self._read = lru_cache(N_TEXTS)(self._rendered)

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, none of them special."""
        return list(self._encode(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special tokens."""
        return str(self._reader.decode(list(tokens), skip_special_tokens=True))

    def shown(self, token: int) -> str:
        """A token by itself, as it is reported: a special one by its name."""
        return str(self._reader.decode([token], skip_special_tokens=False))

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of messages, up to where the reply begins. Raises `UsageError` if the template refuses them."""
        return list(self._read(tuple(messages)))

    def _rendered(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        if self._template is None:  # a base model continues the text
            return self._encode("\n\n".join(message.text for message in messages))
        safe = tuple(replace(one, content=self._spelt.sub(self._numbered, one.text)) for one in messages)
        pieces = re.split(f"{OPEN}(\\d+){CLOSE}", self._template.render(Prompt(safe)))
        ids: list[int] = []
        for i, piece in enumerate(pieces):
            if i % 2:
                ids += self._encode(self._special[int(piece)])
            else:
                ids += self._reader.encode(piece, add_special_tokens=False).ids
        return tuple(ids)

    def _numbered(self, found: re.Match[str]) -> str:
        return f"{OPEN}{self._special.index(found[0])}{CLOSE}"
