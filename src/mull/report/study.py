"""A study as a table and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table as RichTable

from mull.lab.findings import StudyRow, unsolved
from mull.lab.studied import MissingCell, unreadable
from mull.report.words import escape, number, percent


def table(rows: Sequence[StudyRow]) -> RichTable:
    """Each model on each task: one draw, the best strategy, and what a perfect choice would reach."""
    shown = RichTable()
    columns = ("task", "model", "problems", "one draw % [95 %]", "best strategy", "%", "coverage (oracle) %", "tokens")
    for name in columns:
        shown.add_column(name, justify="left" if name in ("task", "model", "best strategy") else "right")
    for row in rows:
        shown.add_row(
            escape(row.task),
            escape(row.model),
            f"{row.problems:,}",
            percent(row.single, row.single_ci95),
            escape(row.best or "?"),
            percent(row.accuracy),
            percent(row.coverage),
            number(row.tokens),
        )
    return shown


def lines(rows: Sequence[StudyRow], holes: Sequence[MissingCell]) -> list[str]:
    """What is missing, and where nothing can be solved."""
    found = unreadable(holes)
    found += [
        f"{hole.model} on {hole.task}: {hole.done} of {hole.problems} problems; {hole.why}"
        for hole in holes
        if not hole.is_unreadable
    ]
    found += [
        f"{task}: no draw of any model solves any problem, so no strategy can be told from another there"
        for task in unsolved(rows)
    ]
    return [escape(line) for line in found]
