"""Over 500 draws with cancellations, what the client counts is what the server counted, and no ceiling is passed.

Every round has runs at once, on one server: most are drawn to their end, one has a ceiling that it meets, and one is
left after two draws have arrived. A draw that was cancelled has an unknown number of tokens; the server counted between
none and `MOST` for it, and all other tokens are known.
"""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from mull import Budget, Finish, MemoryBank, Params, Prompt, Run, Sample
from mull.run.events import DrawArrived, RunEvent
from server_contract import Live

ROUNDS, DRAWS, MOST = 10, 12, 8
CEILING = 44
"""Tokens: room for at most five draws at once, and then for what those leave."""


class Watched:
    """A run, and what arrived in it."""

    def __init__(self, live: Live, question: int, seed: int, tokens: int | None = None) -> None:
        self.prompt = Prompt.user(f"Name {question + 2} things that you like.")
        self.bank, self.budget = MemoryBank(), Budget(tokens=tokens)
        self.params, self.seed, self.live = Params(max_tokens=MOST), seed, live
        self.arrived: list[Sample] = []
        self.run = self.again()

    def again(self) -> Run:
        return Run(
            self.live.model, bank=self.bank, budget=self.budget, params=self.params, seed=self.seed, watch=self._note
        )

    def _note(self, event: RunEvent) -> None:
        if isinstance(event, DrawArrived) and not event.is_banked:
            self.arrived.append(event.sample)

    async def ended(self) -> None:
        await self.run.draw(self.prompt, DRAWS)

    async def left(self) -> None:
        async with self.run.sample(self.prompt, DRAWS) as draws:
            await _two(draws)

    @property
    def n_known(self) -> int:
        counts = [draw.cost.output_tokens for draw in self.arrived]
        assert None not in counts
        assert all(draw.error is None for draw in self.arrived)
        if self.budget.tokens is None:  # a ceiling shortens the last draws that it has room for
            assert all(draw.cost.output_tokens == MOST for draw in self.arrived if draw.finish is Finish.LENGTH)
        return sum(count or 0 for count in counts)

    @property
    def n_lost(self) -> int:
        """Draws that were begun and did not arrive."""
        return (self.run.spent.calls or 0) - len(self.arrived)


async def _two(draws: AsyncGenerator[Sample]) -> None:
    n = 0
    async for _ in draws:
        n += 1
        if n == 2:
            return


async def counted(live: Live) -> str:
    """Draws and tokens, of the client and of the server."""
    n_draws = n_lost = n_tokens = n_lost_tokens = 0
    for i in range(ROUNDS):
        runs = [Watched(live, i, seed) for seed in range(3)]
        bounded, left = Watched(live, i, 3, CEILING), Watched(live, i, 4)
        before = await live.idle()
        await asyncio.gather(*(run.ended() for run in (*runs, bounded)), left.left())
        after = await live.idle()
        assert before is not None
        assert after is not None
        known = sum(run.n_known for run in (*runs, bounded, left))
        for run in (*runs, bounded):
            assert run.run.spent.output_tokens == run.n_known
            assert run.n_lost == 0
        assert CEILING - MOST < bounded.n_known <= CEILING
        # What was cancelled may have been generated in part.
        assert known <= after - before <= known + MOST * left.n_lost
        n_draws += sum(len(run.arrived) for run in (*runs, bounded, left))
        n_lost, n_tokens = n_lost + left.n_lost, n_tokens + known
        n_lost_tokens += after - before - known

        # Taken up again, the run has what had arrived, and all that it draws is counted.
        n_had = len(left.arrived)
        again = left.again()
        await again.draw(left.prompt, DRAWS)
        end = await live.idle()
        assert end is not None
        assert again.fresh.output_tokens == end - after
        assert n_had + (again.fresh.calls or 0) == DRAWS
        n_draws, n_tokens = n_draws + (again.fresh.calls or 0), n_tokens + (end - after)
    assert n_draws >= 500
    assert n_lost > 0
    return (
        f"{live.kind}: {n_draws} draws of {n_tokens:,} tokens, by the client as by the server; "
        f"{n_lost} draws cancelled, for which the server counted {n_lost_tokens:,}"
    )


@pytest.mark.parametrize("name", ["llama_cpp", "vllm"])
def test_usage_is_the_servers_own_over_500_draws(name: str, request: pytest.FixtureRequest) -> None:
    live: Live = request.getfixturevalue(name)

    async def run() -> str:
        await live.model.prepare()
        return await counted(live)

    print(asyncio.run(run()))
