"""What happens in a run, as frozen events: `Run(watch=...)` is called with each, `Run.events` yields them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from typing import Any

from mull.types import Cost, Outcome, Pair, Problem, Sample, Stopped, Trial, Verdict


@dataclass(frozen=True, slots=True)
class DrawArrived:
    """A draw of the run's model, told of when it arrives, which need not be in the order of draws.

    `is_banked`: it came from the bank. `spent` and `fresh` are the run's costs so far.
    """

    sample: Sample
    model: str
    is_banked: bool
    spent: Cost
    fresh: Cost
    seconds: float


@dataclass(frozen=True, slots=True)
class VerdictsArrived:
    """The verdicts of a verifier, judge or executor, one for each item, in order; costs as in `DrawArrived`."""

    by: str
    items: tuple[Sample, ...] | tuple[Pair, ...] | tuple[Trial, ...]
    verdicts: tuple[Verdict, ...]
    spent: Cost
    fresh: Cost
    seconds: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event of `Run.solve` and `Run.events`; costs are those of the whole run."""

    problem: Problem
    outcome: Outcome
    spent: Cost
    fresh: Cost
    seconds: float

    @property
    def stopped(self) -> Stopped:
        """Why the strategy stopped."""
        return self.outcome.stopped


RunEvent = DrawArrived | VerdictsArrived | RunEnded
"""Anything that `Run.events` yields."""


async def as_they_happen(
    work: Coroutine[Any, Any, Any], coming: asyncio.Queue[RunEvent | None]
) -> AsyncGenerator[RunEvent, None]:
    """Runs `work`, which puts its events into the queue, and yields them; closing the generator cancels the work.

    Raises what the work raises, after the events before it.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda _: coming.put_nowait(None))
    try:
        while (event := await coming.get()) is not None:
            yield event
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
