"""The rules of the advice: which option to recommend, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mull import spec
from mull.advice.options import Advice, Facts, Option, Recommendation, Route, Wish
from mull.errors import UsageError
from mull.run.needs import draws_of
from mull.types import Scaling

TOLERANCE = 0.01
"""Accuracies closer than this count as equal: the cheaper option is recommended."""
MATTERS = 0.05
"""A possible gain of this size justifies more data if the pilot cannot tell whether it exists."""
LEAST_PROBLEMS = 10
LEAST_DRAWS = 2
SOLVED = 0.97
"""From this accuracy of one draw on, scaling has nothing to gain."""
UNITS = {"usd": "dollars", "flops": "FLOPs", "tokens": "tokens", "calls": "draws"}
"""Units for comparing costs: the first that is known for every option, and not zero for all, is used."""
ROUTES = {Scaling.SEQUENTIAL: Route.SEQUENTIAL, Scaling.TREE: Route.TREE, None: Route.UNKNOWN}
"""The route of a strategy that does not draw in parallel."""


def choose(options: Sequence[Option], base_model: str, wish: Wish, facts: Facts) -> Advice:
    """The advice. Raises `UsageError` if a wish concerns an unknown quantity."""
    unit = unit_of(options)
    _check(options, wish, unit)
    base = next(one for one in options if one.is_base and one.model == base_model)
    options = [_with_outlay(one, base_model, wish) for one in options]
    affordable = [one for one in options if _within(one, wish)]
    ranked = sorted(affordable or options, key=lambda one: (price(one, unit, wish), -one.accuracy))
    meets = bool(affordable)
    if not affordable:
        taken = ranked[0]
    elif wish.worth is not None:
        worth = wish.worth
        taken = max(ranked, key=lambda one: worth * one.accuracy - price(one, "usd", wish))
    elif wish.accuracy is not None:
        enough = [one for one in ranked if one.accuracy >= wish.accuracy]
        meets = bool(enough)
        taken = enough[0] if enough else _cheapest_of_the_best(ranked)
    else:
        taken = _most_for_the_money(ranked, base, facts, unit, wish)
    verdict, more = _verdict(taken, base, ranked, facts, is_target=wish.accuracy is not None and meets)
    shown = sorted(options, key=lambda one: (price(one, unit, wish), one.name))
    explained = [replace(one, why=why(one, base, unit)) for one in shown]
    by_name = {one.name: one for one in explained}
    reasons = tuple(_reasons(facts)) if verdict is Recommendation.DO_NOT or not meets else ()
    return Advice(
        verdict,
        route(by_name[taken.name], base, facts, ranked, wish, meets=meets),
        by_name[taken.name],
        by_name[base.name],
        tuple(explained),
        unit,
        facts,
        meets,
        more,
        reasons,
    )


def unit_of(options: Sequence[Option]) -> str:
    """The unit in which costs are compared."""
    for unit in UNITS:
        costs = [getattr(one.cost, unit) for one in options]
        if None not in costs and any(costs):
            return unit
    return "calls"


def price(one: Option, unit: str, wish: Wish) -> float:
    """The cost of one question in this unit, with its share of an outlay in dollars."""
    each = getattr(one.cost, unit)
    share = one.fixed / wish.queries if unit == "usd" and wish.queries else 0.0
    return float("inf") if each is None else float(each) + share


def _check(options: Sequence[Option], wish: Wish, unit: str) -> None:
    for name, asked, remedy in (
        ("usd", wish.usd, "give --usd-per-draw, or prices in mull.toml"),
        ("usd", wish.worth, "give --usd-per-draw, or prices in mull.toml"),
        ("usd", wish.outlay or None, "give --usd-per-draw, or prices in mull.toml"),
        ("seconds", wish.seconds, "make a pilot, whose time is measured, instead of reading a file"),
    ):
        unknown = sorted({one.model for one in options if getattr(one.cost, name) is None})
        if asked is not None and unknown:
            raise UsageError(
                f"the cost of {', '.join(unknown)} in {UNITS.get(name, name)} is unknown, so a limit or value in it "
                f"cannot be applied: {remedy}; without it, the advice is in {UNITS[unit]}"
            )


def _with_outlay(one: Option, base_model: str, wish: Wish) -> Option:
    return replace(one, fixed=wish.outlay) if wish.outlay and one.model != base_model else one


def _within(one: Option, wish: Wish) -> bool:
    usd = wish.usd is None or price(one, "usd", wish) <= wish.usd
    return usd and (wish.seconds is None or (one.cost.seconds or 0.0) <= wish.seconds)


def _cheapest_of_the_best(ranked: Sequence[Option]) -> Option:
    best = max(one.accuracy for one in ranked)
    return next(one for one in ranked if one.accuracy >= best - TOLERANCE)


def _most_for_the_money(ranked: Sequence[Option], base: Option, facts: Facts, unit: str, wish: Wish) -> Option:
    """The option to take if there are no wishes: the first model's best, unless another model's costs no more.

    If the gain of more draws of the first model is uncertain, one pass of a model that is surely better is taken.
    """
    own = [one for one in ranked if one.model == base.model]
    others = [one for one in ranked if one.model != base.model]
    if not own:
        return _cheapest_of_the_best(ranked)
    taken = _cheapest_of_the_best(own)
    is_doubtful = taken.gain_ci90.low <= 0 or base.accuracy >= SOLVED or facts.is_hopeless
    if is_doubtful and base in ranked:
        taken = base
        better = [o for o in others if o.gain_ci90.low > 0 and o.gain >= MATTERS]
        return _cheapest_of_the_best(better) if better and base.accuracy < SOLVED else taken
    limit = price(taken, unit, wish)
    dominating = [o for o in others if o.accuracy >= taken.accuracy - TOLERANCE and price(o, unit, wish) <= limit]
    return min(dominating, key=lambda o: price(o, unit, wish), default=taken)


def _verdict(
    taken: Option, base: Option, ranked: Sequence[Option], facts: Facts, *, is_target: bool
) -> tuple[Recommendation, int | None]:
    """The verdict, and the number of problems needed if data are insufficient."""
    if facts.problems < LEAST_PROBLEMS:
        return Recommendation.MORE_DATA, max(30, LEAST_PROBLEMS)
    if facts.draws < LEAST_DRAWS * facts.problems and facts.single < SOLVED:
        return Recommendation.MORE_DATA, facts.problems
    if taken.model != base.model:
        return Recommendation.BIGGER, None
    if not taken.is_base:
        return Recommendation.SCALE, None
    best = max(ranked, key=lambda one: one.gain)
    low, high = best.gain_ci90
    if not is_target and low <= 0 and high > MATTERS and facts.single < SOLVED:
        half = (high - low) / 2
        return Recommendation.MORE_DATA, math.ceil(facts.problems * (half / max(best.gain, TOLERANCE * 2)) ** 2)
    return Recommendation.DO_NOT, None


def route(taken: Option, base: Option, facts: Facts, ranked: Sequence[Option], wish: Wish, *, meets: bool) -> Route:
    """Where compute should go: the table of scenarios.

    Strong verifier: many draws. No verifier, and votes that leave most of the headroom: one longer reply. Right answers
    worth more than the widest option costs: both. Another model is cheaper for the same accuracy: that model. Already
    solved: nothing. Out of reach of any number of draws: a better model.
    """
    if taken.model != base.model:
        return Route.BIGGER
    if not meets or facts.is_hopeless:
        return Route.BETTER
    if taken.is_base and (facts.single >= SOLVED or facts.headroom < TOLERANCE):
        return Route.NOTHING
    draws = draws_of(spec.named(taken.strategy))
    if draws != Scaling.PARALLEL:
        return ROUTES[draws]
    reached = [facts.voted, facts.scored, None if taken.is_base else taken.accuracy]
    used = max((one for one in reached if one is not None), default=0.0) - facts.single
    widest = max((one.cost.calls or 0 for one in ranked if one.model == base.model), default=0)
    still_pays = (taken.cost.calls or 0) >= widest / 2  # the best option is among the widest that were considered
    if wish.worth is not None and facts.scored is not None and not taken.is_base and still_pays:
        return Route.BOTH
    if facts.scored is None and used < min(facts.headroom / 2, MATTERS) and facts.headroom >= MATTERS:
        return Route.SEQUENTIAL
    return Route.NOTHING if taken.is_base and facts.headroom < MATTERS else Route.PARALLEL


def why(one: Option, base: Option, unit: str) -> str:
    """An option's gain and cost relative to one draw, in one line."""
    if one.name == base.name:
        return "the baseline: one draw of the first model"
    each, first = getattr(one.cost, unit), getattr(base.cost, unit)
    times = f" for {each / first:.3g} times the {UNITS[unit]}" if each is not None and first else ""
    return f"{one.known_by}: {100 * one.gain:+.1f} points{times}"


def _reasons(facts: Facts) -> list[str]:
    """The reasons why scaling does not help here, as sentences."""
    found = []
    coverage, single = 100 * facts.coverage, 100 * facts.single
    if facts.single >= SOLVED or (facts.headroom < MATTERS and facts.single > 0.5):
        found.append(
            f"no headroom: one draw is right on {single:.0f} %, and even a perfect choice among {facts.n} draws "
            f"would be on {coverage:.0f} %"
        )
        return found
    if facts.is_hopeless or facts.headroom < MATTERS:
        found.append(
            f"out of reach: even a perfect choice among {facts.n} draws would solve {coverage:.0f} % of such problems: "
            "the model cannot solve them"
        )
        return found
    if facts.voted is not None and facts.voted - facts.single < TOLERANCE:
        found.append(
            f"wrong mode: {facts.n} draws include a right answer on {coverage:.0f} % of the problems, but it is not "
            f"the most frequent one; votes reach {100 * facts.voted:.0f} %"
        )
    if facts.scored is not None and facts.scored - max(facts.single, facts.voted or 0.0) < TOLERANCE:
        found.append(
            f"verifier too weak: it finds {100 * facts.scored:.0f} %, where a perfect one would find {coverage:.0f} %"
        )
    if facts.voted is None and facts.scored is None:
        found.append("no selector: there are no answers to vote with and no scores")
    return found
