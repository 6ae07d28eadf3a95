"""A grid on a Ray cluster of several processes: the outcomes of a local run, whoever dies on the way."""

import asyncio
import json
import os
import re
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mull import Params, spec
from mull.bank import open_bank
from mull.bank.sql import SqlBank
from mull.cli.app import with_ray_address
from mull.errors import ModelError, UsageError
from mull.lab import cluster, grid, reach
from mull.lab.findings import summary
from mull.lab.studied import run_study
from mull.lab.study_plan import cells_of, read_plan
from mull.testing import FakeModel, FakeVerifier

pytest.importorskip("ray")
# Ray's own sockets and pipes are closed when its processes end, not when its objects do.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with cluster.cluster(n_cpus=2):
        yield


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[SqlBank]:
    with open_bank(str(tmp_path / "b.db")) as opened:
        yield opened


def plan(model: Any, *strategies: str, task: str = "chain:ops=2", **options: Any) -> grid.Plan:
    built = {text: spec.strategy(text) for text in strategies}
    return grid.Plan(spec.build("task", spec.TASKS, task), model, built, **options)


def locally(plan: grid.Plan, n_problems: int, bank: SqlBank | None = None) -> dict[str, list[grid.Cell]]:
    return asyncio.run(grid.run_plan(plan, bank, n_problems=n_problems))


def rows(plan: grid.Plan, cells: dict[str, list[grid.Cell]]) -> str:
    table = grid.tabulate(plan.task, plan.model, cells)
    return json.dumps([asdict(row) for row in table.rows] + [asdict(pair) for pair in table.pairs])


def without_times(cells: dict[str, list[grid.Cell]]) -> dict[str, list[grid.Cell]]:
    """Seconds are measured, and differ from run to run."""

    def timeless(cell: grid.Cell) -> grid.Cell:
        still = tuple(replace(s, cost=replace(s.cost, seconds=0.0)) for s in cell.outcome.candidates)
        best = None if cell.outcome.best is None else replace(cell.outcome.best, cost=still[0].cost)
        costs = {name: replace(getattr(cell, name), seconds=0.0) for name in ("spent", "fresh")}
        return cell._replace(outcome=replace(cell.outcome, candidates=still, best=best), **costs)

    return {name: list(map(timeless, column)) for name, column in cells.items()}


@pytest.mark.usefixtures("ray")
def test_the_embedded_model_gives_the_same_rows_as_on_one_machine(bank: SqlBank) -> None:
    whole = plan(spec.build("model", spec.MODELS, "nano"), "single", "majority:n=4", params=Params(max_tokens=60))
    there = asyncio.run(cluster.run_plan(whole, bank, n_problems=10))
    here = locally(whole, 10)
    assert rows(whole, without_times(there)) == rows(whole, without_times(here))
    replayed = locally(whole, 10, bank)
    assert rows(whole, replayed) == rows(whole, there), "with the times too, from the bank that the workers filled"
    assert all(cell.fresh.calls == 0 for column in replayed.values() for cell in column)


STUDY = """
models = ["nano"]
problems = 4
max_tokens = 60
tasks = [{ spec = "chain:ops=1", strategies = ["single", "majority:n=2"] }]
"""


@pytest.mark.usefixtures("ray")
def test_a_study_has_the_same_figures_as_on_one_machine_and_a_bank_that_pays_for_it(
    bank: SqlBank, tmp_path: Path
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(STUDY)
    plan = read_plan(path)
    there = run_study(plan, cells_of(plan), bank, run=cluster.run_each)
    with SqlBank.file(tmp_path / "here.db") as own:
        here = run_study(plan, cells_of(plan), own)
    assert list(there.groups) == ["chain:ops=1"]
    assert (summary(there.groups), there.holes) == (summary(here.groups), here.holes)
    assert there.fresh.calls == here.fresh.calls == 4 * 2, "strategies share their draws there too"
    again = run_study(plan, cells_of(plan), bank)
    assert again.fresh.calls == 0
    assert again.groups == there.groups


@dataclass
class Logged(FakeModel):
    """Writes down every draw that it makes, in whatever process."""

    path: str = ""

    def _draw(self, prompt, params, draw):  # type: ignore[no-untyped-def]
        with Path(self.path).open("a") as file:
            file.write(f"{os.getpid()} {prompt.messages[-1].content} {draw.number}\n")
        return super()._draw(prompt, params, draw)


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("n_killed", [1, 2])
def test_a_killed_worker_costs_only_its_draws_under_way(bank: SqlBank, tmp_path: Path, n_killed: int) -> None:
    n_problems, n = 80, 8
    model = Logged(delay=0.01, is_shuffled=False, path=str(tmp_path / "log"))
    whole = plan(model, f"best:n={n}", verifier=FakeVerifier())
    pids: list[int] = []
    n_done = 0

    def tick() -> None:
        nonlocal n_done
        n_done += 1
        if n_done == 3:
            for pid in pids[:n_killed]:
                os.kill(pid, signal.SIGKILL)

    cells = asyncio.run(cluster.run_plan(whole, bank, n_problems=n_problems, tick=tick, seated=pids.extend))
    assert len(pids) == 2
    log = [line.split(" ", 1) for line in Path(model.path).read_text().splitlines()]
    made = Counter(draw for _, draw in log)
    assert len(made) == n_problems * n == sum(stat.draws for stat in bank.stat())
    if n_killed == 2:
        assert {pid for pid, _ in log} > {str(pid) for pid in pids}, "others took the places of the dead"
    dead = {str(pid) for pid in pids[:n_killed]}
    twice = {draw for draw, times in made.items() if times > 1}
    assert twice <= {draw for pid, draw in log if pid in dead}
    assert len(twice) <= n_killed * grid.N_AT_ONCE, "at most one draw of each problem under way"
    alone = locally(replace(whole, model=FakeModel()), n_problems)
    assert rows(whole, cells) == rows(whole, alone)


@pytest.mark.usefixtures("ray")
def test_what_goes_wrong_in_a_worker_is_raised_here_as_what_it_is(bank: SqlBank) -> None:
    with pytest.raises(ModelError, match=r"^the fake model was told to fail here$"):
        asyncio.run(cluster.run_plan(plan(FakeModel(dies_after=5), "majority:n=4"), bank, n_problems=9))
    with pytest.raises(UsageError, match="needs a verifier"):
        asyncio.run(cluster.run_plan(plan(FakeModel(), "best:n=4"), bank, n_problems=9))
    assert not bank.is_shared(), "no worker is left"


@pytest.mark.usefixtures("ray")
def test_only_the_problems_at_the_places_given_are_run(bank: SqlBank) -> None:
    found: dict[int, Any] = {}
    whole = plan(FakeModel(), "majority:n=2")
    asyncio.run(cluster.run_each(whole, bank, found.__setitem__, n_problems=6, places=[4, 1]))
    assert sorted(found) == [1, 4]
    alone = locally(whole, 6)["majority:n=2"]
    assert all(found[place]["majority:n=2"].outcome == alone[place].outcome for place in (1, 4))


@pytest.mark.usefixtures("ray")
def test_a_bank_that_is_not_shared_is_refused() -> None:
    with pytest.raises(UsageError, match="share results through a bank"):
        cluster.shared(None)
    with SqlBank("sqlite://") as private, pytest.raises(UsageError, match="share results through a bank"):
        cluster.shared(private)


def test_the_address_of_a_cluster_may_be_left_out() -> None:
    assert with_ray_address(["sweep", "x", "--ray"]) == ["sweep", "x", "--ray", "local"]
    assert with_ray_address(["sweep", "--ray", "chain:ops=4"]) == ["sweep", "--ray", "local", "chain:ops=4"]
    assert with_ray_address(["sweep", "--ray", "-s", "single"]) == ["sweep", "--ray", "local", "-s", "single"]
    for address in ("auto", "local", "ray://head:10001", "10.0.0.1:6379", "head.lan:6379"):
        assert with_ray_address(["sweep", "--ray", address, "x"]) == ["sweep", "--ray", address, "x"]
    assert with_ray_address(["solve", "--ray"]) == ["solve", "--ray"]
    # What follows it behind the task is an address, be it a wrong one, of which `check_address` then tells.
    assert with_ray_address(["sweep", "x", "--ray", "head"]) == ["sweep", "x", "--ray", "head"]


# An address that is none, and clusters that go away


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("head", "--ray head has no port: Ray's own is in --ray head:6379"),
        ("ray://head.lan", "--ray ray://head.lan has no port: Ray's own is in --ray ray://head.lan:10001"),
        ("http://head:6379", "--ray takes HOST:PORT, auto or local, not 'http://head:6379'"),
        ("head:port", "--ray takes HOST:PORT, auto or local, not 'head:port'"),
        ("127.0.0.1:99999", "the Ray cluster at 127.0.0.1:99999 cannot be reached"),
        ("127.0.0.1:1", "the Ray cluster at 127.0.0.1:1 cannot be reached"),
        ("no.such.host.invalid:6379", "the Ray cluster at no.such.host.invalid:6379 cannot be reached"),
    ],
)
def test_an_address_that_is_none_is_told_with_what_is_wanted(address: str, told: str) -> None:
    with pytest.raises(UsageError) as error, cluster.cluster(address):
        pass
    assert str(error.value).startswith(told)


@pytest.mark.parametrize(
    "says", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"* OK IMAP4 ready\r\n"]
)
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_what_else_listens_at_an_address_is_told_from_a_cluster(
    says: bytes, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "SECONDS_TO_ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection, suppress(ConnectionError):
                connection.sendall(says)
                while connection.recv(99):
                    pass  # until the other side has closed

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"^something else than a Ray cluster listens at {address}: it "):
            cluster.check_address(address)
        thread.join()


@pytest.mark.usefixtures("ray")
def test_a_cluster_that_runs_is_taken_for_one() -> None:
    import ray

    cluster.check_address(ray.get_runtime_context().gcs_address)


JOIN = """
import sys, ray
ray.__version__ = "1.2.3"
from mull.cli import main
sys.argv = ["mull", "sweep", "chain:ops=2", "-s", "single", "-p", "2", "--ray", sys.argv[1]]
main()
"""


@pytest.mark.usefixtures("ray")
def test_another_version_of_ray_is_told_in_one_line(tmp_path: Path) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    environment = {**os.environ, "MULL_BANK": str(tmp_path / "b.db")}
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"mull: the Ray cluster at {address} cannot be joined: Version mismatch")
    assert f"Ray: {ray.__version__}" in line
    assert "Ray: 1.2.3" in line
    assert line.endswith("install the same versions here")


def test_the_death_of_the_head_is_told_in_one_line(tmp_path: Path) -> None:
    """The head of a cluster of the sweep's own is killed while its workers draw; what they drew is in the bank."""
    bank = tmp_path / "b.db"
    environment = {**os.environ, "MULL_BANK": str(bank)}
    words = ("sweep", "chain:ops=2", "-s", "majority:n=64", "-p", "4000", "--ray")
    command = [sys.executable, "-m", "mull", *words]
    sweep = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (bank.exists() and drawn(bank)):
            with suppress(subprocess.TimeoutExpired):
                sweep.wait(0.2)
                pytest.fail(sweep.communicate()[1])
        began = below(sweep.pid)
        (head,) = [pid for pid, name in began.items() if name == "gcs_server"]
        os.kill(head, signal.SIGKILL)
        _, err = sweep.communicate(timeout=120)
    finally:
        sweep.kill()
        sweep.wait()
    for pid, name in began.items():  # they end by themselves once they miss the others
        ended(pid, name)
    assert sweep.returncode == 1, err
    errors = [line for line in err.splitlines() if not re.match(r"stopped after|[\d,]+ draws made now", line)]
    assert len(errors) == 1, err
    assert errors[0].startswith("mull: the head of the Ray cluster, ")
    assert "what was drawn is in the bank" in errors[0]


def name_of(pid: int) -> str | None:
    """The name of a process; `None` if it has ended."""
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return None
    return None if rest.split()[0] == "Z" else name


def ended(pid: int, name: str) -> None:
    """Waits until the process of this number and name has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if name_of(pid) == name:
            select.select([process], [], [])
    finally:
        os.close(process)


def below(pid: int) -> dict[int, str]:
    """The names of the processes that a process has started, and of theirs."""
    found = {}
    for place in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, place.read_text().split()):
            if (name := name_of(child)) is not None:
                found |= {child: name, **below(child)}
    return found


def drawn(path: Path) -> int:
    """How many draws a bank has, while others write to it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as bank:
        try:
            return int(bank.execute("select count(*) from draws").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
