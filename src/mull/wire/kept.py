"""Resources that an event loop shares and closes when it ends, such as the link to a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary


class Closable(Protocol):
    """Anything with an asynchronous `close`."""

    async def close(self) -> None: ...


T = TypeVar("T", bound=Closable)

_kept: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, tuple[AsyncGenerator[Any, None], Any]]] = (
    WeakKeyDictionary()
)


async def kept(what: Hashable, make: Callable[[], T]) -> T:
    """Caches `make()` per event loop; the loop closes the result when it shuts down its async generators."""
    here = _kept.setdefault(asyncio.get_running_loop(), {})
    if what not in here:
        keeper = _keep(what, make())
        here[what] = keeper, await anext(keeper)
    made: T = here[what][1]
    return made


async def _keep(what: Hashable, made: T) -> AsyncGenerator[T, None]:
    try:
        yield made
    finally:
        _kept.get(asyncio.get_running_loop(), {}).pop(what, None)
        await made.close()
