"""Requests whose replies are read whole: HTTP/1.1 over connections that are kept, parsed by httptools.

A request costs a third of the processor time that it takes through the client of aiohttp, which streams go through.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

import httptools
from aiohappyeyeballs import start_connection
from yarl import URL

from mull.wire.faults import Malformed

KEEP_ALIVE = 4.0
"""Seconds that a connection may be idle: less than servers allow, which drop requests that arrive as they close it."""
KNOWN_FOR = 10.0
"""Seconds that the addresses of a host's name are used without asking again."""
IPV6_FIRST = 0.25
"""Seconds that the first address of a host has before the next one is tried too."""
ERROR_BYTES = 1 << 20
"""Bytes that a reply with a status other than 200 may have."""
HEAD_BYTES = 1 << 16
"""Bytes that may come without any of a reply's body."""

Origin = tuple[bool, str, int]
"""Whether it is secure, the host, and the port."""


class NoConnection(OSError):
    """A server cannot be reached; `why` is the error of the network, or of TLS."""

    def __init__(self, why: OSError) -> None:
        super().__init__(*why.args)
        self.why = why


class BadAddress(OSError):
    """A URL is not valid."""


class BrokenReply(OSError):
    """A reply cannot be read; `plain` is why without the server's words."""

    def __init__(self, why: str, plain: str | None = None) -> None:
        super().__init__(why)
        self.plain = why if plain is None else plain


@dataclass(frozen=True, slots=True)
class RawReply:
    """A whole reply. The names of its headers are in lower case.

    `seconds` passed from the request to the reply, without those that it waited because this process was busy.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0


class Turns:
    """How long what arrives may have waited for its turn in a busy event loop: since it looked before last."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._began: float | None = None
        self._before = 0.0
        self._is_busy = False

    def lag(self) -> float:
        """Seconds that what is read now may have waited: as long as this turn of the loop and the one before took."""
        now = self._loop.time()
        self._is_busy = True
        if self._began is None:
            self._began, self._before = now, 0.0
            self._loop.call_soon(self._turn)
        return now - self._began + self._before

    def _turn(self) -> None:
        now = self._loop.time()
        if self._began is None or not self._is_busy:
            self._began = None
            return
        self._before, self._began, self._is_busy = now - self._began, now, False
        self._loop.call_soon(self._turn)


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go, and what they have in common: the lines of their heads."""

    origin: Origin
    head: bytes

    @classmethod
    def of(cls, method: Literal["GET", "POST"], url: str, headers: Mapping[str, str]) -> Address:
        """Raises `BadAddress`."""
        try:
            place = URL(url)
        except ValueError as error:
            raise BadAddress(str(error)) from error
        if not place.raw_host or place.port is None:
            raise BadAddress("the URL has no host")
        named = f"[{place.raw_host}]" if ":" in place.raw_host else place.raw_host
        host = named if place.is_default_port() else f"{named}:{place.port}"
        lines = [f"{method} {place.raw_path_qs} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in {"Accept": "*/*", **headers}.items()]
        head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        return cls((place.scheme == "https", place.raw_host, place.port), head)


@cache
def _security() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Connection(asyncio.Protocol):
    """A connection, with at most one request at a time."""

    def __init__(self, opened: set[_Connection], turns: Turns) -> None:
        self._opened, self._turns = opened, turns
        self._loop = asyncio.get_running_loop()
        self._asked_at = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[RawReply] | None = None
        self._most = 0
        self.idle_since = 0.0
        self.is_open = True
        self.gone = asyncio.Event()
        self._stays = False
        self._clear()

    def _clear(self) -> None:
        self._status = self._n_quiet = self._n_body = 0
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []

    def begin(self, request: bytes, most: int) -> asyncio.Future[RawReply]:
        """Sends a request; the future has its reply, of at most `most` bytes."""
        self._clear()
        self._most = most
        self._waiter = self._loop.create_future()
        self._asked_at = self._loop.time()
        self.transport.write(request)
        return self._waiter

    @property
    def is_reusable(self) -> bool:
        """Whether another request can be sent once the reply is there."""
        is_sent = self.is_open and not self.transport.get_write_buffer_size()
        return self._stays and is_sent and not self.transport.is_closing()

    def fail(self, error: Exception) -> None:
        """Ends the request with an error, and the connection."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.transport.abort()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._opened.add(self)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.transport.abort()  # nothing was asked
            return
        self._n_quiet += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(BrokenReply(f"the reply is not HTTP: {error}", "the reply is not HTTP"))
            return
        if self._n_quiet > HEAD_BYTES + len(data) and not self._waiter.done():
            self.fail(Malformed(f"the reply has more than {HEAD_BYTES:,} bytes beside its body"))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self.gone.set()
        self._opened.discard(self)
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        is_to_end = "content-length" not in self._headers and "transfer-encoding" not in self._headers
        if error is None and self._status >= 200 and is_to_end:
            self.on_message_complete()
        elif self._status or self._n_quiet:
            waiter.set_exception(BrokenReply("the reply broke off in the middle"))
        else:
            closed = BrokenReply("the server closed the connection without a reply")
            waiter.set_exception(closed if error is None else error)

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._status = 0
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._status, self._stays = self._parser.get_status_code(), self._parser.should_keep_alive()
        if self._status != 200:
            self._most = min(self._most, ERROR_BYTES)

    def on_body(self, part: bytes) -> None:
        self._n_quiet = 0
        self._n_body += len(part)
        if self._n_body > self._most:
            self.fail(Malformed(f"the reply is larger than {self._most:,} bytes"))
        else:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        if self._status >= 200 and self._waiter is not None and not self._waiter.done():  # less: one more follows
            seconds = max(0.0, self._loop.time() - self._asked_at - self._turns.lag())
            self._waiter.set_result(RawReply(self._status, self._headers, b"".join(self._parts), seconds))


@dataclass(slots=True)
class _Host:
    """The idle connections to a host, and its addresses, which are known until `until` on the clock of the loop."""

    idle: list[_Connection] = field(default_factory=list)
    addresses: Sequence[Any] = ()
    until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Posts:
    """The kept connections of one event loop. `connect`: seconds to connect."""

    def __init__(self, connect: float) -> None:
        self._connect_seconds = connect
        self._hosts: dict[Origin, _Host] = {}
        self._opened: set[_Connection] = set()
        self._turns = Turns(asyncio.get_running_loop())
        self._sweep: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Closes the connections; requests in progress fail."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._opened):
            connection.transport.abort()
            await connection.gone.wait()

    async def send(self, to: Address, body: bytes | None, most: int, seconds: float, more: bytes = b"") -> RawReply:
        """The reply to a request; `more` are header lines of its own, each with its end.

        Raises `NoConnection`, `BrokenReply`, `Malformed` for a reply of more than `most` bytes, `TimeoutError` after
        `seconds`, or another `OSError`.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        host = self._hosts.setdefault(to.origin, _Host())
        connection = self._kept(host, loop.time()) or await self._connect(to.origin, host, seconds)
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        answer = connection.begin(b"%b%b%b\r\n%b" % (to.head, length, more, body or b""), most)
        timer = loop.call_at(end, connection.fail, TimeoutError())
        try:
            found = await answer
        except BaseException:
            connection.transport.abort()
            raise
        finally:
            timer.cancel()
        if connection.is_reusable:
            connection.idle_since = loop.time()
            host.idle.append(connection)
            if self._sweep is None:
                self._sweep = loop.call_later(KEEP_ALIVE, self._close_idle)
        else:
            connection.transport.abort()
        return _unpacked(found, most) if "content-encoding" in found.headers else found

    def _kept(self, host: _Host, now: float) -> _Connection | None:
        while host.idle:
            connection = host.idle.pop()
            if connection.is_open and not connection.transport.is_closing():
                if now - connection.idle_since < KEEP_ALIVE:
                    return connection
                connection.transport.abort()
        return None

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        for host in self._hosts.values():
            late = [one for one in host.idle if loop.time() - one.idle_since >= KEEP_ALIVE]
            for connection in late:
                connection.transport.abort()
            host.idle = [one for one in host.idle if one.is_open and not one.transport.is_closing()]
        are_left = any(host.idle for host in self._hosts.values())
        self._sweep = loop.call_later(KEEP_ALIVE / 4, self._close_idle) if are_left else None

    async def _connect(self, origin: Origin, host: _Host, seconds: float) -> _Connection:
        is_secure, name, _ = origin
        loop = asyncio.get_running_loop()
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout(min(seconds, self._connect_seconds)):
                addresses = await self._addresses(origin, host)
                sock = await start_connection(addresses, happy_eyeballs_delay=IPV6_FIRST, loop=loop)
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._opened, self._turns),
                    sock=sock,
                    ssl=_security() if is_secure else None,
                    server_hostname=name if is_secure else None,
                )
        except OSError as error:
            host.until = 0.0
            if sock is not None:
                sock.close()
            raise NoConnection(error) from error
        return connection

    async def _addresses(self, origin: Origin, host: _Host) -> Sequence[Any]:
        loop = asyncio.get_running_loop()
        async with host.lock:
            if loop.time() >= host.until:
                _, name, port = origin
                host.addresses = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
                host.until = loop.time() + KNOWN_FOR
        return host.addresses


def _unpacked(answer: RawReply, most: int) -> RawReply:
    """A reply that a server compressed, though it was not asked to. Raises `BrokenReply` or `Malformed`."""
    coding = answer.headers["content-encoding"].strip().lower()
    if coding in ("", "identity"):
        return answer
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise BrokenReply("the reply is compressed in a way that was not asked for")
    raw, parts, n_bytes = answer.body, [], 0
    is_bare = coding == "deflate" and raw[:1] and (raw[0] & 15 != 8)  # without the header that zlib writes
    while raw:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS | 32)
        try:
            parts.append(unpacker.decompress(raw, most + 1 - n_bytes))
        except zlib.error:
            raise BrokenReply("the reply is compressed, and broken") from None
        n_bytes += len(parts[-1])
        if n_bytes > most:
            raise Malformed(f"the reply is larger than {most:,} bytes")
        if not unpacker.eof:
            raise BrokenReply("the reply is compressed, and broken")
        raw = unpacker.unused_data
    return replace(answer, body=b"".join(parts))
