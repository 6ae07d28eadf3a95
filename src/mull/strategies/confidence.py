"""Confidence from token log-probabilities (DeepConf, Fu et al. 2025, arXiv 2508.15260) as pure functions.

Higher means more confident. The confidence of a token is minus the mean log-probability of the likeliest tokens at its
position: in a peaked distribution all but the first are very unlikely, so the mean is far below zero.
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
"""`bottom` is the mean over this share of the groups, the least confident ones."""


def of_tokens(sample: Sample, signal: Signal, top: int) -> list[float]:
    """The confidence of each token of a draw: from the `top` likeliest tokens, or the chosen token's log-probability.

    Means over different numbers of tokens are on different scales, so each position must have `top` of them; a server
    may return one more, the chosen token if it is not among them. Raises `ModelError` if any are missing.
    A placeholder (-9999, -inf, NaN) never raises confidence: for the chosen token it counts as the lowest
    log-probability, for an alternative it is ignored.
    """
    if signal == "chosen":
        if sample.logprobs is None:
            raise ModelError(f"a draw has no log-probabilities: {sample.text[:40]!r}")
        return [p if p > LEAST_LOGPROB else LEAST_LOGPROB for p in sample.logprobs]  # NaN is not greater either
    if sample.alternatives is None:
        raise ModelError(f"a draw has no likeliest tokens at its positions: {sample.text[:40]!r}")
    return [_of_place([p for _, p in place], top) for place in sample.alternatives]


def _of_place(logprobs: Sequence[float], top: int) -> float:
    likeliest = sorted((p if p > LEAST_LOGPROB else LEAST_LOGPROB for p in logprobs), reverse=True)[:top]
    if len(likeliest) < top:
        raise ModelError(
            f"the server returned {len(likeliest)} likeliest tokens instead of {top}: set top={len(likeliest)}"
        )
    return -math.fsum(p for p in likeliest if p > LEAST_LOGPROB) / top


def groups(confidences: Sequence[float], window: int) -> list[float]:
    """The mean over each `window` consecutive tokens; over all tokens if the trace is shorter."""
    width = min(window, len(confidences))
    return [math.fsum(confidences[i : i + width]) / width for i in range(len(confidences) - width + 1)] if width else []


def measured(confidences: Sequence[float], window: int, measure: Measure) -> float:
    """The confidence of a trace: its `lowest` group, the mean of the `bottom` tenth of its groups, `tail` or `mean`.

    `tail` is the mean of the last `window` tokens, `mean` that of all tokens. Raises `UsageError` without tokens.
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
    """The percentile of values, with linear interpolation (as numpy's default)."""
    ranked = sorted(values)
    at = percent / 100 * (len(ranked) - 1)
    low = int(at)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (at - low) * (ranked[high] - ranked[low])


def bar(confidences: Sequence[float], eta: float) -> float:
    """The threshold that the `eta` percent most confident traces reach: the percentile 100 - eta.

    `eta` = 10 keeps few traces (the paper's "low"), 90 keeps most ("high").
    """
    return percentile(confidences, 100 - eta)


def weight(confidence: float, signal: Signal) -> float:
    """The weight of a trace's vote: its confidence, or the exponential of its mean log-probability."""
    return math.exp(confidence) if signal == "chosen" else confidence


def is_under(confidences: Sequence[float], n_seen: int, window: int, threshold: float) -> bool:
    """Whether a full window that ends after the first `n_seen` tokens has a mean below the threshold.

    Always false for a trace shorter than the window.
    """
    first = max(0, n_seen + 1 - window)
    if len(confidences) < window:
        return False
    return any(group < threshold for group in groups(confidences[first:], window))


def check(signal: str, measure: str, eta: float, top: int) -> None:
    """Raises an error for an invalid option."""
    if signal not in get_args(Signal):
        raise UnknownNameError("signal", signal, get_args(Signal))
    if measure not in get_args(Measure):
        raise UnknownNameError("measure", measure, get_args(Measure))
    if not 0 < eta <= 100:
        raise UsageError(f"eta is the percentage of traces kept, above 0 and at most 100, not {eta:g}")
    if top < 1:
        raise UsageError(f"top must be at least 1, not {top}")
