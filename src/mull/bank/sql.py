"""The bank in a database, SQLite (a file) or PostgreSQL (shared by many machines), through SQLAlchemy Core.

Everything put in the same iteration of the event loop is written in one transaction before the next iteration, so a
killed process loses at most the draws in progress. While a PostgreSQL server is unavailable, pending rows are kept in
memory and written when it is back.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from mull.bank.base import Claim
from mull.bank.database import Database, lock
from mull.bank.leases import Worker, expel
from mull.bank.schema import (
    KEPT,
    draw_row,
    draws,
    is_whole,
    question_row,
    questions,
    sample_of,
    unpacked,
    verdict_of,
    verdict_row,
    verdicts,
)
from mull.errors import BankAwayError, BankError
from mull.types import Preference, Prompt, Sample, Verdict

T = TypeVar("T")

FLUSH_AT = 512
"""The number of pending draws at which they are written at once, without waiting for the event loop."""
KEYS_AT_ONCE = 500
"""Keys per query: SQLite limits the number of parameters to some thousands."""
LEASE_SECONDS = 30.0
PATIENCE = 600.0


class Stat(NamedTuple):
    """The contents of a bank for one model."""

    model: str
    questions: int
    draws: int
    output_tokens: int | None


class Judged(NamedTuple):
    """The number of a verifier's or judge's verdicts in a bank."""

    judged_by: str
    kind: str
    verdicts: int


class SqlBank:
    """A bank in a database. Several processes may share it; the first to write a draw wins.

    `patience` is how many seconds a PostgreSQL server may be unavailable before `BankError` is raised;
    `lease_seconds` is how long a process keeps its claims without a heartbeat.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE, lease_seconds: float = LEASE_SECONDS) -> None:
        self._made_with = url, patience, lease_seconds
        self._waiting: dict[tuple[str, int], Sample] = {}
        self._asked: dict[str, Mapping[str, Any]] = {}
        self._judged: dict[str, tuple[str, Verdict]] = {}
        self._released: list[int] = []
        self._stored: set[str] = set()
        self._error: BankError | None = None
        self._is_scheduled = self._is_closed = False
        self.database = Database(url, patience)
        self.url = self.database.url
        self._worker = Worker(self.database.engine, self.database.insert, lease_seconds)
        self._get = sa.select(draws).where(
            draws.c.key == sa.bindparam("k"), draws.c.draw >= sa.bindparam("a"), draws.c.draw < sa.bindparam("z")
        )
        self._verdicts = sa.select(verdicts).where(verdicts.c.key.in_(sa.bindparam("keys", expanding=True)))
        self._puts = {name: self.database.adder(table) for name, table in KEPT.items()}

    @classmethod
    def file(cls, path: Path) -> SqlBank:
        """The bank in a file; creates the file and its folder if missing."""
        if path.is_dir():
            raise BankError(f"the bank {path} is a folder: name a file in it, such as {path / 'bank.db'}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BankError(f"cannot make the folder of the bank {path}: {error.strerror}") from error
        return cls(f"sqlite:///{path}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its arguments; unpickling opens the bank again."""
        return _reopened, self._made_with

    def get(self, key: str, prompt: Prompt, first: int, n: int) -> dict[int, Sample]:
        """The banked draws among `first` to `first + n - 1`, by number."""
        self.flush()
        place = {"k": key, "a": first, "z": first + n}
        rows = self.database.do("cannot be read", lambda c: c.execute(self._get, place).fetchall())
        self._check("draws", rows)
        return {row.draw: sample_of(prompt, row) for row in rows}

    def _check(self, table: str, rows: Sequence[Any]) -> None:
        """Raises `BankError` for a row whose content does not match its digest."""
        for row in rows:
            if not is_whole(table, row._mapping):
                of = f"draw {row.draw} of {row.key}" if table == "draws" else f"verdict {row.key}"
                raise self.database.damaged(f"holds rows that are not as they were written ({of})")

    def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
        """Stores a draw; it is on disk by the next iteration of the event loop."""
        self._waiting.setdefault((key, sample.draw), sample)
        if key not in self._stored:
            self._asked[key] = asked
        if self._error is not None:
            raise self._error
        self._schedule()

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """The banked verdicts among these keys, by key."""
        self.flush()
        parts = [list(keys[start : start + KEYS_AT_ONCE]) for start in range(0, len(keys), KEYS_AT_ONCE)]

        def read(connection: sa.Connection) -> list[Any]:
            return [row for part in parts for row in connection.execute(self._verdicts, {"keys": part})]

        rows = self.database.do("cannot be read", read)
        self._check("verdicts", rows)
        return {row.key: verdict_of(row) for row in rows}

    def keep(self, key: str, judged_by: str, verdict: Verdict) -> None:
        """Stores a verdict; it is on disk by the next iteration of the event loop. One that is NaN is not stored."""
        value = verdict.first if isinstance(verdict, Preference) else getattr(verdict, "value", None)
        if value is not None and math.isnan(value):
            return
        self._judged.setdefault(key, (judged_by, verdict))
        if self._error is not None:
            raise self._error
        self._schedule()

    def claim(self, key: str, numbers: Sequence[int]) -> Claim:
        """Claims those of the draws (ascending numbers) that are neither banked nor claimed by another process."""
        self.flush()
        if self.database.is_private:
            return Claim(frozenset(numbers), lambda: None)
        is_back = self.database.was_away(self._worker.seconds)

        def work(connection: sa.Connection) -> tuple[frozenset[int], list[int]]:
            if not self.database.is_sqlite:
                lock(connection, key)
            self._worker.start(connection)
            return self._worker.claim(connection, key, numbers, is_back=is_back)

        ours, serials = self.database.do("cannot be written", work, is_write=True)

        def release() -> None:
            if not self._is_closed:
                self._released += serials
                self._schedule()

        return Claim(ours, release if serials else lambda: None)

    def is_shared(self) -> bool:
        """Whether another process is drawing into this bank now."""
        if self.database.is_private:
            return False

        def work(connection: sa.Connection) -> bool:
            if not self.database.is_sqlite:
                lock(connection, "mull")  # if two processes begin at once, one must see the other
            self._worker.start(connection)
            return not self._worker.is_alone(connection)

        try:
            return self.write(work)
        except BankError:
            return False  # nobody draws into a bank that cannot be written, but it can be replayed

    @property
    def worker(self) -> str:
        """The name of this process among the bank's workers."""
        return self._worker.name

    def expel(self, worker: str) -> None:
        """Deletes the claims of a worker that is known to be dead."""
        self.write(lambda connection: expel(connection, worker))

    def _schedule(self) -> None:
        """Schedules a flush for the next iteration of the event loop; without a loop or with many rows, now."""
        if self._is_scheduled and len(self._waiting) < FLUSH_AT:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._persist()
            return
        if len(self._waiting) >= FLUSH_AT:
            self._flush_or_wait(loop)
        else:
            self._is_scheduled = True
            loop.call_soon(self._flush_later, loop)

    def _flush_or_wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Writes pending rows; retries later if the database is unavailable."""
        try:
            self.flush()
        except BankAwayError as error:
            if not self._is_scheduled:
                self._is_scheduled = True
                loop.call_later(error.pause, self._flush_later, loop)

    def _flush_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_scheduled = False
        if self._is_closed:
            return
        try:
            self._flush_or_wait(loop)
        except BankError as error:
            self._error = error

    def _persist(self) -> None:
        """Writes pending rows; blocks while the database is unavailable."""
        self._insist(self.flush)

    def _insist(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except BankAwayError as error:
                time.sleep(error.pause)

    def flush(self) -> None:
        """Writes pending rows. Raises `BankError` on failure; rows written before are kept."""
        if self._error is not None:
            raise self._error
        if not (self._waiting or self._judged or self._released):
            return
        rows = self._rows()

        def write(connection: sa.Connection) -> None:
            self.insert(connection, rows)
            if self._released:
                self._worker.release(connection, self._released)

        self.database.do("cannot be written", write, is_write=True)
        self._stored.update(self._asked)
        self._asked.clear()
        self._waiting.clear()
        self._judged.clear()
        self._released.clear()

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        """What waits, by table; sorted, so that two processes writing the same rows do not deadlock."""
        return {
            "questions": [question_row(key, self._asked[key]) for key in sorted(self._asked)],
            "draws": [draw_row(key, self._waiting[key, i]) for key, i in sorted(self._waiting)],
            "verdicts": [verdict_row(key, *self._judged[key]) for key in sorted(self._judged)],
        }

    def insert(self, connection: sa.Connection, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Inserts rows, by table, unless their key exists. The caller commits."""
        for table, some in rows.items():
            if some:
                self._puts[table](connection, some)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """The result of `work` in a read transaction, which sees everything put before."""
        self._persist()
        return self._insist(lambda: self.database.do("cannot be read", work))

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Runs `work` in one atomic transaction."""
        self._persist()
        return self._insist(lambda: self.database.do("cannot be written", work, is_write=True))

    def stat(self) -> list[Stat]:
        """The contents of the bank by model."""
        cost = draws.c.cost
        is_sqlite = self.database.is_sqlite
        part = sa.func.json_extract(cost, "$[2]") if is_sqlite else sa.cast(cost, postgresql.JSON)[2].astext
        query = (
            sa.select(
                questions.c.model,
                sa.func.count(sa.distinct(questions.c.key)),
                sa.func.count(draws.c.draw),
                sa.func.sum(sa.cast(part, sa.BigInteger)),
            )
            .join(draws, draws.c.key == questions.c.key)
            .group_by(questions.c.model)
            .order_by(questions.c.model)
        )
        rows = self.read(lambda connection: connection.execute(query).fetchall())
        return [Stat(unpacked(model), n, n_draws, None if t is None else int(t)) for model, n, n_draws, t in rows]

    def judged(self) -> list[Judged]:
        """The number of verdicts by verifier and judge."""
        by, kind = verdicts.c.judged_by, verdicts.c.kind
        query = sa.select(by, kind, sa.func.count()).group_by(by, kind).order_by(by, kind)
        rows = self.read(lambda connection: connection.execute(query).fetchall())
        return [Judged(unpacked(name), kind, n) for name, kind, n in rows]

    def close(self) -> None:
        """Writes what waits, releases all claims and closes the database.

        Raises `BankError` if it cannot be written; the waiting draws are then in another bank, which the message names.
        """
        self._worker.rest()
        try:
            if self._worker.has_started:
                self.write(self._worker.sign_off)
            self._persist()
        except BankError as error:
            raise self._rescued(error) from error
        finally:
            self._is_closed = True
            self.database.close()

    def _rescued(self, error: BankError) -> BankError:
        """The error, after what waits was written to a bank in a temporary folder, if that is possible."""
        if not self._waiting and not self._judged:
            return error
        path = Path(tempfile.mkdtemp(prefix="mull-")) / "rescued.db"
        try:
            with SqlBank.file(path) as other:
                other.write(lambda connection: other.insert(connection, self._rows()))
        except BankError:
            shutil.rmtree(path.parent, ignore_errors=True)
            return error
        what = f"{len(self._waiting):,} draws and {len(self._judged):,} verdicts that it did not take are in {path}"
        return BankError(f"{error}; {what}: `mull bank merge {path} --bank BANK` adds them to another bank")

    def __enter__(self) -> SqlBank:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reopened(url: str, patience: float, lease_seconds: float) -> SqlBank:
    return SqlBank(url, patience=patience, lease_seconds=lease_seconds)
