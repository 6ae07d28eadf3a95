"""Waiting for several things at once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of calls that run side by side, in order. If one fails, the others are cancelled."""
    if len(calls) == 1:
        return [await calls[0]]
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, for a function that is called without `await`.

    Where an event loop is running, as in a notebook or a web handler, the coroutine runs in a loop of its own in
    another thread, and the running loop waits for it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "mull") as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, work).result()
