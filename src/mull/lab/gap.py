"""The gap between selection and coverage, its causes, and limits on what more draws of these problems can reach."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.files.recording import DrawCounts, Recording, Samples
from mull.files.spool import draw_counts
from mull.lab.lengths import Lengths, LengthStats
from mull.lab.metrics import SELECTORS, Curves, Point, by_problem, summarise, usable_ks
from mull.lab.numbered import NumberedDraws
from mull.lab.windows import CLOSE, Floats, Ints
from mull.stats.distinct import DistinctTexts
from mull.stats.estimators import none_in
from mull.stats.intervals import SHARE, Interval, bootstrap, resampled_means, wilson
from mull.stats.paired import Power, power

N_BINS = 5
"""Bins of difficulty, as in Snell et al. 2024."""
LEAST_KS = 4
"""A change of slope cannot be detected with fewer points."""
PASSES = 0.5
"""The score at or above which a verifier accepts."""

NO_ANSWER = "no parseable answer"
TIE = "tie"
WRONG_MODE = "wrong mode"
MIXED = "one answer, both grades"
RANKED_WRONG = "verifier ranked wrong"
UNSCORED = "verifier missing"


@dataclass(frozen=True, slots=True)
class Plateau:
    """Where a selector's curve stops rising: a change of slope over log k, with a 95 % interval over problems.

    `is_reached`: the whole interval lies below the largest measured number of draws.
    """

    k: int
    ci95: Interval
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """A selector's gap at all draws of every problem; `causes` maps each cause to the share of problems lost to it."""

    selector: str
    gap: float
    causes: Mapping[str, float]
    plateau: Plateau | None


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The accuracy that drawing until the verifier accepts converges to: the mean of p t / (p t + (1 - p) f).

    `t` and `f` are the shares of correct and of wrong draws that it accepts, p each problem's share of correct draws.
    Problems without a correct draw count as 0. `None`: there were no correct, or no wrong, scored draws.
    """

    t: float | None
    f: float | None
    value: float | None
    scored: int
    unscored: int


@dataclass(frozen=True, slots=True)
class DifficultyBin:
    """Problems of similar difficulty: binned by one half of their draws, measured on the other half."""

    problems: int
    accuracy: float
    majority: float | None
    coverage: float


@dataclass(frozen=True, slots=True)
class ScalingLimits:
    """Limits on what scaling can reach on these problems, one field per known limit (arXiv 2504.00294).

    `bins` go from easy to hard. `never_solved` problems have no correct draw: their true rates are below `p_bound`
    with 95 % confidence (the largest of their bounds). `mode_wrong` is the share of problems whose most frequent
    answer is wrong, on which a vote of any size fails. `guess_floor` is the coverage of guessing among the `n_answers`
    different answers seen. `power` is that of comparing one draw with the first selector at all draws. `feedback`
    says what corrected the replies between draws (`none`: draws are independent; `self`, `hybrid` or `oracle`); from
    the dates follows whether the model may have been trained on the problems. `None` is unknown.
    """

    accuracy: float
    accuracy_ci95: Interval
    bins: tuple[DifficultyBin, ...]
    tokens: LengthStats | None
    losses: tuple[Loss, ...]
    ceiling: Ceiling | None
    never_solved: int
    p_bound: float | None
    mode_wrong: float | None
    mode_wrong_ci95: Interval | None
    worst: Point
    n_answers: int | None
    guess_floor: tuple[tuple[int, float], ...]
    power: Power | None = None
    feedback: str | None = None
    data_date: str | None = None
    model_cutoff: str | None = None

    def told(self, about: Mapping[str, str]) -> ScalingLimits:
        """A copy with what a source states about its problems and draws (`recording.ABOUT`)."""
        feedback, date, cutoff = (about.get(name) for name in ("feedback", "data_date", "model_cutoff"))
        return replace(self, feedback=feedback, data_date=date, model_cutoff=cutoff)


class Measurement(NamedTuple):
    """The curves of a group of problems, the limits of scaling, and each problem's own values [problems, ks]."""

    curves: Curves
    limits: ScalingLimits
    ks: list[int]
    values: dict[str, Floats]


def measure(recordings: Sequence[Recording], ks: Sequence[int] | None = None, seed: int = 0) -> Measurement:
    """The curves of a group of problems and its limits of scaling, from one pass over the draws."""
    ks = usable_ks(recordings, ks)
    values = by_problem(recordings, ks, seed)
    return Measurement(summarise(recordings, ks, values, seed), limits(recordings, ks, values, seed), ks, values)


def limits(
    recordings: Sequence[Recording], ks: Sequence[int], values: Mapping[str, Floats], seed: int = 0
) -> ScalingLimits:
    """The limits of scaling that draws show; `values` are those of `by_problem`."""
    counts = draw_counts(recordings)
    rates = np.array([c / n for n, c in counts])
    losses, modes, answers = {name: Losses() for name in SELECTORS if name in values}, list[bool](), DistinctTexts()
    scored, lengths = ScoredDraws(), Lengths()
    for one in recordings:
        drawn = NumberedDraws.of(one)
        for name, lost in losses.items():
            lost.add(drawn, name)
        if (wrong := _mode_is_wrong(drawn)) is not None:
            modes.append(wrong)
        answers.add(drawn.names)
        scored.add(drawn)
        lengths.add(one)
    n_answers = answers.n
    worst = values["worst"][:, -1]
    return ScalingLimits(
        float(rates.mean()),
        bootstrap(rates, seed, SHARE),
        bins(recordings, seed),
        lengths.stats(seed),
        tuple(lost.loss(name, len(counts), plateau(values[name], ks, seed)) for name, lost in losses.items()),
        scored.ceiling(counts),
        sum(not c for _, c in counts),
        max((none_in(n) for n, c in counts if not c), default=None),
        sum(modes) / len(modes) if modes else None,
        wilson(sum(modes), len(modes)) if modes else None,
        Point(ks[-1], float(worst.mean()), bootstrap(worst, seed, SHARE)),
        n_answers or None,
        tuple((k, -math.expm1(k * math.log1p(-1 / n_answers))) for k in ks) if n_answers > 1 else (),
        None if not losses else _power(values[next(iter(losses))][:, -1] - rates),
    )


def _power(differences: Floats) -> Power:
    return power(float(differences.mean()), float((differences**2).mean()), len(differences))


def plateau(values: Floats, ks: Sequence[int], seed: int = 0) -> Plateau | None:
    """The k at which the mean of curves [problems, ks], rising over log k, turns level; `None` for too few ks.

    Found by least squares over all turning points; the interval is a bootstrap over problems.
    """
    if len(ks) < LEAST_KS:
        return None
    x = np.log(ks)
    residuals = []
    for turn in x:
        design = np.column_stack([np.ones(len(x)), np.minimum(x, turn)])
        residuals.append(np.eye(len(x)) - design @ np.linalg.pinv(design))

    def turns(curves: Floats) -> NDArray[np.int64]:
        errors = np.array([((curves @ residual) ** 2).sum(axis=1) for residual in residuals])
        # Of turning points that fit equally well up to rounding, take the first: a level curve is level from its start.
        best = errors <= errors.min(axis=0) + 1e-12
        turned: NDArray[np.int64] = np.asarray(ks)[best.argmax(axis=0)]
        return turned

    k = int(turns(values.mean(axis=0)[None])[0])
    low, high = np.quantile(turns(resampled_means(values, seed)), [0.025, 0.975])
    return Plateau(k, Interval(float(low), float(high)), bool(high < ks[-1]))


class Losses:
    """The causes for which a selector misses problems, and how often, problem after problem."""

    def __init__(self) -> None:
        self._causes: defaultdict[str, float] = defaultdict(float)

    def add(self, drawn: NumberedDraws, selector: str) -> None:
        if drawn.right.any():
            cause, lost = _lost(drawn, selector)
            self._causes[cause] += lost

    def loss(self, selector: str, n_problems: int, turn: Plateau | None) -> Loss:
        shares = {cause: lost / n_problems for cause, lost in sorted(self._causes.items()) if lost > 0}
        return Loss(selector, math.fsum(shares.values()), shares, turn)


def loss(recordings: Sequence[Recording], selector: str, turn: Plateau | None) -> Loss:
    """How much of the coverage of all draws a selector loses, by cause."""
    found = Losses()
    for one in recordings:
        found.add(NumberedDraws.of(one), selector)
    return found.loss(selector, len(recordings), turn)


def _lost(drawn: NumberedDraws, selector: str) -> tuple[str, float]:
    """Why a selector misses a problem that has a correct draw, and with what probability."""
    is_left = np.ones(drawn.n, dtype=np.bool_)
    if selector != "best":
        is_left = drawn.ids < len(drawn.names)
        if not drawn.right[is_left].any():
            return NO_ANSWER, 1.0
    if selector != "majority":
        is_left = is_left & ~np.isnan(drawn.scores)
        if not drawn.right[is_left].any():
            return UNSCORED, 1.0
    right, ids = drawn.right[is_left], drawn.ids[is_left]
    if selector == "best":
        scores = drawn.scores[is_left]
        rights = [right[scores == scores.max()]]
    else:
        leads = _leads(ids, np.ones(len(ids)) if selector == "majority" else drawn.scores[is_left])
        rights = [right[ids == lead] for lead in leads]
    share = float(np.mean([each.mean() for each in rights]))
    if share == 0:
        return (WRONG_MODE if selector == "majority" else RANKED_WRONG), 1.0
    return (TIE if len(rights) > 1 or selector == "best" else MIXED), 1 - share


def _leads(ids: Ints, weights: NDArray[Any]) -> list[int]:
    """The classes with the largest sums of weights [n], which are compared exactly."""
    sums = np.where(np.bincount(ids) > 0, np.bincount(ids, weights=weights), -np.inf)
    near = np.flatnonzero(sums >= sums.max() - CLOSE * np.abs(weights).sum()).tolist()
    exact = {place: math.fsum(weights[ids == place].tolist()) for place in near} if len(near) > 1 else {near[0]: 0.0}
    most = max(exact.values())
    return [place for place, total in exact.items() if total == most]


def mode_is_wrong(one: Recording) -> bool | None:
    """Whether the most frequent answer is wrong; `None` without an answer, or if right and wrong answers tie."""
    return _mode_is_wrong(NumberedDraws.of(one))


def _mode_is_wrong(drawn: NumberedDraws) -> bool | None:
    if not len(drawn.sizes):
        return None
    rights = set((drawn.n_right[drawn.sizes == drawn.sizes.max()] > 0).tolist())
    return None if len(rights) > 1 else not rights.pop()


class ScoredDraws:
    """How many right and wrong draws a verifier scores, and how many of them it accepts, problem after problem."""

    def __init__(self) -> None:
        self._n = {True: 0, False: 0}
        self._n_accepted = {True: 0, False: 0}

    def add(self, drawn: NumberedDraws) -> None:
        is_scored, is_accepted = ~np.isnan(drawn.scores), drawn.scores >= PASSES
        for is_right in (True, False):
            self._n[is_right] += int((is_scored & (drawn.right == is_right)).sum())
            self._n_accepted[is_right] += int((is_accepted & (drawn.right == is_right)).sum())

    def ceiling(self, counts: Sequence[DrawCounts]) -> Ceiling | None:
        """`ceiling` of these problems, which have these numbers of draws."""
        n_scored = sum(self._n.values())
        if not n_scored:
            return None
        t, f = (self._n_accepted[kind] / self._n[kind] if self._n[kind] else None for kind in (True, False))
        value = None
        if t is not None and f is not None:
            rates = [c / n for n, c in counts]
            value = float(np.mean([p * t / total if (total := p * t + (1 - p) * f) else 0.0 for p in rates]))
        return Ceiling(t, f, value, n_scored, sum(n for n, _ in counts) - n_scored)


def ceiling(recordings: Sequence[Recording]) -> Ceiling | None:
    """The ceiling of an imperfect verifier (arXiv 2411.17501); `None` if no draw has a score."""
    found = ScoredDraws()
    for one in recordings:
        found.add(NumberedDraws.of(one))
    return found.ceiling(draw_counts(recordings))


def difficulty_bins(recordings: Sequence[Recording], seed: int = 0, n_bins: int = N_BINS) -> list[list[int]]:
    """Problems in `n_bins` bins of difficulty by rank of the success rate, easiest first, of sizes as equal as can be.

    The even-numbered draws decide the bin, so that figures measured on the odd ones are unbiased; where only counts
    are known, all draws decide. The seed breaks ties, since quantile edges would coincide where many problems were
    never solved (Snell et al. 2024, arXiv 2408.03314, bin by quantiles). Empty for too few problems.
    """
    return _binned(_eases(recordings), seed, n_bins)


class _Ease(NamedTuple):
    """A problem's share of right draws among the even-numbered ones, or all, and how many single draws are known."""

    share: float
    known: int
    id: str


def _eases(recordings: Iterable[Recording]) -> list[_Ease]:
    return [
        _Ease(p.n_correct / p.n if len(p.correct) < 2 else float(np.mean(p.correct[::2])), len(p.correct), p.id)
        for p in recordings
    ]


def _binned(eases: Sequence[_Ease], seed: int, n_bins: int) -> list[list[int]]:
    if len(eases) < n_bins:
        return []
    # A problem's own number breaks ties, so that the order of the rows does not.
    lots = [random.Random(f"{seed}/{ease.id}".encode(errors="surrogatepass")).random() for ease in eases]
    order = sorted(range(len(eases)), key=lambda i: (-eases[i].share, lots[i]))
    return [part.tolist() for part in np.array_split(np.array(order), n_bins)]


def bins(recordings: Sequence[Recording], seed: int = 0) -> tuple[DifficultyBin, ...]:
    """The figures of the odd-numbered draws in each bin of difficulty. Empty if only counts or one draw are known."""
    eases = _eases(recordings)
    if any(ease.known < 2 for ease in eases):
        return ()
    made = []
    for part in _binned(eases, seed, N_BINS):
        rates: list[float] = []
        least = min(eases[i].known // 2 for i in part)
        values = by_problem(_odd(recordings, part, rates), [least], seed, is_scored=False)
        votes = values.get("majority")
        made.append(
            DifficultyBin(
                len(part),
                float(np.mean(rates)),
                None if votes is None else float(votes.mean()),
                float(values["coverage"].mean()),
            )
        )
    return tuple(made)


def _odd(recordings: Sequence[Recording], places: Iterable[int], rates: list[float]) -> Iterator[Recording]:
    """Problems with their odd-numbered draws, whose shares of right ones are added to `rates`."""
    for place in places:
        one = recordings[place]
        correct = one.correct[1::2]
        rates.append(sum(correct) / len(correct))
        samples = Samples(len(correct), {"text": ("",) * len(correct), "correct": correct})
        yield Recording(one.id, samples=samples, answers=one.answers[1::2])
