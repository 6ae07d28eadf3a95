"""How fast draws go through `Run` into a bank on disk, and out of it again, as ratios to SQLite's own speed.

100,000 draws of 400 problems, 250 each, are drawn from a model that answers at once, then replayed. The limit
is the same rows written and read by sqlite3 alone, one transaction for each 250, in the same run.
"""

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

from bench_run import Instant
from mull import AnswerKind, Problem, Prompt, Run
from mull.bank import open_bank
from mull.strategies.parallel import Majority

N_DRAWS = 100_000
N_EACH = 250


async def sweep(path: Path) -> int:
    """Draws all problems through the bank; how many draws were paid for."""
    strategy = Majority(N_EACH)
    paid = 0
    with open_bank(str(path)) as bank:
        for i in range(N_DRAWS // N_EACH):
            run = Run(Instant(), bank=bank)
            await strategy(Problem(str(i), Prompt.user(f"question {i}"), AnswerKind.NUMBER), run)
            paid += run.fresh.calls or 0
    return paid


def rate(path: Path, expected: int) -> float:
    start = time.perf_counter()
    paid = asyncio.run(sweep(path))
    seconds = time.perf_counter() - start
    assert paid == expected, f"{paid} draws were paid for, not {expected}"
    return N_DRAWS / seconds


def sqlite_rates(path: Path) -> tuple[float, float]:
    """Rows a second written and read by sqlite3 alone."""
    db = sqlite3.connect(path)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=normal")
    db.execute("create table d (key text, draw integer, text text, cost text, primary key (key, draw)) without rowid")
    text, cost = "<think>one two three</think>\nanswer: 3", "[1, 10, 20, 0, 0, 1000000.0, 1e-06, 0.1]"
    start = time.perf_counter()
    for i in range(N_DRAWS // N_EACH):
        with db:
            db.executemany("insert into d values (?, ?, ?, ?)", [(f"key {i}", k, text, cost) for k in range(N_EACH)])
    written = N_DRAWS / (time.perf_counter() - start)
    start = time.perf_counter()
    for i in range(N_DRAWS // N_EACH):
        assert len(db.execute("select * from d where key = ?", (f"key {i}",)).fetchall()) == N_EACH
    return written, N_DRAWS / (time.perf_counter() - start)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = rate(Path(folder) / "bank.db", N_DRAWS)
        read = rate(Path(folder) / "bank.db", 0)
        limit_written, limit_read = sqlite_rates(Path(folder) / "limit.db")
    print(f"written through Run: {written:,.0f} draws/s, {written / limit_written:.3f} of sqlite3 alone (target 5,000)")
    print(f"replayed from the bank: {read:,.0f} draws/s, {read / limit_read:.3f} of sqlite3 alone (target 20,000)")


if __name__ == "__main__":
    main()
