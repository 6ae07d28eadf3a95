"""The protocol of a bank, and how to wait for one whose database is unavailable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from mull.errors import BankAwayError
from mull.shown import Inert
from mull.types import Prompt, Sample, Verdict

T = TypeVar("T")
log = logging.getLogger(__name__)


async def patient(call: Callable[[], T]) -> T:
    """The result of `call`, repeated until the bank's database is available."""
    while True:
        try:
            return call()
        except BankAwayError as error:
            log.info("waiting %.1f s for the bank: %s", error.pause, Inert(error))
            await asyncio.sleep(error.pause)


class Claim(NamedTuple):
    """Draws reserved for this process: until `release` is called, no other process makes them."""

    numbers: frozenset[int]
    release: Callable[[], None]


class Bank(Protocol):
    """Stores samples by question and draw number, and verdicts by what was judged and which verifier judged it.

    Reading or claiming raises `BankAwayError` while the database is temporarily unavailable.
    """

    def get(self, key: str, prompt: Prompt, first: int, n: int) -> dict[int, Sample]:
        """The banked draws among `first` to `first + n - 1`, by number."""
        ...

    def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
        """Stores a draw; an existing one is not overwritten."""
        ...

    def claim(self, key: str, numbers: Sequence[int]) -> Claim:
        """Claims those of the draws (ascending numbers) that are neither banked nor claimed by another process."""
        ...

    def is_shared(self) -> bool:
        """Whether another process is drawing into this bank now."""
        ...

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """The banked verdicts among these keys, by key."""
        ...

    def keep(self, key: str, judged_by: str, verdict: Verdict) -> None:
        """Stores a verdict; an existing one is not overwritten."""
        ...
