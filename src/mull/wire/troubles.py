"""What an error of the network means for the request that met it."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from mull.wire.faults import Broken, Failure, Refused, Rejected
from mull.wire.posts import BadAddress, BrokenReply, NoConnection


def failure_of(error: OSError, connect: float, seconds: float, tidy: Callable[[str], str]) -> Failure:
    """The failure that an error stands for, where there were so many seconds to connect and for a whole reply.

    `tidy` makes words, which may be the server's, harmless and short.
    """
    if isinstance(error, BadAddress):
        return Rejected("the URL is not valid", 0)
    if isinstance(error, NoConnection):
        return _unconnected(error.why, connect, tidy)
    if isinstance(error, TimeoutError):
        return Broken(f"no whole reply within {seconds:g} s")
    if isinstance(error, BrokenReply):
        return Broken(tidy(str(error)), error.plain)
    return Broken(f"the connection broke: {_words(error, tidy)}", "the connection broke")


def _unconnected(why: OSError, connect: float, tidy: Callable[[str], str]) -> Failure:
    if isinstance(why, ssl.SSLError):
        words = _words(why, tidy)
        is_plain = "WRONG_VERSION_NUMBER" in words or "wrong version number" in words
        hint = ": try http:// in place of https://" * is_plain
        return Rejected(f"no secure connection: {words}{hint}", 0, f"no secure connection{hint}")
    if isinstance(why, ConnectionRefusedError):
        return Refused("cannot connect: nothing listens there (connection refused)")
    if isinstance(why, TimeoutError) and why.errno is None:
        return Refused(f"cannot connect within {connect:g} s")
    return Refused(f"cannot connect: {_words(why, tidy)}", plain="cannot connect")


def _words(error: BaseException, tidy: Callable[[str], str]) -> str:
    words = getattr(error, "message", None) or getattr(error, "strerror", None) or error
    return tidy(str(words)) or type(error).__name__
