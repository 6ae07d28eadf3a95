"""Load balancing: how many requests go to each of several servers, and when to back off."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from mull.wire.backoff import full_jitter
from mull.wire.faults import Rejected, Unusable

FLAT = 1.5
"""Latency counts as flat up to this multiple of the endpoint's lowest observed latency."""
FIRST = 16
"""The most requests at once before the first reply."""
GAIN = 8.0
"""The most by which a batch of replies is generated faster than one reply at a time, for a first guess."""
FORGET = 1.02
"""The lowest latency is raised by this factor per window, so that one lucky reply does not count forever."""


@dataclass(frozen=True)
class Limits:
    """Concurrency, retry and time limits of a server.

    `concurrency`: the most concurrent requests to each endpoint. `retries`: further attempts at a draw after the first
    failure. Refusals (429, 503, no connection) do not count as failures: they are retried until `patience` seconds
    have passed since the first of consecutive refusals. `timeout`: seconds for one request, or until the first piece
    of a stream; `connect`: seconds to connect; `idle`: seconds between two pieces of a stream. `backoff`: the longest
    first wait in seconds, half of it on average; it doubles with each retry, up to `longest_backoff`. `first`: the most
    concurrent requests before the first reply, which shows how fast a server is. `retry_within`: seconds since
    the first failure in which a draw is attempted again.
    """

    concurrency: int = 64
    retries: int = 4
    patience: float = 300.0
    timeout: float = 600.0
    connect: float = 10.0
    idle: float = 120.0
    backoff: float = 0.5
    longest_backoff: float = 30.0
    first: int = FIRST
    retry_within: float = math.inf

    def wait(self, attempt: int) -> float:
        """Seconds to wait before retry `attempt` (from 1), with full jitter."""
        return full_jitter(attempt, self.backoff, self.longest_backoff)


class Endpoint:
    """One server: its concurrency limit (additive increase, multiplicative decrease) and its health.

    `slots` is how many replies the server generates at once, if it says so: others wait in its queue, where the time
    limit of their request runs, so that no more are sent. `n_active` counts requests, `n_replies` their replies.
    """

    def __init__(self, url: str, most: int, timeout: float = 600.0, first: int = FIRST) -> None:
        self.url = url
        self.most = most
        self.timeout = timeout
        self.limit = float(min(most, first))
        self.slots: int | None = None
        self.n_active = self.n_replies = 0
        self.resume_at = 0.0
        self.away_until = 0.0
        """The time until which the server asked not to be sent requests."""
        self.dead: Rejected | None = None
        """Why the endpoint cannot be used at all; `None`: it can."""
        self.n_failed = 0
        """Consecutive failures."""
        self._is_probing = True  # the fast initial increase, which ends at the first refusal
        self._least: float | None = None
        self._mean: float | None = None
        self._halved_at = 0.0
        self._is_new = True

    def expect(self, rate: float | None, tokens: int) -> None:
        """Lowers the first limit for a slow server: a reply of `tokens` in all, at `rate` tokens a second if alone.

        The requests sent at first must be answered in half of the time limit, or they would be cut off while the
        server works on them. A batch is taken to generate at most `GAIN` times the tokens of a single reply.
        """
        if self._is_new and rate is not None and tokens:
            self.limit = max(1.0, min(self.limit, GAIN * rate * self.timeout / 2 / tokens))
        self._is_new = False

    def is_free(self, now: float, n: int = 1) -> bool:
        """Whether a request for `n` replies can be sent now."""
        has_slots = self.slots is None or not self.n_replies or self.n_replies + n <= self.slots
        return self.dead is None and self.n_active < int(self.limit) and has_slots and now >= self.resume_at

    def take(self, n: int) -> None:
        self.n_active += 1
        self.n_replies += n

    @property
    def load(self) -> float:
        """The load used for balancing: the share of the limit in use, plus the number of consecutive failures."""
        return (self.n_active + 1) / self.limit + self.n_failed

    def succeeded(self, seconds: float, tokens: int | None) -> None:
        """Records a reply; the limit rises while latency (per token, if tokens are known) stays flat.

        It does not rise after a reply that took more than half of the time limit.
        """
        self.n_failed = 0
        latency = seconds / max(tokens or 1, 1)
        self._mean = latency if self._mean is None else self._mean + (latency - self._mean) / 8
        self._least = self._mean if self._least is None else min(self._least * FORGET ** (1 / self.limit), self._mean)
        is_fast = self._mean <= FLAT * self._least and seconds <= self.timeout / 2
        if self.n_active + 1 >= int(self.limit) and is_fast:
            self.limit = min(float(self.most), self.limit + (1.0 if self._is_probing else 1.0 / self.limit))

    def refused(self, started: float, now: float, wait: float | None) -> None:
        """Records a refusal: halves the limit, but only once for requests that were in progress together."""
        if started >= self._halved_at:
            self.limit = max(1.0, self.limit / 2)
            self._halved_at = now
        self._is_probing = False
        if wait is not None:
            self.resume_at = max(self.resume_at, now + wait)
            self.away_until = max(self.away_until, now + wait)

    def failed(self, now: float, wait: float) -> None:
        """Records a server failure; from the third consecutive one on, the endpoint pauses for `wait` seconds."""
        self.n_failed += 1
        if self.n_failed >= 3:
            self.resume_at = max(self.resume_at, now + wait)


class Pool:
    """The endpoints of one model. Requests queue for the first free endpoint."""

    def __init__(self, urls: Sequence[str], limits: Limits) -> None:
        self.endpoints = [Endpoint(url, limits.concurrency, limits.timeout, limits.first) for url in urls]
        self._patience = limits.patience
        self._waiting: deque[tuple[asyncio.Future[Endpoint], Endpoint | None, int]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    def _free(self, avoid: Endpoint | None, n: int) -> Endpoint | None:
        if len(self.endpoints) == 1:
            only = self.endpoints[0]
            return only if only.is_free(time.monotonic(), n) else None
        now = time.monotonic()
        free = [one for one in self.endpoints if one.is_free(now, n)]
        return min(free, key=lambda one: (one is avoid, one.load), default=None)

    async def acquire(self, avoid: Endpoint | None = None, n: int = 1) -> Endpoint:
        """Room for a request of `n` replies at an endpoint, preferably other than `avoid`. Raises as `check` does."""
        self.check()
        endpoint = None if self._waiting else self._free(avoid, n)
        if endpoint is not None:
            endpoint.take(n)
            return endpoint
        future: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, avoid, n))
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result(), n)
            raise

    def release(self, endpoint: Endpoint, n: int = 1) -> None:
        """Returns the room that `acquire` gave."""
        endpoint.n_active -= 1
        endpoint.n_replies -= n
        if self._waiting:
            self._wake()

    def revive(self) -> None:
        """Gives endpoints that could not be used another chance, as after a key or a server was mended."""
        for one in self.endpoints:
            one.dead = None

    def check(self) -> None:
        """Raises `Unusable` if no endpoint is usable, or none will be before patience ends."""
        now = time.monotonic()
        for one in self.endpoints:
            if one.dead is None and (not one.away_until or one.away_until <= now + self._patience):
                return
        away = f"asks to wait longer than patience allows ({self._patience:g} s)"
        reasons = [one.dead or Rejected(f"{one.url} {away}", 0) for one in self.endpoints]
        why = "; ".join(dict.fromkeys(map(str, reasons)))
        plain = "; ".join(dict.fromkeys(one.plain for one in reasons))
        wait = min((one.away_until - now for one in self.endpoints if one.dead is None), default=None)
        statuses = tuple(None if one.dead is None else one.dead.status for one in self.endpoints)
        raise Unusable(why, wait, plain, statuses)

    def _wake(self) -> None:
        """Gives free slots to the queue in order; sets an alarm if no endpoint is free until its pause ends."""
        while self._waiting:
            future, avoid, n = self._waiting[0]
            if future.done():
                self._waiting.popleft()
                continue
            try:
                self.check()
            except Unusable as error:
                self._waiting.popleft()
                future.set_exception(error)
                continue
            endpoint = self._free(avoid, n)
            if endpoint is None:
                self._set_alarm()
                return
            self._waiting.popleft()
            endpoint.take(n)
            future.set_result(endpoint)

    def _set_alarm(self) -> None:
        now = time.monotonic()
        times = [one.resume_at for one in self.endpoints if one.dead is None and one.resume_at > now]
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if times:
            self._alarm = asyncio.get_running_loop().call_later(min(times) - now + 1e-3, self._wake)

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
