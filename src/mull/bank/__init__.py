"""What was asked and which draw -> what came back. Nothing that was paid for is paid for twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mull.trials import Behaviour
from mull.types import Preference, Prompt, Sample, Score

if TYPE_CHECKING:
    from mull.bank.sql import SqlBank


Verdict = Score | Preference | Behaviour
"""What a verifier, a judge or an executor said."""


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


class MemoryBank:
    """A bank that lasts as long as the process."""

    def __init__(self) -> None:
        self._draws: dict[tuple[str, int], Sample] = {}
        self._verdicts: dict[str, Verdict] = {}

    def __len__(self) -> int:
        return len(self._draws)

    def get(self, key: str, prompt: Prompt, first: int, n: int) -> dict[int, Sample]:
        return {i: self._draws[key, i] for i in range(first, first + n) if (key, i) in self._draws}

    def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
        self._draws.setdefault((key, sample.draw), sample)

    def claim(self, key: str, numbers: Sequence[int]) -> Claim:
        """All that are not in it: no other process has this bank."""
        return Claim(frozenset(i for i in numbers if (key, i) not in self._draws), lambda: None)

    def is_shared(self) -> bool:
        return False

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        return {key: self._verdicts[key] for key in keys if key in self._verdicts}

    def keep(self, key: str, judged_by: str, verdict: Verdict) -> None:
        self._verdicts.setdefault(key, verdict)


def default_path() -> Path:
    """Where draws are kept unless told otherwise: `MULL_BANK`, or the user's data folder."""
    if "MULL_BANK" in os.environ:
        return Path(os.environ["MULL_BANK"])
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "mull" / "bank.db"


def open_bank(url: str | None = None) -> SqlBank:
    """The bank at an SQLAlchemy URL or a file's path; without one, the default file, made if need be."""
    from mull.bank.sql import SqlBank

    if url is None or "://" not in url:
        path = default_path() if url is None else Path(url)
        return SqlBank.file(path)
    return SqlBank(url)
