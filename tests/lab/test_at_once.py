"""A sweep has as many draws in progress as a model that many can ask at once may have."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest

from mull import Cost, Draw, Finish, Params, Prompt, Sample
from mull.lab.grid import N_AT_ONCE, Plan, run_plan
from mull.run.run import Strategy
from mull.strategies.parallel import Majority, Single
from mull.strategies.revise import Revise
from mull.tasks.synthetic import ChainTask
from mull.types import Purse

SECONDS = 60.0


class Crowd:
    """Answers once so many draws are in progress."""

    name = identity = "crowd"

    def __init__(self, at_once: int, waits_for: int) -> None:
        self.at_once, self._waits_for = at_once, waits_for
        self._n, self._is_full = 0, asyncio.Event()

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 1, 1)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        self._n += len(draws)
        if self._n >= self._waits_for:
            self._is_full.set()
        await asyncio.wait_for(self._is_full.wait(), SECONDS)
        for draw in draws:
            yield Sample(prompt, "answer: 1", Finish.STOP, Cost(1, 1, 1), draw.number, draw.seed)


@pytest.mark.parametrize("strategy", [Single(), Majority(3)], ids=["single", "majority"])
async def test_a_sweep_asks_a_server_all_that_it_may_be_asked_at_once(strategy: Strategy) -> None:
    n = getattr(strategy, "n", 1)
    plan = Plan(ChainTask(2), Crowd(at_once=100 * n, waits_for=100 * n), {"it": strategy})
    cells = await run_plan(plan, None, n_problems=100)
    assert [len(cell.outcome.candidates) for cell in cells["it"]] == [n] * 100


@pytest.mark.parametrize(
    ("at_once", "strategies", "n"),
    [
        (1000, {"a": Single()}, 1000),
        (1000, {"a": Single(), "b": Majority(5)}, 200),
        (1000, {"a": Majority(500)}, N_AT_ONCE),
        (1000, {"a": Single(), "b": Revise()}, N_AT_ONCE),
        (8, {"a": Single()}, N_AT_ONCE),
    ],
)
def test_problems_at_once_are_those_that_it_takes(at_once: int, strategies: Mapping[str, Strategy], n: int) -> None:
    assert Plan(ChainTask(2), Crowd(at_once, 1), strategies).n_at_once == n
