"""Confidence from token log-probabilities (DeepConf, Fu et al. 2025, arXiv 2508.15260) as pure functions.

High is sure throughout. Confidence of a token is minus the mean log-probability of the likeliest tokens at its place:
a peaked law makes all but the first of them very unlikely, so that the mean is far below zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from mull.errors import ModelError, UnknownNameError, UsageError
from mull.files.recording import LEAST_LOGPROB
from mull.types import Sample

Measure = Literal["lowest", "bottom", "tail", "mean"]
Signal = Literal["top", "chosen"]

BOTTOM_SHARE = 0.1
"""The share of groups, the least confident, that `bottom` is the mean of."""


def of_tokens(sample: Sample, signal: Signal, top: int) -> list[float]:
    """The confidence of each token of a draw: of the `top` likeliest, or the log-probability of the one chosen.

    Means of different numbers of tokens are on different scales, so `top` of them must be there at each place; a
    server may tell one more, the chosen one where it is not among them. Raises `ModelError` where they are not.
    What a server does not tell (-9999, -inf, NaN) makes no token surer: as a chosen one it is the least likely of all,
    beside the chosen one it adds nothing.
    """
    if signal == "chosen":
        if sample.logprobs is None:
            raise ModelError(f"a draw came without log-probabilities: {sample.text[:40]!r}")
        return [p if p > LEAST_LOGPROB else LEAST_LOGPROB for p in sample.logprobs]  # NaN is not greater either
    if sample.alternatives is None:
        raise ModelError(f"a draw came without the likeliest tokens beside each: {sample.text[:40]!r}")
    return [_of_place([p for _, p in place], top) for place in sample.alternatives]


def _of_place(logprobs: Sequence[float], top: int) -> float:
    likeliest = sorted((p if p > LEAST_LOGPROB else LEAST_LOGPROB for p in logprobs), reverse=True)[:top]
    if len(likeliest) < top:
        raise ModelError(
            f"the server tells {len(likeliest)} likeliest tokens, and {top} were asked for: take top={len(likeliest)}"
        )
    return -math.fsum(p for p in likeliest if p > LEAST_LOGPROB) / top


def groups(confidences: Sequence[float], window: int) -> list[float]:
    """The mean over each `window` tokens in a row; of a shorter trace, over all of it."""
    width = min(window, len(confidences))
    return [math.fsum(confidences[i : i + width]) / width for i in range(len(confidences) - width + 1)] if width else []


def measured(confidences: Sequence[float], window: int, measure: Measure) -> float:
    """The confidence of a trace: of its `lowest` group, of the `bottom` tenth of groups, of its `tail`, or their mean.

    `tail` is the mean of the last `window` tokens, `mean` that of all tokens. Raises `UsageError` for no tokens.
    """
    if not confidences:
        raise UsageError("a trace without tokens has no confidence")
    if measure == "mean":
        return math.fsum(confidences) / len(confidences)
    found = groups(confidences, window)
    if measure == "tail":
        return found[-1]
    n = max(1, int(BOTTOM_SHARE * len(found))) if measure == "bottom" else 1
    return math.fsum(sorted(found)[:n]) / n


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile of values, linear between neighbours (numpy's)."""
    ranked = sorted(values)
    at = percent / 100 * (len(ranked) - 1)
    low = int(at)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (at - low) * (ranked[high] - ranked[low])


def bar(confidences: Sequence[float], eta: float) -> float:
    """What the `eta` percent most confident of these traces reach: the percentile 100 - eta.

    10 keeps few, which the paper calls low; 90 keeps most, which it calls high.
    """
    return percentile(confidences, 100 - eta)


def weight(confidence: float, signal: Signal) -> float:
    """What the vote of a trace weighs: its confidence, or a mean of log-probabilities as a probability."""
    return math.exp(confidence) if signal == "chosen" else confidence


def is_under(confidences: Sequence[float], n_seen: int, window: int, threshold: float) -> bool:
    """Whether a full window that ends after the first `n_seen` tokens has a mean below the threshold.

    A trace that is shorter than the window is never under it.
    """
    first = max(0, n_seen + 1 - window)
    if len(confidences) < window:
        return False
    return any(group < threshold for group in groups(confidences[first:], window))


def check(signal: str, measure: str, eta: float, top: int) -> None:
    """Refuses options that mean nothing."""
    if signal not in get_args(Signal):
        raise UnknownNameError("signal", signal, get_args(Signal))
    if measure not in get_args(Measure):
        raise UnknownNameError("measure", measure, get_args(Measure))
    if not 0 < eta <= 100:
        raise UsageError(f"eta is the percentage of traces kept, above 0 and at most 100, not {eta:g}")
    if top < 1:
        raise UsageError(f"top must be at least 1, not {top}")
