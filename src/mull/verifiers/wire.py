"""JSON over HTTP to the servers that score: one request, one reply, and a reason where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from mull.errors import UsageError
from mull.verifiers.reading import Unscored
from mull.wire.backoff import full_jitter, retry_after

if TYPE_CHECKING:
    import aiohttp

N_PARALLEL = 32
"""Requests to one server at a time."""
LONGEST = 64 * 2**20
"""Bytes of a reply that are read at most."""
REFUSALS = {408, 425, 429, 503, 529}
"""Statuses of a server that took nothing up, so that nothing was spent and asking again is safe."""
PATIENCE = 30.0
"""Seconds for which a server that refuses or cannot be reached is asked again."""


class Post(Protocol):
    """Sends a JSON object to a path and gives the JSON that came back; raises `Unscored` with the reason."""

    async def __call__(self, path: str, body: Mapping[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Server:
    """Where a server listens. The key is read from the environment and appears in no message and no identity.

    A request that it refuses or that does not reach it is made again until `patience` seconds are over. What failed
    in any other way may have been computed, and perhaps paid for: it is not made twice.
    """

    base_url: str
    api_key_env: str | None = None
    seconds: float = 120.0
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        if urlsplit(self.base_url).scheme not in ("http", "https") or not urlsplit(self.base_url).hostname:
            raise UsageError(
                f"base_url must be the address of a server, such as http://localhost:8000, not {self.base_url!r}"
            )
        if self.api_key_env and not os.environ.get(self.api_key_env):
            raise UsageError(f"the key is read from ${self.api_key_env}, which is not set")

    @property
    def root(self) -> str:
        """The address without the `/v1` that OpenAI clients put at its end."""
        return self.base_url.rstrip("/").removesuffix("/v1")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Post]:
        """What posts to this server while the block lasts."""
        import aiohttp

        headers = {"Authorization": f"Bearer {os.environ[self.api_key_env]}"} if self.api_key_env else {}
        async with aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(self.seconds, 30.0), sock_read=self.seconds),
            connector=aiohttp.TCPConnector(limit=N_PARALLEL),
        ) as session:

            async def post(path: str, body: Mapping[str, Any]) -> Any:
                return await self._post(session, path, body)

            yield post

    async def _post(self, session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> Any:
        give_up_at, attempt = time.monotonic() + self.patience, 0
        while True:
            try:
                return await self._attempt(session, path, body)
            except _Refused as refusal:
                attempt += 1
                wait = max(refusal.wait or 0.0, full_jitter(attempt, 0.5, 8.0))
                if time.monotonic() + wait > give_up_at:
                    # Not how often it was asked: replies without a score for one reason are told of together.
                    raise Unscored(f"{refusal}, for {self.patience:g} s" if self.patience else str(refusal)) from None
                await asyncio.sleep(wait)

    async def _attempt(self, session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> Any:
        import aiohttp

        where = self.root + path
        try:
            async with session.post(where, json=body, allow_redirects=False) as response:
                raw = await response.content.read(LONGEST)
                status, headers = response.status, response.headers
        except aiohttp.ClientConnectorError as error:
            raise _Refused(f"{where} cannot be reached: {error.os_error.strerror or error.os_error}") from None
        except aiohttp.ConnectionTimeoutError:
            raise _Refused(f"{where} cannot be reached in {min(self.seconds, 30.0):g} seconds") from None
        except TimeoutError:
            raise Unscored(f"{where} did not answer within {self.seconds:g} seconds") from None
        except aiohttp.ClientError as error:
            raise Unscored(f"{where} did not answer: {printable(str(error) or type(error).__name__)}") from None
        try:
            reply = json.loads(raw)
        except ValueError:
            reply = None
        if status != 200:
            failure = f"{where} answered {status}: {_message(reply, raw)}"
            raise _Refused(failure, retry_after(headers)) if status in REFUSALS else Unscored(failure)
        if reply is None:
            raise Unscored(f"{where} answered what is not JSON: {printable(raw[:80].decode(errors='replace'))}")
        return reply


class _Refused(Exception):
    """Nothing was taken up; `wait` is for how many seconds the server asks to be left alone."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


def _message(reply: Any, raw: bytes) -> str:
    """The message of an error, in the shapes that servers give it."""
    error = reply.get("error", reply) if isinstance(reply, dict) else reply
    text = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return printable(str(text) if text else raw.decode(errors="replace"))[:200]


def printable(text: str) -> str:
    """A text from outside on one line, without characters that steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
