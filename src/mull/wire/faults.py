"""Failures of requests, classified by what may have been spent and whether to retry."""

from __future__ import annotations


class Failure(Exception):
    """A request failed.

    The message may have words of the server, which may repeat the prompt or name what is behind it; `plain` is the
    message without them, for logs.
    """

    def __init__(self, why: str, plain: str | None = None) -> None:
        super().__init__(why)
        self.plain = why if plain is None else plain


class Refused(Failure):
    """The server refused the request, so nothing was spent; `wait` is how many seconds it asks to wait."""

    def __init__(self, why: str, wait: float | None = None, plain: str | None = None) -> None:
        super().__init__(why, plain)
        self.wait = wait


class Broken(Failure):
    """No usable reply arrived, but one may have been generated and billed."""


class Rejected(Failure):
    """The server will never answer this request; `status` is that of HTTP, or 0."""

    def __init__(self, why: str, status: int, plain: str | None = None) -> None:
        super().__init__(why, plain)
        self.status = status

    def at(self, url: str) -> Rejected:
        """The same with the address of the server."""
        return Rejected(f"{url}: {self}", self.status, f"{url}: {self.plain}")


class Unusable(Failure):
    """No endpoint can be used; the message gives the reason for each.

    `wait` is the number of seconds until the first of those that asked to wait can be; `None`: none did. `statuses` has
    the status of HTTP with which each refuses all requests; `None`: it asked to wait.
    """

    def __init__(
        self, why: str, wait: float | None = None, plain: str | None = None, statuses: tuple[int | None, ...] = ()
    ) -> None:
        super().__init__(why, plain)
        self.wait, self.statuses = wait, statuses


class Malformed(Failure):
    """A reply cannot be used; the message says why."""
