"""The answer that a report opens with: what to use, what it buys, what it costs, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from mull.advice.among import Choice
from mull.lab.measured import UNITS, Study, amount
from mull.report.words import ends, percent, points, short
from mull.stats.intervals import Interval


def known(value: float | None, digits: int = 0) -> str:
    return "unknown" if value is None else f"{value:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of an answer: what it is, its value, and a line on it."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do in one group, in a headline, and the figures behind it."""

    group: str
    verdict: str
    headline: str
    why: str
    facts: tuple[Fact, ...]


def answer(study: Study, choice: Choice | None, unit: str) -> Answer:
    """The recommendation for a group in words."""
    name = study.group.name
    if choice is None:
        return Answer(
            name,
            "unknown",
            "Nothing here was graded",
            "Without a gold answer or a verdict no strategy can be compared.",
            (),
        )
    chosen, base = choice.chosen, choice.base
    n = len(study.group.recordings)
    sizes = f"{n:,} problems"
    facts = [Fact("Accuracy", f"{percent(chosen.accuracy)} %", f"95 % interval {_ends(chosen.ci95)} over {sizes}")]
    if choice.verdict == "scale" and choice.gain is not None:
        headline = f"Use {chosen.name}"
        why = f"It solves {percent(chosen.accuracy)} % of the problems; {base.name} solves {percent(base.accuracy)} %."
        facts.append(
            Fact(
                "What it buys",
                f"{points(choice.gain.difference)} points",
                f"95 % interval {_ends(choice.gain.ci95, True)}, paired over {choice.gain.problems:,} problems",
            )
        )
    elif choice.verdict == "need more data" and choice.best_gain is not None:
        headline = "Too few problems to tell"
        gain = choice.best_gain
        ahead = f"{points(gain.difference)} points {_ends(gain.ci95, True)}"
        why = (
            f"{gain.a} is ahead of {base.name} by {ahead}, which chance alone may do (paired test, "
            f"p = {gain.p_value:.2g}). Until more is known, {base.name} is the cheap choice."
        )
        needed = None if choice.power is None else choice.power.needed
        facts.append(
            Fact(
                "What would tell",
                "unknown" if needed is None else f"≈ {min(needed, 100_000):,} problems",
                "to show a difference of this size, if it is one, with a chance of 80 %",
            )
        )
    elif len(study.strategies) == 1:
        headline = f"Only {chosen.name} can be measured here"
        why = "Counts of right draws tell coverage, but not what a vote or a verifier would choose: see the curves."
    else:
        headline = f"Stay with {chosen.name}"
        if choice.best_gain is None:
            why = "It is the cheapest, and no costlier one was more accurate here."
        else:
            why = "No costlier strategy is told apart from it, and none can be ahead by more than 5 points."
        why += _gap(study, choice)
    here, there = amount(chosen.cost, unit), amount(base.cost, unit)
    times = f", {here / there:.3g} × {base.name}" if here and there and chosen is not base else ""
    facts.append(
        Fact("What it costs", "unknown" if here is None else f"{short(here)} {UNITS[unit]}", f"a problem{times}")
    )
    if choice.held_out is not None:
        facts.append(
            Fact(
                "If chosen on other problems",
                f"{100 * choice.held_out:.1f} %",
                "accuracy of this same rule, chosen on one half and measured on the other",
            )
        )
    if study.curves is not None:
        last = study.curves.coverage[-1]
        facts.append(
            Fact(
                "Ceiling (oracle)",
                f"{percent(last.value)} %",
                f"coverage at {last.k:,} draws, 95 % interval {_ends(last.ci95)}: a perfect choice, no method",
            )
        )
    return Answer(name, choice.verdict, headline, why, tuple(facts))


def _gap(study: Study, choice: Choice) -> str:
    """What to do instead where right answers are drawn but not chosen."""
    if study.curves is None or choice.chosen.accuracy is None:
        return ""
    last = study.curves.coverage[-1]
    if last.ci95.low <= choice.chosen.accuracy:
        return ""
    return (
        f" Yet {percent(last.value)} % of the problems have a right answer among {last.k:,} draws (oracle): "
        "what is missing is a verifier that finds it, not more draws."
    )


def _ends(interval: Interval | None, is_signed: bool = False) -> str:
    return "unknown" if interval is None else ends(interval, is_signed=is_signed)
