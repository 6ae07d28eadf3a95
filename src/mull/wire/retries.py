"""The retry policy."""

from __future__ import annotations

import asyncio
import logging
import time

from mull.shown import Inert
from mull.wire.endpoints import Endpoint, Limits
from mull.wire.faults import Failure


class Attempts:
    """Counts the attempts at one request, and decides whether to retry.

    A refused request cost nothing: it is retried until `Limits.patience` seconds have passed since the first of
    consecutive refusals. A broken one may have been computed and billed: it is retried `Limits.retries` times, within
    `Limits.retry_within` seconds since the first.
    """

    def __init__(self, limits: Limits, n_endpoints: int) -> None:
        self._limits, self._n_endpoints = limits, n_endpoints
        self.n_failed = self.n_refused = 0
        self._give_up_at: float | None = None
        self._failed_at: float | None = None

    @property
    def n(self) -> int:
        """The number of unsuccessful attempts."""
        return self.n_failed + self.n_refused

    def refused(self, asked: float | None) -> float | None:
        """Seconds to wait after a refusal that asked to wait `asked` seconds; `None`: give up."""
        self.n_refused += 1
        now = time.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + self._limits.patience
        pause = self._limits.wait(self.n_refused) + (asked or 0.0)
        return None if now + pause >= self._give_up_at else pause

    def failed(self) -> float | None:
        """Seconds to wait after a failure; `None`: give up."""
        self.n_failed += 1
        self._give_up_at = None
        now, pause = time.monotonic(), self._limits.wait(self.n_failed)
        if self._failed_at is None:
            self._failed_at = now
        is_late = now + pause >= self._failed_at + self._limits.retry_within
        return None if is_late or self.n_failed > self._limits.retries else pause

    def last_refusal(self, why: str, asked: float | None) -> str:
        """The error message once patience has ended."""
        patience = f"{self._limits.patience:g} s"
        if asked is not None and asked > self._limits.patience:
            return f"it asks to wait {asked:g} s, and patience is {patience}: {why}"
        return f"it refused every request for {patience}: {why}" if self._limits.patience else f"it refused: {why}"

    def last_failure(self, why: str) -> str:
        """The error message once no retries are left."""
        return f"{why}; tried {self.n_failed} times" if self.n_failed > 1 else why

    async def wait(self, seconds: float) -> None:
        """Waits before the next attempt, unless another endpoint has not been tried yet in this round."""
        if seconds and self.n % self._n_endpoints == 0:
            await asyncio.sleep(seconds)


def tell_again(log: logging.Logger, endpoint: Endpoint, pause: float, why: Failure) -> None:
    """Logs that a request is repeated; what the server said, which may repeat the prompt, at DEBUG only."""
    log.info("%s is asked again in %.1f s: %s", Inert(endpoint.url), pause, Inert(why.plain))
    log.debug("%s said: %s", Inert(endpoint.url), Inert(why))
