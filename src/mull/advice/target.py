"""The inverse question: how many draws an accuracy takes, with which chance, or that no number of them reaches it."""

from __future__ import annotations

from typing import NamedTuple

from mull import spec
from mull.advice.options import BASE, Advice, Option

LIKELY = 0.9


class TargetReach(NamedTuple):
    """How one kind of strategy reaches an accuracy.

    `draws` are the fewest, among those compared, at which it is expected, and `chance` the chance that they reach it;
    `likely` are the fewest that reach it with a chance of 90 %. `None`: no number up to `most` does. `best` is the
    largest expected accuracy of the kind.
    """

    strategy: str
    model: str
    draws: int | None
    chance: float | None
    likely: int | None
    most: int
    best: float


def reaches(advice: Advice, target: float) -> list[TargetReach]:
    """How each kind of strategy with a number of draws reaches an accuracy, on each model; fewest draws first."""
    kinds: dict[tuple[str, str], list[tuple[int, Option]]] = {}
    for one in advice.options:
        n = 1 if one.strategy == BASE else getattr(spec.named(one.strategy), "n", None)
        if isinstance(n, int):
            kinds.setdefault((spec.head(one.strategy), one.model), []).append((n, one))
    found = []
    for (kind, model), options in kinds.items():
        options.sort(key=lambda pair: pair[0])
        enough = next(((n, one) for n, one in options if one.accuracy >= target), None)
        likely = next((n for n, one in options if one.chance is not None and one.chance >= LIKELY), None)
        draws, chance = (None, None) if enough is None else (enough[0], enough[1].chance)
        best = max(one.accuracy for _, one in options)
        found.append(TargetReach(kind, model, draws, chance, likely, options[-1][0], best))
    return sorted(found, key=lambda one: (one.draws is None, one.draws or 0, -one.best))
