"""Probabilities to sample from, and the likeliest tokens, from the logits at one position."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.runtime.session import Floats

FRONT = 4096
"""A larger vocabulary is not sorted or summed whole where that can be avoided."""
STRETCH = 128


class Top(NamedTuple):
    """A token and the natural logarithm of its probability."""

    token: int
    logprob: float


def likeliest(logprobs: Floats, n: int) -> tuple[Top, ...]:
    """The `n` likeliest tokens at a position, likeliest first; ties go to the lower token id."""
    order = _front(logprobs, n)[:n]
    return tuple(map(Top, order.tolist(), logprobs[order].tolist()))


def filtered(wide: NDArray[np.float64], temperature: float, top_p: float, top_k: int) -> NDArray[np.float64]:
    """Unnormalised probabilities of one row under greedy, top-k or nucleus sampling."""
    if temperature == 0:
        chances = np.zeros_like(wide)
        chances[int(wide.argmax())] = 1.0
        return chances
    chances = np.exp(wide / temperature)
    order = _front(chances, top_k or FRONT)
    if top_k == 0 and chances[order].sum() < min(top_p, 1) * chances.sum():
        order = np.argsort(-chances, kind="stable")
    keep = len(order) if top_k == 0 else min(top_k, len(order))
    before = np.concatenate(([0.0], chances[order].cumsum()[:-1])) / chances.sum()
    keep = min(keep, max(1, int((before < top_p).sum())))
    kept = np.zeros_like(chances)
    kept[order[:keep]] = chances[order[:keep]]
    return kept


def _front(chances: NDArray[np.floating[Any]], n: int) -> NDArray[np.intp]:
    """Tokens in falling order of their chances, the likeliest `n` at least; ties go to the lower token id."""
    if n >= len(chances):
        return np.argsort(-chances, kind="stable")
    least = np.partition(chances, len(chances) - n)[len(chances) - n]
    front = np.flatnonzero(chances >= least)
    return front[np.argsort(-chances[front], kind="stable")]


def inverted(chances: NDArray[Any], uniform: NDArray[np.float64]) -> NDArray[np.intp]:
    """The token of each row of `chances` [rows, vocabulary], unnormalised, at `uniform` [rows] in [0, 1) by inversion.

    In a large vocabulary the sums of stretches of tokens come first, and one stretch is summed token by token.
    """
    rows, n_tokens = chances.shape
    if n_tokens <= FRONT:
        up_to = chances.cumsum(axis=1, dtype=np.float64)
        return np.asarray((up_to <= (uniform * up_to[:, -1])[:, None]).sum(axis=1))
    starts = np.arange(0, n_tokens, STRETCH)
    sums = np.add.reduceat(chances, starts, axis=1).astype(np.float64)
    before = np.concatenate((np.zeros((rows, 1)), sums.cumsum(axis=1)), axis=1)
    wanted = np.minimum(uniform * before[:, -1], np.nextafter(before[:, -1], 0))
    tokens = np.empty(rows, dtype=np.intp)
    for row in range(rows):
        stretch = int(np.searchsorted(before[row], wanted[row], side="right")) - 1
        first = stretch * STRETCH
        part = chances[row, first : first + STRETCH].astype(np.float64)
        at = int((before[row, stretch] + part.cumsum() <= wanted[row]).sum())
        # The sum of a stretch is rounded otherwise than that of its tokens: the last of them stands for what is left.
        tokens[row] = first + min(at, int(np.flatnonzero(part)[-1]))
    return tokens
