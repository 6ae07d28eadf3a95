"""Accuracy against cost: what is reached at equal cost, and what is dominated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Spent(NamedTuple):
    """What a strategy reached at a mean cost for each problem, in whatever unit."""

    cost: float
    value: float


def at_equal_cost(curves: Mapping[str, Sequence[Spent]], budgets: Sequence[float]) -> dict[str, list[float | None]]:
    """What each strategy reaches within each budget: its dearest measured point that is not above it.

    Nothing is interpolated; `None` where not even the cheapest point fits.
    """
    reached: dict[str, list[float | None]] = {}
    for name, points in curves.items():
        ranked = sorted(points)
        reached[name] = [next((p.value for p in reversed(ranked) if p.cost <= top), None) for top in budgets]
    return reached


def pareto(points: Mapping[str, Spent]) -> list[str]:
    """The names that nobody beats: none is at least as good for at most the cost and better in one, cheapest first."""
    front: list[str] = []
    most = -math.inf
    for name, point in sorted(points.items(), key=lambda item: (item[1].cost, -item[1].value, item[0])):
        if point.value > most:
            front.append(name)
            most = point.value
    return front
