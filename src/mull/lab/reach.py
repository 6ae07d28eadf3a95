"""Whether a Ray cluster answers at an address: found out before Ray is asked, which would try for minutes."""

from __future__ import annotations

import io
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from mull.errors import UsageError

SECONDS_TO_CONNECT = 5.0
SECONDS_TO_ANSWER = 3.0
PORT = 6379
"""The port of a Ray cluster unless it was started with another one."""
NAMED = ("auto", "local")
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How a client of HTTP/2, and so of gRPC, begins: the preface and empty settings (RFC 9113, section 3.4)."""
SETTINGS = 4


class UnjoinedError(UsageError):
    """A Ray cluster that is needed cannot be joined."""


def check_form(address: str) -> tuple[str, int] | None:
    """The host and port of a cluster's address; `None` for a name. Raises `UsageError` for what is no address."""
    if address in NAMED:
        return None
    found = re.fullmatch(r"(?:ray://)?(\[[0-9a-fA-F:]+\]|[\w.\-]+)(?::(\d{1,5}))?", address)
    if found is None:
        raise UsageError(f"--ray takes HOST:PORT, auto or local, not {address!r}")
    host, port = found[1].strip("[]"), found[2]
    if port is None:
        example = f"ray://{host}:10001" if address.startswith("ray://") else f"{host}:{PORT}"
        raise UsageError(f"--ray {address} has no port: Ray's own is in --ray {example}")
    return host, int(port)


def check_address(address: str) -> None:
    """Raises `UsageError` for what is no address of a Ray cluster, and for one where none answers within seconds."""
    if (place := check_form(address)) is None:
        return
    try:
        first = _first_bytes(*place)
    except (OSError, OverflowError) as error:
        raise UsageError(f"the Ray cluster at {address} cannot be reached: {error}") from error
    if len(first) < 4 or first[3] != SETTINGS:
        what = f"it begins {first[:20]!r}" if first else "it says nothing"
        raise UsageError(f"something else than a Ray cluster listens at {address}: {what}")


def _first_bytes(host: str, port: int) -> bytes:
    """What a server answers to a client of gRPC; empty if nothing."""
    with socket.create_connection((host, port), timeout=SECONDS_TO_CONNECT) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return bytes(3) + bytes([SETTINGS])  # a server that expects TLS says nothing before it
        connection.settimeout(SECONDS_TO_ANSWER)
        connection.sendall(GREETING)
        first = b""
        while len(first) < 9:
            try:
                part = connection.recv(20)
            except OSError:
                break
            if not part:
                break
            first += part
        return first


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what Ray and its processes write by themselves off standard error."""
    try:
        saved = os.dup(2)
    except OSError:
        yield  # there is no standard error
        return
    with tempfile.TemporaryFile() as log, os.fdopen(saved, "wb", 0) as raw:
        mine = io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True, write_through=True)
        os.dup2(log.fileno(), 2)
        try:
            with redirect_stderr(mine):
                yield
        finally:
            os.dup2(saved, 2)
            mine.detach()
