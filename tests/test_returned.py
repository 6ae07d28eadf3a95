"""What classes outside mull return is checked: a clear error or a missing score, and no ceiling is passed."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from mull import Budget, Cost, Draw, Finish, MemoryBank, Params, Problem, Prompt, Run, Sample, Stopped, spec
from mull.errors import ModelError, UsageError, VerifierError
from mull.run.calls import MeteredCalls
from mull.testing import FakeModel
from mull.types import Ask, Calls, Pair, Preference, Purse, Score

PROBLEM = Problem("p", Prompt.user("Which letter?"))
EACH = Cost(1, 10, 2, 0, 0, 4.0, 1e-4, 0.0)


@dataclass
class Yields:
    """A model that is quoted `EACH` and yields what `make` makes of the draws asked for."""

    make: Callable[[Prompt, Sequence[Draw]], list[Any]]

    name = identity = "yields"

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return EACH

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for one in self.make(prompt, draws):
            yield one


def reply(prompt: Prompt, number: int, cost: Cost = EACH) -> Sample:
    return Sample(prompt, f"answer: {number}", Finish.STOP, cost, number)


MODELS: dict[str, tuple[Callable[[Prompt, Sequence[Draw]], list[Any]], str]] = {
    "not asked for": (lambda p, ds: [reply(p, d.number + 9) for d in ds], "yielded draw 9, and 0, 1, 2 was still to"),
    "twice": (lambda p, ds: [reply(p, 0), reply(p, 0)], "yielded draw 0, and 1, 2 was still to come"),
    "texts": (lambda p, ds: ["answer: 1"], "yielded a str, not a Sample"),
    "endless cost": (lambda p, ds: [reply(p, 0, Cost(usd=math.nan))], "usd=nan"),
    "negative cost": (lambda p, ds: [reply(p, 0, Cost(output_tokens=-5))], "output_tokens=-5"),
}


@pytest.mark.parametrize("fault", MODELS)
def test_a_model_that_yields_what_it_must_not_is_told_of(fault: str) -> None:
    make, message = MODELS[fault]
    bank = MemoryBank()
    run = Run(Yields(make), bank=bank, budget=Budget(calls=3))
    with pytest.raises(ModelError, match=f"model yields: .*{message}"):
        asyncio.run(run.draw(PROBLEM.prompt, 3))
    assert run.held == Cost()
    assert run.spent.calls in (0, 1, 2)


def test_what_came_before_a_fault_of_the_model_is_kept() -> None:
    bank, make = MemoryBank(), MODELS["twice"][0]
    with pytest.raises(ModelError):
        asyncio.run(Run(Yields(make), bank=bank).draw(PROBLEM.prompt, 3))
    again = Run(Yields(lambda p, ds: []), bank=bank)
    assert [sample.text for sample in asyncio.run(again.draw(PROBLEM.prompt, 1))] == ["answer: 0"]
    assert again.fresh == Cost()


def test_a_model_that_returns_no_generator_is_told_of() -> None:
    class Lists(Yields):
        async def sample(self, prompt: Any, params: Any, draws: Any, purse: Any) -> Any:
            return self.make(prompt, draws)

    with pytest.raises(ModelError, match="sample returned a coroutine, not an asynchronous generator"):
        asyncio.run(Run(Lists(lambda p, ds: [])).draw(PROBLEM.prompt, 3))


def test_after_a_draw_that_cost_more_than_its_quote_and_a_ceiling_no_other_is_made() -> None:
    """The one draw is past the ceiling, as nobody could know; those after it are not asked for."""
    dear = Cost(1, 10, 2, 0, 0, 4.0, 0.01, 0.0)
    made: list[int] = []

    class Dear(Yields):
        async def sample(
            self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
        ) -> AsyncGenerator[Sample, None]:
            for draw in draws:
                made.append(draw.number)
                yield reply(prompt, draw.number, dear)

    run = Run(Dear(lambda p, ds: []), budget=Budget(usd=0.005))
    samples = asyncio.run(run.draw(PROBLEM.prompt, 20))
    assert (len(samples), made, run.stopped) == (1, [0], Stopped.BUDGET)
    assert run.held == Cost()


@dataclass
class Says:
    """A verifier and a judge that return what `make` makes of the items."""

    make: Callable[[Sequence[Any]], Any]

    name = "says"
    identity = None

    def quote(self, problem: Problem, items: Sequence[Any]) -> Cost:
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Any:
        return self.make(samples)

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Any:
        return self.make(pairs)


VERDICTS: dict[str, tuple[Callable[[Sequence[Any]], Any], str]] = {
    "too few": (lambda items: [Score(1.0)], "says returned 1 verdicts on 3 items"),
    "too many": (lambda items: [Score(1.0)] * 9, "says returned 9 verdicts on 3 items"),
    "numbers": (lambda items: [1.0] * len(items), "says returned a list with a float in it, not a list of Score"),
    "nothing": (lambda items: None, "says returned a NoneType, not a list of Score"),
    "preferences": (lambda items: [Preference(1.0)] * len(items), "a Preference in it, not a list of Score"),
    "a cost of nan": (lambda items: [Score(1.0, cost=Cost(usd=math.nan))] * len(items), "says: a cost has usd=nan"),
}


@pytest.mark.parametrize("fault", VERDICTS)
def test_a_verifier_that_returns_what_it_must_not_is_told_of(fault: str) -> None:
    make, message = VERDICTS[fault]
    run = Run(FakeModel(), verifier=Says(make), budget=Budget(calls=3))
    with pytest.raises(VerifierError, match=message):
        asyncio.run(spec.strategy("best:n=3")(PROBLEM, run))
    assert (run.spent.calls, run.held) == (3, Cost())


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.5])
def test_a_verdict_outside_0_to_1_is_unknown_at_its_cost(value: float) -> None:
    samples = [reply(PROBLEM.prompt, i) for i in range(3)]
    paid = Cost(usd=0.5)

    def make(items: Sequence[Any]) -> list[Score]:
        return [Score(0.5), Score(value, cost=paid), Score(0.5, (0.5, value))]

    scores = asyncio.run(MeteredCalls().score(Says(make), PROBLEM, samples))
    assert [score.value for score in scores] == [0.5, None, None]
    assert scores[1].why == f"says said {value}, which is outside [0, 1]"
    assert (scores[1].cost, scores[2].steps) == (paid, ())
    run = Run(FakeModel(), judge=Says(lambda pairs: [Preference(value)]))
    (said,) = asyncio.run(run.prefer(PROBLEM, [Pair(samples[0], samples[1])]))
    assert (said.first, said.why) == (None, f"says said {value}, which is outside [0, 1]")


def test_a_verifier_whose_model_misnumbers_its_draws_has_no_score_of_them() -> None:
    """An error on what a verifier asks is a missing score, and not an error of the run."""

    class Asks(Says):
        async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> list[Score]:
            said = await calls.draw(
                Yields(MODELS["not asked for"][0]), [[Ask(problem.prompt, 1, Params())]] * len(samples)
            )
            return [Score(None, why=one.why) for (one,) in said]

    run = Run(FakeModel(), verifier=Asks(lambda items: None), budget=Budget(calls=9))
    outcome = asyncio.run(spec.strategy("best:n=2")(PROBLEM, run))
    assert outcome.n_unscored == 2
    assert "yielded draw 9" in outcome.scores[0].why
    assert run.held == Cost()


def test_a_strategy_that_returns_no_outcome_is_told_of() -> None:
    class Mute:
        needs, draws, selects = frozenset[Any](), None, None

        async def __call__(self, problem: Problem, run: Run) -> Any:
            await run.draw(problem.prompt)

    with pytest.raises(UsageError, match=r"Mute returned a NoneType, not an Outcome; .* Outcome\(None, None\)"):
        asyncio.run(Run(FakeModel()).solve(Mute(), PROBLEM))
