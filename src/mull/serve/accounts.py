"""What each key has spent today, kept in a database across restarts and for all gateways that share it."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from mull.bank import default_path
from mull.bank.database import Database, lock
from mull.cost import CEILINGS, times
from mull.errors import BankAwayError, BankError
from mull.run.wallet import Hold, TakenError, Wallet
from mull.serve.faults import ApiError
from mull.serve.keys import Key
from mull.serve.rooms import number
from mull.types import Budget, Cost

T = TypeVar("T")

TRIES = 25
"""Attempts at a file that another process is writing to, some milliseconds apart."""
FRESH = 0.2
"""Seconds for which what other gateways have spent is not read again to say what is left; holds always read it."""
TINY = 1e-9
"""Dollars by which sums of floating-point numbers may differ."""

metadata = sa.MetaData()
rows = sa.Table(
    "gateway_accounts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("process", sa.Text, primary_key=True),
    sa.Column("tokens", sa.Double, nullable=False),
    sa.Column("usd", sa.Double, nullable=False),
    sa.Column("held_tokens", sa.Double, nullable=False),
    sa.Column("held_usd", sa.Double, nullable=False),
)
"""One row for each process: what it has spent on a key's requests of a day, and what those in progress may cost.

A process that is killed leaves what it held, which counts as spent: no restart gives a key more than its budget.
"""


def default_url() -> str:
    """Where accounts are kept unless something else is said: beside the user's bank."""
    return str(default_path().with_name("gateway.db"))


def today() -> str:
    """The day (UTC) whose budget counts."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def renewal() -> datetime:
    """When the next day begins."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


class KeyWallet(Wallet):
    """The budget of a key for a day. What is held is in the database before anything is spent of it."""

    def __init__(self, key: Key, day: str, accounts: Accounts) -> None:
        super().__init__(Budget(tokens=key.table.tokens_a_day, usd=key.table.usd_a_day))
        self.key, self.day, self._accounts = key, day, accounts
        self._elsewhere = (0.0, 0.0)
        self._read_at = -FRESH

    @property
    def left(self) -> Budget:
        """What is left of the day's budget, with what other processes have spent and hold."""
        if time.monotonic() - self._read_at >= FRESH:
            self._elsewhere = self._accounts.elsewhere(self.key.name, self.day)
            self._read_at = time.monotonic()
        mine = super().left
        tokens, usd = self._elsewhere
        return Budget(
            tokens=None if mine.tokens is None else max(0, int(mine.tokens - tokens)),
            usd=None if mine.usd is None else max(0.0, mine.usd - usd),
        )

    def hold(self, quote: Cost, n: int = 1) -> Hold:
        """Holds `n` times `quote`, in the database: it takes holds one after the other, whichever gateway asks.

        Raises `TakenError` if other gateways have taken what was left, and `BankError` if it cannot be written down.
        """
        hold = super().hold(quote, n)
        try:
            if not self._accounts.take(self, times(quote, n)):
                raise TakenError
        except (BankError, TakenError):
            super().drop(hold)
            raise
        return hold

    def allows(self, cost: Cost, elsewhere: tuple[float, float]) -> bool:
        """Whether the day's budget has room for a cost that is held already, with what others have spent and hold."""
        self._elsewhere, self._read_at = elsewhere, time.monotonic()
        left = super().left
        rooms = [(left.tokens, elsewhere[0], CEILINGS["tokens"](cost)), (left.usd, elsewhere[1], CEILINGS["usd"](cost))]
        return all(rest is None or not asked or rest - taken >= -TINY for rest, taken, asked in rooms)

    def drop(self, *holds: Hold) -> None:
        """Releases the holds. If the database is away, it still has them, until it is written to again."""
        super().drop(*holds)
        self._accounts.write_if_there(self)

    @property
    def account(self) -> dict[str, float]:
        """What was spent and is held, as it is written down; unknown parts of holds count as nothing."""
        spent, held = self.charged, self.held
        return {
            "tokens": float(CEILINGS["tokens"](spent) or 0),
            "usd": CEILINGS["usd"](spent) or 0.0,
            "held_tokens": float(CEILINGS["tokens"](held) or 0),
            "held_usd": CEILINGS["usd"](held) or 0.0,
        }

    def check(self) -> None:
        """Raises `ApiError` (402) if nothing is left today."""
        left = self.left
        is_out = self.budget.usd is not None and self.budget.usd > 0 and left.usd == 0
        if left.tokens == 0 or is_out:
            raise self.refusal()

    def refusal(self) -> ApiError:
        """The error for a request that the rest of the day's budget does not allow, and when there is more."""
        left, at = self.left, renewal()
        told = {"tokens": (left.tokens, self.budget.tokens), "usd": (left.usd, self.budget.usd)}
        words = ", ".join(
            f"{number(rest)} of {number(top)} {what}"
            for what, (rest, top) in told.items()
            if rest is not None and top is not None
        )
        return ApiError(
            402,
            f"the budget of this key for today leaves {words}; it renews at {at:%Y-%m-%d %H:%M} UTC",
            code="budget_exceeded",
            more={
                "left": {"tokens": left.tokens, "usd": left.usd},
                "renews_at": at.isoformat(),
                "renews_in_seconds": round((at - datetime.now(UTC)).total_seconds()),
            },
        )


class Accounts:
    """The accounts of all keys in a database. Raises `BankError` if it cannot be opened."""

    def __init__(self, url: str) -> None:
        if "://" not in url:
            path = Path(url).absolute()
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BankError(f"the accounts {path} cannot be kept: {error.strerror}") from error
            url = f"sqlite:///{path}"
        self._database = Database(url, patience=math.inf)  # nothing is lost while it is away
        self._process = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._wallets: dict[str, KeyWallet] = {}
        self._do("cannot be written", self._make_tables, is_write=True)

    def _make_tables(self, on: sa.Connection) -> None:
        """Creates the tables unless they are there. Any number of gateways may start at once."""
        if not self._database.is_sqlite:  # SQLite has one writer at a time
            lock(on, "mull")
        metadata.create_all(on)

    def close(self) -> None:
        self._database.close()

    def wallet(self, key: Key) -> KeyWallet:
        """The wallet of a key for today."""
        wallet, day = self._wallets.get(key.name), today()
        if wallet is None or wallet.day != day:
            wallet = self._wallets[key.name] = KeyWallet(key, day, self)
        return wallet

    def elsewhere(self, key: str, day: str) -> tuple[float, float]:
        """The tokens and dollars that other processes have spent and hold, killed ones among them."""
        return self._do("cannot be read", lambda on: self._elsewhere(on, key, day))

    def _elsewhere(self, on: sa.Connection, key: str, day: str) -> tuple[float, float]:
        sums = [sa.func.sum(rows.c.tokens + rows.c.held_tokens), sa.func.sum(rows.c.usd + rows.c.held_usd)]
        asked = sa.select(*sums).where(rows.c.key == key, rows.c.day == day, rows.c.process != self._process)
        row = on.execute(asked).one()
        return float(row[0] or 0), float(row[1] or 0)

    def take(self, wallet: KeyWallet, cost: Cost) -> bool:
        """Writes down what a key's wallet holds, if its budget has room for `cost`, which is part of that.

        No other process takes of the same budget in between. Raises `BankError`.
        """

        def taken(on: sa.Connection) -> bool:
            if not self._database.is_sqlite:  # SQLite has one writer at a time
                lock(on, f"{wallet.key.name}/{wallet.day}")
            if is_there := wallet.allows(cost, self._elsewhere(on, wallet.key.name, wallet.day)):
                on.execute(self._written(wallet))
            return is_there

        return self._do("cannot be written", taken, is_write=True)

    def write(self, wallet: KeyWallet) -> None:
        """Writes down what this process has spent and holds for a key. Raises `BankError`."""
        self._do("cannot be written", lambda on: on.execute(self._written(wallet)), is_write=True)

    def _written(self, wallet: KeyWallet) -> Any:
        account = wallet.account
        named = {"key": wallet.key.name, "day": wallet.day, "process": self._process}
        insert = self._database.insert(rows).values(**named, **account)
        return insert.on_conflict_do_update(index_elements=["key", "day", "process"], set_=account)

    def write_if_there(self, wallet: KeyWallet) -> None:
        """`write`, or nothing while the database is away: it then has what was held, which is more."""
        try:
            self.write(wallet)
        except BankError:
            return

    def _do(self, what: str, work: Callable[[sa.Connection], T], *, is_write: bool = False) -> T:
        for _ in range(TRIES):
            try:
                return self._database.do(what, work, is_write=is_write)
            except BankAwayError as error:
                if error.pause > 0.05:
                    raise
                time.sleep(error.pause)
        return self._database.do(what, work, is_write=is_write)
