"""Compares the cost of scaling with alternatives: a bigger model, a fine-tune, or verification."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mull.errors import UsageError

TRAINING = 6
"""FLOPs for each parameter and token of training: 2 forward, 4 backward (Kaplan et al. 2020, arXiv 2001.08361)."""
INFERENCE = 2
SOLVING, VERIFYING = 0.57, 0.39
"""How solutions and verifications of each grow with the budget where both are at their best (arXiv 2504.01005)."""


def exchange(times: float, ratio: float) -> float:
    """By what factor a model may raise its inference FLOPs to cost as much as one with `times` its parameters.

    m = M + (3 / R) (M - 1), with R tokens of inference for each token of pretraining (Snell et al. 2024, arXiv
    2408.03314, section 7). Raises `UsageError` unless M is at least 1 and R above 0.
    """
    if not times >= 1 or not ratio > 0:
        raise UsageError(f"a model of {times:g} times the size and a ratio of {ratio:g} cannot be compared")
    return times + TRAINING / INFERENCE / ratio * (times - 1)


def queries_until(fixed: float, dear: float, cheap: float) -> int | None:
    """The number of queries after which a fixed outlay breaks even; `None`: never.

    `fixed` is what a fine-tune or the training of a bigger model costs, `dear` what a query costs without it and
    `cheap` with it, all in one unit: dollars or FLOPs. Both must be as accurate as is needed for this to be a choice.
    """
    if not all(math.isfinite(x) and x >= 0 for x in (fixed, dear, cheap)):
        raise UsageError(f"costs are numbers from 0, not {fixed:g}, {dear:g} and {cheap:g}")
    if cheap >= dear:
        return None
    return math.floor(fixed / (dear - cheap)) + 1


def verified(solutions: float, verifications: float, relative: float) -> float:
    """What solutions with so many verifications each cost, in solutions: S (1 + lambda V) (arXiv 2504.01005).

    `relative` is the tokens of a verification for each token of a solution.
    """
    return solutions * (1 + relative * verifications)


def growth(times: float) -> tuple[float, float]:
    """By what factors solutions and verifications grow with a budget `times` as large: C^.57 and C^.39."""
    return times**SOLVING, times**VERIFYING


@dataclass(frozen=True, slots=True)
class Spend:
    """What queries cost; `None` is unknown or was not measured."""

    queries: int
    flops: float | None
    usd: float | None
    seconds: float | None
    joules: float | None


def spend(
    queries: int,
    *,
    flops: float | None = None,
    usd: float | None = None,
    seconds: float | None = None,
    watts: float | None = None,
) -> Spend:
    """What so many queries cost at this much each; energy where both the time and the power were measured."""
    work, paid, time = (None if each is None else each * queries for each in (flops, usd, seconds))
    return Spend(queries, work, paid, time, None if time is None or watts is None else time * watts)
