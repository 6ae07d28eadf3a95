"""Several processes on one bank: no draw is made by two of them, and the dead hold nobody up."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mull import Cost, Finish, Prompt, Sample
from mull.bank import open_bank
from mull.bank.leases import here, is_gone, runs
from mull.bank.schema import workers
from mull.bank.sql import SqlBank

PROMPT = Prompt.user("q")
ASKED = {"model": "m", "messages": [["user", "q"]]}
N_PROBLEMS = 100
N_DRAWS = 4

SWEEP = """
import asyncio, json, sys
from mull import spec
from mull.bank.sql import SqlBank
from mull.lab import grid
from mull.testing import FakeModel

class Slow(FakeModel):
    def _draw(self, prompt, params, draw):
        print(json.dumps([prompt.messages[-1].content, draw.number]), flush=True)
        return super()._draw(prompt, params, draw)

url, delay, n_problems, n_draws, lease_seconds = sys.argv[1], *map(float, sys.argv[2:])
task = spec.build("task", spec.TASKS, "chain:ops=2")
strategies = {"majority": spec.strategy(f"majority:n={n_draws:.0f}")}
model = Slow(delay=delay, is_shuffled=False)
with SqlBank(url, lease_seconds=lease_seconds) as bank:
    print("ready", flush=True)
    sys.stdin.readline()
    cells = asyncio.run(grid.run_plan(grid.Plan(task, model, strategies), bank, n_problems=int(n_problems)))
print(json.dumps([[cell.outcome.answer, cell.spent.calls] for cell in cells["majority"]]))
"""


class Sweep:
    """A sweep in a process of its own; it begins when told to."""

    def __init__(self, url: str, *, delay: float, lease_seconds: float = 30.0, n_problems: int = N_PROBLEMS) -> None:
        arguments = [url, delay, n_problems, N_DRAWS, lease_seconds]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SWEEP, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.made: list[tuple[str, int]] = []
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip()

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def until(self, n: int) -> None:
        """Reads until n draws were made."""
        while len(self.made) < n:
            self.made.append(tuple(json.loads(self._line())))

    def end(self) -> Any:
        """The outcomes, when the process has ended; `None` where it was killed before."""
        assert self.process.stdout is not None
        lines = [json.loads(line) for line in self.process.stdout if line.endswith("]\n")]
        self.process.wait(timeout=60)
        outcomes = lines.pop() if self.process.returncode == 0 else None
        self.made += [tuple(line) for line in lines]
        return outcomes


@pytest.fixture
def sweep() -> Iterator[Callable[..., Sweep]]:
    begun: list[Sweep] = []

    def begin(*arguments: Any, **options: Any) -> Sweep:
        begun.append(Sweep(*arguments, **options))
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.communicate()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'b.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def draws_in(url: str) -> int:
    with open_bank(url) as bank:
        return sum(stat.draws for stat in bank.stat())


def freeze(process: subprocess.Popen[str], url: str) -> None:
    """Stops a process between two transactions: within one it would hold the lock of SQLite's file for as long."""
    os.kill(process.pid, signal.SIGSTOP)
    while url.startswith("sqlite") and is_locked(url.removeprefix("sqlite:///")):
        os.kill(process.pid, signal.SIGCONT)
        is_locked(url.removeprefix("sqlite:///"))  # waits for the lock while the process runs
        os.kill(process.pid, signal.SIGSTOP)


def is_locked(path: str) -> bool:
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        connection.execute("ROLLBACK")
        return False


def test_two_sweeps_at_once_share_the_work_and_make_each_draw_once(sweep, url: str) -> None:
    n = 3 * N_PROBLEMS
    one, two = (sweep(url, delay=0.1, n_problems=n) for _ in range(2))
    one.begin()
    two.begin()
    outcomes = one.end()
    assert two.end() == outcomes
    assert [calls for _, calls in outcomes] == [N_DRAWS] * n, "both count all draws as spent"
    made = Counter(one.made + two.made)
    assert set(made.values()) == {1}
    assert len(made) == n * N_DRAWS == draws_in(url)
    assert min(len(one.made), len(two.made)) > n * N_DRAWS / 10, "neither only waited for the other"


def test_a_killed_sweep_loses_only_draws_under_way(sweep, url: str) -> None:
    """The other takes its claims over at once: it sees that the process is gone."""
    n = 3 * N_PROBLEMS
    one, two = (sweep(url, delay=0.1, lease_seconds=3600, n_problems=n) for _ in range(2))
    one.begin()
    one.until(40)
    two.begin()
    two.until(4)
    one.process.kill()
    assert one.end() is None
    assert two.end() is not None
    made = Counter(one.made + two.made)
    assert len(made) == n * N_DRAWS == draws_in(url)
    twice = [draw for draw, n in made.items() if n > 1]
    assert set(twice) <= set(one.made)
    assert len(twice) <= 64, "only what it had drawn and not yet written: one draw of each problem under way"


def test_a_frozen_sweep_loses_its_claims_when_they_run_out(sweep, url: str) -> None:
    one, two = sweep(url, delay=0.02, lease_seconds=1), sweep(url, delay=0.001, lease_seconds=1)
    one.begin()
    one.until(70)
    freeze(one.process, url)
    two.begin()
    outcomes = two.end()
    assert outcomes is not None
    assert draws_in(url) == N_PROBLEMS * N_DRAWS
    os.kill(one.process.pid, signal.SIGCONT)
    assert one.end() == outcomes, "awake again it finishes, with the draws that came first"
    assert draws_in(url) == N_PROBLEMS * N_DRAWS


@pytest.fixture
def two_banks(url: str) -> Iterator[tuple[SqlBank, SqlBank]]:
    with open_bank(url) as one, open_bank(url) as two:
        yield one, two


def draw(number: int) -> Sample:
    return Sample(PROMPT, "t", Finish.STOP, Cost(1), number)


def test_what_one_has_claimed_the_other_may_not(two_banks: tuple[SqlBank, SqlBank]) -> None:
    one, two = two_banks
    one.put("k", ASKED, draw(2))
    claim = one.claim("k", [0, 1, 2, 3])
    assert claim.numbers == {0, 1, 3}
    assert two.claim("k", [0, 1, 2, 3, 4]).numbers == {4}
    assert two.claim("other", [0, 1]).numbers == {0, 1}
    one.put("k", ASKED, draw(0))
    claim.release()
    one.flush()
    assert two.claim("k", range(5)).numbers == {1, 3, 4}, "what was claimed and not drawn is free again"


def test_a_process_may_claim_again_what_is_its_own(two_banks: tuple[SqlBank, SqlBank]) -> None:
    one, two = two_banks
    first, second = one.claim("k", [0, 1]), one.claim("k", [1, 2])
    assert second.numbers == {1, 2}
    first.release()
    one.flush()
    assert two.claim("k", [0, 1, 2]).numbers == {0}


def test_closing_gives_everything_back(url: str) -> None:
    with open_bank(url) as two:
        with open_bank(url) as one:
            one.claim("k", [0, 1])
            assert two.is_shared()
        assert not two.is_shared()
        assert two.claim("k", [0, 1]).numbers == {0, 1}


def test_a_worker_that_has_expired_holds_nothing(two_banks: tuple[SqlBank, SqlBank]) -> None:
    one, two = two_banks
    one.claim("k", [0, 1])
    assert not two.claim("k", [0, 1]).numbers
    two.write(lambda connection: connection.execute(workers.update().values(expires=1.0)))
    assert two.claim("k", [0, 1]).numbers == {0, 1}


def test_a_worker_that_was_expelled_holds_nothing(two_banks: tuple[SqlBank, SqlBank]) -> None:
    one, two = two_banks
    one.claim("k", [0, 1])
    two.expel(one.worker)
    assert two.claim("k", [0, 1]).numbers == {0, 1}


def test_nobody_counts_as_expired_while_the_database_was_away(postgres, postgres_url: str) -> None:
    """Nobody could say that they lived, so nobody's silence means a thing."""
    with open_bank(postgres_url) as one, open_bank(postgres_url) as two:
        one.claim("k", [0, 1])
        assert two.is_shared()
        postgres.stop()
        postgres.start()
        two.read(lambda connection: connection.execute(workers.select()))
        two.write(lambda connection: connection.execute(workers.update().values(expires=1.0)))
        assert not two.claim("k", [0, 1]).numbers


def test_a_process_that_is_gone_is_told_from_one_that_lives(tmp_path: Path) -> None:
    with open_bank(str(tmp_path / "b.db")) as bank:
        place, pid, began, unique = bank.worker.rsplit("|", 3)
    assert (place, int(pid)) == (here(), os.getpid())
    assert not is_gone(bank.worker)
    assert is_gone(f"{place}|{2**22 + 1}|{began}|{unique}"), "no such process"
    assert is_gone(f"{place}|{pid}|{began}0|{unique}"), "an earlier process of the same number"
    assert not is_gone(f"elsewhere|{2**22 + 1}|{began}|{unique}"), "of other machines nothing is known"


def test_runs_are_stretches_without_gaps() -> None:
    assert runs([]) == []
    assert runs([3]) == [(3, 4)]
    assert runs([0, 1, 2, 5, 7, 8]) == [(0, 3), (5, 6), (7, 9)]
