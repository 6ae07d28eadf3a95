"""The value of longer thinking, as a table for a terminal."""

from __future__ import annotations

from rich.table import Table as RichTable

from mull.lab.thinking import Thinking
from mull.report.words import ends, escape, number, percent, points


def table(name: str, found: Thinking) -> RichTable:
    """The budgets of a method, shortest first."""
    n = found.budgets[0].problems
    shown = RichTable(title=escape(f"{name}: {found.name} at {len(found.budgets)} budgets, {n:,} problems"))
    for column in (
        "budget",
        found.unit,
        "accuracy % [95 %]",
        "over the one before",
        "mended",
        "broken",
        "control %",
    ):
        shown.add_column(column, justify="left" if column == "budget" else "right")
    for budget in found.budgets:
        shown.add_row(
            escape(budget.strategy),
            number(budget.tokens),
            percent(budget.accuracy, budget.ci95),
            "" if budget.gain is None else points(budget.gain.difference, budget.gain.ci95),
            "" if budget.mended is None else f"{budget.mended:,}",
            "" if budget.broken is None else f"{budget.broken:,}",
            "" if budget.control is None else percent(budget.control),
        )
    return shown


def lines(found: Thinking) -> list[str]:
    """The lines below the table."""
    first, over, under = found.first_right, found.overthinking, found.underthinking
    lines = [
        f"control {percent(found.control)} %: outcomes within their budget",
        f"scaling {_slope(found)}, over all pairs of budgets",
        f"performance {percent(found.performance, found.performance_ci95)} %: the best budget, chosen on these",
    ]
    if first.value is not None and first.ci95 is not None:
        tokens = f"{first.value:.0f} [{first.ci95.low:.0f}, {first.ci95.high:.0f}]"
        lines.append(f"the first right answer of {first.problems:,} problems that had one came after {tokens} tokens")
    if over.value is not None:
        lines.append(f"overthinking: right chains spent {percent(over.value, over.ci95)} % of their tokens after it")
    if under.value is not None:
        lines.append(
            f"underthinking: the {under.problems:,} wrong chains spent {percent(under.value, under.ci95)} % of theirs "
            "after they had been right"
        )
    return lines


def _slope(found: Thinking) -> str:
    if found.scaling is None:
        return "unknown: all budgets came to the same number of tokens"
    text = f"{100_000 * found.scaling:+.1f}"
    if found.scaling_ci95 is not None:
        low, high = found.scaling_ci95
        text += f" {ends((1000 * low, 1000 * high), is_signed=True)}"
    return f"{text} points for 1,000 tokens more"
