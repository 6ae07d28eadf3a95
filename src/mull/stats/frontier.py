"""Accuracy against cost: comparison at equal cost, and the Pareto frontier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Spent(NamedTuple):
    """A strategy's accuracy at a mean cost per problem, in any unit."""

    cost: float
    value: float


def at_equal_cost(curves: Mapping[str, Sequence[Spent]], budgets: Sequence[float]) -> dict[str, list[float | None]]:
    """Each strategy's accuracy within each budget: that of its most expensive measured point that fits.

    Nothing is interpolated; `None` if no point fits.
    """
    reached: dict[str, list[float | None]] = {}
    for name, points in curves.items():
        ranked = sorted(points)
        reached[name] = [next((p.value for p in reversed(ranked) if p.cost <= top), None) for top in budgets]
    return reached


def pareto(points: Mapping[str, Spent]) -> list[str]:
    """The Pareto-optimal names, cheapest first: no other is as good and as cheap, and better in one of the two."""
    front: list[str] = []
    most = -math.inf
    for name, point in sorted(points.items(), key=lambda item: (item[1].cost, -item[1].value, item[0])):
        if point.value > most:
            front.append(name)
            most = point.value
    return front
