"""Probabilities to sample from, and the likeliest tokens, from the logits at one position."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.runtime.session import Floats


class Top(NamedTuple):
    """A token and the natural logarithm of its probability."""

    token: int
    logprob: float


def likeliest(logprobs: Floats, n: int) -> tuple[Top, ...]:
    """The `n` likeliest tokens at a position, likeliest first; ties go to the lower token id."""
    order = np.argsort(-logprobs, kind="stable")[:n]
    return tuple(map(Top, order.tolist(), logprobs[order].tolist()))


def filtered(wide: NDArray[np.float64], temperature: float, top_p: float, top_k: int) -> NDArray[np.float64]:
    """Unnormalised probabilities of one row under greedy, top-k or nucleus sampling."""
    if temperature == 0:
        chances = np.zeros_like(wide)
        chances[int(wide.argmax())] = 1.0
        return chances
    chances = np.exp(wide / temperature)
    order = np.argsort(-chances, kind="stable")
    keep = len(order) if top_k == 0 else min(top_k, len(order))
    before = np.concatenate(([0.0], chances[order].cumsum()[:-1])) / chances.sum()
    keep = min(keep, max(1, int((before < top_p).sum())))
    chances[order[keep:]] = 0.0
    return chances
