"""Opens the files that people name, by what they hold rather than by how they are called, and within limits."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mull.errors import FileFormatError, cannot_read

FREE_BYTES = 64 << 20
MOST_RATIO = 250
"""A packed file may unpack to `FREE_BYTES`, or to this many times its own size if that is more."""
FOREIGN = {
    b"%PDF": "a PDF, not a table: copy its questions into a CSV or JSONL file",
    b"SQLite format 3": "a database, not a table: if it is a bank, `mull bank export FILE.jsonl` writes its draws",
    b"PK\x03\x04": "a zip archive or a spreadsheet, not a table: save the sheet as CSV, or unpack the archive",
    b"\x28\xb5\x2f\xfd": "packed by zstd: unpack it first (zstd -d)",
    b"BZh": "packed by bzip2: unpack it first (bunzip2)",
    b"\xfd7zXZ": "packed by xz: unpack it first (unxz)",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"\x89PNG": "a picture, not a table",
    b"<!doctype html": "a web page, not a table: download the file itself",
    b"<html": "a web page, not a table: download the file itself",
}
"""What files that are no tables begin with, in lower case for texts, and what to do with them."""

CUT_OFF = "the line is cut off, as by a process that was killed while it wrote it"


class CutOffError(FileFormatError):
    """The last line of a file is cut off, as by a process that was killed; the lines before it are whole."""


def begins(path: Path) -> bytes:
    """The first 4096 bytes, unpacked if the file is gzip. Raises `FileFormatError` if it cannot be a table."""
    with opened(path) as file:
        head = _first(path, file)
    for mark, what in FOREIGN.items():
        if head.startswith(mark) or head[: len(mark)].lower() == mark:
            raise FileFormatError(path, None, what)
    return head


def _first(path: Path, file: IO[bytes]) -> bytes:
    try:
        return file.read(4096)
    except (OSError, EOFError, zlib.error) as error:
        raise cannot_read(path, error) from error


def opened(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked if they are gzip, whatever its name. Raises `FileFormatError`."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise cannot_read(path, error) from error
    with_mark = _first(path, file)[:2]
    file.seek(0)
    if with_mark != b"\x1f\x8b":
        return file
    file.close()
    return gzip.open(path, "rb")  # type: ignore[return-value]


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text with their numbers. Raises `FileFormatError`, with the line of what is no UTF-8."""
    begins(path)
    most = most_bytes(path)
    n_bytes = number = 0
    with opened(path) as file:
        while True:
            try:
                raw = file.readline(most + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise cannot_read(path, error, number + 1) from error
            if not raw:
                return
            number += 1
            n_bytes += len(raw)
            if n_bytes > most:
                raise too_large(path, number, most)
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                if number > 1 and error.reason == "unexpected end of data" and not raw.endswith(b"\n"):
                    raise CutOffError(path, number, CUT_OFF) from error
                what = f"not UTF-8 text at byte {error.start + 1} of the line ({error.reason}): save the file as UTF-8"
                raise FileFormatError(path, number, what) from error


def most_bytes(path: Path) -> int:
    """The most bytes that a file may unpack to."""
    return max(FREE_BYTES, MOST_RATIO * path.stat().st_size)


def too_large(path: Path, line: int | None, most: int) -> FileFormatError:
    """The error for a file that unpacks to more than `most` bytes."""
    return FileFormatError(path, line, f"unpacks to over {most:,} bytes: far too many for its size")


def whole_text(path: Path) -> str:
    """The text of a file. Raises `FileFormatError`, with the line of what is no UTF-8."""
    return "".join(line for _, line in lines(path))
