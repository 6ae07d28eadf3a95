"""The only door from a strategy to models, verifiers, judges and programs: metered, capped, remembered."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from mull.cost import CEILINGS, affordable, check_budget, check_quoted, fits, known_or, times, total
from mull.errors import UsageError
from mull.types import (
    Bank,
    Budget,
    Cost,
    Draw,
    Executor,
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
    Trace,
    Trial,
    Verifier,
)

Order = Literal["draw", "arrival"]
T = TypeVar("T")

DRAWING_SHARE = 0.9
"""The share of `Budget.seconds` after which drawing stops where a verifier or judge has yet to speak."""


def question(model: Model, prompt: Prompt, params: Params, seed: int) -> dict[str, Any]:
    """All that decides what the draws of a question are: what the bank files them under."""
    asked = {
        "model": model.identity,
        "messages": [[m.role, m.content] for m in prompt.messages],
        "prefix": prompt.prefix,
        "temperature": params.temperature,
        "max_tokens": params.max_tokens,
        "stop": list(params.stop),
        "top_p": params.top_p,
        "top_k": params.top_k,
        "seed": seed,
    }
    if params.logprobs is not None:
        asked["logprobs"] = params.logprobs
    return asked


def digest(asked: Mapping[str, Any]) -> str:
    """The key of a question: a tagged hash of its canonical JSON."""
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "b2:" + hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def seed_of(key: str, number: int) -> int:
    """The seed of a numbered draw: 63 bits that depend on nothing but the question and the number."""
    return int.from_bytes(hashlib.blake2b(f"{key}/{number}".encode(), digest_size=8).digest(), "big") >> 1


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
        executor: Executor | None = None,
        budget: Budget | None = None,
        bank: Bank | None = None,
        params: Params | None = None,
        seed: int = 0,
        rng: random.Random | None = None,
        watch: Callable[[Sample], None] | None = None,
    ) -> None:
        self.model, self.verifier, self.judge, self.executor = model, verifier, judge, executor
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
            share = 1.0 if verifier is None and judge is None and executor is None else DRAWING_SHARE
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

    def _pay(self, cost: Cost, quote: Cost, *, is_fresh: bool) -> None:
        """Counts a cost; what is unknown of it counts against the ceilings as the most it can have been."""
        self._spent.append(cost)
        self._charged.append(cost if None not in (cost.tokens, cost.usd, cost.flops) else known_or(cost, quote))
        if is_fresh:
            self._fresh_costs.append(cost)

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
        known = self.bank.get(key, prompt, first, n) if self.bank is not None else {}
        missing = [Draw(i, seed_of(key, i)) for i in range(first, first + n) if i not in known]
        hold = Hold(self.model.quote(prompt, params), n)
        self._holds.add(hold)

        def arrived(sample: Sample) -> None:
            if self.bank is not None and sample.finish is not Finish.ERROR:
                self.bank.put(key, asked, sample)
            hold.n -= 1
            self._pay(sample.cost, hold.quote, is_fresh=True)

        def lost(cost: Cost) -> None:
            hold.n -= 1
            self._pay(cost, hold.quote, is_fresh=True)

        def replayed(sample: Sample) -> Sample:
            hold.n -= 1
            self._pay(sample.cost, hold.quote, is_fresh=False)
            return sample

        try:
            async with aclosing(self._fresh(prompt, params, missing, arrived, lost)) as fresh:
                if order == "arrival":
                    for sample in known.values():
                        yield self._seen(replayed(sample))
                    async for sample in fresh:
                        yield self._seen(sample)
                    return
                waiting: dict[int, Sample] = {}
                for number in range(first, first + n):
                    if number in known:
                        yield self._seen(replayed(known[number]))
                        continue
                    while number not in waiting:
                        sample_or_none = await anext(fresh, None)
                        if sample_or_none is None:
                            return
                        waiting[sample_or_none.draw] = sample_or_none
                    yield self._seen(waiting.pop(number))
        finally:
            self._holds.discard(hold)

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
            verifier.name,
            lambda part: verifier.quote(problem, part),
            lambda part: verifier.score(problem, part),
            lambda why: Score(None, why=why),
            lambda score: score.cost,
        )

    async def prefer(self, problem: Problem, pairs: Sequence[Pair]) -> list[Preference]:
        """One preference for each pair; those that no ceiling allows have no value and say so."""
        judge = self.judge
        if judge is None:
            raise UsageError("this strategy needs a judge: name one with --judge or judge=")
        return await self._judged(
            pairs,
            judge.name,
            lambda part: judge.quote(problem, part),
            lambda part: judge.prefer(problem, part),
            lambda why: Preference(None, why=why),
            lambda preference: preference.cost,
        )

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> list[Trace]:
        """One trace for each trial; those that no ceiling allows are not known and say so."""
        executor = self.executor
        if executor is None:
            raise UsageError("this strategy runs programs and needs an executor: name one with executor=")
        return await self._judged(
            trials,
            executor.name,
            lambda part: executor.quote(problem, part),
            lambda part: executor.execute(problem, part),
            lambda why: Trace(is_known=False, why=why),
            lambda trace: trace.cost,
        )

    async def _judged(
        self,
        items: Sequence[Any],
        name: str,
        quote: Callable[[Sequence[Any]], Cost],
        call: Callable[[Sequence[Any]], Awaitable[Sequence[T]]],
        unknown: Callable[[str], T],
        cost_of: Callable[[T], Cost],
    ) -> list[T]:
        """Has as many of the first items judged as the ceilings allow; the rest is unknown."""
        check_quoted(self.budget, quote(items), name)
        left = self.left
        n = bisect_right(range(1, len(items) + 1), 0, key=lambda k: not fits(left, quote(items[:k])))
        verdicts: list[T] = []
        if n:
            hold = Hold(quote(items[:n]), 1)
            self._holds.add(hold)
            try:
                async with asyncio.timeout(left.seconds):
                    verdicts += await call(items[:n])
            except TimeoutError:
                if self.left.seconds != 0.0:
                    raise
                self.stopped = Stopped.DEADLINE
                self._pay(hold.quote, hold.quote, is_fresh=True)
                return [unknown("the deadline passed")] * len(items)
            finally:
                self._holds.discard(hold)
            self._pay(total(map(cost_of, verdicts)), hold.quote, is_fresh=True)
        if n < len(items):
            self.stopped = Stopped.BUDGET
        return verdicts + [unknown("the budget is spent")] * (len(items) - n)
