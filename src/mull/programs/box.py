"""One sandbox for each event loop and level of isolation, shared by all programs that run there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from mull import sandbox
from mull.sandbox import Level, LevelName, Sandbox

_boxes: dict[tuple[asyncio.AbstractEventLoop, LevelName], asyncio.Task[Sandbox]] = {}


async def box(isolation: LevelName = "namespaces") -> Sandbox:
    """The sandbox of this event loop, opened on first use and closed with the loop.

    Raises `NoSandboxError` if there is none with at least the level `isolation`.
    """
    key = (asyncio.get_running_loop(), isolation)
    if key not in _boxes:
        _boxes[key] = asyncio.create_task(_opened(_lifetime(key)))
    return await asyncio.shield(_boxes[key])


async def _opened(lifetime: AsyncGenerator[Sandbox, None]) -> Sandbox:
    return await anext(lifetime)


async def _lifetime(key: tuple[asyncio.AbstractEventLoop, LevelName]) -> AsyncGenerator[Sandbox, None]:
    """Keeps a sandbox open. A closing loop closes its unfinished generators, and with this one the sandbox."""
    try:
        async with sandbox.best(Level[key[1].upper()]) as opened:
            yield opened
    finally:
        _boxes.pop(key, None)
