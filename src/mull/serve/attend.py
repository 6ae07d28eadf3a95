"""A request and its client: work that ends when the client goes, and replies as streams of events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.types import Message, Receive, Scope, Send

from mull.serve.faults import FAILED, KNOWN, ApiError, api_error, late, stopping

T = TypeVar("T")
Emit = Callable[[bytes], Awaitable[None]]
"""Sends events to the client; waits while it reads slowly."""
HEARTBEAT = 10.0
"""Seconds without an event after which a comment shows that the gateway is there."""
GONE = 499
"""The status of a request whose client left; nobody reads it."""
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}


class ClientGone(Exception):
    """The client closed the connection before its reply."""


class Closing:
    """Whether the gateway ends the requests that are still running, each of which is told so."""

    def __init__(self) -> None:
        self._running: set[Callable[[], None]] = set()

    def end(self) -> None:
        """Ends all requests that are running."""
        for ended in list(self._running):
            ended()

    @contextmanager
    def tells(self, ended: Callable[[], None]) -> Iterator[None]:
        """`end` calls `ended` while the block runs."""
        self._running.add(ended)
        try:
            yield
        finally:
            self._running.discard(ended)


async def attended(receive: Receive, work: Coroutine[Any, Any, T], closing: Closing) -> T:
    """The result of `work`, which is cancelled when the client goes, or the gateway ends running requests.

    Raises `ClientGone` or `ApiError` (503).
    """
    task, watch = asyncio.current_task(), asyncio.ensure_future(_gone(receive))
    assert task is not None  # or nothing could be awaited
    reasons: list[Exception] = []

    def end(reason: Exception) -> None:
        reasons.append(reason)
        task.cancel()

    def left(watch: asyncio.Future[None]) -> None:
        if not watch.cancelled():
            end(ClientGone())

    watch.add_done_callback(left)
    try:
        with closing.tells(lambda: end(stopping())):
            return await work
    except asyncio.CancelledError:
        if reasons and not [task.uncancel() for _ in reasons][-1]:
            raise reasons[0] from None
        raise
    finally:
        watch.remove_done_callback(left)
        watch.cancel()


async def in_time(work: Awaitable[T], left: float | None, seconds: float | None) -> T:
    """The result of `work`, which is cancelled after `left` seconds. Raises `ApiError` (504) then, with all `seconds`.

    That the timer fired is what counts: the clock may say a little less.
    """
    if left is None:
        return await work
    try:
        async with asyncio.timeout(left) as limit:
            return await work
    except TimeoutError:
        if seconds is None or not limit.expired():
            raise
        raise late(seconds) from None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream:
    """A streamed reply: `produce` emits its events. An error before the first of them is a reply of its own.

    `fail` tells a later one in the form of the stream.
    """

    def __init__(
        self,
        produce: Callable[[Emit], Coroutine[Any, Any, None]],
        fail: Callable[[ApiError], bytes],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._produce, self._fail, self._headers = produce, fail, {**EVENTS, **(headers or {})}
        self._is_begun = False
        self._lock = asyncio.Lock()
        self._heard = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def emit(data: bytes) -> None:
            async with self._lock:
                if not self._is_begun:
                    self._is_begun = True
                    raw = [(name.encode(), value.encode()) for name, value in self._headers.items()]
                    start: Message = {"type": "http.response.start", "status": 200, "headers": raw}
                    await send(start)
                await send({"type": "http.response.body", "body": data, "more_body": True})
                self._heard = asyncio.get_running_loop().time()

        beat = asyncio.ensure_future(self._beat(emit))
        try:
            await attended(receive, self._told(scope, emit), scope["closing"])
        except ClientGone:
            scope["ended"] = GONE
            return
        except ApiError as error:
            if not self._is_begun:
                raise
            await self._end(scope, emit, error)
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _end(self, scope: Scope, emit: Emit, error: ApiError) -> None:
        """Tells the error that a stream ends with; its status is that of the request, for `ended` of the scope."""
        scope["ended"] = error.status
        await emit(self._fail(error))

    async def _told(self, scope: Scope, emit: Emit) -> None:
        """Produces the events; an error after the first is one of them."""
        try:
            await self._produce(emit)
        except Exception as error:
            # Whatever it is: no client may take what it has for the whole reply.
            if not self._is_begun:
                raise
            await self._end(scope, emit, api_error(error) or FAILED)
            if not isinstance(error, KNOWN):
                raise

    async def _beat(self, emit: Emit) -> None:
        clock = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(HEARTBEAT)
            if self._is_begun and clock.time() - self._heard >= HEARTBEAT:
                await emit(b": working\n\n")
