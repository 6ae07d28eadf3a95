"""Maintenance of a bank: finding damaged rows and merging other banks, without overwriting anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import sqlalchemy as sa

from mull.bank.schema import KEPT, draws, is_whole, leases, packed, questions, row_digest, verdicts
from mull.bank.sql import SqlBank

CHUNK = 1000
"""Rows or questions per read; `tick` is called once for each such chunk."""
KEYS_AT_ONCE = 500

Row = Mapping[str, Any]
Tick = Callable[[], None]


class Flaw(NamedTuple):
    """A row that differs from what was written."""

    table: str
    key: str
    draw: int | None
    what: str

    def __str__(self) -> str:
        of = f"draw {self.draw} of {self.key}" if self.draw is not None else self.key
        return f"{self.table}: {of}: {self.what}"


def counts(bank: SqlBank) -> dict[str, int]:
    """The number of rows in each table that holds paid results."""
    queries = {name: sa.select(sa.func.count()).select_from(table) for name, table in KEPT.items()}
    return bank.read(lambda connection: {name: connection.execute(q).scalar_one() for name, q in queries.items()})


def verify(bank: SqlBank, tick: Tick = lambda: None) -> list[Flaw]:
    """The rows whose content does not match the stored digest, and draws whose question is missing.

    A question's key is the digest of its content. `tick` is called once per `CHUNK` rows.
    """

    def work(connection: sa.Connection) -> list[Flaw]:
        found: list[Flaw] = []
        if bank.database.is_sqlite:
            for (problem,) in connection.execute(sa.text("pragma quick_check")):
                if problem != "ok":
                    found.append(Flaw("file", "", None, f"SQLite says: {problem}"))
            # A row whose bytes are not text must be reported, and must not end the scan.
            raw: Any = connection.connection.dbapi_connection
            raw.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        try:
            known: set[str] = set()
            for name, table in KEPT.items():
                for rows in _chunks(connection, sa.select(table)):
                    for row in rows:
                        if name == "questions":
                            known.add(row["key"])
                        if not is_whole(name, row):
                            found.append(Flaw(name, row["key"], row.get("draw"), "truncated or altered"))
                        elif name == "draws" and row["key"] not in known:
                            found.append(Flaw(name, row["key"], row["draw"], "its question is missing"))
                    tick()
        finally:
            if bank.database.is_sqlite:
                raw.text_factory = str
        return found

    return bank.read(work)


def _chunks(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a query, in chunks."""
    with connection.execute(query.execution_options(yield_per=CHUNK)) as result:
        names = list(result.keys())
        for rows in result.partitions():
            yield [dict(zip(names, row, strict=True)) for row in rows]


@dataclass
class Taken:
    """The result of a merge: how many rows were new, already present, renumbered, differing or damaged."""

    draws: int = 0
    verdicts: int = 0
    already: int = 0
    renumbered: int = 0
    differing: int = 0
    torn: int = 0


def merge(target: SqlBank, source: SqlBank, tick: Tick = lambda: None) -> Taken:
    """Copies everything in `source` to `target`. `tick` is called once per `KEYS_AT_ONCE` questions or verdicts.

    If both have a draw of the same number, the target's is kept. A different reply drawn without a seed is another
    valid draw and gets the next free number; one drawn with the same seed is counted as `differing`. Damaged rows are
    left out.
    """
    taken = Taken()
    for keys in _keys(source, questions):
        asked = _some(source, questions, keys)
        whole = {row["key"] for row in asked if is_whole("questions", row)}
        found = _some(source, draws, keys)
        rows = [row for row in found if row["key"] in whole and is_whole("draws", row)]
        taken.torn += len(keys) - len(whole) + len(found) - len(rows)
        add(target, [row for row in asked if row["key"] in whole], rows, taken)
        tick()
    for keys in _keys(source, verdicts):
        judged = _some(source, verdicts, keys)
        whole_rows = [row for row in judged if is_whole("verdicts", row)]
        taken.torn += len(judged) - len(whole_rows)
        add_verdicts(target, whole_rows, taken)
        tick()
    return taken


def _keys(bank: SqlBank, table: sa.Table) -> Iterator[list[str]]:
    """The keys of a table in order, in chunks."""
    last = ""
    while True:
        query = sa.select(table.c.key).where(table.c.key > last).order_by(table.c.key).limit(KEYS_AT_ONCE)
        keys = bank.read(lambda connection, q=query: list(connection.execute(q).scalars()))  # type: ignore[misc]
        if not keys:
            return
        yield keys
        last = keys[-1]


def _some(bank: SqlBank, table: sa.Table, keys: Sequence[str]) -> list[Row]:
    """The rows of a table with these keys, in order."""
    query = sa.select(table).where(table.c.key.in_(keys)).order_by(*table.primary_key.columns)
    return bank.read(lambda connection: [*map(dict, connection.execute(query).mappings())])


def add(target: SqlBank, asked: Sequence[Row], rows: Sequence[Row], taken: Taken) -> None:
    """Adds draws and their questions to a bank in one transaction, by the rules of `merge`."""
    keys = sorted({row["key"] for row in rows})
    there: dict[str, dict[int, tuple[Any, ...]]] = {key: {} for key in keys}
    for row in _some(target, draws, keys):
        there[row["key"]][row["draw"]] = _content(row)
    others = [row for row in rows if there[row["key"]].get(row["draw"]) != _content(row)]
    # A draw of the target that equals no row of the same number may equal a row of another number.
    twins = {(row["key"], row["draw"]) for row in rows} - {(row["key"], row["draw"]) for row in others}
    moved = Counter((k, content) for k, mine in there.items() for n, content in mine.items() if (k, n) not in twins)
    new: list[Row] = []
    homeless: list[Row] = []
    n_differing = 0
    for row in others:
        key, number, content = row["key"], row["draw"], _content(row)
        if row["seed"] is None and moved[key, content]:
            moved[key, content] -= 1
        elif number not in there[key]:
            there[key][number] = content
            new.append(row)
        elif row["seed"] is None:
            homeless.append(row)
        else:
            n_differing += 1
    for row in homeless:
        placed = dict(row) | {"draw": max(there[row["key"]]) + 1}
        placed["digest"] = row_digest(placed)
        there[row["key"]][placed["draw"]] = _content(placed)
        new.append(placed)
    taken.draws += len(new)
    taken.renumbered += len(homeless)
    taken.differing += n_differing
    taken.already += len(rows) - len(new) - n_differing
    target.write(lambda connection: target.insert(connection, {"questions": asked, "draws": new}))


def _content(row: Row) -> tuple[Any, ...]:
    """What identifies a draw: its seed and text if it has a seed, otherwise everything but its number."""
    if row["seed"] is not None:
        return row["seed"], row["text"]
    return tuple(row[name] for name in sorted(row) if name not in ("draw", "digest"))


def add_verdicts(target: SqlBank, rows: Sequence[Row], taken: Taken) -> None:
    """Adds verdicts to a bank; existing ones are not overwritten."""
    there = {row["key"] for row in _some(target, verdicts, [row["key"] for row in rows])}
    new = [row for row in rows if row["key"] not in there]
    taken.already += len(rows) - len(new)
    taken.verdicts += len(new)
    target.write(lambda connection: target.insert(connection, {"verdicts": new}))


def next_number(connection: sa.Connection, key: str) -> int:
    """The number after the last draw of a question that is banked or claimed."""
    last = connection.execute(sa.select(sa.func.max(draws.c.draw)).where(draws.c.key == key)).scalar()
    past = connection.execute(sa.select(sa.func.max(leases.c.past)).where(leases.c.key == key)).scalar()
    return max(-1 if last is None else last, (past or 0) - 1) + 1


def all_draws(bank: SqlBank, model: str | None = None) -> Iterator[list[tuple[SimpleNamespace, list[SimpleNamespace]]]]:
    """The rows of every question and of its draws, in chunks; only those of `model`, if given."""
    for keys in _keys(bank, questions):
        by_key: dict[str, list[SimpleNamespace]] = {}
        for row in _whole(bank, "draws", keys):
            by_key.setdefault(row["key"], []).append(SimpleNamespace(**row))
        asked = [SimpleNamespace(**row) for row in _whole(bank, "questions", keys)]
        yield [(row, by_key.get(row.key, [])) for row in asked if model is None or row.model == packed(model)]


def all_verdicts(bank: SqlBank) -> Iterator[list[SimpleNamespace]]:
    """The rows of all verdicts, in chunks."""
    for keys in _keys(bank, verdicts):
        yield [SimpleNamespace(**row) for row in _whole(bank, "verdicts", keys)]


def _whole(bank: SqlBank, table: str, keys: Sequence[str]) -> list[Row]:
    """The rows of a table with these keys. Raises `BankError` for one that is damaged."""
    rows = _some(bank, KEPT[table], keys)
    for row in rows:
        if not is_whole(table, row):
            raise bank.database.damaged(f"holds rows that are not as they were written ({table}: {row['key']})")
    return rows
