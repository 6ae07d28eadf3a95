"""Who may use the gateway: keys by their hashes, the models that each may ask for, and how often."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping

from mull.config.schema import KeyTable
from mull.serve.faults import ApiError

MARK = "mull-"
_BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)


def new_key() -> str:
    """A key of 256 random bits, which no list of guesses has: a plain hash of it is enough."""
    return MARK + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def is_budgeted(table: KeyTable) -> bool:
    """Whether a key has a budget for a day."""
    return table.tokens_a_day is not None or table.usd_a_day is not None


class Key:
    """A key that was recognised. `requests_a_minute` of its table fill a bucket that each request takes one from."""

    def __init__(self, name: str, table: KeyTable) -> None:
        self.name, self.table = name, table
        self._tokens = float(table.requests_a_minute or 0)
        self._at = time.monotonic()

    def may_use(self, model: str) -> bool:
        """Whether it may ask for a model or preset of this name."""
        return self.table.models is None or model in self.table.models

    def admit(self) -> None:
        """Counts a request. Raises `ApiError` (429) for one too many, with the time until the next."""
        most = self.table.requests_a_minute
        if most is None:
            return
        now = time.monotonic()
        self._tokens = min(float(most), self._tokens + (now - self._at) * most / 60)
        self._at = now
        if self._tokens < 1:
            wait = (1 - self._tokens) * 60 / most
            what = f"this key may make {most} requests in a minute; the next in {wait:.1f} s"
            raise ApiError(429, what, code="rate_limit_exceeded", retry_after=wait)
        self._tokens -= 1


class Keys:
    """All keys. Without any, anybody may use the gateway, which then listens on this machine alone."""

    def __init__(self, tables: Mapping[str, KeyTable]) -> None:
        self._keys = {name: Key(name, table) for name, table in tables.items()}

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, headers: Mapping[str, str]) -> Key | None:
        """The key of a request; `None` if there are no keys. Raises `ApiError` (401).

        Every hash is compared, each in constant time, so that the time tells nothing of them.
        """
        if not self._keys:
            return None
        bearer = _BEARER.fullmatch(headers.get("authorization", "").strip())
        told = bearer[1] if bearer is not None else headers.get("x-api-key", "")
        presented, found = hash_of(told), None
        for key in self._keys.values():
            if hmac.compare_digest(presented, key.table.sha256):
                found = key
        if found is None:
            what = "the key is not known" if told else "a key is needed: Authorization: Bearer KEY"
            raise ApiError(401, what, code="invalid_api_key")
        return found
