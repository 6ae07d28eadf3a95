"""The laws find what they are for: each is broken by one that keeps all others."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from mull import Budget, Cost, Draw, Params, Prompt, Sample, testing
from mull.testing import FakeModel
from mull.types import Purse

HELLO, PARAMS = Prompt.user("hello"), Params(max_tokens=12)
Check = Callable[[FakeModel], Awaitable[object]]


class OfItsBatch(FakeModel):
    """Says how many were asked for together."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        async for sample in super().sample(prompt, params, draws, purse):
            yield replace(sample, text=f"{sample.text} {len(draws)}")


class Renumbered(FakeModel):
    """Numbers its draws from 0, whatever was asked for."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        number = 0
        async for sample in super().sample(prompt, params, draws, purse):
            yield replace(sample, draw=number)
            number += 1


class Cheap(FakeModel):
    """Quotes half of what its longest draw costs."""

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return self._cost(params.max_tokens // 2)


class Wordy(FakeModel):
    """Minds no limit on its tokens, and quotes as if it did."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        sample = super()._draw(prompt, params, draw)
        return replace(sample, cost=replace(sample.cost, output_tokens=params.max_tokens + 1))


class Eager(FakeModel):
    """Makes all draws at once, and tells of those that nobody took `n_told` times."""

    n_told = 0

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        made = [self._draw(prompt, params, draw) for draw in draws]
        self.seen += [(prompt, params, draw) for draw in draws]
        try:
            while made:
                yield made.pop(0)
        finally:
            for sample in made * self.n_told:
                purse.lost(sample.cost)


class Chatty(Eager):
    n_told = 2


class Forgetful(FakeModel):
    """Says something else each time, whatever the seed."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        return super()._draw(prompt, params, Draw(draw.number, draw.seed + len(self.seen)))


class Willing(FakeModel):
    """Does not refuse what it then cannot do."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        assert params.effort is None, "it cannot do this"
        return super()._draw(prompt, params, draw)


class Shy(FakeModel):
    """Refuses everything."""

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return "would rather not"


async def check_cancelled(model: FakeModel) -> None:
    await testing.check_cancelled(model, HELLO, PARAMS, begun=lambda: len(model.seen))


MODELS: dict[str, tuple[FakeModel, Check, str]] = {
    "batch": (OfItsBatch(), lambda m: testing.check_batch(m, HELLO, PARAMS), "is another alone"),
    "seeds": (Forgetful(), lambda m: testing.check_batch(m, HELLO, PARAMS), "is another"),
    "numbers": (Renumbered(), lambda m: testing.check_numbers(m, HELLO, PARAMS), "was not asked for|seed of another"),
    "quote": (Cheap(), lambda m: testing.check_quote(m, HELLO, PARAMS), "where at most"),
    "length": (Wordy(), lambda m: testing.check_quote(m, HELLO, PARAMS), "where at most"),
    "ceiling": (
        Wordy(), lambda m: testing.check_model_ceiling(m, HELLO, PARAMS, Budget(tokens=48)), "more than the ceiling of 48",
    ),
    "lost": (Eager(), check_cancelled, "delivered and 0 lost, of 4 begun"),
    "lost twice": (Chatty(), check_cancelled, "delivered and 6 lost"),
    "willing": (Willing(), lambda m: testing.check_refuses(m, HELLO, PARAMS, "a"), "it cannot do this"),
    "shy": (Shy(), lambda m: testing.check_refuses(m, HELLO, PARAMS, "a"), "refuses a plain prompt"),
}  # fmt: skip


@pytest.mark.parametrize("law", MODELS)
async def test_a_model_that_breaks_a_law_is_found(law: str) -> None:
    model, check, why = MODELS[law]
    with pytest.raises(AssertionError, match=why):
        await check(model)
