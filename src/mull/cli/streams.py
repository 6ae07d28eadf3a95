"""Standard output that may fail (a full disk, a closed pipe): what it does not take is shown on standard error."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

OUT, ERR = 1, 2


class _Stream(io.RawIOBase):
    """A file descriptor whose first failure is kept in `failure`; bytes that it does not take go to `instead`."""

    def __init__(self, fd: int, instead: _Stream | None = None, failure: OSError | None = None) -> None:
        self._fd, self._instead, self.failure = fd, instead, failure
        self.n_lost = 0
        """Bytes that it did not take."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return self.failure is None and os.isatty(self._fd)

    def write(self, data: ReadableBuffer, /) -> int:
        left = memoryview(data).cast("B")
        n = len(left)
        while left and self.failure is None:
            try:
                left = left[os.write(self._fd, left) :]
            except OSError as error:
                self.failure = error
        self.n_lost += len(left)
        if left and self._instead is not None:
            self._instead.write(left)
        return n


def _text(stream: _Stream, like: io.TextIOBase | None) -> io.TextIOWrapper:
    is_terminal = stream.isatty()
    buffered = io.BufferedWriter(stream)
    # A lone surrogate in a reply is no character of any encoding: it is written as \udXXX.
    encoding = getattr(like, "encoding", None) or "utf-8"
    is_error = stream.fileno() == ERR
    return io.TextIOWrapper(buffered, encoding, "backslashreplace", None, line_buffering=is_terminal or is_error)


@contextmanager
def output_kept() -> Iterator[None]:
    """Sends to standard error what standard output does not take, and ends with one line and exit status 1 if so.

    Does nothing where another program has replaced `sys.stdout`.
    """
    if sys.stdout is not sys.__stdout__ or sys.stderr is not sys.__stderr__:
        yield
        return
    no_out, no_err = _is_closed(OUT), _is_closed(ERR)
    while (fd := os.open(os.devnull, os.O_RDWR)) <= ERR:
        pass  # a closed descriptor is taken, or else the next file, such as a bank, would get what is printed
    os.close(fd)
    gone = OSError("it is closed")
    err = _Stream(ERR, failure=gone if no_err else None)
    out = _Stream(OUT, err, failure=gone if no_out else None)
    sys.stdout, sys.stderr = _text(out, sys.__stdout__), _text(err, sys.__stderr__)
    try:
        yield
    except SystemExit as end:
        if _is_short(out) and not end.code:
            raise SystemExit(1) from None
        raise


def _is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False


def _is_short(out: _Stream) -> bool:
    """Whether standard output did not take all; says so."""
    sys.stdout.flush()
    if not out.n_lost or out.failure is None:
        return False
    why = out.failure.strerror or out.failure
    sys.stderr.write(f"mull: standard output cannot be written ({why}); what it did not take stands above\n")
    return True
