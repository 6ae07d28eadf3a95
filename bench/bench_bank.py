"""How fast draws go through `Run` into a bank on disk, and out of it again, as ratios to SQLite's own speed.

100,000 draws of 400 problems, 250 each, are drawn from a model that answers at once, then replayed. The limit
is the same rows written and read by sqlite3 alone, one transaction for each 250, in the same run. Then the bank is
verified, and a sweep that is finished is run again over it. With `--postgres URL` the same is done in a PostgreSQL.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from bench_run import Instant
from mull import AnswerKind, Params, Problem, Prompt, Run
from mull.bank import care, open_bank
from mull.lab import grid
from mull.strategies.parallel import Majority
from mull.tasks.synthetic import CountdownTask

N_DRAWS = 100_000
N_EACH = 250


async def sweep(url: str) -> int:
    """Draws all problems through the bank; how many draws were paid for."""
    strategy = Majority(N_EACH)
    paid = 0
    with open_bank(url) as bank:
        for i in range(N_DRAWS // N_EACH):
            run = Run(Instant(), bank=bank)
            await strategy(Problem(str(i), Prompt.user(f"question {i}"), AnswerKind.NUMBER), run)
            paid += run.fresh.calls or 0
    return paid


def rate(url: str, expected: int) -> float:
    start = time.perf_counter()
    paid = asyncio.run(sweep(url))
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


def seconds_to_verify(url: str) -> float:
    with open_bank(url) as bank:
        start = time.perf_counter()
        assert not care.verify(bank)
        return time.perf_counter() - start


def seconds_to_resume(url: str) -> float:
    """A sweep of 400 problems with 250 draws each, run a second time: all of it comes from the bank."""
    task = CountdownTask(numbers=4)
    params = Params()

    async def run() -> dict[str, list[grid.Cell]]:
        with open_bank(url) as bank:
            strategies = {"majority": Majority(N_EACH)}
            return await grid.run_plan(
                grid.Plan(task, Instant(), strategies, params=params), bank, n_problems=N_DRAWS // N_EACH
            )

    asyncio.run(run())
    start = time.perf_counter()
    cells = asyncio.run(run())["majority"]
    grid.tabulate(task, Instant(), {"majority": cells})
    seconds = time.perf_counter() - start
    assert sum(cell.spent.calls or 0 for cell in cells) == N_DRAWS
    assert not any(cell.fresh.calls for cell in cells)
    return seconds


def report(name: str, url: str, limits: tuple[float, float]) -> None:
    for what, measured, limit, target in (
        ("written through Run", rate(url, N_DRAWS), limits[0], 5_000),
        ("replayed from the bank", rate(url, 0), limits[1], 20_000),
    ):
        print(f"{name}: {what}: {measured:,.0f} draws/s, {measured / limit:.3f} of sqlite3 alone (target {target:,})")
    print(f"{name}: verified {N_DRAWS:,} draws in {seconds_to_verify(url):.1f} s (target 20)")
    print(f"{name}: resumed a finished sweep of {N_DRAWS:,} draws in {seconds_to_resume(url):.1f} s (target 10)")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        limits = sqlite_rates(Path(folder) / "limit.db")
        report("SQLite", str(Path(folder) / "bank.db"), limits)
    if sys.argv[1:2] == ["--postgres"]:
        report("PostgreSQL", sys.argv[2], limits)


if __name__ == "__main__":
    main()
