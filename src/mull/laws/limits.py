"""Bounds from counts to which no law can be fitted, and messages that say what data to collect."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from mull.laws.counts import Counts

LEVEL = 0.95


class Band(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


class Flag(StrEnum):
    """A limit on what these counts can show; `SAYS` has the message."""

    ONE_DRAW = "one-draw"
    ONE_PROBLEM = "one-problem"
    ALL_WRONG = "all-wrong"
    ALL_RIGHT = "all-right"
    SATURATED = "saturated"
    UNEQUAL = "unequal-draws"
    NO_POWER_LAW = "no-power-law"
    AT_BOUND = "parameter-at-bound"
    MOSTLY_IMPOSSIBLE = "mostly-impossible"
    MOSTLY_UNSOLVED = "mostly-unsolved"
    DISAGREE = "families-disagree"
    FAR = "far-beyond-the-draws"


SAYS = {
    Flag.ONE_DRAW: "one draw per problem: the mean success rate is known, but not how it varies between problems, so "
    "coverage at more draws may equal it, or be as high as for equally hard problems; collect 10 or more draws per "
    "problem",
    Flag.ONE_PROBLEM: "one problem: its success rate is known, but not how rates vary between problems; collect draws "
    "on 30 or more problems",
    Flag.ALL_WRONG: "no draw is correct: only an upper bound is known; collect more draws on these problems, or use "
    "easier ones",
    Flag.ALL_RIGHT: "every draw is correct: these problems are solved with one draw; collect harder problems",
    Flag.SATURATED: "every problem is solved: more draws cannot raise the coverage of these problems; the lower end of "
    "the band is for new problems; collect harder problems",
    Flag.UNEQUAL: "problems have different numbers of draws: the measured curve ends at the smallest; the laws are "
    "fitted to all draws by likelihood",
    Flag.NO_POWER_LAW: "too few draws for a curve: the exponentiated power law is not fitted, and the estimate "
    "rests on the beta-binomial; collect 4 or more draws on every problem",
    Flag.AT_BOUND: "a parameter of the beta-binomial is at a bound of its range: the counts do not determine it; "
    "collect more problems",
    Flag.MOSTLY_IMPOSSIBLE: "the fit calls over half of the problems impossible, but these counts cannot tell "
    "impossible from hard; collect draws on the problems without a success",
    Flag.MOSTLY_UNSOLVED: "over 60 % of the problems have no success: the prediction rests on the few others; collect "
    "draws on the problems without a success",
    Flag.DISAGREE: "the beta-binomial and the logit-normal differ by more than 5 points: rely on the band, not on the "
    "value; collect draws on the problems without a success",
    Flag.FAR: "more than ten times the measured draws: the value rests on the laws, so quote it with its band; collect "
    "draws on the problems without a success",
}

HARMLESS = frozenset({Flag.FAR, Flag.UNEQUAL, Flag.ALL_RIGHT, Flag.SATURATED, Flag.NO_POWER_LAW})
"""Flags with which coverage is still identified."""


def lawless(data: Counts) -> Flag | None:
    """Why no law can be fitted to these counts; `None` if one can."""
    if not data.c.any():
        return Flag.ALL_WRONG
    if (data.c == data.n).all():
        return Flag.ALL_RIGHT
    if data.n.max() == 1:
        return Flag.ONE_DRAW
    return Flag.ONE_PROBLEM if data.problems == 1 else None


def shortcomings(data: Counts) -> list[Flag]:
    """Flags of these counts that hold at any k: no law can be fitted, or the numbers of draws are unequal."""
    reason = lawless(data)
    found = [] if reason is None else [reason]
    return [*found, Flag.UNEQUAL] if data.least < data.n.max() else found


def bound(data: Counts, flag: Flag, k: int) -> Band:
    """Bounds of coverage at k when `lawless` returns `flag`.

    Without a success in N draws, P(none) is at most (1 - p) ** N for the mean rate p, and coverage at k is largest
    if all problems have the same rate: 1 - 0.05 ** (k / N). Without a failure, the number of problems bounds the share
    of solved ones. One draw gives the mean rate, and coverage lies between it and that of equal problems.
    """
    if flag is Flag.ALL_WRONG:
        return Band(0.0, 1.0 - (1.0 - LEVEL) ** (k / data.draws))
    if flag is Flag.ALL_RIGHT:
        return Band(least_solved(data.problems), 1.0)
    low, high = clopper_pearson(round(float(data.weight @ data.c)), round(data.draws))
    return Band(low if flag is Flag.ONE_DRAW else 1.0 - (1.0 - low) ** k, 1.0 - (1.0 - high) ** k)


def least_solved(problems: int) -> float:
    """Lower bound on the share of similar problems that are solved, if all of `problems` were."""
    return float((1.0 - LEVEL) ** (1.0 / problems))


def clopper_pearson(c: int, n: int) -> Band:
    """The exact two-sided interval of a proportion, c of n (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1.0 - LEVEL) / 2
    low = float(betaincinv(c, n - c + 1, tail)) if c else 0.0
    high = float(betaincinv(c + 1, n - c, 1.0 - tail)) if c < n else 1.0
    return Band(low, high)
