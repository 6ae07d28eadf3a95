"""Formats numbers and costs for people."""

from __future__ import annotations

import math

from rich import markup
from rich.table import Table as RichTable

from mull.shown import shown
from mull.stats.intervals import Interval
from mull.types import Cost, Outcome


def escape(text: str, *, lines: bool = False) -> str:
    """An untrusted text without markup or control characters in force: one line unless `lines` are kept."""
    return markup.escape(shown(text, lines=lines))


def number(value: float | None, digits: int = 0) -> str:
    """A formatted number; `?` for an unknown one."""
    return "?" if value is None else f"{value:,.{digits}f}"


def short(value: float | None) -> str:
    """A large number with its SI prefix."""
    if value is None:
        return "?"
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"


def dollars(value: float | None) -> str:
    """An amount in dollars with what can be read of it: cents, or two digits of what is less; `?` if unknown."""
    if value is None:
        return "?"
    if value == 0 or abs(value) >= 0.1:
        return f"${value:,.2f}"
    return f"${value:.{1 - math.floor(math.log10(abs(value)))}f}"


def per_thousand(usd: float | None) -> float | None:
    """What 1,000 questions cost at this much each."""
    return None if usd is None else 1000 * usd


def percent(value: float | None, interval: Interval | None = None) -> str:
    if value is None:
        return "?"
    return f"{100 * value:.1f}" + (f" {ends(interval)}" if interval else "")


def points(value: float, interval: Interval | None = None) -> str:
    """A difference in percentage points."""
    return f"{100 * value:+.1f}" + (f" {ends(interval, is_signed=True)}" if interval else "")


def ends(interval: tuple[float, float], *, is_signed: bool = False) -> str:
    """The ends of an interval in per cent."""
    sign = "+" if is_signed else ""
    return f"[{100 * interval[0]:{sign}.1f}, {100 * interval[1]:{sign}.1f}]"


def cost_line(cost: Cost, clock: float) -> str:
    """The cost of something in one line."""
    parts = [
        f"{number(cost.calls)} draws",
        f"{number(cost.output_tokens)} tokens",
        f"{short(cost.flops)}FLOP" if cost.flops is not None else "FLOPs unknown",
        f"{dollars(cost.usd)} ({dollars(per_thousand(cost.usd))} per 1,000 questions)"
        if cost.usd
        else ("free" if cost.usd == 0 else "price unknown"),
        f"{clock:.1f} s",
    ]
    return ", ".join(parts)


def tally(outcome: Outcome, most: int = 8) -> RichTable:
    """The votes for each answer as bars."""
    table = RichTable(box=None, pad_edge=False)
    table.add_column("answer")
    table.add_column("votes", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    total = sum(weight for _, weight in outcome.tally)
    for answer, weight in outcome.tally[:most]:
        share = weight / total if total else 0.0
        table.add_row(escape(answer), f"{weight:g}", f"{100 * share:.0f} %", "█" * round(30 * share))
    if len(outcome.tally) > most:
        rest = sum(weight for _, weight in outcome.tally[most:])
        table.add_row(
            f"{len(outcome.tally) - most} more", f"{rest:g}", f"{100 * rest / total if total else 0:.0f} %", ""
        )
    return table
