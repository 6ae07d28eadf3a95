"""The tokenizer of the embedded models and verifiers, and a per-process cache of what is loaded from their folders."""

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
K = TypeVar("K")

REST = ("config.json", "tokenizer.json", "decoder.onnx", "reward.json")
"""Files beside the weights that affect what is computed; not every folder has all of them."""

N_TEXTS = 2048
"""Number of texts whose tokens are cached: a prompt is tokenized when it is quoted, reserved and drawn."""

_HALVES = re.compile("[\ud800-\udfff]")


class Tokens:
    """The tokenizer in a model's folder. User text is never read as a special token."""

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
        """The token ids of a text. Raises `PromptError` for characters outside the vocabulary."""
        return list(self._encode(text))

    def _encoded(self, text: str) -> tuple[int, ...]:
        # The tokenizer rejects a lone surrogate, which is no character: read it as an unknown character.
        encoded = self._tokenizer.encode(_HALVES.sub("\ufffd", text), add_special_tokens=False)
        ids: tuple[int, ...] = tuple(encoded.ids)
        if self.id_of[UNKNOWN] in ids:
            strange = {text[a:b] for i, (a, b) in zip(ids, encoded.offsets, strict=True) if i == self.id_of[UNKNOWN]}
            raise PromptError(
                f"the built-in models cannot read {', '.join(map(repr, sorted(strange)))}: only chain problems, "
                "such as 'a:7;b:a*6;b?', and countdowns, such as 'reach 88 with 3 4 7 25'"
            )
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special tokens."""
        return "".join(self._text_of[token] for token in tokens)

    def shown(self, token: int) -> str:
        """A token by itself, as it is reported: a special one by its name."""
        return self.token_of[token]

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of messages, in the format the models were trained on. Raises `PromptError` for an unknown role."""
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
    """Digests of the content of a weights folder at one time."""

    weights: str
    rest: str


def content_of(folder: Path) -> Content:
    """Digests of the weights in a folder, and of the other files that affect what is computed."""
    weights = hashlib.blake2b((folder / "model.safetensors").read_bytes(), digest_size=10)
    rest = hashlib.blake2b(digest_size=10)
    for name in REST:
        path = folder / name
        rest.update(path.read_bytes() if path.exists() else b"")
        rest.update(b"\0")
    return Content(weights.hexdigest(), rest.hexdigest())


def one_a_process(make: Callable[[Path], T], look: Callable[[Path], K]) -> Callable[[Path, K], T]:
    """Caches `make(folder)` for the process, keyed by the content of the folder that `look` returns; thread-safe.

    Keeps the newest content of each folder. The returned function takes a folder and a content, and raises
    `UsageError` if the folder no longer has that content: results of new weights must not be banked under an old name.
    """
    lock, kept = threading.Lock(), dict[Path, tuple[K, T]]()

    def get(folder: Path, content: K) -> T:
        with lock:
            if folder not in kept or kept[folder][0] != content:
                made = make(folder)
                if look(folder) != content:
                    raise UsageError(
                        f"the weights in {folder} were replaced after this model was made: make it again, so that "
                        "its name is that of the new weights"
                    )
                kept[folder] = content, made
            return kept[folder][1]

    return get
