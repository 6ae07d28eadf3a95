"""Ray is imported for what the bank does not have, and for nothing else; a replay gives what the first run gave."""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mull import Outcome, Problem, Run, spec
from mull.bank import MemoryBank, open_bank
from mull.bank.sql import SqlBank
from mull.cli.app import app
from mull.errors import UsageError
from mull.lab import grid
from mull.lab.pool import RayPool, replay
from mull.lab.reach import UnjoinedError
from mull.lab.studied import run_study
from mull.lab.study_plan import cells_of, read_plan
from mull.strategies.parallel import Majority
from mull.testing import FakeModel, FakeVerifier, StubVerifier

N = 6


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[SqlBank]:
    with open_bank(str(tmp_path / "b.db")) as opened:
        yield opened


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing Ray raises `ImportError`, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "ray", None)


def plan(*strategies: str, **options: Any) -> grid.Plan:
    built = {text: spec.strategy(text) for text in strategies}
    return grid.Plan(spec.build("task", spec.TASKS, "chain:ops=2"), FakeModel(is_shuffled=False), built, **options)


def locally(plan: grid.Plan, bank: Any, n: int = N) -> dict[int, Mapping[str, grid.Cell]]:
    found: dict[int, Mapping[str, grid.Cell]] = {}
    asyncio.run(grid.run_each(plan, bank, found.__setitem__, n_problems=n))
    return found


def replayed(plan: grid.Plan, bank: Any, n: int = N) -> tuple[dict[int, Mapping[str, grid.Cell]], list[int]]:
    """The cells of the problems that the bank has, and the places of the others."""
    found: dict[int, Mapping[str, grid.Cell]] = {}
    left = asyncio.run(replay(plan, bank, plan.problems(n), found.__setitem__))
    return found, left


@pytest.mark.usefixtures("no_ray")
def test_what_is_in_the_bank_is_replayed_without_ray(bank: SqlBank) -> None:
    whole = plan("best:n=4", "majority:n=3", verifier=FakeVerifier())
    drawn = locally(whole, bank)
    found: dict[int, Any] = {}
    ticks: list[int] = []
    with RayPool() as pool:
        asyncio.run(pool.run_each(whole, bank, found.__setitem__, n_problems=N, tick=lambda: ticks.append(1)))
    assert len(ticks) == 2 * N
    again = locally(whole, bank)
    assert [found[i] for i in range(N)] == [again[i] for i in range(N)], "costs, seconds and verdicts too"
    assert all(cell.outcome == drawn[i][name].outcome for i in found for name, cell in found[i].items())
    assert {cell.fresh.calls for row in found.values() for cell in row.values()} == {0}


@pytest.mark.usefixtures("no_ray")
def test_ray_is_wanted_at_the_first_draw_that_is_not_there(bank: SqlBank) -> None:
    whole = plan("majority:n=3")
    locally(whole, bank)
    found: dict[int, Any] = {}
    with RayPool() as pool, pytest.raises(UnjoinedError, match=r"^a Ray cluster needs Ray"):
        asyncio.run(pool.run_each(whole, bank, found.__setitem__, n_problems=N + 1))
    assert sorted(found) == list(range(N)), "what the bank has was given before"
    with pytest.raises(UsageError, match="--ray head has no port"), RayPool("head"):
        pass
    with RayPool() as pool, pytest.raises(UsageError, match="share results through a bank"):
        asyncio.run(pool.run_each(whole, None, found.__setitem__, n_problems=N))


def test_a_replay_draws_nothing_and_stops_at_the_first_problem_that_needs_it() -> None:
    whole, bank = plan("single", "majority:n=3"), MemoryBank()
    drawn = locally(whole, bank, 3)
    n_seen, n_banked = len(whole.model.seen), len(bank)  # type: ignore[attr-defined]
    found, left = replayed(whole, bank)
    assert left == [3, 4, 5]
    assert {i: row["majority:n=3"].outcome for i, row in found.items()} == {
        i: row["majority:n=3"].outcome for i, row in drawn.items()
    }
    assert (len(whole.model.seen), len(bank)) == (n_seen, n_banked)  # type: ignore[attr-defined]
    assert replayed(whole, MemoryBank()) == ({}, list(range(N)))


def test_a_verdict_that_is_made_is_the_last_of_the_replay() -> None:
    bank, judged = MemoryBank(), FakeVerifier()
    locally(plan("majority:n=4"), bank, 100)  # the draws of both, and no verdict
    whole = plan("best:n=4", verifier=judged)
    found, left = replayed(whole, bank, 100)
    n_done = len(found)
    assert 0 < n_done <= grid.N_AT_ONCE, "those that were under way"
    assert sorted([*found, *left]) == list(range(100))
    n_seen = len(judged.seen)
    again, left = replayed(whole, bank, n_done)
    assert ({i: row["best:n=4"].outcome for i, row in again.items()}, left) == (
        {i: row["best:n=4"].outcome for i, row in found.items()},
        [],
    ), "their verdicts are banked"
    assert len(judged.seen) == n_seen


def test_a_plan_whose_verdicts_are_never_banked_is_left_whole() -> None:
    bank, verifier = MemoryBank(), StubVerifier(lambda reply: 1.0)
    whole = plan("best:n=2", verifier=verifier)
    locally(whole, bank)
    n_seen = len(verifier.seen)
    assert replayed(whole, bank) == ({}, list(range(N)))
    assert len(verifier.seen) == n_seen


@dataclass(frozen=True)
class Hides:
    """A strategy that takes every error for a reply that was not there, or raises one of its own."""

    raises: bool
    inner: Majority = field(default_factory=lambda: Majority(3))
    needs = Majority.needs
    draws = Majority.draws
    selects = Majority.selects

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        try:
            return await self.inner(problem, run)
        except Exception:  # noqa: BLE001 - on purpose
            if self.raises:
                raise KeyError("my own") from None
            return Outcome(None, None)


@pytest.mark.parametrize("raises", [False, True])
def test_a_missing_draw_that_a_strategy_hides_is_missing(raises: bool) -> None:
    whole = grid.Plan(plan().task, FakeModel(), {"hides": Hides(raises)})
    bank = MemoryBank()
    locally(whole, bank, 2)
    found, left = replayed(whole, bank)
    assert (sorted(found), left) == ([0, 1], [2, 3, 4, 5])


def test_what_goes_wrong_in_a_replay_is_raised() -> None:
    with pytest.raises(UsageError, match="needs a verifier"):
        replayed(plan("best:n=2"), MemoryBank())


@pytest.mark.usefixtures("no_ray")
def test_the_command_line_replays_a_sweep_without_ray(tmp_path: Path) -> None:
    words = ["sweep", "chain:ops=1", "-s", "majority:n=2", "-p", "3", "--bank", str(tmp_path / "b.db"), "--json"]
    drawn = CliRunner().invoke(app, words)
    assert drawn.exit_code == 0, drawn.stderr
    again = CliRunner().invoke(app, [*words, "--ray", "local"])
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout) == json.loads(drawn.stdout)
    assert "0 draws made now, 6 from the bank" in again.stderr
    words[words.index("majority:n=2")] = "majority:n=3"
    assert isinstance(CliRunner().invoke(app, [*words, "--ray", "local"]).exception, UnjoinedError)


STUDY = """
models = ["nano"]
problems = 2
max_tokens = 60
tasks = [{ spec = "chain:ops=1", strategies = ["majority:n=2"] }, { spec = "chain:ops=2", strategies = ["single"] }]
"""


@pytest.mark.usefixtures("no_ray")
def test_a_study_is_replayed_without_ray_and_ends_where_ray_is_missing(bank: SqlBank, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(STUDY)
    study = read_plan(path)
    with RayPool() as pool:
        with pytest.raises(UnjoinedError, match="needs Ray"):
            run_study(study, cells_of(study), bank, run=pool.run_each)
        run_study(study, cells_of(study), bank)
        here = run_study(study, cells_of(study), bank)
        there = run_study(study, cells_of(study), bank, run=pool.run_each)
    assert (there.groups, there.holes, there.fresh, there.spent) == (here.groups, [], here.fresh, here.spent)
    assert there.fresh.calls == 0
