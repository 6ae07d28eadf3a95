"""Listening: the socket, and the server that speaks HTTP on it."""

from __future__ import annotations

import ipaddress
import socket

import uvicorn

from mull.errors import UsageError
from mull.serve.app import Gateway

GRACE = 30
"""Seconds that running requests have to finish once the gateway is told to stop."""
KEEP_ALIVE = 75
"""Seconds that a connection may be idle: longer than clients keep theirs."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; `port=0` is any free one. Raises `UsageError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"cannot listen at {host}: {error.strerror or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen at {host}:{port}: {why}; name another with --port") from error
    return listening


def server(gateway: Gateway) -> uvicorn.Server:
    """The server of a gateway, ready for `run` or `serve` with a socket. It logs errors, and no requests."""
    config = uvicorn.Config(
        gateway,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        proxy_headers=False,
    )
    return uvicorn.Server(config)
