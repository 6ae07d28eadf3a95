"""Messages between the two sides: a length of four bytes, big-endian, and that many bytes."""

from __future__ import annotations

import os
import struct


def read_exactly(descriptor: int, n: int) -> bytes:
    """Reads the next `n` bytes. Raises `EOFError` if the other side has closed."""
    parts = bytearray()
    while len(parts) < n:
        part = os.read(descriptor, min(n - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def receive(descriptor: int) -> bytes:
    (length,) = struct.unpack(">I", read_exactly(descriptor, 4))
    return read_exactly(descriptor, length)


def send(descriptor: int, *messages: bytes) -> None:
    view = memoryview(b"".join(struct.pack(">I", len(message)) + message for message in messages))
    while view:
        view = view[os.write(descriptor, view) :]
