"""Strategies and models compared on the same problems: rankings, simultaneous bands, and what would settle the rest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mull.errors import UnknownNameError, UsageError
from mull.files.recording import Recording
from mull.lab.averaged import averaged
from mull.lab.metrics import SELECTORS, by_problem, usable_ks
from mull.stats.bands import CurveDifference, compare_curves
from mull.stats.paired import Settling, paired, settling
from mull.stats.ranks import Ranked, rank

CURVES = {"coverage": "pass@k", **{name: name for name in SELECTORS}, "worst": "pass^k"}
"""What the curves are called in the field."""
Chances = Mapping[str, float]
"""By problem, the chance that something solves it."""


class CurvePair(NamedTuple):
    """The difference of one curve between two models, or of two curves of one model."""

    curve: str
    found: CurveDifference


class OpenPair(NamedTuple):
    """Two models of which it is not shown which one's draws are right more often, and what would show it."""

    a: str
    b: str
    difference: float
    settling: Settling


@dataclass(frozen=True, slots=True)
class Comparing:
    """The ranking over the problems that all have, the differences of curves, and the open pairs."""

    problems: int
    ranking: list[Ranked]
    curves: list[CurvePair]
    open: list[OpenPair]


def chances(groups: Mapping[str, Sequence[Recording]], seed: int = 0) -> dict[str, Chances]:
    """What was run, as `STRATEGY on MODEL`, by problem; without results one draw, and choices among all draws."""
    found: dict[str, Chances] = {}
    for model, recordings in groups.items():
        ids = [one.id for one in recordings]
        if len(set(ids)) < len(ids):
            raise UsageError(f"{model}: two problems have the same id, so comparisons cannot be paired over problems")
        names = list(dict.fromkeys(name for one in recordings for name in one.results))
        for name in names:
            each = zip(ids, averaged(name, recordings, seed).correct, strict=True)
            found[f"{name} on {model}"] = {id: value for id, value in each if value is not None}
        if names:
            continue
        n = min(one.n for one in recordings)
        found[f"single on {model}"] = {one.id: one.n_correct / one.n for one in recordings}
        for name, values in by_problem(recordings, [n], seed).items() if n > 1 else ():
            if name in SELECTORS:
                found[f"{name}:n={n} on {model}"] = dict(zip(ids, values[:, 0].tolist(), strict=True))
    return found


def comparison(groups: Mapping[str, Sequence[Recording]], ks: Sequence[int] | None = None, seed: int = 0) -> Comparing:
    """Compares all groups with each other. Raises `UsageError` if they have no problem in common."""
    found = chances(groups, seed)
    if len(found) < 2:
        raise UsageError(f"there is one thing here, {next(iter(found))}: a comparison needs another model or strategy")
    shared = common(found)
    matrix = np.array([[each[id] for each in found.values()] for id in shared])
    return Comparing(
        len(shared), rank(list(found), matrix, seed), _curves(groups, shared, ks, seed), _open(groups, shared, seed)
    )


def common(found: Mapping[str, Chances]) -> list[str]:
    """The problems on which all were graded. Raises `UsageError` if there are none."""
    shared = set.intersection(*(set(each) for each in found.values()))
    if not shared:
        raise UsageError(f"{', '.join(found)} have no graded problem in common: comparisons are paired over problems")
    return sorted(shared)


def _curves(
    groups: Mapping[str, Sequence[Recording]], shared: Sequence[str], ks: Sequence[int] | None, seed: int
) -> list[CurvePair]:
    """Each curve of every further model against the first one's; of one model, each selector against the next."""
    drawn = {name: _at(recordings, shared) for name, recordings in groups.items()}
    if not all(one.n for recordings in drawn.values() for one in recordings):
        return []
    common_ks = usable_ks([one for recordings in drawn.values() for one in recordings], ks)
    if not common_ks:
        return []
    values = {name: by_problem(recordings, common_ks, seed) for name, recordings in drawn.items()}
    first, *others = values
    if not others:
        own = [name for name in SELECTORS if name in values[first]]
        return [
            CurvePair(f"{a} and {b}", compare_curves(a, b, common_ks, values[first][a], values[first][b], seed))
            for a, b in itertools.pairwise(own)
        ]
    return [
        CurvePair(told, compare_curves(other, first, common_ks, values[other][curve], values[first][curve], seed))
        for other in others
        for curve, told in CURVES.items()
        if curve in values[other] and curve in values[first]
    ]


def _open(groups: Mapping[str, Sequence[Recording]], shared: Sequence[str], seed: int) -> list[OpenPair]:
    """The pairs with the first model whose draws are not shown to differ."""
    drawn = {name: _at(recordings, shared) for name, recordings in groups.items()}
    if not all(one.n for recordings in drawn.values() for one in recordings):
        return []
    rates = {name: [one.n_correct / one.n for one in recordings] for name, recordings in drawn.items()}
    first, *others = rates
    found = []
    for other in others:
        pair = paired(other, first, rates[other], rates[first], seed, len(others))
        if pair is not None and pair.p_adjusted >= 0.05:
            wanted = settling(rates[other], rates[first], *([one.n for one in drawn[name]] for name in (other, first)))
            found.append(OpenPair(other, first, pair.difference, wanted))
    return found


def _at(recordings: Sequence[Recording], ids: Sequence[str]) -> list[Recording]:
    by_id = {one.id: one for one in recordings}
    return [replace(by_id[id], results={}) for id in ids]


def failures(
    now: Mapping[str, Chances], fail_under: float | None, before: Mapping[str, Chances] | None, seed: int = 0
) -> list[str]:
    """Why a check of figures fails, one sentence each: below a limit, or worse than before beyond chance.

    Worse is what the paired difference shows at a level of .05, for all comparisons together. Raises `UsageError` where
    `before` does not have what is compared, or not its problems.
    """
    found = []
    for name, each in now.items():
        if not each:
            raise UsageError(f"{name}: nothing was graded, so nothing can be checked")
        accuracy = sum(each.values()) / len(each)
        if fail_under is not None and accuracy < fail_under:
            found.append(f"{name} is right on {100 * accuracy:.1f} %, under {100 * fail_under:g} %")
    for name, each in now.items() if before is not None else ():
        if before is None or name not in before:
            raise UnknownNameError("row of the earlier file", name, before or ())
        shared = common({f"{name} now": each, f"{name} before": before[name]})
        pair = paired("", "", [each[id] for id in shared], [before[name][id] for id in shared], seed, len(now))
        if pair is not None and pair.ci95.high < 0:
            found.append(
                f"{name} is worse than before by {-100 * pair.difference:.1f} points on {len(shared)} problems, 95 % "
                f"interval [{100 * pair.ci95.low:+.1f}, {100 * pair.ci95.high:+.1f}]"
            )
    return found
