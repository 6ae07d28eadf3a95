"""The client of aiohttp, which replies that stream go through."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from mull.wire.endpoints import Limits
from mull.wire.posts import KEEP_ALIVE, BadAddress, BrokenReply, NoConnection


def session(headers: Mapping[str, str], limits: Limits) -> aiohttp.ClientSession:
    """A session that sends these headers with every request."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
        headers=headers,
        # A stream may be long: what ends it is that nothing comes any more.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, sock_read=limits.timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        # Ignore proxies of the environment and credentials in ~/.netrc.
        trust_env=False,
    )


def as_trouble(error: aiohttp.ClientError) -> OSError:
    """The error as one of those that `Posts` raises."""
    if isinstance(error, aiohttp.InvalidURL):
        return BadAddress(str(error))
    if isinstance(error, aiohttp.ClientConnectorError):
        return NoConnection(error.os_error)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return NoConnection(TimeoutError())
    if isinstance(error, TimeoutError):
        return TimeoutError()
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return BrokenReply("the server closed the connection without a reply")
    if isinstance(error, aiohttp.ClientPayloadError):
        return BrokenReply("the reply broke off in the middle")
    if isinstance(error, aiohttp.ClientResponseError):
        return BrokenReply(f"the reply is not HTTP: {error.message}", "the reply is not HTTP")
    return error if isinstance(error, OSError) else OSError(str(error) or type(error).__name__)
