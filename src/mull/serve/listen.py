"""Listening: the socket, and the server that speaks HTTP on it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mull.errors import UsageError
from mull.serve.app import Gateway

GRACE = 30
"""Seconds that running requests have to finish once the gateway is told to stop; then each is told that it ends."""
LAST_SECONDS = 5
"""Seconds for which these words may take to be sent."""
KEEP_ALIVE = 75
"""Seconds that a connection may be idle: longer than clients keep theirs."""


HEAD_BYTES = 1 << 16
"""The most bytes of a request's line and headers."""
LINGER_SECONDS = 2.0
"""Seconds for which a client that is still sending can read its reply before the connection is closed."""
HEAD_SECONDS = 20.0
"""Seconds in which a request's headers must be there, from the connection or their first byte on."""
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class JoinedWrites:
    """A transport that sends what is written in one turn of the event loop in one piece.

    A reply's headers and body are written one after the other: each would wake its client.
    """

    def __init__(self, transport: asyncio.Transport, is_heard: Callable[[], bool]) -> None:
        self._transport, self._parts, self._is_heard = transport, list[bytes](), is_heard
        self.is_ended = False
        """Whether all is said, though the client still speaks."""
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes) -> None:
        """Sends bytes once the running callback has returned."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Closes the connection once all of it is sent.

        If the client is still sending, it may read the reply only then: what it sends is dropped for a while, since
        closing at once would take the reply back.
        """
        self._flush()
        if self.is_ended or self._is_heard() or self._transport.is_closing():
            self._transport.close()
            return
        self.is_ended = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GuardedProtocol(HttpToolsProtocol):
    """HTTP that hangs up on headers without end, and on clients that send them too slowly."""

    _n_head, _is_head = 0, True
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._joined = JoinedWrites(transport, lambda: self.cycle is None or not self.cycle.more_body)
        super().connection_made(self._joined)  # type: ignore[arg-type]
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self._joined.is_ended:
            return
        super().data_received(data)
        if self._is_head:
            self._n_head += len(data)
            if self._n_head > HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(TOO_LARGE)
                self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Says nothing: whoever asks for another protocol, as WebSockets, is answered in HTTP."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._n_head, self._is_head = 0, True
        self._watch()

    def on_headers_complete(self) -> None:
        self._is_head = False
        self._unwatch()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        self._unwatch()
        self._alarm = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _unwatch(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allow_connections() -> None:
    """Lets this process have as many open files as the system allows: a client takes one, and its server another."""
    if sys.platform == "win32":
        return
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; `port=0` is any free one. Raises `UsageError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"cannot listen at {host}: {error.strerror or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen at {host}:{port}: {why}; name another with --port") from error
    return listening


class GatewayServer(uvicorn.Server):
    """The server of a gateway, which tells the requests that it cannot finish so, and ends what goes on behind them."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        alarm = asyncio.get_running_loop().call_later(GRACE, self._gateway.closing.end)
        try:
            await super().shutdown(sockets)
        finally:
            alarm.cancel()
            await self._gateway.close()


def server(gateway: Gateway) -> uvicorn.Server:
    """The server of a gateway, ready for `run` or `serve` with a socket. It logs errors, and no requests."""
    config = uvicorn.Config(
        gateway,
        http=GuardedProtocol,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=True,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE + LAST_SECONDS,
        proxy_headers=False,
    )
    return GatewayServer(config, gateway)
