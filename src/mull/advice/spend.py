"""Compares the cost of scaling with alternatives: a bigger model, a fine-tune, or verification."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mull.errors import UsageError

TRAINING = 6
"""FLOPs for each parameter and token of training: 2 forward, 4 backward (Kaplan et al. 2020, arXiv 2001.08361)."""
INFERENCE = 2
SOLVING, VERIFYING = 0.57, 0.39
"""Exponents with which solutions, and verifications of each, grow with the budget at the optimum (arXiv 2504.01005)."""


def exchange(times: float, ratio: float) -> float:
    """The factor by which a model's inference FLOPs may grow to cost as much as a model with `times` its parameters.

    m = M + (3 / R) (M - 1), with R inference tokens per pretraining token (Snell et al. 2024, arXiv 2408.03314,
    section 7). Raises `UsageError` unless M is at least 1 and R above 0.
    """
    if not times >= 1 or not ratio > 0:
        raise UsageError(f"a model must be at least 1 times the size, at a ratio above 0, not {times:g} and {ratio:g}")
    return times + TRAINING / INFERENCE / ratio * (times - 1)


def queries_until(fixed: float, dear: float, cheap: float) -> int | None:
    """The number of queries after which a fixed outlay breaks even; `None`: never.

    `fixed` is the cost of a fine-tune or of training a bigger model, `dear` the cost of a query without it and `cheap`
    with it, all in one unit: dollars or FLOPs. The comparison assumes that both are accurate enough.
    """
    if not all(math.isfinite(x) and x >= 0 for x in (fixed, dear, cheap)):
        raise UsageError(f"costs must be numbers of at least 0, not {fixed:g}, {dear:g} and {cheap:g}")
    if cheap >= dear:
        return None
    return math.floor(fixed / (dear - cheap)) + 1


def verified(solutions: float, verifications: float, relative: float) -> float:
    """The cost of solutions with `verifications` each, in units of a solution: S (1 + lambda V) (arXiv 2504.01005).

    `relative` is lambda, the tokens of a verification per token of a solution.
    """
    return solutions * (1 + relative * verifications)


def growth(times: float) -> tuple[float, float]:
    """The factors by which solutions and verifications grow with a budget `times` as large: C^.57 and C^.39."""
    return times**SOLVING, times**VERIFYING


@dataclass(frozen=True, slots=True)
class Spend:
    """The cost of queries; `None` is unknown or was not measured."""

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
    """The cost of `queries` queries; energy is known if both the time and the power were measured."""
    work, paid, time = (None if each is None else each * queries for each in (flops, usd, seconds))
    return Spend(queries, work, paid, time, None if time is None or watts is None else time * watts)
