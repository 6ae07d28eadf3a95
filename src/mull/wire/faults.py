"""What can go wrong with a request, told apart by what may have been spent and whether to ask again."""

from __future__ import annotations


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


class Unusable(Exception):
    """No endpoint can be used; says why of each."""


class Malformed(Exception):
    """A reply that cannot be used; its text says why."""
