"""One attempt at a request: what is sent, what is read back, and what kind of failure a failure is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from mull.wire.backoff import retry_after
from mull.wire.endpoints import Endpoint, Limits, Pool
from mull.wire.replies import Malformed, Reply, Stream, error_of, is_overflow, read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEEP_ALIVE = 4.0
"""Seconds that a connection may lie idle: less than servers wait, who drop a request that arrives as they close."""
MANY_BYTES = 16 << 20
"""What a reply may have however short it was asked to be."""
REFUSALS = {408, 425, 429, 503, 529}
OUT_OF_MONEY = ("insufficient_quota", "billing_hard_limit_reached")


class Refused(Exception):
    """The server took nothing up, so nothing was spent; `wait` is how long it asks to stay away."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Broken(Exception):
    """No usable reply came, though one may have been made and may have to be paid for."""


class Rejected(Exception):
    """The server will never answer this request."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


class Link:
    """A model's endpoints, and the connections to them that one event loop has."""

    def __init__(self, urls: Sequence[str], key: str | None, limits: Limits) -> None:
        self.pool = Pool(urls, limits)
        self.limits = limits
        self._key = key
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=limits.timeout, sock_connect=limits.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            # No proxy of the environment stands between, and no file of other keys is read.
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

    async def pause(self, attempt: int) -> None:
        """Waits before one more attempt."""
        await asyncio.sleep(self.limits.wait(attempt))

    def about_key(self, status: int, raw: bytes) -> str:
        """What to say where the key is not taken."""
        words, _ = error_of(raw)
        what = "no key was sent; name its variable with api_key_env" if self._key is None else "the key is refused"
        return f"{what} (HTTP {status}" + (f": {words})" if words else ")")

    def scrub(self, raw: bytes) -> bytes:
        """What a server said, without the key, should it send it back."""
        if self._key is None:
            return raw
        key = self._key.encode()
        return raw.replace(key, b"***") if key in raw else raw

    async def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of a page. Raises `Refused`, `Broken` or, for a server that cannot be trusted, `Rejected`."""
        try:
            async with self._session.get(
                url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=self.limits.connect)
            ) as response:
                return response.status, self.scrub(await _read(response, MANY_BYTES))
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error, self.limits) from error

    async def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of what is answered to a small request. Raises as `get` does."""
        try:
            async with self._session.post(
                url, data=body, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=self.limits.connect)
            ) as response:
                return response.status, self.scrub(await _read(response, MANY_BYTES))
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error, self.limits) from error

    async def attempt(
        self, endpoint: Endpoint, path: str, body: bytes, *, retry: int = 0, most_bytes: int = 0, stream: bool = False,
        cut_at: tuple[str, ...] = (),
    ) -> Reply:  # fmt: skip
        """Sends a request once, and takes note of how the endpoint bears it.

        A streamed reply is broken off where one of `cut_at` comes up. Raises `Refused`, `Broken` or `Rejected`.
        """
        started = time.monotonic()
        try:
            async with self._session.post(
                self._url(endpoint, path), data=body, allow_redirects=False,
                headers={"X-Retry-Count": str(retry)} if retry else None,
            ) as response:  # fmt: skip
                if response.status != 200:
                    raw = self.scrub(await _read(response, 1 << 20))
                    raise self._refusal(endpoint, response.status, response.headers, raw, started)
                if stream:
                    reply = await self._stream(response, MANY_BYTES + most_bytes, cut_at)
                else:
                    reply = read_reply(self.scrub(await _read(response, MANY_BYTES + most_bytes)))
        except (aiohttp.ClientError, OSError) as error:
            failure = _failure(error, self.limits)
            if isinstance(failure, Rejected):
                endpoint.dead = f"{endpoint.url}: {failure}"
            endpoint.failed(time.monotonic(), self.limits.wait(endpoint.n_failed))
            raise failure from error
        except Malformed as error:
            endpoint.failed(time.monotonic(), self.limits.wait(endpoint.n_failed))
            raise Broken(str(error)) from error
        endpoint.succeeded(time.monotonic() - started, reply.usage.output)
        return reply

    def _refusal(
        self, endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes, started: float
    ) -> Exception:
        """What a reply other than 200 means."""
        words, code = error_of(raw)
        told = f"HTTP {status}" + (f": {words}" if words else "")
        now = time.monotonic()
        if status in REFUSALS and code not in OUT_OF_MONEY:
            wait = retry_after(headers)
            endpoint.refused(started, now, wait)
            return Refused(told, wait)
        if status >= 500:
            endpoint.failed(now, self.limits.wait(endpoint.n_failed))
            return Broken(told)
        if status in (401, 403):
            endpoint.dead = f"{endpoint.url}: {self.about_key(status, raw)}"
        elif 300 <= status < 400:
            where = URL(headers.get("location", "")).with_query(None)
            endpoint.dead = (
                f"{endpoint.url} redirects to {where}, which is not followed: set base_url to where it leads"
            )
        elif status in (402, 404, 405, 429):
            endpoint.dead = f"{endpoint.url}: {told}"
        elif is_overflow(words, code):
            return Rejected(f"prompt and reply do not fit the model's context ({told})", status)
        return Rejected(told, status)

    async def _stream(self, response: aiohttp.ClientResponse, most: int, cut_at: tuple[str, ...]) -> Reply:
        stream = Stream()
        n_bytes, rest = 0, b""
        chunks = response.content
        while not stream.is_done:
            try:
                async with asyncio.timeout(self.limits.idle) as idle:
                    chunk = await chunks.readany()
            except TimeoutError:
                if idle.expired():
                    raise Malformed(f"the stream stood still for {self.limits.idle:g} s") from None
                raise
            if not chunk:
                if rest:
                    stream.feed(self.scrub(rest))
                break
            n_bytes += len(chunk)
            if n_bytes > most:
                raise Malformed(f"the reply is larger than {most:,} bytes")
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                choice = stream.feed(self.scrub(line))
                if choice is not None and cut_at and (found := [s for s in cut_at if s in choice.text]):
                    choice.stopped_at = min(found, key=choice.text.index)
                    choice.finish = "stop"
                    response.close()  # what would still come is not wanted, and the server hears so
                    return stream.reply()
        reply = stream.reply()
        if not stream.is_done and not all(choice.finish for choice in reply.choices):
            raise Malformed("the stream ended in the middle")
        return reply


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body. Raises `Malformed` where it is larger than `most` bytes, however it was packed."""
    length = response.content_length
    if length is not None and length <= most and "content-encoding" not in response.headers:
        return await response.read()
    parts, n_bytes = [], 0
    while chunk := await response.content.readany():
        n_bytes += len(chunk)
        if n_bytes > most:
            response.close()
            raise Malformed(f"the reply is larger than {most:,} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _failure(error: Exception, limits: Limits) -> Exception:
    """What an error on the way to or from a server means."""
    if isinstance(error, aiohttp.ClientSSLError):
        return Rejected(f"no secure connection: {_words(error.os_error)}", 0)
    if isinstance(error, aiohttp.InvalidURL):
        return Rejected("that is no URL", 0)
    if isinstance(error, aiohttp.ClientConnectorError):
        return Refused(f"cannot connect: {_words(error.os_error)}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Refused(f"cannot connect within {limits.connect:g} s")
    if isinstance(error, TimeoutError):
        return Broken(f"no whole reply within {limits.timeout:g} s")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Broken("the server closed the connection without a reply")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Broken("the reply broke off in the middle")
    if isinstance(error, aiohttp.ClientResponseError):
        return Broken(f"the reply is not HTTP: {error.message}")
    return Broken(f"the connection broke: {_words(error)}")


def _words(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
