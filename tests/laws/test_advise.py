"""Advice: predictions against closed forms, intervals against truth, and the table of scenarios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import multinomial

from mull.advice import advise as laws
from mull.advice.forecast import forecasts
from mull.advice.options import Advice, KnownModel, PilotMeasured, Recommendation, Route, Wish
from mull.advice.pilot import Pilot, PilotPrice, crowding, likeness, wrong_of
from mull.advice.simulate import imagine
from mull.advice.target import reaches
from mull.allocate.prior import Tally
from mull.errors import UsageError
from mull.files.recording import of_columns
from mull.report.advice import sentences
from mull.types import Cost

advise = partial(laws.advise, replicates=50)
Law = Callable[[np.random.Generator], Sequence[float]]
"""How answers of a problem are spread: the first is right, the others are wrong ones."""
EACH = Cost(1, 100, 50, 0, 0, 1e9, 0.01, 2.0)


def pilot(
    law: Law, problems: int = 50, draws: int = 8, *, accepts: tuple[float, float] | None = None, seed: int = 0,
    model: str = "small", each: Cost = EACH,
) -> Pilot:  # fmt: skip
    """A pilot of problems under a law; `accepts` are a checker's true and false positive rates."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(problems):
        chances = np.asarray(law(rng), dtype=np.float64)
        ids = rng.choice(len(chances), draws, p=chances)
        correct = tuple(bool(i == 0) for i in ids)
        scores = () if accepts is None else tuple(float(rng.random() < accepts[not right]) for right in correct)
        answers = tuple("right" if i == 0 else f"wrong {i}" for i in ids)
        made.append(of_columns(str(len(made)), correct, answers, scores))
    return Pilot(model, tuple(made), (PilotPrice(each, each),) * problems)


def beta_law(a: float, b: float, wrong: int = 40) -> Law:
    def draw(rng: np.random.Generator) -> Sequence[float]:
        p = rng.beta(a, b)
        return [p, *(1 - p) * rng.dirichlet(np.ones(wrong))]

    return draw


def flat(*chances: float) -> Law:
    return lambda _: chances


def accuracy(found: Advice, strategy: str) -> float:
    return next(o.accuracy for o in found.options if o.strategy == strategy and o.model == found.base.model)


def test_a_vote_goes_to_the_mode_and_not_to_the_truth() -> None:
    """(.45 right, .46, .09): the longer the vote the surer it is wrong; against exact multinomials, ties shared."""
    imagined = imagine(pilot(flat(0.45, 0.46, 0.09), 40, 2000), 101)
    found = forecasts(imagined, (11, 101), votes=True, checker=False)
    assert found["single"].right.mean() == pytest.approx(0.45, abs=0.015)
    for n, tolerance in ((11, 0.02), (101, 0.04)):
        assert found[f"majority:n={n}"].right.mean() == pytest.approx(exact_vote((0.45, 0.46, 0.09), n), abs=tolerance)


def exact_vote(p: tuple[float, float, float], n: int) -> float:
    """The chance that the first of three answers wins a vote of n, ties in equal parts."""
    total = 0.0
    for a in range(n + 1):
        for b in range(n - a + 1):
            counts = (a, b, n - a - b)
            if a == max(counts):
                total += multinomial.pmf(counts, n, p) / counts.count(a)
    return float(total)


def test_coverage_beyond_the_pilot_is_that_of_the_law() -> None:
    """Beta(.5, 4) from 8 draws to 64: 1 - B(a, b + k) / B(a, b)."""
    imagined = imagine(pilot(beta_law(0.5, 4), 400, 8, seed=2), 64)
    found = forecasts(imagined, (8, 64), votes=False, checker=False, oracle=True)
    for k, tolerance in ((8, 0.05), (64, 0.07)):
        exact = -np.expm1(betaln(0.5, 4 + k) - betaln(0.5, 4))
        means = imagined.means(found[f"until-pass:n={k}"].right)
        assert means.mean() == pytest.approx(exact, abs=tolerance)
        assert np.quantile(means, 0.025) <= exact <= np.quantile(means, 0.975)


def test_a_checker_that_errs_caps_resampling() -> None:
    """p t / (p t + (1 - p) f): .1, 1 and .05 give .68966 (arXiv 2411.17501)."""
    imagined = imagine(pilot(flat(0.1, *[0.9 / 300] * 300), 100, 40, accepts=(1.0, 0.05)), 64)
    found = forecasts(imagined, (64,), votes=False, checker=True)
    assert found["until-pass:n=64"].right.mean() == pytest.approx(0.68966, abs=0.05)


def test_where_a_verifier_has_no_score_what_chooses_by_it_answers_nothing() -> None:
    """A checker that never errs, but tells nothing of 10 of 50 problems: 4/5 of 1 - 2^-8, draws half right."""
    whole = pilot(flat(0.5, 0.5), 50, 40, accepts=(1.0, 0.0))
    problems = tuple(
        of_columns(one.id, one.correct, one.answers, (None,) * 40 if i % 5 == 0 else one.scores)
        for i, one in enumerate(whole.problems)
    )
    found = advise([Pilot("small", problems, whole.prices)], ns=(8,))
    assert accuracy(found, "single") == pytest.approx(0.5, abs=0.03)
    assert accuracy(found, "until-pass:n=8") == pytest.approx(0.8 * (1 - 0.5**8), abs=0.02)
    assert found.facts.unscored == 10
    assert any(line.startswith("10 of the pilot's 50 problems have no score") for line in sentences(found, Wish()))
    assert advise([whole]).facts.unscored == 0


def test_adaptive_consistency_draws_as_few_as_it_does() -> None:
    """(.9, .06, .04) and a level of .95: 5.38 draws of 64 and always right (science of stopping, 4,000 runs)."""
    imagined = imagine(pilot(flat(0.9, 0.06, 0.04), 40, 2000), 64)
    found = forecasts(imagined, (64,), votes=True, checker=False)["adaptive:n=64"]
    assert found.draws.mean() == pytest.approx(5.38, abs=0.1)
    assert found.right.mean() > 0.995


def test_answers_that_repeat_are_told_from_answers_that_do_not() -> None:
    same, apart = crowding([Tally((8,), 0)] * 20), crowding([Tally((1,) * 8, 0)] * 20)

    def expected(laws: object) -> float:
        d, a, w, _ = laws  # type: ignore[misc]
        return float(w @ ((1 - d) / (a + 1)))  # the chance that two wrong answers are one

    assert expected(same) > 0.9
    assert expected(apart) < 0.02
    one = of_columns("p", (True, False, False, False), ("x", None, "y", "y"))
    assert wrong_of(one) == Tally((2,), 1)


def test_scores_are_alike_where_problems_decide_them() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=200)
    groups = [list(b + rng.normal(size=6)) for b in base]
    assert likeness(groups) == pytest.approx(0.5, abs=0.1)
    assert likeness([list(rng.normal(size=6)) for _ in base]) < 0.1


def test_nine_in_ten_new_problem_sets_lie_in_their_intervals() -> None:
    """60 pilots of 40 problems, each with 40 new problems asked once; at 90 % fewer than 46 held 1 time in 600."""
    law, held = beta_law(0.8, 1.2, 3), 0
    for seed in range(60):
        few = pilot(law, 40, 6, seed=seed)
        imagined = imagine(few, 16, seed, replicates=60, each=80)
        means = imagined.means(forecasts(imagined, (16,), votes=True, checker=False)["majority:n=16"].right)
        rng = np.random.default_rng(1000 + seed)
        new = rng.binomial(40, np.clip(np.tile(means, 20), 0, 1)) / 40
        low, high = np.quantile(new, [0.05, 0.95])
        fresh = pilot(law, 40, 16, seed=5000 + seed)
        came = forecasts_of(fresh, rng)
        held += low <= came <= high
    assert held >= 46


def forecasts_of(fresh: Pilot, rng: np.random.Generator) -> float:
    """How often the vote over all draws of a pilot is right, ties by lot."""
    right = []
    for one in fresh.problems:
        names, votes = np.unique([a or "" for a in one.answers], return_counts=True)
        right.append(rng.choice(names[votes == votes.max()]) == "right")
    return float(np.mean(right))


# The table of scenarios: who has what, and where compute goes.


def test_a_strong_verifier_is_for_drawing_in_parallel() -> None:
    found = advise([pilot(beta_law(0.6, 2.5), accepts=(1.0, 0.0))])
    assert (found.verdict, found.route) == (Recommendation.SCALE, Route.PARALLEL)
    assert found.recommendation.strategy.startswith("until-pass")
    assert found.recommendation.gain > 0.3


def mostly_wrong_mode(rng: np.random.Generator) -> Sequence[float]:
    p = rng.uniform(0.15, 0.35)
    return p, 0.9 - p, 0.1


def test_without_a_verifier_and_votes_that_fail_a_longer_reply_is_the_way() -> None:
    small = pilot(mostly_wrong_mode)
    found = advise([small])
    assert (found.verdict, found.route) == (Recommendation.DO_NOT, Route.SEQUENTIAL)
    assert "wrong mode" in found.reasons[0]
    # Where thinking longer was measured and does help, it is recommended itself.
    longer = PilotMeasured("force:waits=2", (True,) * 30 + (False,) * 20, replace(EACH, output_tokens=150, usd=0.03))
    found = advise([small], measured={"small": [longer]})
    assert (found.verdict, found.route) == (Recommendation.SCALE, Route.SEQUENTIAL)
    assert found.recommendation.strategy == "force:waits=2"
    assert found.recommendation.known_by == "measured"


def test_what_was_measured_is_routed_by_what_it_says_of_itself() -> None:
    """Votes on these draws fail; what was run beside them won, and nothing is said to choose badly."""
    small = pilot(mostly_wrong_mode)
    won = partial(PilotMeasured, correct=(True,) * 30 + (False,) * 20, cost=replace(EACH, output_tokens=150, usd=0.03))
    for name, route in {
        "repeat:of=single,n=3": Route.PARALLEL,
        "tournament:n=4": Route.PARALLEL,
        "on:of=(best:n=4),verifier=(genrm:model=big)": Route.PARALLEL,
        "repeat:of=(force:wait=1),n=3": Route.SEQUENTIAL,
        "ensemble:members=((majority:n=4),(beam:n=8,width=4))": Route.TREE,
        "a method of somebody else": Route.UNKNOWN,
    }.items():
        found = advise([small], measured={"small": [won(name)]})
        assert (found.recommendation.strategy, found.route) == (name, route)
        assert not any("othing here chooses" in line for line in sentences(found, Wish()))


def test_a_forecast_takes_the_place_of_a_run_of_its_kind_alone() -> None:
    """What is read from a file yields to what draws foretell; what they do not foretell is kept as measured."""
    small = pilot(beta_law(3, 2, 3))
    ran = [
        PilotMeasured(name, (True,) * 30 + (False,) * 20, EACH, yields=True)
        for name in ("single", "majority:n=8", "majority:n=5", "adaptive:n=8,rule=window", "best-of-majority:n=8")
    ]
    found = {o.strategy: o.known_by for o in advise([small], measured={"small": ran}).options}
    assert found["majority:n=8"] == found["single"] == "estimated", "both are within the draws that were made"
    assert found["majority:n=16"] == "predicted"
    assert "majority:n=5" not in found
    assert found["adaptive:n=8,rule=window"] == found["best-of-majority:n=8"] == "measured"


def test_rare_and_valuable_answers_are_worth_both() -> None:
    found = advise([pilot(beta_law(0.3, 4), accepts=(1.0, 0.0))], Wish(queries=100, worth=1000.0))
    assert (found.verdict, found.route) == (Recommendation.SCALE, Route.BOTH)
    assert found.recommendation.strategy == "until-pass:n=64"


def test_high_volume_and_low_stakes_pay_for_a_bigger_model() -> None:
    small, big = pilot(beta_law(1.5, 1.5, 3)), KnownModel("big", 0.85, replace(EACH, usd=0.015))
    few, many = Wish(queries=100, worth=0.2, outlay=500.0), Wish(queries=1_000_000, worth=0.2, outlay=500.0)
    assert advise([small], few, given=[big]).verdict is not Recommendation.BIGGER
    found = advise([small], many, given=[big])
    assert (found.verdict, found.route, found.recommendation.model) == (Recommendation.BIGGER, Route.BIGGER, "big")


def test_trivial_questions_need_nothing() -> None:
    found = advise([pilot(flat(0.99, 0.01))])
    assert (found.verdict, found.route, found.recommendation.strategy) == (
        Recommendation.DO_NOT,
        Route.NOTHING,
        "single",
    )
    assert "no headroom" in found.reasons[0]


def test_what_is_out_of_reach_needs_a_better_model() -> None:
    found = advise([pilot(flat(0.0, *[1 / 50] * 50), 60)])
    assert (found.verdict, found.route) == (Recommendation.DO_NOT, Route.BETTER)
    assert "out of reach" in found.reasons[0]
    rare = advise([pilot(flat(0.0002, *[0.9998 / 50] * 50), 60, 400)], oracle=True)
    assert (rare.verdict, rare.route, rare.recommendation.strategy) == (Recommendation.DO_NOT, Route.BETTER, "single")


def test_a_verifier_that_knows_nothing_is_named() -> None:
    found = advise([pilot(mostly_wrong_mode, 80, accepts=(0.5, 0.5))])
    assert found.verdict is Recommendation.DO_NOT
    assert any("verifier too weak" in reason for reason in found.reasons)


# Wishes, and what cannot be had.


def test_an_accuracy_is_reached_by_the_cheapest_that_reaches_it() -> None:
    small = pilot(beta_law(3, 2, 3))
    for target in (0.65, 0.75):
        found = advise([small], Wish(accuracy=target))
        cheaper = [o for o in found.options if (o.cost.usd or 0) < (found.recommendation.cost.usd or 0)]
        assert found.meets
        assert found.recommendation.accuracy >= target
        assert all(o.accuracy < target for o in cheaper)


def test_an_accuracy_that_nothing_reaches_is_said_to_be_so() -> None:
    found = advise([pilot(mostly_wrong_mode)], Wish(accuracy=0.95))
    assert not found.meets
    assert found.reasons
    assert found.route is Route.BETTER


def test_an_accuracy_is_told_in_draws_with_its_chance() -> None:
    """The fewest draws among those compared that are expected to reach it, and those that likely do."""
    wish = Wish(accuracy=0.75)
    found = advise([pilot(beta_law(3, 2, 3))], wish, ns=(2, 4, 8, 16, 32))
    votes = {int(o.strategy.partition("n=")[2]): o for o in found.options if o.strategy.startswith("majority")}
    told = {one.strategy: one for one in reaches(found, 0.75)}["majority"]
    assert told.draws == min(n for n, one in votes.items() if one.accuracy >= 0.75)
    assert told.chance == votes[told.draws].chance
    assert told.chance is not None
    assert 0 < told.chance <= 1
    likely = [n for n, one in votes.items() if (one.chance or 0) >= 0.9]
    assert told.likely == min(likely, default=None)
    assert (told.most, told.best) == (32, max(one.accuracy for one in votes.values()))
    words = " ".join(sentences(found, wish))
    first = reaches(found, 0.75)[0]
    assert f"75 % right takes {first.draws} draws ({first.strategy} on small), which reach it with a chance of" in words
    assert advise([pilot(beta_law(3, 2, 3))]).options[0].chance is None, "no accuracy was wished for"


def test_the_chance_is_the_share_of_pilots_that_agree() -> None:
    """A vote of n of two answers, .6 right: a chance near 0 for what it is far below, near 1 for what it exceeds."""
    found = [advise([pilot(flat(0.6, 0.4), 100)], Wish(accuracy=target)) for target in (0.3, 0.97)]
    for one, low, high in zip(found, (0.95, 0.0), (1.0, 0.3), strict=True):
        single = next(o for o in one.options if o.strategy == "single")
        assert single.chance is not None
        assert low <= single.chance <= high


def test_an_accuracy_out_of_reach_is_never_reached_by_draws() -> None:
    wish = Wish(accuracy=0.95)
    found = advise([pilot(mostly_wrong_mode)], wish)
    assert [one.draws for one in reaches(found, 0.95)] == [None] * len(reaches(found, 0.95))
    assert "No number of draws up to 64 is expected to reach 95 % right: the best, " in " ".join(sentences(found, wish))


def test_a_limit_in_dollars_is_kept() -> None:
    found = advise([pilot(beta_law(3, 2, 3))], Wish(usd=0.05))
    assert (found.recommendation.cost.usd or 0) <= 0.05
    assert found.recommendation.strategy != "single"


def test_a_limit_that_nothing_keeps_is_said_with_what_comes_nearest() -> None:
    wish = Wish(usd=1e-6)
    found = advise([pilot(beta_law(3, 2, 3))], wish, ns=(4,))
    assert not found.meets
    assert found.recommendation.strategy == "single"
    told = " ".join(sentences(found, wish))
    assert "No option is expected to keep what was asked (at most $1e-06 a question); the nearest is single" in told


def test_a_month_is_told_in_dollars_and_right_answers() -> None:
    wish = Wish(queries=1000, outlay=50.0, accuracy=0.7)
    big = KnownModel("big", 0.99, replace(EACH, usd=0.02))
    found = advise([pilot(beta_law(3, 2, 3))], wish, given=[big], ns=(4, 8))
    told = " ".join(sentences(found, wish))
    one = found.recommendation
    assert f"1,000 questions a month take ${1000 * (one.cost.usd or 0):.4g}" in told
    assert "single on big pays off its $50 against" in told


def test_a_pilot_that_is_too_small_says_how_large_it_must_be() -> None:
    found = advise([pilot(beta_law(1, 1), 5)])
    assert (found.verdict, found.more) == (Recommendation.MORE_DATA, 30)
    assert advise([pilot(beta_law(1, 1), 50, 1)]).verdict is Recommendation.MORE_DATA
    unclear = advise([pilot(flat(0.3, 0.3, 0.2, 0.2), 12, 4)])
    assert unclear.verdict is Recommendation.MORE_DATA
    assert unclear.more is not None
    assert unclear.more > 12


def test_a_wish_in_what_nobody_priced_is_refused_with_what_would_help() -> None:
    unpriced = pilot(beta_law(1, 1), each=replace(EACH, usd=None, seconds=None))
    for wish, words in (
        (Wish(usd=1.0), "cost of small in dollars.*--usd-per-draw.*without it, the advice is in FLOPs"),
        (Wish(worth=1.0), "cost of small in dollars"),
        (Wish(seconds=1.0), "cost of small in seconds.*make a pilot"),
    ):
        with pytest.raises(UsageError, match=words):
            advise([unpriced], wish)
    for bad, words in (
        ({"accuracy": 1.5}, "above 0 and at most 1"),
        ({"usd": -1.0}, "usd"),
        ({"outlay": 5.0}, "per month"),
    ):
        with pytest.raises(UsageError, match=words):
            Wish(**bad)  # type: ignore[arg-type]


def test_nothing_is_foretold_beyond_ten_times_the_draws() -> None:
    found = advise([pilot(beta_law(1, 1), 50, 3)])
    assert {o.strategy for o in found.options} == {
        "single", *(f"{kind}:n={n}" for kind in ("majority", "adaptive") for n in (4, 8, 16)),
    }  # fmt: skip


def test_votes_are_not_foretold_where_answers_can_be_right_in_many_ways() -> None:
    made = pilot(beta_law(5, 1))
    problems = tuple(
        replace(o, answers=tuple(f"{a} {i}" if a == "right" else a for i, a in enumerate(o.answers)))
        for o in made.problems
    )
    assert [o.strategy for o in advise([replace(made, problems=problems)]).options] == ["single"]


def test_the_same_seed_gives_the_same_advice() -> None:
    small = pilot(beta_law(1, 1))
    assert advise([small], seed=3) == advise([small], seed=3)
    assert accuracy(advise([small], seed=3), "majority:n=8") != accuracy(advise([small], seed=4), "majority:n=8")


def test_a_recommendation_at_the_edge_of_what_was_compared_says_so() -> None:
    edge = "n = 8 is the most that was compared"
    top = advise([pilot(beta_law(3, 2))], Wish(), ns=(4, 8))
    assert top.recommendation.strategy.endswith("n=8")
    assert any(edge in line for line in sentences(top, Wish()))
    wish = Wish(accuracy=0.65)
    enough = advise([pilot(beta_law(3, 2))], wish, ns=(4, 8))
    assert not enough.recommendation.strategy.endswith("n=8")
    assert not any(edge in line for line in sentences(enough, wish))
