"""What is asked of a model: the key that its draws are filed under, their seeds, and the budget held for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mull.errors import UsageError
from mull.types import Cost, Model, Params, Prompt


def question(model: Model, prompt: Prompt, params: Params, seed: int) -> dict[str, Any]:
    """All that decides what the draws of a question are: what the bank files them under."""
    asked = {
        "model": model.identity,
        "messages": [[m.role, m.content] for m in prompt.messages],
        "prefix": prompt.prefix,
        "temperature": params.temperature,
        "max_tokens": params.max_tokens,
        "stop": list(params.stop),
        "top_p": params.top_p,
        "top_k": params.top_k,
        "seed": seed,
    }
    if params.logprobs is not None:
        asked["logprobs"] = params.logprobs
    return asked


def digest(asked: Mapping[str, Any]) -> str:
    """The key of a question: a tagged hash of its canonical JSON."""
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "b2:" + hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def seed_of(key: str, number: int) -> int:
    """The seed of a numbered draw: 63 bits that depend on nothing but the question and the number."""
    return int.from_bytes(hashlib.blake2b(f"{key}/{number}".encode(), digest_size=8).digest(), "big") >> 1


def check_asked(prompt: Prompt, n: int, params: Params) -> None:
    """Refuses what no model could answer."""
    if n < 1:
        raise UsageError(f"the number of draws must be at least 1, not {n}")
    if not any(message.content.strip() for message in prompt.messages):
        raise UsageError("the prompt is empty")
    if not params.temperature >= 0:
        raise UsageError(f"the temperature must be 0 or more, not {params.temperature}")
    if params.max_tokens < 1:
        raise UsageError(f"max_tokens must be at least 1, not {params.max_tokens}")
    if not 0 < params.top_p <= 1:
        raise UsageError(f"top_p must be above 0 and at most 1, not {params.top_p}")
    if params.top_k < 0:
        raise UsageError(f"top_k must be 0 (off) or more, not {params.top_k}")


@dataclass(slots=True, eq=False)
class Hold:
    """Budget set aside for `n` calls that cost at most `quote` each."""

    quote: Cost
    n: int


class Ask(NamedTuple):
    """So many draws of one question."""

    prompt: Prompt
    n: int
    params: Params
