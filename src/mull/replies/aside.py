"""Reading of long texts outside the event loop: the one place where it is decided what leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MAX_IN_LOOP = 10_000
"""Most characters of replies that are read in the event loop, which takes at most 20 ms."""


async def aside(work: Callable[[], T], size: int) -> T:
    """Calls `work` on texts of `size` characters in total: in a thread if that may take over 20 ms."""
    return work() if size <= MAX_IN_LOOP else await asyncio.to_thread(work)
