"""What a bank offers, and how to wait for one whose database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from mull.errors import BankAwayError
from mull.types import Prompt, Sample, Verdict

T = TypeVar("T")


async def patient(call: Callable[[], T]) -> T:
    """What the bank says, waited for while its database is away."""
    while True:
        try:
            return call()
        except BankAwayError as error:
            await asyncio.sleep(error.pause)


class Claim(NamedTuple):
    """Draws that are now this process's to make, until `release` is called; no other process makes them meanwhile."""

    numbers: frozenset[int]
    release: Callable[[], None]


class Bank(Protocol):
    """What was asked and which draw -> what came back; what was judged, by what -> the verdict.

    A bank whose database is away for a while raises `BankAwayError` where it is asked something.
    """

    def get(self, key: str, prompt: Prompt, first: int, n: int) -> dict[int, Sample]:
        """Those of the draws `first` to `first + n - 1` that are in the bank, by number."""
        ...

    def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
        """Keep a draw; a draw that is already there stays as it is."""
        ...

    def claim(self, key: str, numbers: Sequence[int]) -> Claim:
        """Of these draws, in ascending order, those that are neither in the bank nor another process's to make."""
        ...

    def is_shared(self) -> bool:
        """Whether another process draws into this bank now."""
        ...

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """Those of the verdicts that are in the bank, by key."""
        ...

    def keep(self, key: str, judged_by: str, verdict: Verdict) -> None:
        """Keep a verdict; one that is already there stays as it is."""
        ...
