"""Paired comparisons on the same problems: intervals, tests, and power."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mull.stats.estimators import Studentised, ends_of, studentised
from mull.stats.intervals import DIFFERENCE, FEW_ROWS, LEVEL, MOST_EACH, MOST_KEPT, Interval, grouped

N_PERMUTATIONS = 20_000
PERMUTATION_BLOCK = 500


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean difference of `a` and `b` over the `problems` on which both were graded.

    `discordant` is the mean squared difference: if outcomes are right or wrong, the share of problems on which exactly
    one of the two is right. `p_value` is two-sided, for this comparison alone; `p_adjusted` and the interval hold for
    all comparisons made together (Bonferroni): the interval is without 0 exactly where `p_adjusted` is below .05.
    """

    a: str
    b: str
    difference: float
    ci95: Interval
    problems: int
    discordant: float
    p_value: float
    p_adjusted: float


def paired(
    a: str,
    b: str,
    a_correct: Sequence[float | None],
    b_correct: Sequence[float | None],
    seed: int = 0,
    comparisons: int = 1,
) -> Paired | None:
    """The paired difference of accuracy, its interval and its test; `None` if no problem was graded for both.

    Entries are 1 (right), 0 (wrong), or between: the probability that the problem is solved. Interval and test are one
    procedure: the interval has all differences that are not rejected at level .05 / `comparisons`. The bootstrap-t
    rejects, and no difference at all is rejected only where the permutation test, which is exact, rejects it as well;
    the p-value is the larger of the two.
    """
    both = zip(a_correct, b_correct, strict=True)
    differences = sorted(float(x) - float(y) for x, y in both if x is not None and y is not None)
    if not differences:
        return None
    n, level = len(differences), LEVEL / comparisons
    mean, discordant = math.fsum(differences) / n, math.fsum(d * d for d in differences) / n
    rows, weight, drawn = grouped(np.array(differences)[:, None], seed)
    found = studentised(rows, drawn, weight)
    low, high = ends_of(found, n, DIFFERENCE, level)[0].tolist()
    p = max(permutation_test(differences, seed), _chance(found))
    if p >= level:
        low, high = min(low, 0.0), max(high, 0.0)
    elif low <= 0 <= high:
        p = level  # the quantile lies between two resamples, of which the count took the other
    adjusted = comparisons * p if p < level else max(LEVEL, comparisons * p)  # n * (.05 / n) may be below .05
    return Paired(a, b, mean, Interval(low, high), n, discordant, p, min(1.0, adjusted))


def _chance(found: Studentised) -> float:
    """The two-sided p-value of no difference by the bootstrap-t; 0 where all differences are equal."""
    if not found.varies[0]:
        return 0.0
    t = found.mean[0] / found.error[0]
    return min(1.0, 2 * float(min(np.mean(found.drawn >= t), np.mean(found.drawn <= t))))


def compare(columns: Mapping[str, Sequence[float | None]], seed: int = 0) -> list[Paired]:
    """Compares each column with the first; intervals and `p_adjusted` hold for all comparisons together.

    A column holds a strategy's correctness on each problem, from 0 to 1, or `None` where it is unknown.
    """
    first, *others = columns
    known = [
        any(x is not None and y is not None for x, y in zip(columns[o], columns[first], strict=True)) for o in others
    ]
    found = [paired(name, first, columns[name], columns[first], seed, max(1, sum(known))) for name in others]
    return [pair for pair in found if pair is not None]


def permutation_test(differences: Sequence[float], seed: int = 0) -> float:
    """The two-sided p-value of paired differences under random signs.

    If all nonzero differences have the same size it is exact (McNemar's test); otherwise it is estimated from
    `N_PERMUTATIONS` random sign vectors, with the observed one counted among them (Phipson and Smyth 2010).
    """
    sizes = sorted(d for d in differences if d != 0)
    if not sizes:
        return 1.0
    if len({abs(d) for d in sizes}) == 1:
        n, least = len(sizes), min(sum(d > 0 for d in sizes), sum(d < 0 for d in sizes))
        return float(min(1.0, 2 * sum(math.comb(n, i) for i in range(least + 1)) / 2**n))
    values = np.asarray(sizes)
    observed = abs(values.sum()) * (1 - 1e-12)
    n_beyond = 0
    distinct, counts = np.unique(abs(values), return_counts=True)
    if len(values) > MOST_EACH and len(distinct) <= len(values) // FEW_ROWS:
        heads = np.random.default_rng(seed).binomial(counts, 0.5, (N_PERMUTATIONS, len(counts)))
        n_beyond = int((abs((2.0 * heads - counts) @ distinct) >= observed).sum())
        return (1 + n_beyond) / (1 + N_PERMUTATIONS)
    for signs in _kept_signs(len(values), seed) if len(values) <= MOST_KEPT else _signs(len(values), seed):
        sums = 2 * (signs @ values) - values.sum()
        n_beyond += int((abs(sums) >= observed).sum())
    return (1 + n_beyond) / (1 + N_PERMUTATIONS)


def _signs(n: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Random signs of n values, `N_PERMUTATIONS` times in blocks; 1 for plus, 0 for minus."""
    rng = np.random.default_rng(seed)
    for _ in range(N_PERMUTATIONS // PERMUTATION_BLOCK):
        yield rng.integers(0, 2, (PERMUTATION_BLOCK, n), np.uint32).astype(np.float64)


@lru_cache(maxsize=2)
def _packed_signs(n: int, seed: int) -> list[NDArray[np.uint8]]:
    return [np.packbits(signs.astype(np.bool_), axis=1) for signs in _signs(n, seed)]


def _kept_signs(n: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """`_signs`, kept one bit each: the comparisons of one set of problems are all tested with the same ones."""
    return (np.unpackbits(packed, axis=1, count=n).astype(np.float64) for packed in _packed_signs(n, seed))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values to control the family-wise error rate: the chance of any false rejection (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = most
    return adjusted


def _needed(d: float, discordant: float, power: float, level: float) -> int:
    z = NormalDist().inv_cdf
    root = z(1 - level / 2) * math.sqrt(discordant) + z(power) * math.sqrt(max(0.0, discordant - d * d))
    return math.ceil((root / d) ** 2)


def _shown(n: int, discordant: float, high: float, power: float, level: float) -> float | None:
    low = 0.0
    if discordant <= 0 or _needed(high, discordant, power, level) > n:
        return None
    while high - low > 1e-6:
        middle = (low + high) / 2
        enough = _needed(middle, discordant, power, level) <= n
        low, high = (low, middle) if enough else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Power:
    """The power of a paired comparison, with a chance of detection of 80 % at level .05.

    `shown` is the smallest difference that `problems` problems detect, `needed` how many problems would detect the
    observed one. `None`: the two never differ, or no number of problems suffices.
    """

    problems: int
    discordant: float
    shown: float | None
    needed: int | None


def power(difference: float, discordant: float, problems: int, chance: float = 0.8, level: float = 0.05) -> Power:
    """The power of a paired comparison with this mean difference and mean squared difference.

    If outcomes are probabilities, the mean square can be smaller than the mean difference.
    """
    needed = _needed(abs(difference), discordant, chance, level) if difference else None
    return Power(problems, discordant, _shown(problems, discordant, math.sqrt(discordant), chance, level), needed)


@dataclass(frozen=True, slots=True)
class Settling:
    """What would show the difference that was seen, with a chance of 80 % at level .05.

    `problems` of the same kind with as many draws each, or `draws` of each of these problems; `None`: no number does.
    """

    problems: int | None
    draws: int | None


def settling(
    a_correct: Sequence[float], b_correct: Sequence[float], a_draws: Sequence[int], b_draws: Sequence[int]
) -> Settling:
    """How many problems, or draws of one reply each, would settle which of two shares of right draws is larger.

    The variance of a problem's difference has two parts: that between problems, which only more problems make
    harmless, and that of the draws, p (1 - p) / (draws - 1) for each of the two, which more draws do. Takes the shares
    of right draws of each problem and their numbers. Without two draws of a problem its part is not known, and `draws`
    is `None`.
    """
    differences = np.array(a_correct, dtype=np.float64) - np.array(b_correct, dtype=np.float64)
    n, mean = len(differences), float(differences.mean())
    if n < 2 or mean == 0:
        return Settling(None, None)
    z = NormalDist().inv_cdf
    wanted = (mean / (z(1 - LEVEL / 2) + z(0.8))) ** 2
    variance = float(differences.var(ddof=1))
    problems = math.ceil(variance / wanted)
    counts = np.array([a_draws, b_draws], dtype=np.float64)
    if counts.min() < 2:
        return Settling(problems, None)
    shares = np.array([a_correct, b_correct], dtype=np.float64)
    of_one_draw = shares * (1 - shares) * counts / (counts - 1)
    noise = float((of_one_draw / counts).sum(axis=0).mean())
    between = max(0.0, variance - noise)
    spare = n * wanted - between
    draws = math.ceil(float(of_one_draw.sum(axis=0).mean()) / spare) if spare > 0 else None
    return Settling(problems, draws)
