"""Keeps what one key has drawn and scored from all others that share a bank."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mull.bank import Bank, Claim
from mull.types import Prompt, Sample, Verdict


def seed_of_tenant(tenant: str, seed: int) -> int:
    """A tenant's own seed for a seed: its draws are banked under questions that nobody else asks."""
    digest = hashlib.blake2b(f"{tenant}/{seed}".encode(errors="surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest, "big")


class TenantBank:
    """A bank in which verdicts are a tenant's own, as draws are by their seeds."""

    def __init__(self, bank: Bank, tenant: str) -> None:
        self._bank, self._tenant = bank, tenant

    def _own(self, key: str) -> str:
        return f"{self._tenant}/{key}"

    def get(self, key: str, prompt: Prompt, first: int, n: int) -> dict[int, Sample]:
        return self._bank.get(key, prompt, first, n)

    def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
        self._bank.put(key, asked, sample)

    def claim(self, key: str, numbers: Sequence[int]) -> Claim:
        return self._bank.claim(key, numbers)

    def is_shared(self) -> bool:
        return self._bank.is_shared()

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        found = self._bank.verdicts([self._own(key) for key in keys])
        return {key: found[own] for key in keys if (own := self._own(key)) in found}

    def keep(self, key: str, judged_by: str, verdict: Verdict) -> None:
        self._bank.keep(self._own(key), judged_by, verdict)
