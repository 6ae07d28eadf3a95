"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table as RichTable

from mull.bank_sql import Stat
from mull.lab.compare import Interval
from mull.lab.grid import Table
from mull.lab.metrics import Curves, Point
from mull.types import Cost, Outcome


def number(value: float | None, digits: int = 0) -> str:
    """A number for people; `?` for an unknown one."""
    return "?" if value is None else f"{value:,.{digits}f}"


def short(value: float | None) -> str:
    """A large number with its SI prefix."""
    if value is None:
        return "?"
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"


def percent(value: float | None, interval: Interval | None = None) -> str:
    if value is None:
        return "?"
    ends = f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if interval else ""
    return f"{100 * value:.1f}{ends}"


def cost_line(cost: Cost, clock: float) -> str:
    """What something took, in one line."""
    parts = [
        f"{number(cost.calls)} draws",
        f"{number(cost.output_tokens)} tokens",
        f"{short(cost.flops)}FLOP" if cost.flops is not None else "FLOPs unknown",
        f"${cost.usd:.4f}" if cost.usd else ("free" if cost.usd == 0 else "price unknown"),
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


def sweep(table: Table) -> RichTable:
    """A sweep's rows. The oracle column is what a perfect choice among the draws would reach, not a method."""
    shown = RichTable(title=escape(table.rows[0].task) if table.rows else None)
    for name in ("model", "strategy", "problems", "accuracy % [95 %]", "draws", "tokens", "FLOPs", "oracle %"):
        shown.add_column(name, justify="left" if name in ("model", "strategy") else "right")
    for row in table.rows:
        shown.add_row(
            escape(row.model),
            escape(row.strategy),
            str(row.problems),
            percent(row.accuracy, row.ci95),
            number(row.samples, 1),
            number(row.cost.output_tokens),
            short(row.cost.flops),
            percent(row.oracle),
        )
    return shown


def pairs(table: Table) -> list[str]:
    """The paired differences in words."""
    return [
        f"{p.a} - {p.b}: {100 * p.difference:+.1f} points [{100 * p.ci95.low:+.1f}, {100 * p.ci95.high:+.1f}], "
        f"paired over {p.problems} problems"
        for p in table.pairs
    ]


def curves(groups: Mapping[str, Curves]) -> list[RichTable]:
    """One table of curves for each group."""
    tables = []
    for name, group in groups.items():
        shown = RichTable(title=escape(f"{name}: {group.problems} problems, {group.samples} samples"))
        columns: dict[str, Sequence[Point]] = {
            "coverage (oracle)": group.coverage,
            "majority": group.majority,
            "best": group.best,
            "gap": group.gap,
        }
        present = {title: points for title, points in columns.items() if points}
        shown.add_column("k", justify="right")
        for title in present:
            shown.add_column(f"{title} % [95 %]", justify="right")
        for i, point in enumerate(group.coverage):
            shown.add_row(str(point.k), *(percent(points[i].value, points[i].ci95) for points in present.values()))
        tables.append(shown)
    return tables


def bank(stats: Sequence[Stat]) -> RichTable:
    """What a bank holds."""
    shown = RichTable()
    for name in ("model", "questions", "draws", "output tokens"):
        shown.add_column(name, justify="left" if name == "model" else "right")
    for stat in stats:
        shown.add_row(escape(stat.model), number(stat.questions), number(stat.draws), number(stat.output_tokens))
    return shown
