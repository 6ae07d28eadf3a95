"""Probes that outlive the calls that began them: a call that is cut short does not make the next one begin again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

from mull.models.served.capabilities import Capabilities
from mull.types import Cost, Purse


class Unlimited:
    """The purse of a probe that no call pays for: `booked` gets its cost."""

    until: float | None = None

    def __init__(self, booked: Callable[[Cost], None]) -> None:
        self.pay = self.lost = booked

    def hold(self, cost: Cost) -> bool:
        return True


class Background:
    """The probes of one process that go on behind the calls that wait for them, at most one for each server.

    `booked` gets the name of a model and the cost of its probe.
    """

    def __init__(self, booked: Callable[[str, Cost], None]) -> None:
        self._booked = booked
        self._running: dict[Any, asyncio.Task[Capabilities]] = {}

    async def wait(
        self, server: Any, name: str, probe: Callable[[Purse], Coroutine[Any, Any, Capabilities]]
    ) -> Capabilities:
        """The result of the probe of `server` that is under way, or else of `probe`, which is begun.

        Raises what the probe raises. If the caller is cancelled, the probe goes on.
        """
        if (task := self._running.get(server)) is None:
            purse = Unlimited(lambda cost: self._booked(name, cost))
            task = self._running[server] = asyncio.create_task(probe(purse))
            task.add_done_callback(lambda ended: self._ended(server, ended))
        return await asyncio.shield(task)

    def _ended(self, server: Any, task: asyncio.Task[Capabilities]) -> None:
        self._running.pop(server, None)
        if not task.cancelled():
            task.exception()  # whoever still waits gets it; nobody has to

    async def close(self) -> None:
        """Ends all probes."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


background: ContextVar[Background | None] = ContextVar("background", default=None)
"""What keeps the probes that are begun in a context; `None`: a probe ends with the call that began it."""
