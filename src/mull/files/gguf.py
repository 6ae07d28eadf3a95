"""The header of a GGUF model file: what its model is, without its weights.

The format (versions 2 and 3, little-endian) is that of ggml: the letters `GGUF`, a version, the numbers of tensors and
of metadata entries, the entries, and a description of each tensor.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mull.errors import FileFormatError

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MOST_ENTRIES, MOST_ITEMS, MOST_BYTES = 1 << 16, 1 << 24, 1 << 26
"""Limits on entries, on the items of an array and on the bytes of a text: a damaged file may claim anything."""
BLOCK, N_BLOCKS = 1 << 16, 64


@dataclass(frozen=True)
class Header:
    """What a file says of its model. `fields` has the metadata, of arrays only their lengths.

    `n_bytes` is the size of the file, `least_bytes` what its tensors need at least.
    """

    fields: Mapping[str, Any]
    n_bytes: int
    least_bytes: int

    @property
    def architecture(self) -> str:
        return str(self.fields.get("general.architecture", ""))

    def number(self, name: str) -> int | None:
        """A whole number among the fields of its architecture, such as `block_count`; `None`: it has none."""
        value = self.fields.get(f"{self.architecture}.{name}")
        return value if type(value) is int else None


class _Reader:
    """Reads values one after the other. Raises `FileFormatError` where the file ends or claims too much."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file

    def fail(self, why: str) -> FileFormatError:
        return FileFormatError(self._path, None, why)

    def take(self, n: int) -> bytes:
        raw = self._file.read(n)
        if len(raw) < n:
            raise self.fail("the file ends within its header: it was not copied whole")
        return raw

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        n = self.number("Q")
        if n > MOST_BYTES:
            raise self.fail(f"it claims a text of {n:,} bytes: it is damaged")
        return self.take(n).decode(errors="replace")

    def value(self, kind: int) -> Any:
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            raise self.fail(f"it has a value of the unknown type {kind}: it is damaged, or of a newer version")
        inner, n = self.number("I"), self.number("Q")
        if n > MOST_ITEMS:
            raise self.fail(f"it claims a list of {n:,} values: it is damaged")
        if inner in NUMBERS:
            self.take(n * struct.calcsize(f"<{NUMBERS[inner]}"))
        else:
            for _ in range(n):
                self.value(inner)
        return n


def read_header(path: Path) -> Header:
    """The header of a file. Raises `FileFormatError` if it is not a whole GGUF file."""
    try:
        with path.open("rb") as file:
            return _header(_Reader(path, file), os.fstat(file.fileno()).st_size, file)
    except OSError as error:
        raise FileFormatError(path, None, f"it cannot be read: {error.strerror}") from error


def _header(reader: _Reader, n_bytes: int, file: BinaryIO) -> Header:
    if file.read(4) != b"GGUF":
        raise reader.fail("it is no GGUF file: it does not begin with GGUF")
    version = reader.number("I")
    if version not in (2, 3):
        raise reader.fail(f"it is GGUF of version {version}, and versions 2 and 3 are read")
    n_tensors, n_entries = reader.number("Q"), reader.number("Q")
    if max(n_tensors, n_entries) > MOST_ENTRIES:
        raise reader.fail(f"it claims {n_tensors:,} tensors and {n_entries:,} entries: it is damaged")
    fields = {}
    for _ in range(n_entries):
        name = reader.text()
        fields[name] = reader.value(reader.number("I"))
    last = 0
    for _ in range(n_tensors):
        reader.text()
        n_dimensions = reader.number("I")
        if n_dimensions > 8:
            raise reader.fail(f"it has a tensor of {n_dimensions} dimensions: it is damaged")
        reader.take(8 * n_dimensions + 4)
        last = max(last, reader.number("Q"))
    header = Header(fields, n_bytes, file.tell() + last)
    if n_bytes <= header.least_bytes:
        raise reader.fail(
            f"it has {n_bytes:,} bytes and needs more than {header.least_bytes:,}: it was not copied whole"
        )
    return header


def digest(path: Path, n_bytes: int) -> str:
    """A hash of a model file that reads a few megabytes of it: its size, its ends, and blocks at equal distances."""
    made = hashlib.blake2b(str(n_bytes).encode(), digest_size=8)
    with path.open("rb") as file:
        for i in range(N_BLOCKS + 1):
            file.seek(max(0, n_bytes - BLOCK) * i // N_BLOCKS)
            made.update(file.read(BLOCK))
    return made.hexdigest()
