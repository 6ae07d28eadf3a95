"""The workers of a bank, and which draws each is making: a claim lasts as long as its worker is alive.

A worker is one open bank in one process. It sends a heartbeat every few seconds, from a thread of its own, so that a
model that blocks the event loop does not lose its claims. A worker without a heartbeat for longer than the lease
counts as dead, and its claims are void; one on this machine counts as dead as soon as its process is gone.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from mull.bank.schema import draws, leases, workers

BEATS_A_LEASE = 4
FORGOTTEN_AFTER = 3600.0


def here() -> str:
    """This machine and process-id namespace: a container has its own."""
    namespace = Path("/proc/self/ns/pid")
    return f"{platform.node()}/{namespace.readlink() if namespace.exists() else ''}"


def is_gone(worker: str) -> bool:
    """Whether a worker ran on this machine and its process has ended."""
    place, pid, began, _ = worker.rsplit("|", 3)
    return place == here() and _began(int(pid)) != began


def _began(pid: int) -> str | None:
    """The start time of a local process, to distinguish reused process ids; `None` if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return ""
    return stat.rpartition(")")[2].split()[19]


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as half-open intervals: the first number of each, and one past its last."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return found


class Worker:
    """This process as a worker of a bank."""

    def __init__(self, engine: sa.Engine, insert: Callable[[sa.Table], sa.Insert], seconds: float) -> None:
        self.name = f"{here()}|{os.getpid()}|{_began(os.getpid())}|{uuid.uuid4().hex}"
        self.seconds = seconds
        self._engine = engine
        self._serial = count()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        is_sqlite = engine.dialect.name == "sqlite"
        self._clock = time.time if is_sqlite else None
        put = insert(workers)
        self._beat_row = put.on_conflict_do_update(  # type: ignore[attr-defined]
            index_elements=["worker"],
            set_={"expires": put.excluded.expires},  # type: ignore[attr-defined]
        )
        self._insert = insert(leases)
        self._present = sa.select(draws.c.draw).where(
            draws.c.key == sa.bindparam("k"), draws.c.draw >= sa.bindparam("a"), draws.c.draw < sa.bindparam("z")
        )
        self._others = (
            sa.select(leases.c.worker, leases.c.first, leases.c.past)
            .join(workers, workers.c.worker == leases.c.worker)
            .where(
                leases.c.key == sa.bindparam("k"),
                leases.c.worker != sa.bindparam("me"),
                workers.c.expires > sa.bindparam("since"),
            )
        )
        self._delete = leases.delete().where(
            leases.c.worker == sa.bindparam("me"), leases.c.serial == sa.bindparam("n")
        )

    def _now(self, connection: sa.Connection) -> float:
        """The time on the clock that all workers of the bank share."""
        if self._clock is not None:
            return self._clock()
        return float(connection.execute(sa.text("select extract(epoch from clock_timestamp())")).scalar_one())

    def start(self, connection: sa.Connection) -> None:
        """Registers this worker, unless it is registered, and deletes dead ones. The caller commits.

        Dead are those whose process on this machine has ended, and those without a heartbeat for long.
        """
        if self._thread is not None:
            return
        old = self._now(connection) - FORGOTTEN_AFTER
        for worker, expires in connection.execute(sa.select(workers.c.worker, workers.c.expires)).fetchall():
            if expires < old or is_gone(worker):
                expel(connection, worker)
        self._beat(connection)
        self._thread = threading.Thread(target=self._live, name="mull-bank", daemon=True)
        self._thread.start()

    def _beat(self, connection: sa.Connection) -> None:
        expires = self._now(connection) + self.seconds
        connection.execute(self._beat_row, {"worker": self.name, "expires": expires})

    def _live(self) -> None:
        while not self._stop.wait(self.seconds / BEATS_A_LEASE):
            try:
                with self._engine.begin() as connection:
                    self._beat(connection)
            except sa.exc.DBAPIError:
                continue  # the database is unavailable or busy: the next beat may succeed

    def claim(
        self, connection: sa.Connection, key: str, numbers: Sequence[int], *, is_back: bool
    ) -> tuple[frozenset[int], list[int]]:
        """Claims the draws that are neither banked nor claimed by others; returns the numbers and the claim's serials.

        If the database `is_back` after an outage, no worker counts as expired, since none could send a heartbeat.
        """
        first, past = numbers[0], numbers[-1] + 1
        taken: set[int] = set()
        since = 0.0 if is_back else self._now(connection)
        for worker, start, end in connection.execute(self._others, {"k": key, "me": self.name, "since": since}):
            if not is_gone(worker):
                taken.update(range(max(start, first), min(end, past)))
        # Read draws after claims: a worker that releases a claim writes its draws in the same transaction.
        taken.update(connection.execute(self._present, {"k": key, "a": first, "z": past}).scalars())
        ours = [number for number in numbers if number not in taken]
        stretches = {next(self._serial): stretch for stretch in runs(ours)}
        if stretches:
            about = {"worker": self.name, "key": key}
            rows = [about | {"serial": n, "first": start, "past": end} for n, (start, end) in stretches.items()]
            connection.execute(self._insert, rows)
        return frozenset(ours), list(stretches)

    def release(self, connection: sa.Connection, serials: Sequence[int]) -> None:
        """Releases claims. The caller commits."""
        connection.execute(self._delete, [{"me": self.name, "n": serial} for serial in serials])

    def is_alone(self, connection: sa.Connection) -> bool:
        """Whether no other worker is alive."""
        others = sa.select(workers.c.worker).where(
            workers.c.worker != self.name, workers.c.expires > self._now(connection)
        )
        return all(is_gone(worker) for worker in connection.execute(others).scalars())

    @property
    def has_started(self) -> bool:
        """Whether this worker is registered."""
        return self._thread is not None

    def rest(self) -> None:
        """Stops the heartbeat."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def sign_off(self, connection: sa.Connection) -> None:
        """Deletes this worker and its claims. The caller commits."""
        expel(connection, self.name)


def expel(connection: sa.Connection, worker: str) -> None:
    """Deletes a worker that is known to be dead, and its claims. The caller commits."""
    connection.execute(leases.delete().where(leases.c.worker == worker))
    connection.execute(workers.delete().where(workers.c.worker == worker))
