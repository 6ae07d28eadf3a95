"""Failures of requests, classified by what may have been spent and whether to retry."""

from __future__ import annotations


class Refused(Exception):
    """The server refused the request, so nothing was spent; `wait` is how many seconds it asks to wait."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Broken(Exception):
    """No usable reply arrived, but one may have been generated and billed."""


class Rejected(Exception):
    """The server will never answer this request."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


class Unusable(Exception):
    """No endpoint can be used; the message gives the reason for each.

    `wait` is the number of seconds until the first of those that asked to wait can be; `None`: none did.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Malformed(Exception):
    """A reply cannot be used; the message says why."""
