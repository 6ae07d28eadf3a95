"""What the engine is asked for, and what it delivers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.runtime.sampling import Top
from mull.runtime.session import Floats


class Prefix(NamedTuple):
    """A computed prompt: the logits after its last token, and keys and values [2 * layers, kv_heads, length, head]."""

    logits: Floats
    keys_values: Floats


@dataclass(eq=False)
class Request:
    """Draws requested together: one prompt, the same parameters, one seed each.

    The first `n_told` tokens are the conversation, the rest is the partial reply.
    """

    ids: tuple[int, ...]
    n_told: int
    seeds: Sequence[int]
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    is_over: Callable[[list[int]], bool] | None
    """Whether these tokens end the draw by a stop string, before its end token."""
    deliver: Callable[[list[Finished]], None]
    """Called from a worker with the draws that finished in a step."""
    fail: Callable[[BaseException], None]
    bias: NDArray[np.float64] | None = None
    """Added to the logits before sampling, one value per token of the vocabulary."""
    n_tops: int = 0
    """The number of likeliest tokens to report at each position."""
    prefix: Prefix | None = None
    n_cached: int = 0
    """The number of prompt tokens that were cached."""
    is_claimed: bool = False
    is_ready: threading.Event = field(default_factory=threading.Event)
    """Set once the worker that claimed the request has computed its prompt or failed."""
    is_cancelled: bool = False


class Finished(NamedTuple):
    """A draw that is finished or was cancelled."""

    place: int
    tokens: list[int]
    logprobs: list[float]
    seconds: float
    n_cached: int
    is_cancelled: bool
    tops: list[tuple[Top, ...]]
    """The likeliest tokens at each position, if requested."""
