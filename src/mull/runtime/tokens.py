"""Tokens of the embedded models and verifiers: what they read and write, and one of each thing in memory a process."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mull.errors import PromptError, UsageError
from mull.runtime import ASSISTANT, BOS, EOS, UNKNOWN, USER
from mull.types import Message

T = TypeVar("T")

REST = ("config.json", "tokenizer.json", "decoder.onnx", "reward.json")
"""Files beside the weights that say what is computed with them; not every folder has all."""

N_TEXTS = 2048
"""Texts whose tokens are remembered: a prompt is looked at when it is quoted, held and drawn."""

_HALVES = re.compile("[\ud800-\udfff]")


class Tokens:
    """The tokenizer in a model's folder. What a user writes is never read as a special token."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = True
        self.id_of: dict[str, int] = self._tokenizer.get_vocab()
        special = {self.id_of[token] for token in (UNKNOWN, BOS, EOS, USER, ASSISTANT, "<pad>")}
        self.token_of = {i: token for token, i in self.id_of.items()}
        self._text_of = {i: "" if i in special else token for i, token in self.token_of.items()}
        self._encode = lru_cache(N_TEXTS)(self._encoded)

    def encode(self, text: str) -> list[int]:
        """Token ids; raises `PromptError` for characters that the models have never seen."""
        return list(self._encode(text))

    def _encoded(self, text: str) -> tuple[int, ...]:
        # Half a surrogate pair is no character, and the tokenizer takes none: it is read as one it does not know.
        encoded = self._tokenizer.encode(_HALVES.sub("\ufffd", text), add_special_tokens=False)
        ids: tuple[int, ...] = tuple(encoded.ids)
        if self.id_of[UNKNOWN] in ids:
            strange = {text[a:b] for i, (a, b) in zip(ids, encoded.offsets, strict=True) if i == self.id_of[UNKNOWN]}
            raise PromptError(
                f"the built-in models cannot read {', '.join(map(repr, sorted(strange)))}: they know chain problems, "
                "such as 'a:7;b:a*6;b?', and countdowns, such as 'reach 88 with 3 4 7 25'"
            )
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; special ones have none."""
        return "".join(self._text_of[token] for token in tokens)

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """Turns in the form that the models were trained on. Raises `PromptError` for a role that they do not know."""
        ids: list[int] = []
        for message in messages:
            if message.role == "user":
                ids += [self.id_of[BOS], self.id_of[USER], *self.encode(message.text), self.id_of[ASSISTANT]]
            elif message.role == "assistant":
                ids += [*self.encode(message.text), self.id_of[EOS]]
            else:
                raise PromptError(f"the built-in models know the roles user and assistant, not {message.role!r}")
        return ids


class Content(NamedTuple):
    """Digests of what a folder of weights held when it was looked at."""

    weights: str
    rest: str


def content_of(folder: Path) -> Content:
    """Digests of the weights in a folder, and of what else says what is computed with them."""
    weights = hashlib.blake2b((folder / "model.safetensors").read_bytes(), digest_size=10)
    rest = hashlib.blake2b(digest_size=10)
    for name in REST:
        path = folder / name
        rest.update(path.read_bytes() if path.exists() else b"")
        rest.update(b"\0")
    return Content(weights.hexdigest(), rest.hexdigest())


def one_a_process(make: Callable[[Path], T]) -> Callable[[Path, Content], T]:
    """Makes a thing of a folder once for the content that it has; thread-safe.

    Of each folder the newest content is kept. What is given back calls for a content, and raises `UsageError` where
    the folder no longer has it: what is computed with other weights must not have the name of these.
    """
    lock, kept = threading.Lock(), dict[Path, tuple[Content, T]]()

    def get(folder: Path, content: Content) -> T:
        with lock:
            if folder not in kept or kept[folder][0] != content:
                made = make(folder)
                if content_of(folder) != content:
                    raise UsageError(
                        f"the weights in {folder} were replaced after this model was made: make it anew, so that "
                        "its name is that of the new ones"
                    )
                kept[folder] = content, made
            return kept[folder][1]

    return get
