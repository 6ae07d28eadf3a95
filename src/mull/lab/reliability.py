"""How reliably draws are right: pass^k and G-Pass@k, beside pass@k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mull.files.recording import Recording
from mull.files.spool import draw_counts
from mull.lab.metrics import Point
from mull.stats.estimators import g_pass_at_k, mean_g_pass_at_k, pass_at_k
from mull.stats.intervals import SHARE, bootstrap

MOST_DRAWS = 16
"""Reliability is told for at most this many draws."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """The chance that any of k draws is right, that all are (pass^k), and that a share of them is (G-Pass@k).

    `half` and `three_quarters` are G-Pass@k at these shares, `mean` is mG-Pass@k, the mean over the shares above half.
    """

    k: int
    any: Point
    half: Point
    three_quarters: Point
    all: Point
    mean: Point


def reliability(recordings: Sequence[Recording], seed: int = 0) -> Reliability | None:
    """The reliability at the fewest draws of any problem, at most `MOST_DRAWS`; `None` for fewer than two."""
    counts = draw_counts(recordings)
    k = min(MOST_DRAWS, *(n for n, _ in counts))
    if k < 2:
        return None

    def point(of: Callable[[int, int], float]) -> Point:
        kept = lru_cache(maxsize=None)(of)
        values = [min(1.0, max(0.0, kept(n, c))) for n, c in counts]
        return Point(k, sum(values) / len(values), bootstrap(values, seed, SHARE))

    def shared(share: float) -> Point:
        return point(lambda n, c: g_pass_at_k(n, c, k, share))

    return Reliability(
        k,
        point(lambda n, c: pass_at_k(n, c, k)),
        shared(0.5),
        shared(0.75),
        shared(1.0),
        point(lambda n, c: mean_g_pass_at_k(n, c, k)),
    )
