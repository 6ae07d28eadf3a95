"""Advice as sentences and a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from mull import spec
from mull.advice.choice import UNITS, price
from mull.advice.options import Advice, Option, Recommendation, Route, Wish
from mull.advice.spend import queries_until
from mull.advice.target import reaches
from mull.report.table import MONEY
from mull.report.words import dollars, ends, escape, per_thousand, short
from mull.run.needs import draws_of
from mull.types import Scaling

if TYPE_CHECKING:
    pass

ROUTES = {
    Route.PARALLEL: "Draw in parallel: several replies, and choose among them.",
    Route.SEQUENTIAL: "One longer reply: let the model think longer or revise.",
    Route.TREE: "Search: let replies branch, and continue those that the verifier scores best.",
    Route.BOTH: "A right answer is worth more than even the widest option costs: draw in parallel, and make each reply "
    "longer as well.",
    Route.BIGGER: "Another model gives more for the money here than more draws do.",
    Route.NOTHING: "One draw is enough.",
    Route.UNKNOWN: "The best option was measured, but how it spends its draws is unknown.",
    Route.BETTER: "No number of draws reaches that: it takes a better model.",
}
UNCHOSEN = (
    "Nothing here chooses well among draws, so spend more compute on one longer reply: let the model think "
    "longer or revise, and name such strategies with --strategy to measure them."
)


def sentences(advice: Advice, wish: Wish) -> list[str]:
    """The advice in plain sentences: the present state, what to do, its cost, and objections."""
    one, base, unit = advice.recommendation, advice.base, advice.unit
    told = [f"One draw of {base.model} is right on {_share(base)} of such questions."]
    if advice.verdict is Recommendation.MORE_DATA:
        told.append(_more(advice))
    elif not advice.meets:
        told.append(_unmet(advice, wish))
    elif one.name == base.name:
        told.append("Scaling will not help here: stay with one draw." if advice.reasons else "Stay with one draw.")
    else:
        told.append(
            f"Use {one.name}: it is right on {_share(one)}, {100 * one.gain:+.1f} points "
            f"{ends(one.gain_ci90, is_signed=True)}, {_times(one, base, unit)}."
        )
    if unscored := advice.facts.unscored:
        told.append(
            f"{unscored} of the pilot's {advice.facts.problems} problems have no score: strategies that choose by "
            "scores answer nothing there, which counts as wrong."
        )
    if wish.accuracy is not None and advice.verdict is not Recommendation.MORE_DATA:
        told.append(_target(advice, wish.accuracy))
    told += [reason[0].upper() + reason[1:] + "." for reason in advice.reasons]
    if advice.verdict is not Recommendation.MORE_DATA:
        is_measured = advice.route is not Route.SEQUENTIAL or draws_of(spec.named(one.strategy)) == Scaling.SEQUENTIAL
        told.append(ROUTES[advice.route] if is_measured else UNCHOSEN)
        told += _at_the_edge(advice)
    if unit == "usd" and any((option.cost.calls or 0) > 1 for option in advice.options):
        told.append(
            "The draws of a question are priced as one request, which is billed for its prompt once; a server that "
            "takes one draw a request bills the prompt with each."
        )
    if wish.queries is not None:
        told.append(_month(advice, wish))
    if (pays := _pays_off(advice, wish)) is not None:
        told.append(pays)
    if unit in ("tokens", "calls") and len({o.model for o in advice.options}) > 1:
        told.append(f"Costs are compared in {UNITS[unit]}, which are not worth the same on every model: give prices.")
    return told


def _at_the_edge(advice: Advice) -> list[str]:
    """Says so where the recommended number of draws is the largest that was compared: more may do better still."""
    one = advice.recommendation
    alike = [o for o in advice.options if o.model == one.model and spec.head(o.strategy) == spec.head(one.strategy)]
    n, compared = _draws(one), {n for o in alike if (n := _draws(o)) is not None}
    if n is None or len(compared) < 2 or n < max(compared):
        return []
    return [f"n = {n} is the most that was compared, so that more draws may do better still: give larger --n."]


def _draws(one: Option) -> int | None:
    n = getattr(spec.named(one.strategy), "n", None)
    return n if isinstance(n, int) else None


def _share(one: Option) -> str:
    return f"{100 * one.accuracy:.0f} % {ends(one.ci90)}"


def _times(one: Option, base: Option, unit: str) -> str:
    each, first = getattr(one.cost, unit), getattr(base.cost, unit)
    amount = f"{_amount(each, unit)} a question"
    if unit == "usd":
        amount += f", {dollars(per_thousand(each))} per 1,000"
    return f"for {each / first:.3g} times the {UNITS[unit]} ({amount})" if first else f"for {amount}"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return f"an unknown number of {UNITS[unit]}"
    return dollars(value) if unit == "usd" else f"{short(value)} {UNITS[unit]}"


def _more(advice: Advice) -> str:
    n, more = advice.facts.problems, advice.more
    if more is not None and more > n:
        return f"These {n} problems are too few to say whether scaling helps: a pilot of {more:,} would tell."
    return f"One draw of each problem does not say what more would do: make 8 draws of each of {max(n, 30):,}."


def _unmet(advice: Advice, wish: Wish) -> str:
    one = advice.recommendation
    limits = [
        f"{100 * wish.accuracy:.0f} % right" if wish.accuracy is not None else "",
        f"at most ${wish.usd:g} a question" if wish.usd is not None else "",
        f"at most {wish.seconds:g} seconds" if wish.seconds is not None else "",
    ]
    return (
        f"No option is expected to keep what was asked ({', '.join(filter(None, limits))}); the nearest is {one.name} "
        f"with {_share(one)} at {_amount(getattr(one.cost, advice.unit), advice.unit)}."
    )


def _target(advice: Advice, target: float) -> str:
    """How many draws an accuracy takes, with which chance, or that none reach it."""
    found = reaches(advice, target)
    share = f"{100 * target:g} % right"
    if not found:
        return f"How many draws {share} takes is not known: no strategy here has a number of draws."
    one = found[0]
    where = f"{one.strategy} on {one.model}"
    if one.draws is None:
        best = max(found, key=lambda reach: reach.best)
        where = f"{best.strategy} on {best.model}"
        most = max(reach.most for reach in found)
        out = advice.facts.coverage < target
        never = f", and even a perfect choice among {advice.facts.n} covers {100 * advice.facts.coverage:.0f} %"
        return (
            f"No number of draws up to {most} is expected to reach {share}: the best, {where}, comes to "
            f"{100 * best.best:.0f} %{never if out else ''}."
        )
    likely = (
        f"; {one.likely} reach it with a chance of 90 %" if one.likely is not None and one.likely > one.draws else ""
    )
    sure = "" if likely or one.likely is not None else f"; no number up to {one.most} does with a chance of 90 %"
    draws = "1 draw" if one.draws == 1 else f"{one.draws} draws"
    chance = f"{100 * (one.chance or 0):.0f} %"
    return f"{share} takes {draws} ({where}), which reach it with a chance of {chance}{likely}{sure}."


def _month(advice: Advice, wish: Wish) -> str:
    one, unit, n = advice.recommendation, advice.unit, wish.queries or 0
    each, base = price(one, unit, wish), price(advice.base, unit, wish)
    right = (one.accuracy - advice.base.accuracy) * n
    return (
        f"{n:,} questions a month take {_amount(each * n, unit)} ({_amount(base * n, unit)} with one draw) and give "
        f"{right:+,.0f} right answers."
    )


def _pays_off(advice: Advice, wish: Wish) -> str | None:
    """The number of questions from which another model is the cheaper way to the accuracy that scaling reaches."""
    if not wish.outlay:
        return None
    others = [o for o in advice.options if o.model != advice.base.model and o.cost.usd is not None]
    own = [o for o in advice.options if o.model == advice.base.model and o.cost.usd is not None]
    best = max(own, key=lambda o: o.accuracy, default=None)
    other = min(
        (o for o in others if best and o.accuracy >= best.accuracy), key=lambda o: o.cost.usd or 0, default=None
    )
    if best is None or other is None:
        return None
    n = queries_until(wish.outlay, best.cost.usd or 0.0, other.cost.usd or 0.0)
    if n is None:
        return f"{other.name} never pays off against {best.name}: it costs no less a question."
    return f"{other.name} pays off its ${wish.outlay:,.0f} against {best.name} after {n:,} questions."


def worthwhile(advice: Advice) -> list[Option]:
    """Options that no cheaper one matches, one draw of each model, and the recommended one."""
    kept, most = [], -1.0
    for one in advice.options:
        if one.accuracy > most or one.is_base or one.name == advice.recommendation.name:
            kept.append(one)
        most = max(most, one.accuracy)
    return kept


def table(advice: Advice) -> RichTable:
    """The worthwhile options, cheapest first, with the recommended one marked."""
    options = worthwhile(advice)
    left_out = len(advice.options) - len(options)
    shown = RichTable(caption=f"{left_out} more cost more without being right more often: --json" if left_out else None)
    is_usd = advice.unit == "usd"
    costs = MONEY if is_usd else (UNITS[advice.unit],)
    for name in ("", "strategy", "model", "right % [90 %]", "gain [90 %]", *costs, "known"):
        shown.add_column(name, justify="right" if "%" in name or name in costs else "left")
    for one in options:
        shown.add_row(
            ">" if one.name == advice.recommendation.name else "",
            escape(one.strategy),
            escape(one.model),
            f"{100 * one.accuracy:.1f} {ends(one.ci90)}",
            f"{100 * one.gain:+.1f} {ends(one.gain_ci90, is_signed=True)}",
            *_costs(one, advice.unit),
            one.known_by,
        )
    return shown


def _costs(one: Option, unit: str) -> tuple[str, ...]:
    each = getattr(one.cost, unit)
    return (dollars(each), dollars(per_thousand(each))) if unit == "usd" else (short(each),)
