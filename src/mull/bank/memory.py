"""A bank that lasts as long as the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mull.bank.base import Claim
from mull.types import Prompt, Sample, Verdict


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
        """Claims all draws that are not banked: no other process shares this bank."""
        return Claim(frozenset(i for i in numbers if (key, i) not in self._draws), lambda: None)

    def is_shared(self) -> bool:
        return False

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        return {key: self._verdicts[key] for key in keys if key in self._verdicts}

    def keep(self, key: str, judged_by: str, verdict: Verdict) -> None:
        self._verdicts.setdefault(key, verdict)
