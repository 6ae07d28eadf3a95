"""The database of a bank: one connection, one transaction at a time, and retries while it is unavailable."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mull.bank.schema import SCHEMA_VERSION, meta, metadata
from mull.errors import BankAwayError, BankError, BankVersionError, MissingExtraError, UsageError

T = TypeVar("T")

PAUSES = 0.1, 5.0
"""Seconds between attempts to reach an unavailable database: the first and the longest pause."""
BUSY_PAUSES = 0.001, 0.008
"""Seconds before writing again to an SQLite file that another process is writing to: the least and the most."""
TROUBLE_THAT_PASSES = ("08", "57P0", "40P01", "40001")
"""Prefixes of PostgreSQL's error codes for lost connections, servers stopping or starting, and deadlocks."""
UNDECODABLE = "Could not decode to UTF-8"
"""How sqlite3 begins its error for a text that is none, which SQLite itself does not notice."""
_BEGIN_IMMEDIATE = "BEGIN IMMEDIATE"


class Database:
    """An SQLite or PostgreSQL database with the tables of a bank. `url` hides the password."""

    def __init__(self, url: str, patience: float) -> None:
        self._file = _ReadOnly.of(url)
        self.engine = _engine(url, self._file)
        self.url = self.engine.url.render_as_string(hide_password=True)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.is_private = self.is_sqlite and self.engine.url.database in (None, "", ":memory:")
        """Whether the database is in this process's memory, which no other process can reach."""
        self.is_read_only = self._file is not None
        self.patience = patience
        self._away_since: float | None = None
        self._back_at: float | None = None
        self._retry_at = 0.0
        self._pause = PAUSES[0]
        self._connection: sa.Connection | None = None
        try:
            self._connection = self.engine.connect()
            self._prepare(self._connection)
            self._connection.commit()
            if self.is_sqlite:
                # `do` retries while another process writes; waiting inside SQLite would block the event loop.
                self._connection.exec_driver_sql("pragma busy_timeout = 0")
                self._connection.rollback()
        except BankVersionError:
            self.close()
            raise
        except sa.exc.DBAPIError as error:
            self.close()
            raise self._failed("cannot be opened", error) from error

    def insert(self, table: sa.Table) -> Any:
        """An insert statement of this dialect, which supports `on_conflict_...` clauses."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def adder(self, table: sa.Table) -> Callable[[sa.Connection, Sequence[Mapping[str, Any]]], object]:
        """What inserts whole rows of a table, unless their key exists."""
        statement = self.insert(table).on_conflict_do_nothing()
        if not self.is_sqlite:
            return lambda connection, rows: connection.execute(statement, rows)
        # A sweep writes a few rows at a time, of which SQLAlchemy's work on them would be the greater part.
        sql, names = str(statement.compile(dialect=self.engine.dialect)), list(table.columns.keys())

        def add(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> object:
            return connection.exec_driver_sql(sql, [tuple([row[name] for name in names]) for row in rows])

        return add

    def _prepare(self, connection: sa.Connection) -> None:
        """Creates the tables in a new database. Raises `BankVersionError` for another schema version."""
        if self.is_sqlite:
            connection.exec_driver_sql(_BEGIN_IMMEDIATE if _is_new(connection) else "BEGIN")
        else:
            lock(connection, "mull")
        if _is_new(connection):
            metadata.create_all(connection)
            connection.execute(self.insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
            return
        found = connection.execute(sa.select(meta.c.value).where(meta.c.name == "schema_version")).scalar()
        if found != str(SCHEMA_VERSION):
            raise BankVersionError(
                f"the bank {self.url} has schema version {found}, and this mull reads version {SCHEMA_VERSION}: "
                "use the mull that wrote it, or name another file with --bank"
            )

    def do(self, what: str, work: Callable[[sa.Connection], T], *, is_write: bool = False) -> T:
        """Runs `work` in a transaction of its own.

        Raises `BankAwayError` while the database is unavailable, for up to `patience` seconds, and then `BankError`,
        which other errors raise at once; its message says `what` failed.
        """
        if is_write and self.is_read_only:
            raise BankError(
                f"the bank {self.url} is read-only: what it holds is replayed, but nothing can be added; name a bank "
                "that can be written with --bank"
            )
        if time.monotonic() < self._retry_at:
            raise self._away("it was unavailable a moment ago")
        try:
            if self._connection is None:
                self._connection = self.engine.connect()
            if is_write and self.is_sqlite:
                self._connection.exec_driver_sql(_BEGIN_IMMEDIATE)
            done = work(self._connection)
            if is_write:
                self._connection.commit()
            else:
                self._connection.rollback()
        except sa.exc.DBAPIError as error:
            self._let_go()
            if not self._may_pass(error):
                raise self._failed(what, error) from error
            now = time.monotonic()
            if self._away_since is None:
                self._away_since, self._pause = now, PAUSES[0]
            if now - self._away_since > self.patience:
                raise self._failed(f"{what}, unavailable for {now - self._away_since:.0f} s", error) from error
            if self.is_sqlite:
                self._retry_at = now + random.uniform(*BUSY_PAUSES)
            else:
                self._retry_at, self._pause = now + self._pause, min(2 * self._pause, PAUSES[1])
            raise self._away(str(error.orig)) from error
        if self._away_since is not None:
            self._away_since = None
            self._back_at = None if self.is_sqlite else time.monotonic()
        return done

    @property
    def is_away(self) -> bool:
        """Whether it was unavailable when it was last asked."""
        return self._away_since is not None

    def was_away(self, seconds: float) -> bool:
        """Whether the database was unavailable and became available less than this many seconds ago."""
        return self._back_at is not None and time.monotonic() < self._back_at + seconds

    def _let_go(self) -> None:
        """Cleans up after an error: keeps SQLite's connection, and drops one to a server, which may be broken."""
        if self._connection is None:
            return
        if self.is_sqlite:
            self._connection.rollback()
        else:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _may_pass(self, error: sa.exc.DBAPIError) -> bool:
        """Whether the error is temporary: the database is unavailable, or two processes conflicted."""
        if self.is_sqlite:
            return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        code = getattr(error.orig, "sqlstate", None)
        is_away = error.connection_invalidated or isinstance(error, sa.exc.OperationalError)
        return is_away if code is None else code.startswith(TROUBLE_THAT_PASSES)

    def _away(self, why: str) -> BankAwayError:
        pause = max(self._retry_at - time.monotonic(), BUSY_PAUSES[0])
        return BankAwayError(f"the bank {self.url} is temporarily unavailable: {why}", pause)

    def _failed(self, what: str, error: sa.exc.DBAPIError) -> BankError:
        why = " ".join(str(error.orig).split())
        if self.is_sqlite and (_is_damaged(error) or why.startswith(UNDECODABLE)):
            return self.damaged(f"{what} ({why.partition(' with text')[0]})")
        return BankError(f"the bank {self.url} {what}: {why}; draws written before are kept")

    def damaged(self, what: str) -> BankError:
        """The error for a bank whose content is not what was written."""
        remedy = "restore it from a copy, or merge what is whole into a new one"
        if self.is_sqlite:
            remedy = f"`mull bank recover {self.engine.url.database} --to NEW.db` saves what is whole"
        return BankError(f"the bank {self.url} is damaged: it {what}; {remedy}")

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
        self.engine.dispose()
        if self._file is not None:
            self._file.close()


def _is_damaged(error: sa.exc.DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class _ReadOnly:
    """An SQLite file that this process may read and not write, as on a read-only mount.

    SQLite opens such a file only if told that nobody writes to it, and then ignores a write-ahead log: a file that has
    one is copied to a temporary folder first.
    """

    def __init__(self, path: Path) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        log = path.with_name(path.name + "-wal")
        self._uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        if log.is_file() and log.stat().st_size:
            self._folder = tempfile.TemporaryDirectory(prefix="mull-bank-")
            copy = Path(self._folder.name) / "bank.db"
            shutil.copyfile(path, copy)
            shutil.copyfile(log, copy.with_name("bank.db-wal"))
            self._uri = f"file:{quote(str(copy))}"

    @classmethod
    def of(cls, url: str) -> _ReadOnly | None:
        """`None` for a bank that can be written, or that is no file."""
        try:
            parsed = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):
            return None  # `_engine` says so
        if not parsed.drivername.startswith("sqlite") or parsed.query or parsed.database in (None, "", ":memory:"):
            return None
        path = Path(parsed.database or "")
        if not path.is_file() or all(os.access(place, os.W_OK) for place in (path, path.absolute().parent)):
            return None
        try:
            return cls(path)
        except OSError as error:
            raise BankError(f"the bank {path} cannot be read: {error.strerror}") from error

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._uri, uri=True, isolation_level=None)

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def lock(connection: sa.Connection, name: str) -> None:
    """Takes PostgreSQL's advisory lock of this name until the transaction ends."""
    connection.execute(sa.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def _engine(url: str, read_only: _ReadOnly | None) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError("the bank URL cannot be read: use sqlite:///FILE or postgresql://HOST/NAME") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if read_only is not None:
            return sa.create_engine(parsed, creator=read_only.connect)
        engine = sa.create_engine(parsed, connect_args={"timeout": 30})
        sa.event.listen(engine, "connect", _tune)
        return engine
    if parsed.drivername != "postgresql+psycopg":
        raise UsageError(f"a bank is an sqlite or postgresql database, not {parsed.drivername}")
    alive = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000, "application_name": "mull"}
    try:
        return sa.create_engine(parsed, connect_args=alive)
    except ModuleNotFoundError:
        raise MissingExtraError("a bank in PostgreSQL", "psycopg", "postgres") from None


def _is_new(connection: sa.Connection) -> bool:
    return not sa.inspect(connection).has_table("meta")


def _tune(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    try:
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=NORMAL").close()
    except sqlite3.DatabaseError:
        connection.close()  # the connection did not enter the pool, so the pool does not close it
        raise
