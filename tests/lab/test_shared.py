"""One budget over a task: who is solved is drawn on no more, and everything else is as in any run."""

import asyncio

import pytest

from mull import Budget, UsageError, spec
from mull.bank import MemoryBank
from mull.lab import grid
from mull.lab.shared import run_shared
from mull.types import Stopped

EACH = 4


@pytest.fixture(scope="module")
def plan() -> grid.Plan:
    task = spec.build("task", spec.TASKS, "countdown:numbers=3")
    model = spec.build("model", spec.MODELS, "nano")
    return grid.Plan(task, model, {}, spec.build("verifier", spec.VERIFIERS, "countdown"))


@pytest.fixture(scope="module")
def bank() -> MemoryBank:
    return MemoryBank()


@pytest.fixture(scope="module")
def cells(plan: grid.Plan, bank: MemoryBank) -> list[grid.Cell]:
    return asyncio.run(run_shared(plan, bank, EACH, n_problems=10))


def test_the_budget_is_one_over_all_problems(cells: list[grid.Cell]) -> None:
    draws = [len(cell.outcome.candidates) for cell in cells]
    assert sum(draws) <= EACH * len(cells)
    assert max(draws) > EACH, "what the solved ones left went to the others"
    for cell in cells:
        assert (cell.outcome.stopped is Stopped.EARLY) == (cell.grade.correct is True)
        assert [grade.correct for grade in cell.candidates[:-1]].count(True) == 0, "solved, and drawn on"
    if any(cell.grade.correct is not True for cell in cells):
        assert sum(draws) == EACH * len(cells)


def test_it_pays_for_nothing_that_is_in_the_bank(plan: grid.Plan, bank: MemoryBank, cells: list[grid.Cell]) -> None:
    again = asyncio.run(run_shared(plan, bank, EACH, n_problems=10))
    assert [cell.outcome for cell in again] == [cell.outcome for cell in cells]
    assert all(cell.fresh.calls in (0, None) for cell in again)


def test_its_draws_are_those_of_any_other_strategy(plan: grid.Plan, bank: MemoryBank, cells: list[grid.Cell]) -> None:
    alone = grid.Plan(plan.task, plan.model, {"x": spec.strategy("until-pass:n=64,wave=1")}, plan.verifier)
    column = asyncio.run(grid.run_plan(alone, bank, n_problems=10))["x"]
    for cell, other in zip(cells, column, strict=True):
        n = len(cell.outcome.candidates)
        assert [s.text for s in cell.outcome.candidates] == [s.text for s in other.outcome.candidates[:n]]


def test_each_problems_own_ceiling_holds_and_its_draws_go_to_others(plan: grid.Plan, bank: MemoryBank) -> None:
    capped = grid.Plan(plan.task, plan.model, {}, plan.verifier, budget=Budget(calls=6))
    draws = [len(c.outcome.candidates) for c in asyncio.run(run_shared(capped, bank, EACH, n_problems=10))]
    assert max(draws) <= 6
    assert sum(draws) <= EACH * 10


def test_without_a_checker_it_is_refused(plan: grid.Plan) -> None:
    with pytest.raises(UsageError, match="--verifier"):
        asyncio.run(run_shared(grid.Plan(plan.task, plan.model, {}), None, 4, n_problems=2))
    with pytest.raises(UsageError, match="at least one"):
        asyncio.run(run_shared(plan, None, 0, n_problems=2))
