"""The laws that every model must keep, as coroutines that raise `AssertionError`.

They are awaited, so that a server in the same event loop can answer. `prompt` and `params` are something that the
model takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import product

from mull.bank import Bank, MemoryBank
from mull.cost import CEILINGS, times
from mull.errors import ModelError, UsageError
from mull.run import Run
from mull.testing.fakes import FakePurse
from mull.types import (
    Budget,
    Cost,
    Draw,
    Finish,
    ImagePart,
    Model,
    Params,
    Prompt,
    Purse,
    Sample,
    Served,
    Tool,
)

N_DRAWS = 4


def numbered(n: int = N_DRAWS) -> list[Draw]:
    """Draws to be made, each with a seed of its own."""
    return [Draw(i, 1_000_003 + i) for i in range(n)]


async def drawn(
    model: Model, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse | None = None
) -> list[Sample]:
    """What a model delivers, in the order in which it does."""
    async with aclosing(model.sample(prompt, params, draws, purse or FakePurse())) as stream:
        return [sample async for sample in stream]


async def check_numbers(model: Model, prompt: Prompt, params: Params) -> None:
    """Draws come back under the numbers and the seeds they were asked for with, each once, whichever are asked for."""
    for draws in (numbered(), numbered(7)[4:1:-1], numbered(1)):
        asked, seen = dict(draws), set[int]()
        for sample in await drawn(model, prompt, params, draws):
            assert sample.draw in asked, f"draw {sample.draw} was not asked for"
            assert sample.draw not in seen, f"draw {sample.draw} came twice"
            assert sample.seed in (None, asked[sample.draw]), f"draw {sample.draw} has the seed of another"
            assert sample.prompt == prompt, "a draw tells another prompt than it was asked with"
            seen.add(sample.draw)


async def check_batch(model: Model, prompt: Prompt, params: Params) -> None:
    """Where the model takes seeds, a draw says the same alone, among others, and in whatever order it is asked for."""
    together = {sample.draw: sample for sample in await drawn(model, prompt, params, numbered())}
    alone = {s.draw: s for draw in numbered() for s in await drawn(model, prompt, params, [draw])}
    backwards = {sample.draw: sample for sample in await drawn(model, prompt, params, numbered()[::-1])}
    for number, sample in together.items():
        if sample.seed is None or sample.finish is Finish.ERROR:
            continue
        for other, how in ((alone, "alone"), (backwards, "in another order")):
            twin = other.get(number)
            assert twin is not None, f"draw {number} is missing {how}"
            same = (twin.reply, twin.finish, twin.logprobs) == (sample.reply, sample.finish, sample.logprobs)
            assert same, f"draw {number} is another {how}: {twin.reply!r}, not {sample.reply!r}"


def assert_covered(cost: Cost, quote: Cost) -> None:
    """A cost is no more than was quoted, in all parts that a ceiling can be on and both tell."""
    for name, of in CEILINGS.items():
        spent, most = of(cost), of(quote)
        assert spent is None or most is None or spent <= most, f"{name}: {spent} where at most {most} was quoted"
    for f in ("prompt_tokens", "output_tokens"):
        spent, most = getattr(cost, f), getattr(quote, f)
        assert spent is None or most is None or spent <= most, f"{f}: {spent} where at most {most} was quoted"


async def check_quote(model: Model, prompt: Prompt, params: Params) -> None:
    """A quote is an upper bound of what a draw costs, attempt by attempt, and no draw is longer than it may be."""
    for most in (1, 3, params.max_tokens):
        shorter = replace(params, max_tokens=most)
        quote = model.quote(prompt, shorter)
        for sample in await drawn(model, prompt, shorter, numbered()):
            assert_covered(sample.cost, times(quote, 1 + (sample.cost.retries or 0)))
            n = sample.cost.output_tokens
            assert n is None or sample.cost.retries or n <= most, f"a draw of {n} tokens, of {most} at most"


async def check_cancelled(
    model: Model,
    prompt: Prompt,
    params: Params,
    underway: Callable[[], Awaitable[None]] | None = None,
    begun: Callable[[], int] | None = None,
    taken: Sequence[int] = (0, 1, 2, N_DRAWS),
) -> None:
    """What was begun and not delivered is reported lost, and nothing twice: where the generator is closed after some
    draws were `taken`, and where who waits for the next one is cancelled.

    `underway` waits until draws are under way; `begun` says how many were so far, as somebody else counted them.
    """
    quote, draws = model.quote(prompt, params), numbered()
    for n_taken, waits in product(taken, (True, False)):
        purse, n_before = FakePurse(), 0 if begun is None else begun()
        async with aclosing(model.sample(prompt, params, draws, purse)) as stream:
            n_delivered = await _cut_off(stream, n_taken, waits, underway)
        n_lost = len(purse.losses)
        told = f"{n_delivered} delivered and {n_lost} lost"
        assert n_delivered + n_lost <= len(draws), f"{told}, of {len(draws)} draws"
        if begun is not None:
            assert n_delivered + n_lost == begun() - n_before, f"{told}, of {begun() - n_before} begun"
        for cost in purse.losses:
            assert cost.calls in (None, 1), f"a lost draw counts as {cost.calls} calls"
            assert_covered(cost, times(quote, 1 + (cost.retries or 0)))


async def _cut_off(
    stream: AsyncGenerator[Sample, None],
    n_taken: int,
    waits: bool,
    underway: Callable[[], Awaitable[None]] | None,
) -> int:
    """Takes so many draws and maybe begins to wait for one more, until others are under way; how many it was given."""
    given = [sample for _ in range(n_taken) if (sample := await anext(stream, None)) is not None]
    waiting = asyncio.ensure_future(anext(stream, None)) if waits else None
    if underway is not None and (given or waits):
        await underway()
    else:
        await asyncio.sleep(0)
    if waiting is None:
        return len(given)
    waiting.cancel()
    (last,) = await asyncio.gather(waiting, return_exceptions=True)
    if isinstance(last, Exception):
        raise last
    return len(given) + isinstance(last, Sample)


def ceilings(quote: Cost, n: int = N_DRAWS) -> list[Budget]:
    """Ceilings that allow none of `n` draws at this price, a part of one, some or all; none where no price is known."""
    found: list[Budget] = []
    for name, of in CEILINGS.items():
        each = of(quote)
        if each is not None:
            found += [ceiling(name, share * each) for share in (0, 0.5, 1, n / 2 + 0.5, n)]
    return list(dict.fromkeys(found))


def ceiling(name: str, top: float) -> Budget:
    """A budget with one ceiling, whole where it counts something."""
    match name:
        case "calls":
            return Budget(calls=int(top))
        case "tokens":
            return Budget(tokens=int(top))
        case "usd":
            return Budget(usd=top)
        case _:
            return Budget(flops=top)


def assert_kept(run: Run) -> None:
    """No ceiling of a run was exceeded, what nobody knows taken as quoted, and nothing stays held."""
    for name, of in CEILINGS.items():
        top, left, spent = getattr(run.budget, name), getattr(run.left, name), of(run.spent)
        assert left is None or left >= -1e-9 * top, f"{name}: {-left} more than the ceiling of {top}"
        assert top is None or spent is None or spent <= top, f"{name}: spent {spent} of {top}"
    assert run.held == Cost(), f"still held: {run.held}"


async def check_model_ceiling(model: Model, prompt: Prompt, params: Params, budget: Budget, n: int = N_DRAWS) -> Run:
    """No ceiling is exceeded, whatever fails, and nothing stays held; one that nobody could keep is refused at once."""
    run = Run(model, budget=budget, params=params)
    quote = model.quote(prompt, params)
    is_known = all(getattr(budget, name) is None or of(quote) is not None for name, of in CEILINGS.items())
    try:
        await run.draw(prompt, n)
    except UsageError:
        assert not is_known, "it refuses a ceiling that could be kept"
        assert run.spent == Cost(), f"it spent {run.spent} before it refused a ceiling"
    except ModelError:
        assert is_known
    else:
        assert is_known, "it draws under a ceiling that nobody can keep"
    assert_kept(run)
    return run


@dataclass(frozen=True)
class Dead:
    """A model that must not be asked for anything: all else is as with the model that it stands for."""

    model: Model

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def identity(self) -> str:
        return self.model.identity

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return self.model.refuses(prompt, params)

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return self.model.quote(prompt, params)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        raise AssertionError(f"{self.name} was asked for draws {[draw.number for draw in draws]} again")
        yield


async def check_model_replay(model: Model, prompt: Prompt, params: Params, bank: Bank | None = None) -> None:
    """Draws that are in a bank are not made again: they cost nothing, say the same and count the same."""
    bank = bank or MemoryBank()
    if isinstance(model, Served):
        await model.prepare(FakePurse())
    first = Run(model, bank=bank, params=params)
    samples = await first.draw(prompt, N_DRAWS)
    assert all(sample.finish is not Finish.ERROR for sample in samples), "a draw failed: nothing of it is kept"
    again = Run(Dead(model), bank=bank, params=params)
    assert samples == (await again.draw(prompt, len(samples)) if samples else []), "a replay says something else"
    assert again.spent == first.spent
    assert again.fresh == Cost(), f"a replay costs {again.fresh}"


PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def requests(prompt: Prompt, params: Params, word: str) -> list[tuple[Prompt, Params]]:
    """What not every model can do, one thing at a time; `word` is something that the model could write."""
    shown = Prompt.user((ImagePart(PICTURE),))
    offering = replace(prompt, tools=(Tool("look_up"),))
    return [
        (prompt.extend(word), params),
        (offering, params),
        (shown, params),
        (prompt, replace(params, logit_bias=((word, 1.0),))),
        (prompt, replace(params, thinking_tokens=1)),
        (prompt, replace(params, effort="low")),
        (prompt, replace(params, response_format='{"type":"json_object"}')),
        (prompt, replace(params, extra='{"min_p":0.1}')),
        (prompt, replace(params, stop=(word,), top_p=0.9, top_k=5, temperature=0.0)),
    ]


async def check_refuses(model: Model, prompt: Prompt, params: Params, word: str) -> None:
    """It takes a plain prompt; what it refuses costs nothing and says why; what it does not refuse raises nothing."""
    if isinstance(model, Served):
        await model.prepare(FakePurse())
    assert model.refuses(prompt, params) is None, "it refuses a plain prompt"
    for asked, how in requests(prompt, params, word):
        why, run = model.refuses(asked, how), Run(model, params=how)
        if why is None:
            await run.draw(asked, 2)
            continue
        assert why.strip(), "it refuses without a reason"
        said = ""
        try:
            await run.draw(asked, 2)
        except UsageError as error:
            said = str(error)
        assert why in said, f"it refuses, and then {f'for another reason: {said}' if said else f'draws: {why}'}"
        assert run.spent == Cost(), f"it spent {run.spent} before it refused"
