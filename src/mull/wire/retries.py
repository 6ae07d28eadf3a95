"""The one policy of how often a request is made."""

from __future__ import annotations

import asyncio
import time

from mull.wire.endpoints import Limits


class Attempts:
    """How often one request has been made, and whether it is made again.

    A refusal took nothing up, so that it costs nothing to ask again: until `Limits.patience` seconds have passed since
    the first refusal in a row. What broke may have been computed, and paid for: it is repeated `Limits.retries` times.
    """

    def __init__(self, limits: Limits, n_endpoints: int) -> None:
        self._limits, self._n_endpoints = limits, n_endpoints
        self.n_failed = self.n_refused = 0
        self._give_up_at: float | None = None

    @property
    def n(self) -> int:
        """Attempts that came to nothing."""
        return self.n_failed + self.n_refused

    def refused(self, asked: float | None) -> float | None:
        """Seconds to wait after a refusal, which asked for `asked`; `None`: patience is over."""
        self.n_refused += 1
        now = time.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + self._limits.patience
        pause = self._limits.wait(self.n_refused) + (asked or 0.0)
        return None if now + pause > self._give_up_at else pause

    def failed(self) -> float | None:
        """Seconds to wait after a failure; `None`: it was the last attempt."""
        self.n_failed += 1
        self._give_up_at = None
        return None if self.n_failed > self._limits.retries else self._limits.wait(self.n_failed)

    def last_refusal(self, why: str, asked: float | None) -> str:
        """What to say where patience is over."""
        patience = f"{self._limits.patience:g} s"
        if asked is not None and asked > self._limits.patience:
            return f"it asks to be left alone for {asked:g} s, and patience is {patience}: {why}"
        return f"it refused every request for {patience}: {why}" if self._limits.patience else f"it refused: {why}"

    def last_failure(self, why: str) -> str:
        """What to say where there are no retries left."""
        return f"{why}; tried {self.n_failed} times" if self.n_failed > 1 else why

    async def wait(self, seconds: float) -> None:
        """Waits before the next attempt. Where there are other endpoints, one of them is asked at once."""
        if seconds and self.n % self._n_endpoints == 0:
            await asyncio.sleep(seconds)
