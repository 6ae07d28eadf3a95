"""The only door from a strategy to models, verifiers and judges: metered, capped, remembered."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from mull.cost import CEILINGS, affordable, check_budget, check_quoted, fits, known_or, times, total
from mull.errors import BankAwayError, UsageError
from mull.keys import digest, preference_key, question, score_key, seed_of
from mull.types import (
    Bank,
    Budget,
    Cost,
    Draw,
    Finish,
    Judge,
    Model,
    Pair,
    Params,
    Preference,
    Problem,
    Prompt,
    Sample,
    Score,
    Stopped,
    Verifier,
)

Order = Literal["draw", "arrival"]
T = TypeVar("T")
V = TypeVar("V", Score, Preference)

POLL_SECONDS = 0.05, 1.0
"""How often the bank is asked for draws that another process makes: at first, and after a while."""
DRAWING_SHARE = 0.9
"""The share of `Budget.seconds` after which drawing stops where a verifier or judge has yet to speak."""


def check_asked(prompt: Prompt, n: int, params: Params) -> None:
    """Refuses what no model could answer."""
    if n < 1:
        raise UsageError(f"the number of draws must be at least 1, not {n}")
    if not any(message.content.strip() for message in prompt.messages):
        raise UsageError("the prompt is empty")
    if not params.temperature >= 0:
        raise UsageError(f"the temperature must be 0 or more, not {params.temperature}")
    if params.max_tokens < 1:
        raise UsageError(f"max_tokens must be at least 1, not {params.max_tokens}")
    if not 0 < params.top_p <= 1:
        raise UsageError(f"top_p must be above 0 and at most 1, not {params.top_p}")
    if params.top_k < 0:
        raise UsageError(f"top_k must be 0 (off) or more, not {params.top_k}")


@dataclass(slots=True, eq=False)
class Hold:
    """Budget set aside for `n` calls that cost at most `quote` each."""

    quote: Cost
    n: int


class Run:
    """One strategy's dealings with the world on one problem.

    Every ceiling of the budget is held before a call and settled after it, so `spent` never exceeds it.
    Draws are numbered by question, inside a run none is used twice, and what the bank holds is not drawn
    again: `spent` counts it as if it had been, `fresh` counts only what was paid now.
    """

    def __init__(
        self,
        model: Model,
        *,
        verifier: Verifier | None = None,
        judge: Judge | None = None,
        budget: Budget | None = None,
        bank: Bank | None = None,
        params: Params | None = None,
        seed: int = 0,
        rng: random.Random | None = None,
        watch: Callable[[Sample], None] | None = None,
    ) -> None:
        self.model, self.verifier, self.judge = model, verifier, judge
        self.budget = budget or Budget()
        self.bank = bank
        self.params = params or Params()
        self.seed = seed
        self.rng = rng or random.Random(seed)
        self.stopped = Stopped.COMPLETE
        """Why the last short read was short; `COMPLETE` while there was none."""
        self._watch = watch
        self._spent: list[Cost] = []
        self._fresh_costs: list[Cost] = []
        self._charged: list[Cost] = []
        self._holds: set[Hold] = set()
        self._drawn: Counter[str] = Counter()
        self._start = time.monotonic()
        self._draw_until: float | None = None
        if self.budget.seconds is not None:
            share = 1.0 if verifier is None and judge is None else DRAWING_SHARE
            self._draw_until = self._start + share * self.budget.seconds
        check_budget(self.budget)

    @property
    def spent(self) -> Cost:
        """What the run has cost, draws that came from the bank counted as if they had been made."""
        return total(self._spent)

    @property
    def fresh(self) -> Cost:
        """What was paid now."""
        return total(self._fresh_costs)

    @property
    def held(self) -> Cost:
        """What calls under way may still cost."""
        return total(times(hold.quote, hold.n) for hold in self._holds)

    @property
    def seconds(self) -> float:
        """Time on the clock since the run began."""
        return time.monotonic() - self._start

    @property
    def left(self) -> Budget:
        """What the ceilings still allow, calls under way taken as if they cost the most they can."""
        used = total(self._charged) + self.held
        gone = {
            name: None if (top := getattr(self.budget, name)) is None else top - (of(used) or 0)
            for name, of in CEILINGS.items()
        }
        seconds = None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)
        return Budget(seconds=seconds, **gone)

    def _pay(self, cost: Cost, quote: Cost, fresh: Cost | None) -> None:
        """Counts a cost; what is unknown of it counts against the ceilings as the most it can have been."""
        self._spent.append(cost)
        self._charged.append(cost if None not in (cost.tokens, cost.usd, cost.flops) else known_or(cost, quote))
        if fresh is not None:
            self._fresh_costs.append(fresh)

    async def _patient(self, call: Callable[[], T]) -> T:
        """What the bank says, waited for while its database is away."""
        while True:
            try:
                return call()
            except BankAwayError as error:
                await asyncio.sleep(error.pause)

    @asynccontextmanager
    async def sample(
        self, prompt: Prompt, n: int = 1, params: Params | None = None, order: Order = "draw"
    ) -> AsyncIterator[AsyncIterator[Sample]]:
        """Up to `n` draws, as an asynchronous iterator that lives as long as the `async with` block.

        Fewer than `n` mean that a ceiling was reached or the model has no more; `stopped` says which. Leaving
        the block early cancels what is under way and gives the held budget back. Draws come in draw order,
        or as they arrive if `order` says so: stopping on arrivals favours short replies.
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
        """Draws as many as the ceilings allow at worst, and goes on with what those leave unspent."""
        while n > 0:
            quote = self.model.quote(prompt, params)
            check_quoted(self.budget, quote, self.model.name)
            k, params = affordable(self.left, quote, params, n)
            if k == 0 or self._late():
                self.stopped = Stopped.DEADLINE if self._late() else Stopped.BUDGET
                return
            n_delivered = 0
            async with aclosing(self._held_draws(prompt, k, params, order)) as draws:
                async for sample in draws:
                    n_delivered += 1
                    yield sample
            if n_delivered < k:
                return
            n -= k

    async def _held_draws(self, prompt: Prompt, n: int, params: Params, order: Order) -> AsyncGenerator[Sample, None]:
        """The next `n` draws of a question, from the bank where it has them, with their cost held until it is known."""
        asked = question(self.model, prompt, params, self.seed)
        key = digest(asked)
        first = self._drawn[key]
        self._drawn[key] += n
        bank = self.bank
        known = await self._patient(lambda: bank.get(key, prompt, first, n)) if bank is not None else {}
        missing = [i for i in range(first, first + n) if i not in known]
        hold = Hold(self.model.quote(prompt, params), n)
        self._holds.add(hold)

        def arrived(sample: Sample) -> None:
            if bank is not None and sample.finish is not Finish.ERROR:
                bank.put(key, asked, sample)
            hold.n -= 1
            self._pay(sample.cost, hold.quote, sample.cost)

        def lost(cost: Cost) -> None:
            hold.n -= 1
            self._pay(cost, hold.quote, cost)

        def replayed(sample: Sample) -> Sample:
            hold.n -= 1
            self._pay(sample.cost, hold.quote, None)
            return sample

        def draw(numbers: Iterable[int]) -> AsyncGenerator[Sample, None]:
            return self._fresh(prompt, params, [Draw(i, seed_of(key, i)) for i in numbers], arrived, lost)

        coming = draw(missing) if bank is None else self._shared(bank, key, prompt, missing, draw, replayed)
        try:
            async with aclosing(coming):
                if order == "arrival":
                    for sample in known.values():
                        yield self._seen(replayed(sample))
                    async for sample in coming:
                        yield self._seen(sample)
                    return
                waiting: dict[int, Sample] = {}
                for number in range(first, first + n):
                    if number in known:
                        yield self._seen(replayed(known[number]))
                        continue
                    while number not in waiting:
                        sample_or_none = await anext(coming, None)
                        if sample_or_none is None:
                            return
                        waiting[sample_or_none.draw] = sample_or_none
                    yield self._seen(waiting.pop(number))
        finally:
            self._holds.discard(hold)

    async def _shared(
        self,
        bank: Bank,
        key: str,
        prompt: Prompt,
        numbers: Sequence[int],
        draw: Callable[[Iterable[int]], AsyncGenerator[Sample, None]],
        replayed: Callable[[Sample], Sample],
    ) -> AsyncGenerator[Sample, None]:
        """Makes those of the draws that nobody else is making, and waits for the others to be in the bank."""
        missing = list(numbers)
        pause, longest = POLL_SECONDS
        while missing:
            claim = await self._patient(partial(bank.claim, key, missing))
            try:
                async with aclosing(draw(sorted(claim.numbers))) as fresh:
                    async for sample in fresh:
                        yield sample
            finally:
                claim.release()
            missing = [number for number in missing if number not in claim.numbers]
            if not missing:
                return
            found = await self._patient(partial(bank.get, key, prompt, missing[0], missing[-1] + 1 - missing[0]))
            for number in missing:
                if number in found:
                    yield replayed(found[number])
            n_missing, missing = len(missing), [number for number in missing if number not in found]
            if n_missing == len(missing) and not claim.numbers:
                if self._late():
                    self.stopped = Stopped.DEADLINE
                    return
                await asyncio.sleep(pause)
                pause = min(1.2 * pause, longest)

    def _seen(self, sample: Sample) -> Sample:
        if self._watch is not None:
            self._watch(sample)
        return sample

    async def _fresh(
        self,
        prompt: Prompt,
        params: Params,
        draws: list[Draw],
        arrived: Callable[[Sample], None],
        lost: Callable[[Cost], None],
    ) -> AsyncGenerator[Sample, None]:
        """The missing draws from the model as they arrive, each banked and counted before anybody sees it."""
        if not draws:
            return
        n_arrived = 0
        async with aclosing(self.model.sample(prompt, params, draws, lost)) as stream:
            while True:
                try:
                    if self._draw_until is None:
                        sample = await anext(stream)
                    else:
                        async with asyncio.timeout(max(0.0, self._draw_until - time.monotonic())):
                            sample = await anext(stream)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    if not self._late():
                        raise
                    self.stopped = Stopped.DEADLINE
                    return
                n_arrived += 1
                arrived(sample)
                yield sample
        if n_arrived < len(draws):
            self.stopped = Stopped.EXHAUSTED

    def _late(self) -> bool:
        return self._draw_until is not None and time.monotonic() >= self._draw_until

    async def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """One score for each sample; those that no ceiling allows have no value and say so."""
        verifier = self.verifier
        if verifier is None:
            raise UsageError("this strategy needs a verifier: name one with --verifier or verifier=")
        return await self._judged(
            samples,
            verifier,
            lambda part: verifier.quote(problem, part),
            lambda part: verifier.score(problem, part),
            lambda why: Score(None, why=why),
            lambda identity, sample: score_key(identity, problem, sample),
        )

    async def prefer(self, problem: Problem, pairs: Sequence[Pair]) -> list[Preference]:
        """One preference for each pair; those that no ceiling allows have no value and say so."""
        judge = self.judge
        if judge is None:
            raise UsageError("this strategy needs a judge: name one with --judge or judge=")
        return await self._judged(
            pairs,
            judge,
            lambda part: judge.quote(problem, part),
            lambda part: judge.prefer(problem, part),
            lambda why: Preference(None, why=why),
            lambda identity, pair: preference_key(identity, problem, pair),
        )

    async def _judged(
        self,
        items: Sequence[Any],
        by: Verifier | Judge,
        quote: Callable[[Sequence[Any]], Cost],
        call: Callable[[Sequence[Any]], Awaitable[Sequence[V]]],
        unknown: Callable[[str], V],
        key_of: Callable[[str, Any], str | None],
    ) -> list[V]:
        """Has as many of the first items judged as the ceilings allow; the rest is unknown.

        What the bank has, and what is here twice, is not asked again; its cost counts as spent all the same.
        """
        check_quoted(self.budget, quote(items), by.name)
        left, bank, identity = self.left, self.bank, by.identity
        n = bisect_right(range(1, len(items) + 1), 0, key=lambda k: not fits(left, quote(items[:k])))
        if n < len(items):
            self.stopped = Stopped.BUDGET
        beyond = [unknown("the budget is spent")] * (len(items) - n)
        if n == 0:
            return beyond
        is_kept = bank is not None and identity is not None
        keys = [key_of(str(identity), item) if is_kept else None for item in items[:n]]
        names = [str(i) if key is None else key for i, key in enumerate(keys)]
        hold = Hold(quote(items[:n]), 1)
        self._holds.add(hold)
        try:
            verdicts: dict[str, V] = await self._known_verdicts([key for key in keys if key is not None])
            missing = {name: item for name, item in zip(names, items, strict=False) if name not in verdicts}
            new: Sequence[V] = ()
            if missing:
                async with asyncio.timeout(left.seconds):
                    new = await call(list(missing.values()))
        except TimeoutError:
            if self.left.seconds != 0.0:
                raise
            self.stopped = Stopped.DEADLINE
            lost = quote(list(missing.values()))
            self._pay(lost + total(v.cost for v in verdicts.values()), hold.quote, lost)
            return [verdicts.get(name, unknown("the deadline passed")) for name in names] + beyond
        finally:
            self._holds.discard(hold)
        for name, verdict in zip(missing, new, strict=True):
            verdicts[name] = verdict
            value = verdict.value if isinstance(verdict, Score) else verdict.first
            if bank is not None and name in keys and (value is not None or verdict.is_lasting):
                bank.keep(name, str(identity), verdict)
        judged = [verdicts[name] for name in names]
        self._pay(total(v.cost for v in judged), hold.quote, total(v.cost for v in new) if new else None)
        return judged + beyond

    async def _known_verdicts(self, keys: Sequence[str]) -> dict[str, Any]:
        """The verdicts that the bank has, by key."""
        bank = self.bank
        return await self._patient(lambda: bank.verdicts(keys)) if bank is not None and keys else {}
