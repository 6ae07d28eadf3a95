"""The bank in a database: SQLite in WAL mode through SQLAlchemy Core.

Draws are written in one transaction for all that arrive in the same turn of the event loop, before the next
turn begins, so that a killed process loses at most the draws that were still under way.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from array import array
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mull.errors import BankError, BankVersionError
from mull.types import Cost, Finish, Prompt, Sample

SCHEMA_VERSION = 2
FLUSH_AT = 512
"""Draws that wait in memory at most, where no event loop comes round to write them."""

_metadata = sa.MetaData()
_meta = sa.Table("meta", _metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text))
_questions = sa.Table(
    "questions",
    _metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("asked", sa.Text, nullable=False),
)
_draws = sa.Table(
    "draws",
    _metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("draw", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("finish", sa.Text, nullable=False),
    sa.Column("cost", sa.Text, nullable=False),
    sa.Column("seed", sa.Integer),
    sa.Column("logprobs", sa.LargeBinary),
    sa.Column("answer", sa.Text),
    sa.Column("reasoning", sa.Text),
    sa.Column("alternatives", sa.Text),
    sa.Column("batch", sa.Integer),
    sqlite_with_rowid=False,
)


class Stat(NamedTuple):
    """How much a model has in a bank."""

    model: str
    questions: int
    draws: int
    output_tokens: int | None


class SqlBank:
    """A bank in a database. Several processes may share it; the first to write a draw wins."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = sa.create_engine(url, connect_args={"timeout": 30} if url.startswith("sqlite") else {})
        sa.event.listen(self._engine, "connect", _tune)
        self._waiting: dict[tuple[str, int], Sample] = {}
        self._asked: dict[str, Mapping[str, Any]] = {}
        self._stored: set[str] = set()
        self._error: BankError | None = None
        self._is_scheduled = False
        try:
            self._connection = self._engine.connect()
            self._connection.execute(sa.text("BEGIN IMMEDIATE") if _is_new(self._connection) else sa.text("BEGIN"))
            self._prepare()
            self._connection.commit()
        except BankVersionError:
            self._connection.close()
            self._engine.dispose()
            raise
        except sa.exc.DBAPIError as error:
            self._engine.dispose()
            raise self._failed("cannot be opened", error) from error
        get = sa.select(_draws).where(
            _draws.c.key == sa.bindparam("k"), _draws.c.draw >= sa.bindparam("a"), _draws.c.draw < sa.bindparam("z")
        )
        self._get = get
        self._put_draw = insert(_draws).on_conflict_do_nothing()
        self._put_question = insert(_questions).on_conflict_do_nothing()

    @classmethod
    def file(cls, path: Path) -> SqlBank:
        """The bank in a file, made with its folder if need be."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BankError(f"cannot make the folder of the bank {path}: {error.strerror}") from error
        return cls(f"sqlite:///{path}")

    def _prepare(self) -> None:
        """Makes the tables in a new database, and refuses one of another version."""
        if _is_new(self._connection):
            _metadata.create_all(self._connection)
            self._connection.execute(insert(_meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
            return
        found = self._connection.execute(sa.select(_meta.c.value).where(_meta.c.name == "schema_version")).scalar()
        if found != str(SCHEMA_VERSION):
            raise BankVersionError(
                f"the bank {self.url} has schema version {found}, this mull reads version {SCHEMA_VERSION}: "
                "use the mull that made it, or another file with --bank"
            )

    def get(self, key: str, prompt: Prompt, first: int, n: int) -> dict[int, Sample]:
        """Those of the draws that are in the bank, by number."""
        self.flush()
        try:
            rows = self._connection.execute(self._get, {"k": key, "a": first, "z": first + n}).fetchall()
            self._connection.rollback()
        except sa.exc.DBAPIError as error:
            raise self._failed("cannot be read", error) from error
        return {row.draw: _sample(prompt, row) for row in rows}

    def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
        """Keeps a draw; it is on disk when the event loop comes round."""
        if self._error is not None:
            raise self._error
        self._waiting.setdefault((key, sample.draw), sample)
        if key not in self._stored:
            self._asked[key] = asked
        if len(self._waiting) >= FLUSH_AT:
            self.flush()
        elif not self._is_scheduled:
            try:
                asyncio.get_running_loop().call_soon(self._flush_later)
                self._is_scheduled = True
            except RuntimeError:
                self.flush()

    def _flush_later(self) -> None:
        self._is_scheduled = False
        try:
            self.flush()
        except BankError as error:
            self._error = error

    def flush(self) -> None:
        """Writes what waits. Raises `BankError` where that fails; what was written before is kept."""
        if self._error is not None:
            raise self._error
        if not self._waiting:
            return
        try:
            self._connection.execute(sa.text("BEGIN IMMEDIATE"))
            if self._asked:
                questions = [
                    {"key": key, "model": asked["model"], "asked": json.dumps(asked, ensure_ascii=False)}
                    for key, asked in self._asked.items()
                ]
                self._connection.execute(self._put_question, questions)
            self._connection.execute(self._put_draw, [_row(key, sample) for (key, _), sample in self._waiting.items()])
            self._connection.commit()
        except sa.exc.DBAPIError as error:
            self._connection.rollback()
            raise self._failed("cannot be written", error) from error
        self._stored.update(self._asked)
        self._asked.clear()
        self._waiting.clear()

    def stat(self) -> list[Stat]:
        """How much there is of each model."""
        self.flush()
        tokens = sa.cast(sa.func.json_extract(_draws.c.cost, "$[2]"), sa.Integer)
        query = (
            sa.select(
                _questions.c.model,
                sa.func.count(sa.distinct(_questions.c.key)),
                sa.func.count(_draws.c.draw),
                sa.func.sum(tokens),
            )
            .join(_draws, _draws.c.key == _questions.c.key)
            .group_by(_questions.c.model)
            .order_by(_questions.c.model)
        )
        rows = self._connection.execute(query).fetchall()
        self._connection.rollback()
        return [Stat(*row) for row in rows]

    def close(self) -> None:
        """Writes what waits and lets go of the database."""
        try:
            self.flush()
        finally:
            self._connection.close()
            self._engine.dispose()

    def __enter__(self) -> SqlBank:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _failed(self, what: str, error: sa.exc.DBAPIError) -> BankError:
        return BankError(f"the bank {self.url} {what}: {error.orig}; the draws that were written before are kept")


def _is_new(connection: sa.Connection) -> bool:
    return not sa.inspect(connection).has_table("meta")


def _tune(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    try:
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=NORMAL").close()
    except sqlite3.DatabaseError:
        connection.close()  # what never came into the pool, the pool does not close
        raise


def _row(key: str, sample: Sample) -> dict[str, Any]:
    return {
        "key": key,
        "draw": sample.draw,
        "text": sample.text,
        "finish": sample.finish.value,
        "cost": json.dumps(astuple(sample.cost)),
        "seed": sample.seed,
        "logprobs": None if sample.logprobs is None else array("d", sample.logprobs).tobytes(),
        "answer": sample.answer,
        "reasoning": sample.reasoning,
        "alternatives": None if sample.alternatives is None else json.dumps(sample.alternatives, ensure_ascii=False),
        "batch": sample.batch,
    }


def _sample(prompt: Prompt, row: Any) -> Sample:
    return Sample(
        prompt,
        row.text,
        Finish(row.finish),
        Cost(*json.loads(row.cost)),
        row.draw,
        row.seed,
        None if row.logprobs is None else tuple(array("d", row.logprobs)),
        row.answer,
        reasoning=row.reasoning,
        alternatives=None if row.alternatives is None else _tuples(json.loads(row.alternatives)),
        batch=row.batch,
    )


def _tuples(places: list[list[list[Any]]]) -> tuple[tuple[tuple[str, float], ...], ...]:
    return tuple(tuple((token, logprob) for token, logprob in place) for place in places)
