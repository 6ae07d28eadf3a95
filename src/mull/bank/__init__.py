"""What was asked and which draw -> what came back. Nothing that was paid for is paid for twice."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mull.trials import Verdict
from mull.types import Claim, Prompt, Sample

if TYPE_CHECKING:
    from mull.bank.sql import SqlBank


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
