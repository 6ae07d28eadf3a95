"""Recorded draws replayed, as a table and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table as RichTable

from mull.lab.replayed import ByDifficulty, PublicTests, Replay
from mull.report.words import escape, number, percent, points, short
from mull.stats.intervals import Interval
from mull.stats.paired import Paired

KINDS = {"easy": "all", "hard": "some", "out of reach": "none"}
"""How many of the draws that tell a problem's difficulty are right."""


def about(drawn: Mapping[str, Any], problems: int, draws: int) -> list[str]:
    """What was drawn, by which model, when, and what it cost."""
    whole, hours = drawn["problems"], drawn["hours"]
    which = f"{problems} problems" if problems == whole else f"{problems} of {whole} problems, those done first"
    clock = "" if hours is None else f", about {hours:g} hours"
    verdicts = (
        drawn.get("verdicts") or "verdicts by the examples in the docstring, and by the hidden tests, are recorded"
    )
    return [
        f"{drawn['title']}: {which}, {draws // problems} draws of each, {draws:,} in all, by {drawn['model']}",
        f"{drawn['weights']}, at temperature {drawn['temperature']:g}, at most {drawn['max_tokens']} tokens a draw",
        f"drawn on {drawn['date']} {drawn['on']}: {drawn['tokens']:,} tokens, {short(drawn['flops'])}FLOP{clock}, "
        "no money",
        f"now nothing is drawn, run or paid for: each draw's {verdicts}",
    ]


def table(found: Sequence[Replay], ends: Sequence[Interval], *, is_tested: bool = True) -> RichTable:
    """The share of problems that each strategy solves, and what it takes for one problem."""
    which = " whose docstring has examples to test by" if is_tested else ""
    shown = RichTable(title=f"{len(found[0].right)} problems{which}")
    for name in ("strategy", "solved % [95 %]", "draws", "tokens"):
        shown.add_column(name, justify="left" if name == "strategy" else "right")
    for one, between in zip(found, ends, strict=True):
        name = f"{one.name} (oracle)" if one.is_oracle else one.name
        solved = percent(one.accuracy, between)
        shown.add_row(escape(name), solved, number(float(one.draws.mean()), 1), number(float(one.tokens.mean())))
    return shown


def lines(
    tests: PublicTests | None, pairs: Sequence[Paired], kinds: Sequence[ByDifficulty], untested: int
) -> list[str]:
    """What the table does not say."""
    best = max(pairs, key=lambda pair: pair.difference)
    told = [f"{best.a} - {best.b}: {points(best.difference, best.ci95)} points, paired over {best.problems} problems"]
    if tests is None:
        return told
    told += [
        f"of {tests.passing:,} draws that pass the examples {_share(tests.passing_wrong, tests.passing)} % fail the "
        f"hidden tests; of {tests.failing:,} that fail them {_share(tests.failing_right, tests.failing)} % are right",
        f"on {tests.misleading} problems only wrong draws pass: there any choice by the examples is wrong",
    ]
    if untested:
        told.append(f"{untested} more problems have no examples that can be run: nothing here chooses there")
    return told + [_kind(kind) for kind in kinds if kind.problems]


def _share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None)


def _kind(kind: ByDifficulty) -> str:
    gain = "" if kind.gain is None else f" ({points(kind.gain.difference, kind.gain.ci95)} points)"
    return (
        f"{kind.name}, {KINDS[kind.name]} of the other draws right ({kind.problems} problems): one draw solves "
        f"{percent(kind.single)} %, until-pass of {kind.k} {percent(kind.until_pass)} %{gain}, coverage (oracle) "
        f"{percent(kind.coverage)} %"
    )
