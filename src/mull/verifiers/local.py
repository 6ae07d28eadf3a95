"""Reward models run in this process by transformers (extra `train`)."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mull.errors import MissingExtraError, UsageError
from mull.runtime.tokens import one_a_process
from mull.types import Message
from mull.verifiers.reading import Reading, RewardInput, Rows, Unscored

_lock = threading.Lock()


def _content(model: Path) -> str | None:
    """A digest of all files in a folder; `None` for a model name that transformers resolves."""
    if not model.is_dir():
        return None
    digest = hashlib.blake2b(digest_size=20)
    for path in sorted(path for path in model.iterdir() if path.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'blake2b').hexdigest()}\0".encode())
    return digest.hexdigest()


def _made(kind: str, folder: Path) -> tuple[Any, Any]:
    """A model and its tokenizer. Code shipped with a model is never run."""
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingExtraError("server=transformers", "torch and transformers", "train") from None
    model = str(folder)
    transformers.utils.logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = "auto" if device == "cuda" else torch.float32  # half precision on a CPU is slow and coarse
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        loaded, info = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(
            model, dtype=dtype, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"transformers cannot load {model} for {kind}: {str(error).splitlines()[0]}") from None
    if missing := sorted(info["missing_keys"]):
        # The missing head would be random numbers, and its scores with it.
        raise UsageError(
            f"{model} cannot be loaded by transformers as a {kind}: it has no {missing[0]}. "
            "Code that shipped with a model is not run here; serve it with vLLM or SGLang"
        )
    return tokenizer, loaded.eval().to(device)


_load = {
    kind: one_a_process(partial(_made, kind), _content)
    for kind in ("CausalLM", "SequenceClassification", "TokenClassification")
}


@dataclass(frozen=True)
class Local:
    """A reward model loaded by name or from a folder: a sequence or token classifier, or a language model."""

    model: str

    @cached_property
    def _content(self) -> str | None:
        """Digest of the folder on first use; the model keeps that identity."""
        return _content(Path(self.model))

    async def rows(self, asked: RewardInput, reading: Reading) -> Rows:
        """The model's raw logits for a reply, at the positions that `reading` names."""
        return await asyncio.to_thread(self._rows, asked, reading)

    def _rows(self, asked: RewardInput, reading: Reading) -> Rows:
        import torch

        is_sequence = reading.at == "end" and reading.form != "turns"
        kind = (
            "CausalLM"
            if reading.readout == "pair"
            else "SequenceClassification"
            if is_sequence
            else "TokenClassification"
        )
        with _lock:
            tokenizer, model = _load[kind](Path(self.model), self._content)
            ids, ends = _places(tokenizer, asked, reading)
            with torch.inference_mode():
                logits = model(torch.tensor([ids], device=model.device)).logits[0].double().cpu()
        if kind == "SequenceClassification":
            return Rows([logits.tolist()], False, len(ids))
        if reading.readout == "pair":
            pair = reading.pair_ids or [_ids(tokenizer, token)[-1] for token in reading.pair]
            logits = logits[:, list(pair)]
        return Rows(logits[ends].tolist(), False, len(ids))


def _places(tokenizer: Any, asked: RewardInput, reading: Reading) -> tuple[list[int], list[int]]:
    """The token ids of the input, and the positions at which values are read."""
    if reading.form == "turns":
        return _turns(tokenizer, asked.messages)
    if reading.at == "piece":
        ids = tokenizer(asked.pieces[0])["input_ids"]
        ends = []
        for i, piece in enumerate(asked.pieces[1:]):
            ids = ids + (_ids(tokenizer, piece)[-1:] if i % 2 else _ids(tokenizer, piece))
            ends += [len(ids) - 1] if i % 2 else []
        return ids, ends
    if reading.form == "plain":
        ids = tokenizer(f"{asked.head}{asked.body}")["input_ids"]
    else:
        ids = _ids(tokenizer, _written(tokenizer, asked.messages, False))
    if reading.at == "end":
        return ids, [len(ids) - 1]
    tag = reading.tag_id if reading.tag_id is not None else _ids(tokenizer, reading.tag)[-1]
    return ids, [i for i, token in enumerate(ids) if token == tag]


def _turns(tokenizer: Any, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    ids = _ids(tokenizer, _written(tokenizer, messages, False))
    ends = []
    for i, message in enumerate(messages):
        if message.role == "assistant":
            before = _ids(tokenizer, _written(tokenizer, messages[:i], True))
            if ids[: len(before)] != before:
                raise Unscored("the model's chat template rewrites earlier turns when a turn is added")
            ends.append(len(before) - 1)
    return ids, ends


def _written(tokenizer: Any, messages: Sequence[Message], is_open: bool) -> str:
    turns = [{"role": m.role, "content": m.text} for m in messages]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=is_open)
    return text


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
