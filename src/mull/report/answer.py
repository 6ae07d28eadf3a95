"""The summary that a report opens with: the strategy to use, its gain, its cost, and their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from mull.advice.choice import UNITS
from mull.advice.options import Advice, Recommendation, Wish
from mull.errors import UsageError
from mull.lab.measured import Study
from mull.report.advice import sentences
from mull.report.words import ends, percent, points, short
from mull.stats.paired import Paired


def known(value: float | None, digits: int = 0) -> str:
    return "unknown" if value is None else f"{value:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of a summary: its name, value, and a note on it."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The recommendation for one group, as a headline with figures; without advice `strategy` is `None`."""

    group: str
    verdict: str
    strategy: str | None
    model: str | None
    headline: str
    why: str
    facts: tuple[Fact, ...]


def answer(study: Study, advice: Advice | UsageError, gain: Paired | None) -> Answer:
    """The advice on a group. `gain` is that of the most accurate strategy measured over the cheapest."""
    name = study.group.name
    facts = []
    if gain is not None:
        note = f"{gain.a} over {gain.b}: 95 % interval {ends(gain.ci95, is_signed=True)}, p = {gain.p_value:.2g}"
        facts.append(Fact("Measured here, paired test", f"{points(gain.difference)} points", note))
    if study.curves is not None:
        last = study.curves.coverage[-1]
        note = f"coverage at {last.k:,} draws, 95 % interval {ends(last.ci95)}: a perfect choice, not a method"
        facts.append(Fact("Ceiling (oracle)", f"{percent(last.value)} %", note))
    if isinstance(advice, UsageError):
        return Answer(name, "unknown", None, None, "No advice on these", f"{advice}.", tuple(facts))
    told, unit = " ".join(sentences(advice, Wish())), advice.unit
    one = advice.base if advice.verdict is Recommendation.MORE_DATA else advice.recommendation
    each, first = getattr(one.cost, unit), getattr(advice.base.cost, unit)
    times = f", {each / first:.3g} × one draw" if each and first and one is not advice.base else ""
    sizes = f"{one.known_by} from {advice.facts.problems:,} problems"
    expected = [Fact("Accuracy", f"{percent(one.accuracy)} %", f"90 % interval {ends(one.ci90)}, {sizes}")]
    if one is not advice.base:
        note = f"over one draw, 90 % interval {ends(one.gain_ci90, is_signed=True)}"
        expected.append(Fact("What it buys", f"{points(one.gain)} points", note))
    expected.append(Fact("What it costs", f"{short(each)} {UNITS[unit]}", f"a problem{times}"))
    taken = advice.recommendation
    return Answer(name, advice.verdict, taken.strategy, taken.model, _headline(advice), told, (*expected, *facts))


def _headline(advice: Advice) -> str:
    one = advice.recommendation
    if len(advice.options) == 1:
        return f"Only {one.strategy} can be measured here"
    if advice.verdict is Recommendation.MORE_DATA:
        return "Too little data to tell"
    if advice.verdict is Recommendation.DO_NOT:
        return "Stay with one draw"
    return f"Use {one.name if advice.verdict is Recommendation.BIGGER else one.strategy}"
