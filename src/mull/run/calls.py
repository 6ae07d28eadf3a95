"""Calls of verifiers and judges to models and other verifiers, through the run's wallet and bank."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mull.bank import Bank, patient
from mull.bank.keys import score_key
from mull.cost import check_quoted, fits, times, total
from mull.errors import ModelError, UsageError
from mull.run.delivery import Delivery, Question
from mull.run.judging import LATE, SPENT, Asking, V, is_banked, is_from_calls, is_known
from mull.run.returned import checked_verdicts
from mull.run.spans import spanned
from mull.run.together import together
from mull.run.wallet import Hold, TakenError, Wallet, as_verification
from mull.shown import Inert
from mull.types import Ask, Behaviour, Budget, Cost, Finish, Model, Problem, Said, Sample, Score, Stopped, Verifier

log = logging.getLogger(__name__)

GRACE = 1.0
"""Seconds after the deadline that a verifier has to turn its draws into scores."""


@dataclass(frozen=True, slots=True)
class _Dealt:
    """An ask that the ceilings allow, with the hold for those of its draws that this run has not made before."""

    question: Question
    numbers: range
    hold: Hold


class MeteredCalls:
    """Calls models and verifiers for a run, a verifier or a judge.

    `MeteredCalls()` has no ceilings and no bank, for scoring outside a run. The cost of every draw is held before it
    is made; each draw is numbered, banked individually, and booked as verification.
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
        """The cost of all calls so far."""
        return self._wallet.spent

    def times_asked(self, what: str) -> int:
        """How often this run has asked for `what` before; counts this call."""
        n = self._asked[what]
        self._asked[what] += 1
        return n

    async def score(self, verifier: Verifier, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """The scores of a verifier; a score beyond a ceiling has no value, and its `why` says so."""
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
        """One verdict per item: asks about as many leading items as the ceilings allow; the others are unknown.

        Duplicate items are asked about once. Banked verdicts are not asked for again, but their cost counts as spent;
        those made from draws are, from banked draws, and their own cost is not paid again.
        """
        with spanned("verify", asking.name, **{"gen_ai.evaluation.name": asking.name}) as span:
            verdicts = await self._judged(items, asking)
            n_known = sum(map(is_known, verdicts))
            if span.is_open:
                span.set(total(verdict.cost for verdict in verdicts), items=len(items), known=n_known)
        log.debug("%s: %d of %d verdicts known", Inert(asking.name), n_known, len(items))
        return verdicts

    async def _judged(self, items: Sequence[Any], asking: Asking[V]) -> list[V]:
        quote, wallet = asking.quote, self._wallet
        check_quoted(wallet.ceilings, quote(items), asking.name)
        left, n, hold = self._held(items, quote)
        beyond = [asking.unknown(SPENT)] * (len(items) - n)
        if beyond:
            wallet.stopped = Stopped.BUDGET
        if hold is None:
            return beyond
        keys = [None if asking.identity is None else asking.key_of(asking.identity, item) for item in items[:n]]
        names = [str(i) if key is None else key for i, key in enumerate(keys)]
        try:
            known: dict[str, V] = await self._known([key for key in keys if key is not None])
            verdicts = {key: verdict for key, verdict in known.items() if not is_from_calls(verdict)}
            missing = {name: item for name, item in zip(names, items, strict=False) if name not in verdicts}
            new: Sequence[V] = ()
            if missing:
                async with self._limited(left.seconds):
                    new = checked_verdicts(asking, await asking.call(list(missing.values())), len(missing))
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
            if self._bank is not None and name in keys and name not in known and is_banked(verdict):
                self._bank.keep(name, str(asking.identity), verdict)
        given: list[V] = []
        seen: set[str] = set()
        for name in names:  # duplicates were asked about once, and cost once
            given.append(free(verdicts[name]) if name in seen else verdicts[name])
            seen.add(name)
        paid = [verdict.cost for name, verdict in zip(missing, new, strict=True) if name not in known]
        wallet.pay(total(v.cost for v in given), hold.quote, total(paid) if paid else None)
        return given + beyond

    def _held(self, items: Sequence[Any], quote: Callable[[Sequence[Any]], Cost]) -> tuple[Budget, int, Hold | None]:
        """What is left, how many leading items that allows to ask about, and the hold for them."""
        while True:
            left = self._wallet.left
            n = bisect_right(range(1, len(items) + 1), 0, key=lambda k: not fits(left, quote(items[:k])))
            try:
                return left, n, self._wallet.hold(quote(items[:n])) if n else None
            except TakenError:
                continue

    async def _known(self, keys: Sequence[str]) -> dict[str, Any]:
        """The banked verdicts, by key."""
        bank = self._bank
        return await patient(lambda: bank.verdicts(keys)) if bank is not None and keys else {}

    async def draw(self, model: Model, groups: Sequence[Sequence[Ask]], seed: int = 0) -> list[list[Said]]:
        """The model's draws for each ask, group by group.

        Admits groups in order as far as the ceilings allow at worst-case cost, then again with what those leave
        unspent. Raises `UsageError` for a ceiling on something whose price is unknown.
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
        """Holds the cost of all asks of a group at once; `None` if the ceilings leave no room for it."""
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
        dealt: list[_Dealt | Said] = []
        try:
            for one in planned:
                if isinstance(one, Said):
                    dealt.append(one)
                else:
                    dealt.append(_Dealt(one[0], one[1], self._wallet.hold(one[2], one[3])))
        except TakenError:
            self._wallet.drop(*(one.hold for one in dealt if isinstance(one, _Dealt)))
            return self._deal(model, group, seed)
        return dealt

    async def _answer(self, dealt: _Dealt | Said) -> Said:
        """The draws of one ask: reuses those that this run has made before, and makes the others."""
        if isinstance(dealt, Said):
            return dealt
        key, why, costs, is_late = dealt.question.key, "", list[Cost](), False
        async with self._turns[key]:  # a concurrent call for the same draws waits, and then reuses them
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
                is_late = delivery.is_late
        if not why and len(got) < len(dealt.numbers):
            why = LATE if is_late else "it has nothing more to say"
        return Said(tuple(got[i] for i in dealt.numbers if i in got), why, total(costs))

    @asynccontextmanager
    async def _limited(self, seconds: float | None) -> AsyncIterator[None]:
        """Cancels the block after so many seconds, but not during draws, which enforce the deadline themselves."""
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
        """Marks draws as in progress; once all have ended, their verifiers have `GRACE` seconds to make scores."""
        self._n_drawing += 1
        self._reschedule(None)
        try:
            yield
        finally:
            self._n_drawing -= 1
            if self._n_drawing == 0:
                self._reschedule(asyncio.get_running_loop().time() + GRACE)

    def _reschedule(self, least: float | None) -> None:
        """Postpones all time limits to `least` at the earliest; `None`: until they are rescheduled."""
        for limit, when in self._limits.items():
            if not limit.expired():
                limit.reschedule(None if least is None else max(when, least))


def free(verdict: V) -> V:
    """The verdict at no cost, because it was paid for before."""
    if isinstance(verdict, Behaviour):
        return replace(verdict, cost=Cost())
    return replace(verdict, cost=Cost(), drawn=Cost())
