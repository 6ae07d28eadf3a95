"""Pivot and Swiss tournaments against exact chances and a judge that knows the strengths."""

import asyncio
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from mull import Budget, Cost, Draw, Pair, Params, Preference, Problem, Prompt, Run, Stopped, UsageError
from mull.strategies.pivot import Pivot, Swiss
from mull.strategies.tournament import knockout_failure
from mull.types import Calls
from told_model import ToldModel

PROBLEM = Problem("p", Prompt.user("q"))


@dataclass
class Numbers(ToldModel):
    """Draw i answers `answers[i]`."""

    name = "numbers"
    answers: Sequence[int]

    def says(self, prompt: Prompt, params: Params, draw: Draw) -> str:
        return f"answer: {self.answers[draw.number]}"


@dataclass
class Scale:
    """Prefers the larger number as surely as the logistic law of the difference; noisy and hard as asked."""

    noise: float = 0.0
    is_hard: bool = False
    for_first: float = 0.0
    seed: int = 0
    name: str = "scale"
    identity: None = None
    seen: list[tuple[int, int]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        return Cost(len(pairs))

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        self.rounds.append(len(pairs))
        return [Preference(self._first(pair), Cost(1)) for pair in pairs]

    def _first(self, pair: Pair) -> float:
        a, b = (int(sample.text.split()[-1]) for sample in (pair.first, pair.second))
        self.seen.append((a, b))
        u = random.Random(f"{self.seed}/{len(self.seen)}").random()
        p = 1 / (1 + math.exp(b - a - self.for_first - self.noise * math.log(u / (1 - u))))
        return float(p > 0.5) if self.is_hard else p


def played(strategy, answers: Sequence[int], judge: Scale, seed: int = 0, budget: Budget | None = None):  # type: ignore[no-untyped-def]
    run = Run(Numbers(answers), judge=judge, seed=seed, budget=budget)
    return asyncio.run(strategy(PROBLEM, run)), run


def chance(strengths: Sequence[float]) -> float:
    """The chance that the first of four finds itself the winner of two rounds, over all brackets and verdicts."""

    def beats(i: int, j: int) -> float:
        return 1 / (1 + math.exp(strengths[j] - strengths[i]))

    total = 0.0
    for a, b, c in itertools.permutations((1, 2, 3)):  # the best meets a; b meets c
        final = beats(b, c) * beats(0, b) + beats(c, b) * beats(0, c)
        total += beats(0, a) * final
    return total / 6


def test_a_judge_of_names_alone_finds_the_best_of_four_as_often_as_the_exact_chance() -> None:
    """Wrong once in 16,000 seeds. With one bit a comparison, halving to two pivots is a knockout of single matches."""
    n_runs, exact = 700, chance([3, 2, 1, 0])
    won = sum(
        played(Pivot(4), [3, 2, 1, 0], Scale(1, is_hard=True, seed=seed), seed)[0].answer == "3"
        for seed in range(n_runs)
    )
    assert won / n_runs == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / n_runs))


def test_half_of_the_comparisons_find_the_right_one_as_often_as_a_tournament_by_theory() -> None:
    """A knockout's second comparison of a pair, in the other order, wins nothing: a contradiction is a coin."""
    for p_gen, p_comp in itertools.product((0.1, 0.3, 0.7), (0.55, 0.7, 0.9)):
        assert knockout_failure(16, 1, p_gen, p_comp) == pytest.approx(knockout_failure(16, 2, p_gen, p_comp))


def simulated(is_pivot: bool, n_fields: int, rng: np.random.Generator) -> float:
    """How often the best of 16 wins: by halving and a final of summed margins, or by a knockout of two comparisons."""
    strength = 2 * rng.normal(size=(n_fields, 16))
    rows, total = np.arange(n_fields)[:, None], np.zeros((n_fields, 16))
    left = rng.permuted(np.tile(np.arange(16), (n_fields, 1)), axis=1)
    while left.shape[1] > 1:
        half = left.shape[1] // 2
        left = np.take_along_axis(left, np.argsort(-total[rows, left], axis=1, kind="stable"), axis=1)
        a, b = left[:, :half], left[:, ::-1][:, :half]
        logits = (strength[rows, a] - strength[rows, b])[..., None] + rng.logistic(size=(*a.shape, 2))
        margins = 1 / (1 + np.exp(-logits)) - 0.5
        if is_pivot:
            before = total[rows, a] - total[rows, b] if half == 1 else 0
            total[rows, a] += margins[..., 0]
            total[rows, b] -= margins[..., 0]
            first = margins[..., 0] + before > 0
        else:
            wins = np.sign(margins).sum(-1)
            first = (wins > 0) | ((wins == 0) & (rng.random(a.shape) < 0.5))
        left = np.where(first, a, b)
    return float((left[:, 0] == strength.argmax(1)).mean())


def test_half_of_the_comparisons_find_the_best_of_sixteen_more_often_when_the_judge_says_how_sure_it_is() -> None:
    """20,000 fields: a true difference of 1.5 points is missed by four standard errors once in 100 seeds or less."""
    pivot, tournament = (simulated(is_pivot, 20_000, np.random.default_rng(5)) for is_pivot in (True, False))
    assert pivot > tournament
    answers = [*range(16)]
    outcome, run = played(Pivot(16), answers, Scale())
    assert (outcome.answer, outcome.notes["comparisons"], run.spent.calls) == ("15", 15, 16 + 15)


@pytest.mark.parametrize("strategy", [Pivot(16), Pivot(13, 4), Pivot(9, 3, 2), Pivot(2), Swiss(16), Swiss(7, 2, 3, 2)])
def test_a_judge_without_error_finds_the_best_from_any_order(strategy: Pivot | Swiss) -> None:
    """A Swiss tournament too: the numbers are apart, so whoever is best wins every match clearly."""
    for seed in range(10):
        answers = random.Random(seed).sample(range(0, 8 * strategy.n, 8), strategy.n)
        assert played(strategy, answers, Scale(), seed)[0].answer == str(max(answers))


@pytest.mark.parametrize(
    ("n", "pivots", "matches"), [(16, 2, 15), (13, 2, 12), (16, 4, 18), (6, 4, 9), (3, 5, 3), (2, 2, 1)]
)
def test_the_number_of_comparisons_is_linear(n: int, pivots: int, matches: int) -> None:
    outcome, _ = played(Pivot(n, pivots), [*range(n)], Scale())
    assert outcome.notes["comparisons"] == matches
    assert played(Pivot(n, pivots, 2), [*range(n)], Scale())[0].notes["comparisons"] == 2 * matches


def test_strong_winners_meet_weak_ones() -> None:
    for seed in range(6):
        judge = Scale()
        played(Pivot(8), [0, 1, 3, 7, 12, 20, 21, 30], judge, seed)
        margins = sorted((abs(a - b), max(a, b)) for a, b in judge.seen[:4])
        weakest, second, third, strongest = (winner for _, winner in margins)
        met = {frozenset(pair) for pair in judge.seen[4:6]}
        if len({margin for margin, _ in margins}) == 4 and margins[-1][0] < 12:  # surer ones can hardly be told apart
            assert met == {frozenset((strongest, weakest)), frozenset((second, third))}
            return
    raise AssertionError("no seed has four different margins")


def test_a_swiss_tournament_compares_neighbours_and_no_pair_twice() -> None:
    judge = Scale()
    outcome, _ = played(Swiss(8, 2, 2), [*range(8)], judge)
    assert judge.rounds[0] == 8
    assert len({frozenset(pair) for pair in judge.seen}) == len(judge.seen) == outcome.notes["comparisons"]
    assert max(judge.rounds[1:]) <= 4


def test_both_orders_cancel_a_preference_for_a_position() -> None:
    """With k=2 each pair is seen in both orders: a judge that mostly sees the position still finds the best."""
    judge = Scale(for_first=3)
    outcome, _ = played(Pivot(8, k=2), [*range(8)], judge)
    assert outcome.answer == "7"
    assert sorted(judge.seen) == sorted((b, a) for a, b in judge.seen)


def test_equal_answers_are_not_compared_and_the_more_frequent_wins_a_tie() -> None:
    outcome, run = played(Pivot(4), [5, 5, 5, 5], Scale())
    assert (outcome.answer, outcome.notes["comparisons"], run.spent.calls) == ("5", 0, 4)
    for seed in range(5):
        outcome, run = played(Swiss(5), [1, 2, 2, 2, 3], Scale(), seed, Budget(calls=5))
        assert (outcome.answer, run.stopped, run.spent.calls) == ("2", Stopped.BUDGET, 5)


def test_a_budget_that_ends_early_keeps_what_was_judged() -> None:
    """Room for the first round alone: the surest winner of it."""
    outcome, run = played(Pivot(4), [1, 2, 30, 4], Scale(), budget=Budget(calls=6))
    assert (outcome.answer, run.spent.calls) == ("30", 6)


@pytest.mark.parametrize("strategy", [Pivot(), Swiss()])
def test_without_a_judge_nothing_is_drawn(strategy: Pivot | Swiss) -> None:
    run = Run(Numbers(range(16)))
    with pytest.raises(UsageError, match="needs a judge"):
        asyncio.run(strategy(PROBLEM, run))
    assert run.spent.calls == 0
    with pytest.raises(UsageError, match="must be at least"):
        Pivot(pivots=1)
