"""What each key has spent today, kept in a database across restarts and for all gateways that share it."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from mull.bank import default_path
from mull.bank.database import PAUSES, Database, lock
from mull.cost import CEILINGS, fits, times
from mull.errors import BankAwayError, BankError
from mull.run.wallet import Hold, TakenError, Wallet
from mull.serve.faults import DAY_IS_SPENT, RETRY_SECONDS, ApiError
from mull.serve.keys import Key
from mull.serve.rooms import number
from mull.types import Budget, Cost

T = TypeVar("T")

TRIES = 25
"""Attempts at a file that another process is writing to, some milliseconds apart."""
LONGEST_PAUSE = 0.05
"""Seconds that are waited for such a file; a server is not waited for, while nobody else is answered."""
FRESH = 0.2
"""Seconds for which what other gateways have spent is not read again to say what is left; holds always read it."""
RUNNING = 600.0
"""Seconds for which what another process holds is taken to be held by running requests, though its account stays the
same: as long as a request runs by default. After that it counts as spent: the process may have been killed."""
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


class Elsewhere(NamedTuple):
    """The tokens and dollars that other processes have spent and hold, and those of them that running requests hold."""

    tokens: float = 0.0
    usd: float = 0.0
    held_tokens: float = 0.0
    held_usd: float = 0.0


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
        self._elsewhere = Elsewhere()
        self._read_at = -FRESH

    @property
    def left(self) -> Budget:
        """What is left of the day's budget, with what other processes have spent and hold.

        While the database is away, as it was when it was last read: `hold` decides.
        """
        with suppress(BankAwayError):
            self._read()
        mine = super().left
        return _without(mine.tokens, mine.usd, self._elsewhere.tokens, self._elsewhere.usd)

    def _read(self) -> None:
        """Reads what other processes have spent and hold, unless that was done a moment ago. Raises `BankError`."""
        if time.monotonic() - self._read_at >= FRESH:
            self._elsewhere = self._accounts.elsewhere(self.key.name, self.day)
            self._read_at = time.monotonic()

    @property
    def unspent(self) -> Budget:
        """What is left of the day's budget once running requests, here and elsewhere, give back what they hold."""
        mine, of = self.account, self._elsewhere
        tokens = mine["tokens"] + of.tokens - of.held_tokens
        return _without(self.budget.tokens, self.budget.usd, tokens, mine["usd"] + of.usd - of.held_usd)

    def hold(self, quote: Cost, n: int = 1) -> Hold:
        """Holds `n` times `quote`, in the database: it takes holds one after the other, whichever gateway asks.

        Raises `TakenError` if other gateways have taken what was left, and `BankError` if it cannot be written down.
        """
        hold, cost = super().hold(quote, n), times(quote, n)
        if not CEILINGS["tokens"](cost) and not CEILINGS["usd"](cost):
            return hold  # it takes nothing of the budget
        try:
            if not self._accounts.take(self, cost):
                raise TakenError
        except (BankError, TakenError):
            super().drop(hold)
            raise
        return hold

    def allows(self, cost: Cost, elsewhere: Elsewhere) -> bool:
        """Whether the day's budget has room for a cost that is held already, with what others have spent and hold."""
        self._elsewhere, self._read_at = elsewhere, time.monotonic()
        left = super().left
        of_tokens = left.tokens, elsewhere.tokens, CEILINGS["tokens"](cost)
        rooms = [of_tokens, (left.usd, elsewhere.usd, CEILINGS["usd"](cost))]
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
        """Raises `ApiError` if nothing is left today (402), or running requests hold all of it (429).

        Raises `BankError` if the database is away.
        """
        self._read()
        left = self.left
        is_out = self.budget.usd is not None and self.budget.usd > 0 and left.usd == 0
        if left.tokens == 0 or is_out:
            raise self.refusal()

    def refusal(self, need: Cost | None = None) -> ApiError:
        """The error for a request that takes at least `need`, for which the day's budget leaves no room now.

        429 if there is room once running requests give back what they hold, else 402 with when there is more.
        """
        left, unspent, at = self.left, self.unspent, renewal()
        told = {"tokens": (unspent.tokens, self.budget.tokens), "usd": (unspent.usd, self.budget.usd)}
        words = ", ".join(
            f"{number(rest)} of {number(top)} {what}"
            for what, (rest, top) in told.items()
            if rest is not None and top is not None
        )
        is_out = self.budget.usd is not None and self.budget.usd > 0 and unspent.usd == 0
        if unspent.tokens != 0 and not is_out and fits(unspent, Cost() if need is None else need):
            return ApiError(
                429,
                f"running requests hold what the budget of this key for today leaves: {words}; ask again once they end",
                code="budget_held",
                retry_after=RETRY_SECONDS,
                more={"left": {"tokens": left.tokens, "usd": left.usd}},
            )
        return ApiError(
            402,
            f"the budget of this key for today leaves {words}; it renews at {at:%Y-%m-%d %H:%M} UTC",
            code=DAY_IS_SPENT,
            more={
                "left": {"tokens": unspent.tokens, "usd": unspent.usd},
                "renews_at": at.isoformat(),
                "renews_in_seconds": round((at - datetime.now(UTC)).total_seconds()),
            },
        )


def _without(tokens: float | None, usd: float | None, gone_tokens: float, gone_usd: float) -> Budget:
    """A budget without what is gone of it; whole tokens are left, and no less than nothing."""
    return Budget(
        tokens=None if tokens is None else max(0, int(tokens - gone_tokens)),
        usd=None if usd is None else max(0.0, usd - gone_usd),
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
        self._seen: dict[str, dict[str, tuple[Elsewhere, float]]] = {}
        """By key and other process: its account, and since when this process has seen no other."""
        self._behind = set[KeyWallet]()
        """The wallets whose accounts were not written when they changed: the database has what was held."""
        self._do("cannot be written", self._make_tables, is_write=True)

    def _make_tables(self, on: sa.Connection) -> None:
        """Creates the tables unless they are there. Any number of gateways may start at once."""
        if not self._database.is_sqlite:  # SQLite has one writer at a time
            lock(on, "mull")
        metadata.create_all(on)

    def close(self) -> None:
        self._catch_up()
        self._database.close()

    def wallet(self, key: Key) -> KeyWallet:
        """The wallet of a key for today."""
        wallet, day = self._wallets.get(key.name), today()
        if wallet is None or wallet.day != day:
            wallet = self._wallets[key.name] = KeyWallet(key, day, self)
        return wallet

    def elsewhere(self, key: str, day: str) -> Elsewhere:
        """What other processes have spent and hold, killed ones among them."""
        return self._do("cannot be read", lambda on: self._elsewhere(on, key, day))

    def _elsewhere(self, on: sa.Connection, key: str, day: str) -> Elsewhere:
        parts = [rows.c.tokens, rows.c.usd, rows.c.held_tokens, rows.c.held_usd]
        asked = sa.select(rows.c.process, *parts).where(rows.c.key == key, rows.c.day == day)
        now, before, seen = time.monotonic(), self._seen.get(key, {}), dict[str, tuple[Elsewhere, float]]()
        for process, *account in on.execute(asked.where(rows.c.process != self._process)):
            found, since = Elsewhere(*account), before.get(process)
            seen[process] = since if since is not None and since[0] == found else (found, now)
        self._seen[key] = seen
        accounts = [found for found, _ in seen.values()]
        running = [found for found, since in seen.values() if now - since < RUNNING]
        return Elsewhere(
            math.fsum(found.tokens + found.held_tokens for found in accounts),
            math.fsum(found.usd + found.held_usd for found in accounts),
            math.fsum(found.held_tokens for found in running),
            math.fsum(found.held_usd for found in running),
        )

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
        """`write`, or once the database is back: until then it has what was held, which is more."""
        try:
            self.write(wallet)
        except BankError:
            self._behind.add(wallet)

    def _catch_up(self) -> None:
        """Writes down what was not while the database was away."""
        behind, self._behind = self._behind, set()
        for wallet in behind:
            self.write_if_there(wallet)

    def _do(self, what: str, work: Callable[[sa.Connection], T], *, is_write: bool = False) -> T:
        done = self._tried(what, work, is_write=is_write)
        if self._behind:
            self._catch_up()
        return done

    def _tried(self, what: str, work: Callable[[sa.Connection], T], *, is_write: bool) -> T:
        # The first failure after a good while may be of a connection that the server dropped as it restarted.
        longest = LONGEST_PAUSE if self._database.is_away else PAUSES[0]
        for _ in range(TRIES):
            try:
                return self._database.do(what, work, is_write=is_write)
            except BankAwayError as error:
                if error.pause > longest:
                    raise
                longest = LONGEST_PAUSE
                time.sleep(error.pause)
        return self._database.do(what, work, is_write=is_write)
