"""The draws of a run: numbered by question, held against the budget before they are made, and banked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from mull.bank import Bank
from mull.cost import affordable, check_quoted
from mull.errors import UsageError
from mull.run.asks import check_asked
from mull.run.delivery import Delivery, Order, Question
from mull.run.events import DrawArrived, RunEvent
from mull.run.handed import Given
from mull.run.together import together
from mull.run.wallet import HeldPurse, TakenError, Wallet
from mull.types import Ask, Budget, Cost, Model, Params, Prompt, Sample, Served, Stopped

if TYPE_CHECKING:
    from mull.run.trace import Trace


class Draws:
    """Draws from the model of a run.

    The quoted cost is held before each call and settled after it, so `spent` never exceeds a ceiling. Draws are
    numbered by question, none is used twice in a run, and banked draws are not made again: `spent` counts them as if
    they had been, `fresh` counts only what was paid now.
    """

    def __init__(
        self,
        model: Model,
        wallet: Wallet,
        bank: Bank | None,
        params: Params,
        seed: int,
        watch: Callable[[RunEvent], None] | None,
        trace: Trace | None,
    ) -> None:
        self.model, self.bank, self.params, self.seed, self.trace = model, bank, params, seed, trace
        self.budget = wallet.budget
        self._watch = watch
        self._wallet = wallet
        self._looks = self._wallet
        """The wallet that pays for probing a server; in a rehearsal, the wallet of the run being rehearsed."""
        self._drawn: Counter[str] = Counter()
        self._given = Given()

    @property
    def stopped(self) -> Stopped:
        """Why the last request returned fewer draws than asked for; `COMPLETE` if none did."""
        return self._wallet.stopped

    @stopped.setter
    def stopped(self, why: Stopped) -> None:
        self._wallet.stopped = why

    @property
    def spent(self) -> Cost:
        """The cost of the run, counting banked draws as if they had been made."""
        return self._wallet.spent

    @property
    def fresh(self) -> Cost:
        """The cost paid now, without banked draws."""
        return self._wallet.fresh

    @property
    def held(self) -> Cost:
        """The most that calls in progress may still cost."""
        return self._wallet.held

    @property
    def seconds(self) -> float:
        """Wall-clock seconds since the run began."""
        return self._wallet.seconds

    @property
    def left(self) -> Budget:
        """What the ceilings still allow, counting calls in progress at their maximum cost."""
        return self._wallet.left

    def priced(self, prompt: Prompt, params: Params | None = None) -> Cost:
        """The most that one such draw can cost.

        Raises `UsageError` for a ceiling on something whose price is unknown, before anything is spent.
        """
        quote = self.model.quote(prompt, params or self.params)
        check_quoted(self._wallet.ceilings, quote, self.model.name)
        return quote

    def hand_back(self, samples: Iterable[Sample]) -> int:
        """Makes draws of this run available to its next strategy; returns how many of the samples are such draws.

        The next request for a question receives those draws first, in draw order and at no cost. They are paid for,
        banked and traced only once. Replies that a strategy composed itself are ignored.
        """
        return self._given.hand_back(samples)

    def withdraw(self, samples: Iterable[Sample]) -> None:
        """Undoes `hand_back` for draws that were not taken."""
        self._given.withdraw(samples)

    @contextmanager
    def reserve(self, prompt: Prompt, params: Params | None = None) -> Iterator[None]:
        """Reserves the price of one such draw inside the block, so that a search cut short can still answer."""
        holds = []
        with suppress(TakenError):  # then nothing is left for an answer
            holds.append(self._wallet.hold(self.priced(prompt, params or self.params)))
        try:
            yield
        finally:
            self._wallet.drop(*holds)

    async def prepare(self) -> None:
        """Finds out what the model's server can do, if the model has one and that is not known yet."""
        if isinstance(self.model, Served):
            purse = HeldPurse(self._looks, self._looks.hold(Cost(), 0))
            try:
                await self.model.prepare(purse)
            finally:
                purse.close()

    def check_able(self, prompt: Prompt, params: Params | None = None) -> None:
        """Raises `UsageError`, with the reason and a remedy, for a request that the model cannot serve."""
        if (why := self.model.refuses(prompt, params or self.params)) is not None:
            raise UsageError(f"{self.model.name} {why}")

    def check_continues(self) -> None:
        """Raises `UsageError` if the model cannot continue a partial reply."""
        self.check_able(Prompt((), prefix=" "), Params())

    def check_biases(self) -> None:
        """Raises `UsageError` if the model does not support `Params.logit_bias`."""
        self.check_able(Prompt(()), Params(logit_bias=((" ", 1.0),)))

    def check_thinking_budget(self) -> None:
        """Raises `UsageError` if the model does not enforce `Params.thinking_tokens`."""
        self.check_able(Prompt(()), Params(thinking_tokens=0))

    async def _check_able(self, prompt: Prompt, params: Params) -> None:
        """Raises `UsageError` for a request that the model cannot serve, before anything is spent."""
        if prompt.prefix or params.logit_bias or params.thinking_tokens is not None:
            await self.prepare()
        self.check_able(prompt, params)

    @asynccontextmanager
    async def sample(
        self, prompt: Prompt, n: int = 1, params: Params | None = None, order: Order = "draw"
    ) -> AsyncIterator[AsyncIterator[Sample]]:
        """Up to `n` draws, as an asynchronous iterator that is valid inside the `async with` block.

        Fewer than `n` mean that a ceiling was reached or the model has no more; `stopped` says which. Leaving the
        block early cancels draws in progress and releases the held budget. Draws come in draw order, or with
        `order="arrival"` as they arrive; stopping early on arrivals favours short replies.
        """
        params = params or self.params
        check_asked(prompt, n, params)
        async with aclosing(self._rounds(prompt, n, params, order)) as draws:
            yield draws

    async def draw(self, prompt: Prompt, n: int = 1, params: Params | None = None) -> list[Sample]:
        """Up to `n` draws, all at once, in draw order."""
        async with self.sample(prompt, n, params) as draws:
            return [sample async for sample in draws]

    async def _rounds(self, prompt: Prompt, n: int, params: Params, order: Order) -> AsyncGenerator[Sample, None]:
        """Draws as many as the ceilings allow at worst-case cost, then continues with what those leave unspent."""
        await self._check_able(prompt, params)
        for sample in self._again(Ask(prompt, n, params)):
            n -= 1
            yield sample
        while n > 0:
            k, params = affordable(self.left, self.priced(prompt, params), params, n)
            if k == 0 or self._late():
                self.stopped = Stopped.DEADLINE if self._late() else Stopped.BUDGET
                return
            n_delivered = 0
            if (begun := self._begin(prompt, k, params)) is None:
                continue
            async with begun as delivery, aclosing(delivery.draws(order)) as draws:
                async for sample in draws:
                    n_delivered += 1
                    yield sample
            if n_delivered < k:
                return
            n -= k

    async def draw_each(self, asks: Sequence[Ask]) -> list[list[Sample]]:
        """Draws of several questions concurrently, each in draw order.

        The ceilings are allotted in the order of the asks, and what those leave unspent is allotted again, so the draws
        made do not depend on which arrive first.
        """
        for ask in asks:
            check_asked(ask.prompt, ask.n, ask.params)
        for ask in asks:
            await self._check_able(ask.prompt, ask.params)
        got = [list(self._again(ask)) for ask in asks]
        wanted = {i: ask.n - len(got[i]) for i, ask in enumerate(asks) if ask.n > len(got[i])}
        while wanted:
            batches: list[tuple[int, Delivery]] = []
            is_taken = False
            for i, n in wanted.items():
                prompt, params = asks[i].prompt, asks[i].params
                k, params = affordable(self.left, self.priced(prompt, params), params, n)
                if k and not self._late():
                    delivery = self._begin(prompt, k, params)
                    is_taken |= delivery is None
                    batches += [] if delivery is None else [(i, delivery)]
            if not batches and is_taken:
                continue
            if not batches:
                self.stopped = Stopped.DEADLINE if self._late() else Stopped.BUDGET
                break
            for (i, begun), samples in zip(batches, await self._gather([b for _, b in batches]), strict=True):
                got[i] += samples
                wanted[i] -= len(samples)
                if wanted[i] == 0 or len(samples) < len(begun.numbers):
                    del wanted[i]
        return got

    async def _gather(self, begun: Sequence[Delivery]) -> list[list[Sample]]:
        """All draws of the deliveries; if one delivery fails, the others are cancelled."""

        async def collect(delivery: Delivery) -> list[Sample]:
            async with delivery, aclosing(delivery.draws()) as draws:
                return [sample async for sample in draws]

        try:
            return await together([collect(delivery) for delivery in begun])
        finally:
            # A call that never started has not released its hold.
            self._wallet.drop(*(delivery.hold for delivery in begun))

    def _again(self, ask: Ask) -> Iterator[Sample]:
        """The requested draws that were handed back, in draw order."""
        if self._given.n_back:
            key = Question.of(self.model, ask.prompt, ask.params, self.seed).key
            for _ in range(ask.n):
                if (sample := self._given.again(key)) is None:
                    return
                yield sample

    def _begin(self, prompt: Prompt, n: int, params: Params) -> Delivery | None:
        """Numbers the next `n` draws of a question and holds their cost; `None`: others took what was left."""
        asked = Question.of(self.model, prompt, params, self.seed)
        try:
            hold = self._wallet.hold(self.model.quote(prompt, params), n)
        except TakenError:
            return None
        first = self._drawn[asked.key]
        self._drawn[asked.key] += n
        until = self._wallet.deadline(self._drawing_share)
        numbers = range(first, first + n)
        return Delivery(asked, numbers, hold, self._wallet, self.bank, until, self._seen, on_arrival=self._arrived)

    def _arrived(self, sample: Sample, is_banked: bool) -> None:
        if self._watch is not None:
            spent, fresh, seconds = self.spent, self.fresh, self.seconds
            self._watch(DrawArrived(sample, self.model.name, is_banked, spent, fresh, seconds))

    def _seen(self, key: str, sample: Sample, is_banked: bool) -> None:
        self._given.give(key, sample)
        if self.trace is not None:
            self.trace.draw(sample, is_banked, self.model.name)

    @property
    def _drawing_share(self) -> float:
        """The share of `Budget.seconds` after which drawing stops."""
        return 1.0

    def _late(self) -> bool:
        until = self._wallet.deadline(self._drawing_share)
        return until is not None and time.monotonic() >= until
