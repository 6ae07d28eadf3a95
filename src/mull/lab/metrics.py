"""Coverage, majority and best-of-k as functions of k, averaged over subsets of the draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from mull.files.recording import DrawCounts, Recording
from mull.files.spool import draw_counts
from mull.lab.numbered import NumberedDraws
from mull.lab.votes import counted_votes, exact_votes
from mull.lab.windows import Floats, Poll, Windows
from mull.shown import html_table
from mull.stats.estimators import chance_all_within, pass_at_ks
from mull.stats.intervals import SHARE, Interval, bootstraps

SELECTORS = ("best", "weighted", "majority")
"""Selectors, which choose an answer without gold; the first that is measured defines a curve's own `gap`."""
DRAWS_AT_ONCE = 1 << 20
"""Draws of problems whose votes are counted at once."""


@dataclass(frozen=True, slots=True)
class Point:
    """A curve's value at k with its 95 % interval over problems."""

    k: int
    value: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Curves:
    """Measured curves of one group of problems; a curve that the data do not allow is empty.

    `worst` is the probability that all of k draws are correct. `gaps` has coverage minus each selector's accuracy;
    `gap` is that of best-of-k if there are scores, and otherwise of majority.
    """

    problems: int
    samples: int
    coverage: list[Point] = field(default_factory=list)
    majority: list[Point] = field(default_factory=list)
    weighted: list[Point] = field(default_factory=list)
    best: list[Point] = field(default_factory=list)
    worst: list[Point] = field(default_factory=list)
    gap: list[Point] = field(default_factory=list)
    gaps: dict[str, list[Point]] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """The curves as a notebook shows them, in per cent with 95 % intervals."""
        named = {name: getattr(self, name) for name in ("coverage", *SELECTORS)}
        columns = {name: points for name, points in named.items() if points}
        rows = ((row[0].k, *map(_percent, row)) for row in zip(*columns.values(), strict=True))
        return html_table(("k", *columns), rows, f"{self.problems:,} problems, {self.samples:,} draws")


def _percent(point: Point) -> str:
    low, high = point.ci95
    return f"{100 * point.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def best_at_k(scores: Sequence[float | None], correct: Sequence[bool], ks: Sequence[int]) -> Floats:
    """Probability that the best scored of k draws is correct, over all subsets; ties count in equal parts.

    Unscored draws are never chosen; a subset without a scored draw has no correct choice.
    """
    return best_of(NumberedDraws((), correct, scores), ks)


def best_of(drawn: NumberedDraws, ks: Sequence[int]) -> Floats:
    """`best_at_k` of these draws."""
    n, n_scored = drawn.n, len(drawn.ranked)
    if not n_scored:
        return np.zeros(len(ks))
    scores, right = drawn.scores[drawn.ranked], drawn.right[drawn.ranked]
    starts = np.flatnonzero(np.diff(scores, prepend=-np.inf))
    within, each = _within(n, tuple(ks))
    best: Floats
    if len(starts) == n:
        best = right @ each
        return best
    sizes = np.diff(starts, append=n_scored)
    shares = np.add.reduceat(right, starts, dtype=np.float64) / sizes
    # The best of the subset has this score: all k draws score at most this, and not all score less.
    best = shares @ np.diff(within[n - n_scored + np.append(starts, n_scored)], axis=0)
    return best


@lru_cache(maxsize=2)
def _within(n: int, ks: tuple[int, ...]) -> tuple[Floats, Floats]:
    """`chance_all_within` for every number of draws up to n, [n + 1, ks], and its differences, [n, ks]."""
    within = chance_all_within(n, np.arange(n + 1), ks)
    return within, np.diff(within, axis=0)


def majority_at_k(
    answers: Sequence[str | None],
    correct: Sequence[bool],
    ks: Sequence[int],
    seed: int = 0,
    weights: Sequence[float | None] | None = None,
) -> Floats:
    """Probability that the vote of k draws is correct, over subsets; ties count in equal parts.

    Draws without an answer do not vote, nor do draws without a weight in a weighted vote. An answer is as correct as
    the draws that gave it were on average. The mean is over all subsets where these are counted or few, else over
    random orders; it does not depend on the order of the draws. `ks` must be ascending.
    """
    votes = Votes(ks, seed)
    votes.add(NumberedDraws(answers, correct, () if weights is None else weights), is_weighted=weights is not None)
    values: Floats = votes.values()[0]
    return values


def votes_at_ks(polls: Sequence[Poll], ks: Sequence[int], seed: int = 0) -> Floats:
    """`majority_at_k` of several problems, [problems, ks]."""
    values, rest = np.zeros((len(polls), len(ks))), []
    for i, poll in enumerate(polls):
        if (exact := exact_votes(poll, ks)) is None:
            rest.append(i)
        else:
            values[i] = exact
    several = slice(1 if ks[0] == 1 else 0, None)
    for n in {len(polls[i].ids) for i in rest}:
        same = [i for i in rest if len(polls[i].ids) == n]
        values[same, several] = Windows(n, seed).votes([polls[i] for i in same], ks[several])
    if ks[0] == 1:  # a single vote needs no sampling
        values[:, 0] = [poll.right[poll.ids[poll.ids < len(poll.right)]].sum() / len(poll.ids) for poll in polls]
    return values


def default_ks(n: int) -> list[int]:
    """1, 2, 4, ... and 1, 10, 100, ..., and n itself."""
    powers = {2**i for i in range(n.bit_length())} | {10**i for i in range(len(str(n)))} | {n}
    return sorted(k for k in powers if k <= n)


def usable_ks(recordings: Sequence[Recording], ks: Sequence[int] | None = None) -> list[int]:
    """The ks, ascending, for which every problem has enough draws; by default `default_ks`."""
    n = min(counted.n for counted in draw_counts(recordings))
    return [k for k in sorted(set(ks)) if k <= n] if ks else default_ks(n)


def curves(recordings: Sequence[Recording], ks: Sequence[int] | None = None, seed: int = 0) -> Curves:
    """The curves of a set of problems, up to the smallest number of draws of any of them."""
    ks = usable_ks(recordings, ks)
    return summarise(recordings, ks, by_problem(recordings, ks, seed), seed)


def summarise(
    recordings: Sequence[Recording], ks: Sequence[int], values: Mapping[str, Floats], seed: int = 0
) -> Curves:
    """The means over problems of `by_problem`, with their intervals."""
    gaps = {name: values["coverage"] - values[name] for name in SELECTORS if name in values}

    def points(matrix: Floats | None, bounds: tuple[float, float] | None = SHARE) -> list[Point]:
        if matrix is None:
            return []
        ends = bootstraps(matrix, seed, bounds)
        return [Point(k, float(matrix[:, i].mean()), ends[i]) for i, k in enumerate(ks)]

    return Curves(
        len(recordings),
        sum(counted.n for counted in draw_counts(recordings)),
        **{name: points(values.get(name)) for name in ("coverage", *SELECTORS, "worst")},
        gap=points(next(iter(gaps.values()), None), None),
        gaps={name: points(gap, None) for name, gap in gaps.items()},
    )


def by_problem(
    recordings: Iterable[Recording], ks: Sequence[int], seed: int = 0, *, is_scored: bool = True
) -> dict[str, Floats]:
    """Each curve that the data allow, as [problems, ks]: coverage, worst, and the selectors.

    Unless `is_scored`, scores are ignored, and with them the selectors that need them. If a problem has no score while
    others have, these selectors choose nothing there, which is not right: so do the strategies.

    One pass over the recordings: of a problem whose curves are known, only these are held.
    """
    counts: list[DrawCounts] = []
    best: list[Floats] = []
    majority, weighted = Votes(ks, seed), Votes(ks, seed)
    has_answers, is_answered = True, False
    scored: list[bool] = []
    for one in recordings:
        counts.append(DrawCounts(one.n, one.n_correct))
        has_answers = has_answers and bool(one.answers)
        has_scores = is_scored and one.is_scored
        scored.append(has_scores)
        drawn = NumberedDraws.of(one)
        if has_scores:
            best.append(best_of(drawn, ks))
        if has_answers:
            is_answered = is_answered or bool(drawn.names)
            majority.add(drawn)
        if has_scores and has_answers:
            weighted.add(drawn, is_weighted=True)
    n, c = [each.n for each in counts], [each.n_correct for each in counts]
    values = {"coverage": pass_at_ks(n, c, ks), "worst": chance_all_within(n, c, ks)}
    by_scores = {"best": np.array(best)} if best else {}
    if best and has_answers and is_answered:
        by_scores["weighted"] = weighted.values()
    for name, chosen in by_scores.items():
        values[name] = np.zeros((len(scored), len(ks)))
        values[name][scored] = chosen
    if has_answers and is_answered:
        values["majority"] = majority.values()
    return values


class Votes:
    """`majority_at_k` of problems that come one by one; those that cannot be counted are sampled many at once."""

    def __init__(self, ks: Sequence[int], seed: int) -> None:
        self._ks, self._seed = ks, seed
        self._counted: list[Floats | None] = []
        self._polls: list[Poll] = []
        self._n_draws = 0
        self._sampled: list[Floats] = []

    def add(self, one: NumberedDraws, *, is_weighted: bool = False) -> None:
        """Adds the next problem; `is_weighted`: scores are the weights of its votes."""
        counted = None if is_weighted else counted_votes(one, self._ks)
        self._counted.append(counted)
        if counted is None:
            self._polls.append(one.weighted_poll() if is_weighted else one.poll())
            self._n_draws += one.n
            if self._n_draws >= DRAWS_AT_ONCE:
                self._sample()

    def _sample(self) -> None:
        if self._polls:
            self._sampled += list(votes_at_ks(self._polls, self._ks, self._seed))
        self._polls, self._n_draws = [], 0

    def values(self) -> Floats:
        """The chances, [problems, ks]."""
        self._sample()
        sampled = iter(self._sampled)
        return np.array([next(sampled) if one is None else one for one in self._counted])
