"""Ticks of axes in draws and in costs, with the labels that they get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mull.report.words import dollars, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 11
"""Labels that stand beside each other under a panel without touching."""
STEPS: tuple[tuple[int, ...], ...] = ((1, 2, 5), (1, 3), (1,))
"""Multiples of a power of ten that are labelled, from the finest."""
MOST_COSTS = 6


def powers(last: int) -> list[int]:
    """1, 2, 4, ... up to `last`; if there were too many, only every second or third power of two."""
    n = last.bit_length()
    return [2**i for i in range(0, n, math.ceil(n / MOST))]


def draws_axis(axes: Axes, last: int) -> None:
    """A logarithmic axis in numbers of draws up to `last`."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(powers(last), [str(k) for k in powers(last)])
    axes.set_xticks([], minor=True)


def costs(low: float, high: float) -> list[float]:
    """Round costs within two positive ones, at most `MOST_COSTS`: 1, 2, 5, 10 or fewer a decade."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for steps in STEPS:
        found = [x for d in decades for step in steps if low <= (x := step * 10.0**d) <= high]
        if len(found) <= MOST_COSTS:
            return found
    return found[:: math.ceil(len(found) / MOST_COSTS)]


def cost_axis(axes: Axes, values: Sequence[float], unit: str) -> None:
    """A logarithmic axis that has these costs within it, with round ones labelled."""
    margin = max((max(values) / min(values)) ** 0.12, 1.25)
    low, high = min(values) / margin, max(values) * margin
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = costs(low, high)
    axes.set_xticks(ticks, [dollars(x) if unit == "usd" else short(x) for x in ticks])
    axes.set_xticks([], minor=True)
