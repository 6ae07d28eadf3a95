"""Saves what can be read of a damaged SQLite bank.

SQLite itself gives up where a page is damaged, and loses all that is reached through it. Here every page is read on its
own, as a leaf or inner page of a B-tree (https://www.sqlite.org/fileformat2.html), whether or not anything leads to it.
What looks like a row is one only if its digest is right, so nothing is guessed.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mull.bank.care import counts
from mull.bank.schema import KEPT, draws, is_whole, questions
from mull.bank.sql import SqlBank
from mull.errors import BankError

MAGIC = b"SQLite format 3\0"
SIZES = (4096, 1024, 2048, 8192, 16384, 32768, 512, 65536)
"""Page sizes to try if the file does not say, the default first."""
INNER_INDEX, LEAF_INDEX, LEAF_TABLE = 2, 10, 13
ROWS_AT_ONCE = 500
BY_WIDTH = {len(table.columns): name for name, table in KEPT.items()}
"""The tables by their number of columns."""
FIXED = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of an integer by its serial type."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The rows that were saved, and how many of the draws have lost the text of their question."""

    draws: int
    questions: int
    verdicts: int
    without_question: int


def recover(path: Path, target: SqlBank) -> Recovered:
    """Copies to `target` every row of a damaged bank that can be read and whose digest is right.

    A draw whose question is lost is kept: it is found again when the same question is asked. Raises `BankError` if the
    file cannot be read or nothing in it is whole.
    """
    before = counts(target)
    try:
        for rows in _batches(path):
            target.write(lambda connection, rows=rows: target.insert(connection, rows))  # type: ignore[misc]
    except OSError as error:
        if isinstance(error, BankError):
            raise
        raise BankError(f"the bank {path} cannot be read: {error.strerror}") from error
    after = counts(target)
    n = {name: after[name] - before[name] for name in after}
    if not any(after.values()):
        raise BankError(f"nothing in {path} is a whole row of a bank: it cannot be recovered")
    lost = sa.select(sa.func.count()).where(draws.c.key.not_in(sa.select(questions.c.key)))
    n_lost = target.read(lambda connection: connection.execute(lost).scalar_one())
    return Recovered(n["draws"], n["questions"], n["verdicts"], n_lost)


def _batches(path: Path) -> Iterator[dict[str, list[dict[str, Any]]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in KEPT}
    for name, row in rows_of(path):
        found[name].append(row)
        if sum(map(len, found.values())) >= ROWS_AT_ONCE:
            yield found
            found = {name: [] for name in KEPT}
    yield found


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The whole rows in a file and in its write-ahead log, with the names of their tables; some more than once."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            log_path = path.with_name(path.name + "-wal")
            log = log_path.read_bytes() if log_path.is_file() else b""
            for size in _sizes(data, log):
                is_found = False
                for found in _File(data, log, size).rows():
                    is_found = True
                    yield found
                if is_found:
                    return


def _sizes(data: mmap.mmap, log: bytes) -> Iterator[int]:
    """The page sizes to try, the told ones first."""
    told = [int.from_bytes(data[16:18], "big")] if data[:16] == MAGIC else []
    told += [int.from_bytes(log[8:12], "big")] if len(log) >= 32 else []
    yield from dict.fromkeys(size for size in (*(65536 if s == 1 else s for s in told), *SIZES) if size in SIZES)


class _File:
    """A database file and its log, read page by page."""

    def __init__(self, data: mmap.mmap, log: bytes, size: int) -> None:
        self._data, self._log, self._size = data, log, size
        reserved = data[20] if data[:16] == MAGIC else 0
        self._usable = size - reserved
        frames = range(32, len(log) - 24 - size + 1, 24 + size)
        self._frames = [(int.from_bytes(log[at : at + 4], "big"), at + 24) for at in frames]
        self._newest = dict(self._frames)

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The whole rows; those in the log come as often as their page was written."""
        for at in range(0, len(self._data), self._size):
            yield from self._page(self._data[at : at + self._size], 100 if at == 0 else 0)
        for number, at in self._frames:
            yield from self._page(self._log[at : at + self._size], 100 if number == 1 else 0)

    def _page(self, page: bytes, start: int) -> Iterator[tuple[str, dict[str, Any]]]:
        if len(page) < start + 12 or page[start] not in (INNER_INDEX, LEAF_INDEX, LEAF_TABLE):
            return
        kind, n_cells = page[start], int.from_bytes(page[start + 3 : start + 5], "big")
        first = start + (12 if kind == INNER_INDEX else 8)
        for at in range(first, min(first + 2 * n_cells, len(page) - 1), 2):
            # A cell may continue on pages that are newer in the log, or on the older ones in the file.
            for newest in (self._newest, {}):
                row = self._row(page, int.from_bytes(page[at : at + 2], "big"), kind, newest)
                if row is not None:
                    yield row
                    break
                if not self._newest:
                    break

    def _row(self, page: bytes, at: int, kind: int, newest: Mapping[int, int]) -> tuple[str, dict[str, Any]] | None:
        """The table and the row of a cell; `None` if it is no whole row of a bank."""
        try:
            at += 4 if kind == INNER_INDEX else 0
            length, at = _varint(page, at)
            if kind == LEAF_TABLE:
                _, at = _varint(page, at)
            if length > len(self._data) + len(self._log):
                return None
            values = _values(self._payload(page, at, length, kind, newest))
        except (IndexError, ValueError, struct.error):
            return None
        name = BY_WIDTH.get(len(values))
        if name is None:
            return None
        row = dict(zip(KEPT[name].columns.keys(), values, strict=True))
        if isinstance(row.get("value"), int):
            row["value"] = float(row["value"])  # SQLite stores a whole number of a column of reals as an integer
        try:
            return (name, row) if is_whole(name, row) else None
        except (AttributeError, TypeError, ValueError):
            return None

    def _payload(self, page: bytes, at: int, length: int, kind: int, newest: Mapping[int, int]) -> bytes:
        usable = self._usable
        most = usable - 35 if kind == LEAF_TABLE else (usable - 12) * 64 // 255 - 23
        if length <= most:
            return page[at : at + length]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        local = local if local <= most else least
        parts, n = [page[at : at + local]], local
        number = int.from_bytes(page[at + local : at + local + 4], "big")
        while n < length and number:
            more = self._numbered(number, newest)[:usable]
            parts.append(more[4 : 4 + length - n])
            if not parts[-1]:
                break
            n += len(parts[-1])
            number = int.from_bytes(more[:4], "big")
        return b"".join(parts)

    def _numbered(self, number: int, newest: Mapping[int, int]) -> bytes:
        if number in newest:
            return self._log[newest[number] : newest[number] + self._size]
        return self._data[(number - 1) * self._size : number * self._size]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and the place after it."""
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9


def _values(record: bytes) -> list[Any]:
    """The values of a record. Raises `IndexError`, `ValueError` or `struct.error` for one that is cut or damaged."""
    end, at = _varint(record, 0)
    kinds = []
    while at < end:
        kind, at = _varint(record, at)
        kinds.append(kind)
    if at != end or len(kinds) not in BY_WIDTH:
        raise ValueError("no record of a bank")
    values: list[Any] = []
    for kind in kinds:
        n = FIXED.get(kind, 8 if kind == 7 else 0 if kind < 12 else (kind - 12) // 2)
        part = record[at : at + n]
        if len(part) < n or kind in (10, 11):
            raise ValueError("the record is cut")
        at += n
        if kind >= 12:
            values.append(part.decode() if kind % 2 else part)
        elif kind == 7:
            values.append(struct.unpack(">d", part)[0])
        else:
            values.append(None if kind == 0 else kind - 8 if kind >= 8 else int.from_bytes(part, "big", signed=True))
    return values
