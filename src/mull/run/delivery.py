"""Delivery of one batch of numbered draws: from the bank, the model, or another process that makes them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

from mull.bank import Bank, Claim, patient
from mull.bank.keys import digest, question, seed_of
from mull.run.returned import check_number, check_sample, check_stream
from mull.run.spans import DrawSpans
from mull.run.wallet import HeldPurse, Hold, Wallet, as_drawn
from mull.shown import Inert
from mull.types import Cost, Draw, Finish, Model, Params, Prompt, Sample, Served, Stopped

Order = Literal["draw", "arrival"]

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05, 1.0
"""Seconds between reads of the bank for draws that another process makes: the first and the longest interval."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request to a model, and the key under which its draws are banked."""

    model: Model
    prompt: Prompt
    params: Params
    asked: Mapping[str, Any]
    key: str

    @classmethod
    def of(cls, model: Model, prompt: Prompt, params: Params, seed: int) -> Question:
        asked = question(model, prompt, params, seed)
        return cls(model, prompt, params, asked, digest(asked))


class Delivery:
    """Delivers numbered draws of a question; each is banked and paid for before the caller sees it.

    `hold` is the budget held for them; `until` is when drawing stops, on the clock of `time.monotonic`; `booked` is as
    in `HeldPurse`. `on_arrival` is called with each draw as it arrives and whether it was banked; `on_seen` once it is
    its turn. Leaving the `async with` block cancels draws in progress and releases the rest of the hold.
    """

    def __init__(
        self,
        question: Question,
        numbers: Sequence[int],
        hold: Hold,
        wallet: Wallet,
        bank: Bank | None,
        until: float | None,
        on_seen: Callable[[str, Sample, bool], None] | None = None,
        booked: Callable[[Cost], Cost] = as_drawn,
        on_arrival: Callable[[Sample, bool], None] = lambda sample, is_banked: None,
    ) -> None:
        self.question, self.numbers, self.hold = question, numbers, hold
        self._wallet, self._bank, self._until = wallet, bank, until
        self._on_seen, self._on_arrival = on_seen, on_arrival
        self._purse = HeldPurse(wallet, hold, booked, until)
        self._known: dict[int, Sample] = {}
        self._missing = list(numbers)
        self._stream: AsyncGenerator[Sample, None] | None = None
        self._claim: Claim | None = None
        self._due: set[int] = set()
        self._spans: DrawSpans | None = None
        self._found: list[Sample] = []
        self.is_late = False
        """Whether the deadline kept draws back."""
        self._pause, self._longest = POLL_SECONDS

    async def __aenter__(self) -> Self:
        try:
            if self._bank is not None and self.numbers:
                first, last = self.numbers[0], self.numbers[-1]
                banked = await patient(partial(self._bank.get, self._key, self._prompt, first, last + 1 - first))
                self._known = {number: banked[number] for number in self.numbers if number in banked}
                log.debug("%d of %d draws of %s are in the bank", len(self._known), len(self.numbers), self._name)
                self._missing = [number for number in self.numbers if number not in banked]
        except BaseException:
            self._purse.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._end_stream()
        finally:
            self._purse.close()

    @property
    def _key(self) -> str:
        return self.question.key

    @property
    def _name(self) -> Inert:
        return Inert(self.question.model.name)

    @property
    def _prompt(self) -> Prompt:
        return self.question.prompt

    async def draws(self, order: Order = "draw") -> AsyncGenerator[Sample, None]:
        """The draws by number (`draw`), or the banked ones first and then the others as they arrive (`arrival`).

        The model is not called before a draw that it must make is due. At a deadline, draws that have arrived are
        delivered, also those with a higher number than one that has not.
        """
        waiting: dict[int, Sample] = {}
        is_over = False
        for number in self.numbers:
            if number in self._known:
                yield self._seen(self._replayed(self._known[number]), is_banked=True)
                continue
            if order == "arrival":
                continue
            while number not in waiting and not is_over:
                arrived = await self._arrival()
                if arrived is None:
                    is_over = True
                else:
                    waiting[arrived.draw] = arrived
            if number in waiting:
                yield self._seen(waiting.pop(number))
        if order == "arrival":
            while (arrived := await self._arrival()) is not None:
                yield self._seen(arrived)

    async def _arrival(self) -> Sample | None:
        """The next draw that was not banked at the start, whichever process makes it; `None`: there are no more."""
        while True:
            if self._found:
                return self._replayed(self._found.pop(0))
            if self._stream is not None:
                sample = await self._from_model()
                if sample is not None:
                    return sample
                await self._end_stream()
            elif not self._missing or not await self._take():
                return None

    async def _take(self) -> bool:
        """Begins the draws that no other process is making, or reads from the bank what others have made since.

        `False`: other processes are still making them, and the deadline has passed.
        """
        if self._bank is None:
            self._begin(self._missing)
            return True
        self._claim = await patient(partial(self._bank.claim, self._key, self._missing))
        if self._claim.numbers:
            self._begin(sorted(self._claim.numbers))
            return True
        self._claim.release()
        self._claim = None
        first, last = self._missing[0], self._missing[-1]
        found = await patient(partial(self._bank.get, self._key, self._prompt, first, last + 1 - first))
        self._found = [found[number] for number in self._missing if number in found]
        log.debug("another process is making %d draws of %s", len(self._missing) - len(self._found), self._name)
        self._missing = [number for number in self._missing if number not in found]
        if not self._found:
            if self._until is not None and time.monotonic() >= self._until:
                self._end_late()
                return False
            await asyncio.sleep(self._pause)
            self._pause = min(1.2 * self._pause, self._longest)
        return True

    def _begin(self, numbers: Sequence[int]) -> None:
        """Requests these draws from the model."""
        # Servers give reply i of a request the seed plus i. With seeds that follow each other, a draw is the same
        # whichever others share its request.
        first = seed_of(self._key, 0) if isinstance(self.question.model, Served) else None
        seeds = (seed_of(self._key, number) if first is None else first + number for number in numbers)
        draws = [Draw(number, seed) for number, seed in zip(numbers, seeds, strict=True)]
        log.debug("requesting %d draws of %s", len(draws), self._name)
        begun = set(numbers)
        self._missing = [number for number in self._missing if number not in begun]
        self._due = begun
        stream = self.question.model.sample(self._prompt, self.question.params, draws, self._purse)
        check_stream(self.question.model.name, stream)
        self._stream, self._spans = stream, DrawSpans(self.question.model, self.question.params)

    async def _from_model(self) -> Sample | None:
        """The model's next draw, banked and paid for; `None`: it has no more, or the deadline has passed."""
        assert self._stream is not None  # it was begun
        if self._wallet.is_exceeded and self._due:
            self._wallet.stopped = Stopped.BUDGET
            return None
        limit: asyncio.Timeout | None = None
        try:
            if self._until is None:
                sample = await anext(self._stream)
            else:
                async with asyncio.timeout(max(0.0, self._until - time.monotonic())) as limit:
                    sample = await anext(self._stream)
        except StopAsyncIteration:
            if self._due:
                self._wallet.stopped = Stopped.EXHAUSTED
                self._due = set()
            return None
        except TimeoutError:
            if limit is None or not limit.expired():  # not asked of the clock: a timer may fire a little before it
                raise
            self._end_late()
            return None
        check_sample(self.question.model.name, sample)
        if sample.draw not in self._due:
            self._purse.settle(sample.cost)
            check_number(self.question.model.name, sample.draw, self._due)
        self._due.remove(sample.draw)
        if self._bank is not None and sample.finish is not Finish.ERROR:
            self._bank.put(self._key, self.question.asked, sample)
        self._purse.settle(sample.cost)
        if self._spans is not None:
            self._spans.arrived(sample)
        self._on_arrival(sample, False)
        return sample

    async def _end_stream(self) -> None:
        """Cancels the model's draws in progress and releases the claim."""
        stream, claim, self._stream, self._claim = self._stream, self._claim, None, None
        try:
            if stream is not None:
                await stream.aclose()
        finally:
            if self._spans is not None:
                self._spans.lost(sorted(self._due))
                self._spans = None
            if claim is not None:
                claim.release()

    def _replayed(self, sample: Sample) -> Sample:
        """Books a banked draw as spent, but not as paid for now."""
        self._purse.settle(sample.cost, is_fresh=False)
        self._on_arrival(sample, True)
        return sample

    def _seen(self, sample: Sample, is_banked: bool = False) -> Sample:
        if self._on_seen is not None:
            self._on_seen(self._key, sample, is_banked)
        return sample

    def _end_late(self) -> None:
        self.is_late = True
        self._wallet.stopped = Stopped.DEADLINE
