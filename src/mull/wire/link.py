"""The HTTP client: sends requests, reads replies, and classifies failures."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from mull.shown import Inert
from mull.wire.backoff import retry_after
from mull.wire.body import encode, printable, read_json
from mull.wire.endpoints import Endpoint, Limits, Pool
from mull.wire.faults import Broken, Malformed, Refused, Rejected
from mull.wire.replies import Reply, error_of, is_overflow
from mull.wire.retries import Attempts, tell_again
from mull.wire.routes import ROUTES, Events
from mull.wire.secret import Secret

T = TypeVar("T")
log = logging.getLogger(__name__)

KEEP_ALIVE = 4.0
"""Seconds that a connection may be idle: less than servers allow, which drop requests that arrive as they close it."""
MANY_BYTES = 16 << 20
"""Bytes that any reply may have, however short the requested one."""
REFUSALS = {408, 425, 429, 503, 529}
OUT_OF_MONEY = ("insufficient_quota", "billing_hard_limit_reached")


class Link:
    """The connections of one event loop to the endpoints of one server.

    The key is sent with every request, as a bearer token or in the header `key_in`, and removed from everything that
    comes back: replies, errors, addresses. With `has_routes` the server has several, and a 404 or 405 is about that
    route, not about the endpoint.
    """

    def __init__(
        self,
        urls: Sequence[str],
        key: str | None,
        limits: Limits,
        *,
        key_in: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        has_routes: bool = False,
    ) -> None:
        self._has_routes = has_routes
        self.pool = Pool(urls, limits)
        self.limits = limits
        self._has_key, self._secret = key is not None, Secret(key)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        if key is not None:
            headers |= {"Authorization": f"Bearer {key}"} if key_in is None else {key_in: key}
        self._whole = aiohttp.ClientTimeout(total=limits.timeout, sock_connect=limits.connect)
        # A stream may be long: what ends it is that nothing comes any more.
        self._streamed = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, sock_read=limits.timeout)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            headers=headers,
            timeout=self._whole,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Ignore proxies of the environment and credentials in ~/.netrc.
            trust_env=False,
        )
        self._urls: dict[tuple[str, str], URL] = {}

    async def close(self) -> None:
        self.pool.close()
        await self._session.close()

    def _url(self, endpoint: Endpoint, path: str) -> URL:
        key = endpoint.url, path
        if key not in self._urls:
            self._urls[key] = URL(endpoint.url + path)
        return self._urls[key]

    def about_key(self, status: int, raw: bytes) -> Rejected:
        """The error for a rejected or missing key."""
        words, _ = error_of(raw)
        what = "the key is refused" if self._has_key else "no key was sent; name its variable with api_key_env"
        plain = f"{what} (HTTP {status}"
        return Rejected(f"{plain}: {words})" if words else f"{plain})", status, f"{plain})")

    async def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of a GET request. Raises `Refused`, `Broken`, `Rejected` or `Malformed`."""
        return await self._page("GET", url, None)

    async def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of a small POST request. Raises as `get` does."""
        return await self._page("POST", url, body)

    async def _page(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self.limits.connect),
            ) as response:
                return response.status, await self._read(response, MANY_BYTES)
        except (aiohttp.ClientError, OSError) as error:
            failure = self._failure(error, self.limits.connect)
        raise failure

    async def attempt(
        self,
        endpoint: Endpoint,
        path: str,
        body: bytes,
        *,
        retry: int = 0,
        most_bytes: int = 0,
        stream: bool = False,
        cut_at: tuple[str, ...] = (),
        until: float | None = None,
    ) -> Reply:
        """Sends a request once, and records the result for balancing.

        A streamed reply is cut off where one of `cut_at` appears, and at the time `until` (`time.monotonic`). Raises
        `Refused`, `Broken` or `Rejected`.
        """

        async def read(response: aiohttp.ClientResponse) -> Reply:
            if stream:
                return await self._stream(response, ROUTES[path].stream(), MANY_BYTES + most_bytes, cut_at, until)
            return ROUTES[path].read(await self._read(response, MANY_BYTES + most_bytes))

        return await self._attempt(endpoint, path, body, retry, read, self._streamed if stream else self._whole)

    async def ask(self, path: str, body: Mapping[str, Any], most_bytes: int = 0) -> Any:
        """The JSON reply to a request, which is retried as the limits allow.

        Raises `Refused`, `Broken` or `Rejected`, or `Unusable` if no endpoint can be used.
        """

        async def read(response: aiohttp.ClientResponse) -> Any:
            return read_json(await self._read(response, MANY_BYTES + most_bytes))

        return await self.pass_on(path, encode(body), read)

    async def pass_on(
        self,
        path: str,
        body: bytes,
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        *,
        stream: bool = False,
        broke: Callable[[float], None] = lambda seconds: None,
    ) -> T:
        """What `read` makes of the reply to a request as it stands, which is retried as the limits allow.

        Raises as `ask` does. `read` uses `whole` or `lines`; an error of its own is not retried. `broke` is as in
        `repeat`.
        """
        within = self._streamed if stream else self._whole
        return await self.repeat(
            lambda endpoint, retry: self._attempt(endpoint, path, body, retry, read, within), broke
        )

    async def whole(self, response: aiohttp.ClientResponse) -> bytes:
        """The body of a reply, without the key."""
        return await self._read(response, MANY_BYTES)

    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """The lines of a streamed reply as they arrive, without the key.

        Raises `TimeoutError` where nothing comes for the seconds that a stream may be idle, and `Malformed` for a line
        without end.
        """
        rest, most_quiet = b"", self.limits.timeout
        while True:
            async with asyncio.timeout(most_quiet):
                chunk = await response.content.readany()
            if not chunk:
                break
            most_quiet = self.limits.idle
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield self._secret.scrub(line)
            if len(rest) > MANY_BYTES:
                raise Malformed(f"a line of the stream is larger than {MANY_BYTES:,} bytes")
        if rest:
            yield self._secret.scrub(rest)

    async def repeat(
        self, one: Callable[[Endpoint, int], Awaitable[T]], broke: Callable[[float], None] = lambda seconds: None
    ) -> T:
        """Retries `one(endpoint, n_attempts_before)` and returns its result. Raises as `ask` does.

        Calls `broke` with the duration in seconds of each failed attempt that may have been billed.
        """
        attempts = Attempts(self.limits, len(self.pool.endpoints))
        endpoint: Endpoint | None = None
        while True:
            endpoint = await self.pool.acquire(endpoint)
            started = time.monotonic()
            try:
                return await one(endpoint, attempts.n)
            except Refused as error:
                pause = attempts.refused(error.wait)
                if pause is None:
                    told, plain = (attempts.last_refusal(why, error.wait) for why in (str(error), error.plain))
                    raise Refused(told, error.wait, plain) from None
                tell_again(log, endpoint, pause, error)
            except Broken as error:
                broke(time.monotonic() - started)
                pause = attempts.failed()
                if pause is None:
                    raise Broken(*map(attempts.last_failure, (str(error), error.plain))) from None
                tell_again(log, endpoint, pause, error)
            except Rejected:
                if endpoint.dead is None:
                    raise
                pause = 0.0  # another endpoint may accept it
            finally:
                self.pool.release(endpoint)
            await attempts.wait(pause)

    async def _attempt(
        self,
        endpoint: Endpoint,
        path: str,
        body: bytes,
        retry: int,
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        within: aiohttp.ClientTimeout,
    ) -> T:
        started = time.monotonic()
        headers = {"X-Retry-Count": str(retry)} if retry else {}
        if within is self._streamed:
            headers["Connection"] = "close"  # llama.cpp closes it after a stream, as the next request may be on its way
        try:
            async with self._session.post(
                self._url(endpoint, path),
                data=body,
                allow_redirects=False,
                headers=headers,
                timeout=within,
            ) as response:
                waited = time.monotonic() - started
                log.debug("POST %s%s: HTTP %d after %.2f s", Inert(endpoint.url), path, response.status, waited)
                if response.status == 200:
                    reply = await read(response)
                    tokens = reply.usage.output if isinstance(reply, Reply) else None
                    endpoint.succeeded(time.monotonic() - started, tokens)
                    return reply
                raw = await self._read(response, 1 << 20)
            failure = self._refusal(endpoint, response.status, response.headers, raw, started)
        except (aiohttp.ClientError, OSError) as error:
            failure = self._failure(error, self.limits.timeout)
            if isinstance(failure, Rejected):
                endpoint.dead = failure.at(endpoint.url)
            if isinstance(error, TimeoutError):
                endpoint.refused(started, time.monotonic(), None)  # too much at once: fewer requests may be in time
            endpoint.failed(time.monotonic(), self.limits.wait(endpoint.n_failed))
        except Malformed as error:
            failure = Broken(str(error), error.plain)
            endpoint.failed(time.monotonic(), self.limits.wait(endpoint.n_failed))
        # Raised outside the handlers, so that no chained error with an unscrubbed message is attached.
        raise failure

    def _refusal(
        self, endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes, started: float
    ) -> Exception:
        """The error for a reply with a status other than 200."""
        words, code = error_of(raw)
        plain = f"HTTP {status}"
        told = f"{plain}: {words}" if words else plain
        now = time.monotonic()
        if status in REFUSALS and code not in OUT_OF_MONEY:
            wait = retry_after(headers)
            endpoint.refused(started, now, wait)
            return Refused(told, wait, plain)
        if status >= 500:
            endpoint.failed(now, self.limits.wait(endpoint.n_failed))
            return Broken(told, plain)
        if status in (401, 403):
            endpoint.dead = self.about_key(status, raw).at(endpoint.url)
        elif 300 <= status < 400:
            where = self._place(headers.get("location", ""))
            why = f"{endpoint.url} redirects to {where}, which is not followed: set base_url to where it leads"
            endpoint.dead = Rejected(why, status)
        elif status in (402, 429) or (status in (404, 405) and not self._has_routes):
            lacks_v1 = status == 404 and not urlsplit(endpoint.url).path.strip("/")
            hint = f": try {endpoint.url}/v1" if lacks_v1 else ""
            endpoint.dead = Rejected(told + hint, status, plain + hint).at(endpoint.url)
        elif is_overflow(words, code):
            why = "prompt and reply do not fit the model's context"
            return Rejected(f"{why} ({told})", status, f"{why} ({plain})")
        return Rejected(told, status, plain)

    def _place(self, location: str) -> str:
        """The address of a redirect, without the parts that may contain a key."""
        try:
            parts = urlsplit(location)
        except ValueError:
            return "an invalid URL"
        host = parts.netloc.rpartition("@")[2]
        place = f"{parts.scheme}://{host}{parts.path}" if host else parts.path
        return printable(self._secret.scrub_text(place))[:200] or "another place"

    async def _stream(
        self, response: aiohttp.ClientResponse, stream: Events, most: int, cut_at: tuple[str, ...], until: float | None
    ) -> Reply:
        n_bytes, rest = 0, b""
        chunks = response.content
        # Comments only show that the server is there; before the first event a request may wait for its turn.
        heard, most_quiet = time.monotonic(), self.limits.timeout
        while not stream.is_done:
            end = min(heard + most_quiet, math.inf if until is None else until)
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())) as waiting:
                    chunk = await chunks.readany()
            except TimeoutError:
                if not waiting.expired():
                    raise
                reply = self._scrubbed(stream.reply())
                if end == until:
                    response.close()
                    return replace(reply, is_cut=True)
                if any(choice.finish for choice in reply.choices):
                    response.close()
                    return reply  # the finished ones are kept
                raise Malformed(f"the stream sent nothing for {most_quiet:g} s") from None
            if not chunk:
                if rest:
                    stream.feed(self._secret.scrub(rest))
                break
            n_bytes += len(chunk)
            if n_bytes > most:
                raise Malformed(f"the reply is larger than {most:,} bytes")
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                choice = stream.feed(self._secret.scrub(line))
                if line.startswith(b"data:"):
                    heard, most_quiet = time.monotonic(), self.limits.idle
                if choice is not None and cut_at and (found := [s for s in cut_at if s in choice.text]):
                    choice.stopped_at = min(found, key=choice.text.index)
                    choice.finish = "stop"
                    response.close()  # the rest is not wanted; closing tells the server to stop
                    return self._scrubbed(stream.reply())
        reply = stream.reply()
        if not stream.is_done and not all(choice.finish for choice in reply.choices):
            raise Malformed("the stream ended in the middle")
        return self._scrubbed(reply)

    def _scrubbed(self, reply: Reply) -> Reply:
        """A streamed reply without the key, which may have been split across events."""
        for choice in reply.choices:
            choice.text = self._secret.scrub_text(choice.text)
            choice.reasoning = choice.reasoning and self._secret.scrub_text(choice.reasoning)
        return reply

    async def _read(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        """The whole body, without the key. Raises `Malformed` if it is larger than `most` bytes."""
        length = response.content_length
        if length is not None and length <= most and "content-encoding" not in response.headers:
            return self._secret.scrub(await response.read())
        parts, n_bytes = [], 0
        while chunk := await response.content.readany():
            n_bytes += len(chunk)
            if n_bytes > most:
                response.close()
                raise Malformed(f"the reply is larger than {most:,} bytes")
            parts.append(chunk)
        return self._secret.scrub(b"".join(parts))

    def _failure(self, error: Exception, seconds: float) -> Exception:
        """The failure that a client or network error stands for; a whole reply had `seconds`."""
        if isinstance(error, aiohttp.ClientSSLError):
            words = self._words(error.os_error)
            is_plain = "WRONG_VERSION_NUMBER" in words or "wrong version number" in words
            hint = ": try http:// in place of https://" * is_plain
            return Rejected(f"no secure connection: {words}{hint}", 0, f"no secure connection{hint}")
        if isinstance(error, aiohttp.InvalidURL):
            return Rejected("the URL is not valid", 0)
        if isinstance(error, aiohttp.ClientConnectorError):
            if isinstance(error.os_error, ConnectionRefusedError):
                return Refused("cannot connect: nothing listens there (connection refused)")
            return Refused(f"cannot connect: {self._words(error.os_error)}", plain="cannot connect")
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return Refused(f"cannot connect within {self.limits.connect:g} s")
        if isinstance(error, TimeoutError):
            return Broken(f"no whole reply within {seconds:g} s")
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return Broken("the server closed the connection without a reply")
        if isinstance(error, aiohttp.ClientPayloadError):
            return Broken("the reply broke off in the middle")
        if isinstance(error, aiohttp.ClientResponseError):
            return Broken(f"the reply is not HTTP: {self._words(error)}", "the reply is not HTTP")
        return Broken(f"the connection broke: {self._words(error)}", "the connection broke")

    def _words(self, error: BaseException) -> str:
        """An error's message, scrubbed and shortened, since it may be the server's."""
        words = getattr(error, "message", None) or getattr(error, "strerror", None) or error
        return printable(self._secret.scrub_text(str(words)))[:300] or type(error).__name__
