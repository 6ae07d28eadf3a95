"""Comparisons of models and strategies as a table and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table as RichTable

from mull.lab.compared import Comparing, CurvePair, OpenPair
from mull.report.words import ends, escape, percent, points


def table(made: Comparing) -> RichTable:
    """The ranking, with the interval of each rank and the chance to be the strongest."""
    shown = RichTable(title=f"{made.problems:,} problems that all have")
    for name in ("rank [95 %]", "", "accuracy %", "strength % [95 %]", "chance to be first %"):
        shown.add_column(name, justify="left" if not name else "right")
    for one in made.ranking:
        shown.add_row(
            f"{one.rank} [{one.ranks[0]}, {one.ranks[1]}]",
            escape(one.name),
            percent(one.accuracy),
            percent(one.strength, one.ci95),
            f"{100 * one.first:.0f}",
        )
    return shown


def lines(made: Comparing) -> list[str]:
    """Where one curve is better than another, and what would settle what is open."""
    return [*map(_curve, made.curves), *map(_open, made.open)]


def _curve(one: CurvePair) -> str:
    found = one.found
    widest = max(range(len(found.ks)), key=lambda i: abs(found.difference[i]))
    most = f"{points(found.difference[widest])} points at k = {found.ks[widest]}"
    band = ends((found.low[widest], found.high[widest]), is_signed=True)
    told = [
        f"{found.a} is {word} than {found.b} at k = {_listed(ks)}"
        for word, ks in (("better", found.better), ("worse", found.worse))
        if ks
    ]
    what = " and ".join(told) or f"neither {found.a} nor {found.b} is shown to be better at any k"
    return escape(f"{one.curve}: {what}; at most {most}, simultaneous 95 % band {band}")


def _listed(ks: Sequence[int]) -> str:
    return ", ".join(f"{k:,}" for k in ks)


def _open(one: OpenPair) -> str:
    problems, draws = one.settling.problems, one.settling.draws
    ways = [
        f"{problems:,} problems of this kind" if problems is not None else "",
        f"{draws:,} draws of each of these problems" if draws is not None else "",
    ]
    would = " or ".join(filter(None, ways))
    settled = f"a difference this large would be shown by {would}" if would else "no number of problems shows none"
    never = "; more draws of these problems would not" if problems is not None and draws is None else ""
    return escape(
        f"one draw of {one.a} and of {one.b} differ by {points(one.difference)} points, which is open: {settled}{never}"
    )
