"""Strategies on recorded draws whose every verdict is known: means over all orders of the draws, nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mull.files.recording import Recording
from mull.lab.metrics import best_at_k, by_problem
from mull.lab.windows import Floats
from mull.stats.estimators import chance_all_within, pass_at_ks
from mull.stats.intervals import SHARE, Interval, bootstrap
from mull.stats.paired import Paired, compare

PASSES = 1.0
"""The score of a draw that passes the public tests."""


@dataclass(frozen=True, slots=True)
class Replay:
    """One strategy on every problem: its chance to solve it, and the draws and tokens that it takes, [problems] each.

    `is_oracle`: it chooses by the hidden tests, so it is an upper bound and no method.
    """

    name: str
    right: Floats
    draws: Floats
    tokens: Floats
    is_oracle: bool = False

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    def interval(self, seed: int = 0) -> Interval:
        """The 95 % interval of the accuracy over problems."""
        return bootstrap(self.right, seed, SHARE)


@dataclass(frozen=True, slots=True)
class PublicTests:
    """How far public tests can be trusted, by the hidden ones: numbers of draws, and of problems."""

    passing: int
    passing_wrong: int
    failing: int
    failing_right: int
    misleading: int
    """Problems on which wrong draws pass, and no right one does: any choice by the public tests is wrong there."""


@dataclass(frozen=True, slots=True)
class ByDifficulty:
    """Problems of one kind, told apart by the even-numbered draws and measured on the `k` odd-numbered ones.

    `gain` is the paired difference of drawing until the tests pass to one draw; `None` without problems.
    """

    name: str
    problems: int
    k: int | None
    single: float | None
    until_pass: float | None
    coverage: float | None
    gain: Paired | None


def is_tested(one: Recording) -> bool:
    """Whether public tests have a verdict on every draw."""
    return bool(one.samples) and None not in one.scores


def taken(passes: Sequence[bool], k: int) -> Floats:
    """The chance of each draw to be made by `until-pass:n=k,wave=1`, over all orders of the draws, [draws].

    A draw is made if fewer than k draws come before it, and none of them passes.
    """
    passing = np.asarray(passes, dtype=np.bool_)
    n, m = len(passing), int(passing.sum())
    # Draws before a given one, which are others than it: none of them passes.
    before = np.arange(min(k, n))
    to_pass = chance_all_within(n - 1, n - m, before.tolist()) if m else 0.0
    to_fail = chance_all_within(n - 1, n - 1 - m, before.tolist()) if m < n else 0.0
    return np.where(passing, np.sum(to_pass), np.sum(to_fail)) / n


def replays(recordings: Sequence[Recording], ks: Sequence[int]) -> list[Replay]:
    """One draw; for each k the best of k by the tests and the first of k to pass them; coverage of each k.

    `recordings` must be tested (`is_tested`), and have the tokens of every draw.
    """
    lengths = np.array([np.mean(_lengths(one)) for one in recordings])
    ones = np.ones(len(recordings))
    share = np.array([one.n_correct / one.n for one in recordings])
    chosen = np.array([best_at_k(one.scores, one.correct, ks) for one in recordings])
    covered = pass_at_ks([one.n for one in recordings], [one.n_correct for one in recordings], ks)
    made = [[taken(_passes(one), k) for one in recordings] for k in ks]
    found = [Replay("single", share, ones, lengths)]
    found += [Replay(f"best:n={k}", chosen[:, i], k * ones, k * lengths) for i, k in enumerate(ks)]
    for i, k in enumerate(ks):
        draws = np.array([chance.sum() for chance in made[i]])
        tokens = np.array([chance @ _lengths(one) for chance, one in zip(made[i], recordings, strict=True)])
        found.append(Replay(f"until-pass:n={k},wave=1", chosen[:, i], draws, tokens))
    return found + [Replay(f"coverage of {k}", covered[:, i], k * ones, k * lengths, True) for i, k in enumerate(ks)]


def votes(recordings: Sequence[Recording], ks: Sequence[int]) -> list[Replay]:
    """One draw; the vote of each k; coverage of each k.

    `recordings` must have answers, and the tokens of every draw.
    """
    lengths = np.array([np.mean(_lengths(one)) for one in recordings])
    ones = np.ones(len(recordings))
    values = by_problem(recordings, [1, *ks], is_scored=False)
    found = [Replay("single", values["majority"][:, 0], ones, lengths)]
    for name, curve, is_oracle in (("majority:n={}", "majority", False), ("coverage of {}", "coverage", True)):
        of_k = enumerate(ks, start=1)
        found += [Replay(name.format(k), values[curve][:, i], k * ones, k * lengths, is_oracle) for i, k in of_k]
    return found


def differences(found: Sequence[Replay], seed: int = 0) -> list[Paired]:
    """The paired difference of each method from the first."""
    return compare({one.name: one.right.tolist() for one in found if not one.is_oracle}, seed)


def public_tests(recordings: Sequence[Recording]) -> PublicTests:
    """What the hidden tests say of the draws that the public ones pass, and of those that they fail."""
    pairs = [list(zip(_passes(one), one.correct, strict=True)) for one in recordings]
    flat = [pair for each in pairs for pair in each]
    return PublicTests(
        sum(passes for passes, _ in flat),
        sum(passes and not right for passes, right in flat),
        sum(not passes for passes, _ in flat),
        sum(right and not passes for passes, right in flat),
        sum((True, False) in each and (True, True) not in each for each in pairs),
    )


def difficulty(one: Recording) -> str:
    """Whether a problem is easy (all of its even-numbered draws are right), hard (some are), or out of reach."""
    told = one.correct[::2]
    return "easy" if all(told) else "hard" if any(told) else "out of reach"


def other_halves(recordings: Sequence[Recording]) -> dict[str, list[Recording]]:
    """The problems of each `difficulty`, with the odd-numbered draws, which did not tell it."""
    groups: dict[str, list[Recording]] = {"easy": [], "hard": [], "out of reach": []}
    for one in recordings:
        groups[difficulty(one)].append(one.only(slice(1, None, 2)))
    return groups


def by_difficulty(recordings: Sequence[Recording], seed: int = 0) -> list[ByDifficulty]:
    """The problems of each `difficulty`, measured on their odd-numbered draws."""
    return [_kind(name, part, seed) for name, part in other_halves(recordings).items()]


def _kind(name: str, part: Sequence[Recording], seed: int) -> ByDifficulty:
    if not part:
        return ByDifficulty(name, 0, None, None, None, None, None)
    k = min(one.n for one in part)
    single, _, until, coverage = replays(part, [k])
    (gain,) = compare({one.name: one.right.tolist() for one in (single, until)}, seed)
    return ByDifficulty(name, len(part), k, single.accuracy, until.accuracy, coverage.accuracy, gain)


def _passes(one: Recording) -> list[bool]:
    return [score is not None and score >= PASSES for score in one.scores]


def _lengths(one: Recording) -> Floats:
    return np.array([sample.output_tokens for sample in one.samples], dtype=np.float64)
