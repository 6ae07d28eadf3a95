"""What verifiers and judges may call: models and other verifiers, through the wallet and the bank of the run."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mull.bank import Bank, patient
from mull.bank.keys import score_key
from mull.cost import check_quoted, fits, times, total
from mull.errors import ModelError, UsageError
from mull.run.delivery import Delivery, Question
from mull.run.judging import LATE, SPENT, Asking, V, is_banked
from mull.run.together import together
from mull.run.wallet import Hold, Wallet, as_verification
from mull.types import Ask, Behaviour, Budget, Cost, Finish, Model, Problem, Said, Sample, Score, Stopped, Verifier

GRACE = 1.0
"""Seconds after the deadline that a verifier has to make scores of what was drawn for it."""


@dataclass(frozen=True, slots=True)
class _Dealt:
    """An ask that the ceilings allow, with what is held for those of its draws that this run has not made."""

    question: Question
    numbers: range
    hold: Hold


class MeteredCalls:
    """Asks models and verifiers on behalf of a run, of a verifier or of a judge.

    `MeteredCalls()` has no ceilings and no bank, for scoring outside a run. Every draw made through it is held
    before it is made, numbered, banked by itself, and booked as verification.
    """

    def __init__(self, wallet: Wallet | None = None, bank: Bank | None = None) -> None:
        self._wallet = wallet or Wallet(Budget())
        self._bank = bank
        self._made: dict[tuple[str, int], Sample] = {}
        self._asked: Counter[str] = Counter()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._n_drawing = 0
        self._limits: dict[asyncio.Timeout, float] = {}

    @property
    def spent(self) -> Cost:
        """What all calls have cost."""
        return self._wallet.spent

    def times_asked(self, what: str) -> int:
        """How often this was asked for in this run before now; counts this time."""
        n = self._asked[what]
        self._asked[what] += 1
        return n

    async def score(self, verifier: Verifier, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """The scores of a verifier; those that no ceiling allows have no value and say so."""
        asking = Asking(
            verifier.name,
            verifier.identity,
            lambda part: verifier.quote(problem, part),
            lambda part: verifier.score(problem, part, self),
            lambda why: Score(None, why=why),
            lambda identity, sample: score_key(identity, problem, sample),
        )
        return await self.judge(samples, asking)

    async def judge(self, items: Sequence[Any], asking: Asking[V]) -> list[V]:
        """A verdict on each item; the first ones that the ceilings allow are asked about, the others are unknown.

        What is here twice is asked once. What the bank has is not asked again; its cost counts as spent all the same.
        """
        quote, wallet = asking.quote, self._wallet
        check_quoted(wallet.ceilings, quote(items), asking.name)
        left = wallet.left
        n = bisect_right(range(1, len(items) + 1), 0, key=lambda k: not fits(left, quote(items[:k])))
        beyond = [asking.unknown(SPENT)] * (len(items) - n)
        if beyond:
            wallet.stopped = Stopped.BUDGET
        if n == 0:
            return beyond
        keys = [None if asking.identity is None else asking.key_of(asking.identity, item) for item in items[:n]]
        names = [str(i) if key is None else key for i, key in enumerate(keys)]
        hold = wallet.hold(quote(items[:n]))
        try:
            verdicts: dict[str, V] = await self._known([key for key in keys if key is not None])
            missing = {name: item for name, item in zip(names, items, strict=False) if name not in verdicts}
            new: Sequence[V] = ()
            if missing:
                async with self._limited(left.seconds):
                    new = await asking.call(list(missing.values()))
        except TimeoutError:
            if wallet.left.seconds != 0.0:
                raise
            wallet.stopped = Stopped.DEADLINE
            lost = quote(list(missing.values()))
            wallet.pay(lost + total(v.cost for v in verdicts.values()), hold.quote, lost)
            late = asking.unknown(LATE)
            return [verdicts.get(name, late) for name in names] + beyond
        finally:
            wallet.drop(hold)
        for name, verdict in zip(missing, new, strict=True):
            verdicts[name] = verdict
            if self._bank is not None and name in keys and is_banked(verdict):
                self._bank.keep(name, str(asking.identity), verdict)
        given: list[V] = []
        seen: set[str] = set()
        for name in names:  # what is here twice was asked about once, and costs once
            given.append(free(verdicts[name]) if name in seen else verdicts[name])
            seen.add(name)
        wallet.pay(total(v.cost for v in given), hold.quote, total(v.cost for v in new) if new else None)
        return given + beyond

    async def _known(self, keys: Sequence[str]) -> dict[str, Any]:
        """The verdicts that the bank has, by key."""
        bank = self._bank
        return await patient(lambda: bank.verdicts(keys)) if bank is not None and keys else {}

    async def draw(self, model: Model, groups: Sequence[Sequence[Ask]], seed: int = 0) -> list[list[Said]]:
        """What a model says to each ask, group by group.

        What the ceilings allow at worst is dealt out in the order of the groups, and what that leaves unspent is dealt
        out again. Raises `UsageError` where a ceiling is on something that has no known price.
        """
        said: dict[int, list[Said]] = {}
        waiting = deque(range(len(groups)))
        while waiting:
            dealt: dict[int, list[_Dealt | Said]] = {}
            while waiting and (one := self._deal(model, groups[waiting[0]], seed)) is not None:
                dealt[waiting.popleft()] = one
            if not dealt:
                break
            try:
                answers = await together([self._answer(one) for group in dealt.values() for one in group])
            finally:
                self._wallet.drop(*(o.hold for group in dealt.values() for o in group if isinstance(o, _Dealt)))
            coming = iter(answers)
            said |= {i: [next(coming) for _ in group] for i, group in dealt.items()}
        if waiting:
            is_late = self._wallet.left.seconds == 0.0
            self._wallet.stopped = Stopped.DEADLINE if is_late else Stopped.BUDGET
            said |= {i: [Said(why=LATE if is_late else SPENT)] * len(groups[i]) for i in waiting}
        return [said[i] for i in range(len(groups))]

    def _deal(self, model: Model, group: Sequence[Ask], seed: int) -> list[_Dealt | Said] | None:
        """Holds the cost of all asks of a group, in one piece; `None` where no ceiling leaves room for it."""
        planned: list[tuple[Question, range, Cost, int] | Said] = []
        for ask in group:
            first = ask.first or 0
            numbers = range(first, first + ask.n)
            try:
                question = Question.of(model, ask.prompt, ask.params, seed)
                quote = as_verification(model.quote(ask.prompt, ask.params))
            except UsageError as error:
                planned.append(Said(why=str(error)))
                continue
            check_quoted(self._wallet.ceilings, quote, model.name)
            planned.append((question, numbers, quote, sum((question.key, i) not in self._made for i in numbers)))
        left = self._wallet.left
        most = total(times(one[2], one[3]) for one in planned if not isinstance(one, Said))
        if left.seconds == 0.0 or not fits(left, most):
            return None
        return [
            one if isinstance(one, Said) else _Dealt(one[0], one[1], self._wallet.hold(one[2], one[3]))
            for one in planned
        ]

    async def _answer(self, dealt: _Dealt | Said) -> Said:
        """The draws of one ask: those that this run has made before, and the others."""
        if isinstance(dealt, Said):
            return dealt
        key, why, costs = dealt.question.key, "", list[Cost]()
        async with self._turns[key]:  # who asks the same at the same time waits, and then finds it made
            got = {i: self._made[key, i] for i in dealt.numbers if (key, i) in self._made}
            missing = [i for i in dealt.numbers if i not in got]
            until = self._wallet.deadline()
            if missing:
                delivery = Delivery(
                    dealt.question, missing, dealt.hold, self._wallet, self._bank, until, booked=as_verification
                )
                try:
                    with self._drawing():
                        async with delivery, aclosing(delivery.draws("arrival")) as draws:
                            async for sample in draws:
                                costs.append(as_verification(sample.cost))
                                got[sample.draw] = sample
                                if sample.finish is not Finish.ERROR:
                                    self._made[key, sample.draw] = sample
                except (ModelError, UsageError) as error:
                    why = str(error)
        if not why and len(got) < len(dealt.numbers):
            is_late = until is not None and time.monotonic() >= until
            why = LATE if is_late else "it has nothing more to say"
        return Said(tuple(got[i] for i in dealt.numbers if i in got), why, total(costs))

    @asynccontextmanager
    async def _limited(self, seconds: float | None) -> AsyncIterator[None]:
        """Breaks the block off after so many seconds, though not while draws are being made: they end by themselves."""
        async with asyncio.timeout(seconds) as limit:
            when = limit.when()
            if when is not None:
                self._limits[limit] = when
                if self._n_drawing:
                    limit.reschedule(None)
            try:
                yield
            finally:
                self._limits.pop(limit, None)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Draws are being made; when all have ended, what waits for them has `GRACE` seconds to make scores of them."""
        self._n_drawing += 1
        self._reschedule(None)
        try:
            yield
        finally:
            self._n_drawing -= 1
            if self._n_drawing == 0:
                self._reschedule(asyncio.get_running_loop().time() + GRACE)

    def _reschedule(self, least: float | None) -> None:
        """Lets limits on the time come no sooner than this; `None`: not before they are set again."""
        for limit, when in self._limits.items():
            if not limit.expired():
                limit.reschedule(None if least is None else max(when, least))


def free(verdict: V) -> V:
    """A verdict that was paid for before."""
    if isinstance(verdict, Behaviour):
        return replace(verdict, cost=Cost())
    return replace(verdict, cost=Cost(), drawn=Cost())
