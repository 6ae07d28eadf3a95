"""A pytest plugin: `@pytest.mark.mull(TASK, ...)` runs a sweep, and fails the test if its figures do not pass."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mull.lab.grid import Table


@dataclass(frozen=True)
class MarkedSweep:
    """What a marker asks for; the fields are its arguments."""

    task: str
    model: str = "nano"
    strategy: str | Sequence[str] = "single"
    verifier: str | None = None
    problems: int | None = None
    seed: int = 0
    temperature: float = 1.0
    max_tokens: int = 400
    fail_under: float | None = None
    compare_to: str | Path | None = None
    bank: str | Path | None = None


TABLE = pytest.StashKey["Table"]()
FAILED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "mull(task, *, strategy='single', model='nano', problems=None, fail_under=None, compare_to=None, ...): "
        "sweep the task first, and fail if an accuracy is too low or worse than in an earlier file.",
    )


@pytest.fixture
def mull_table(request: pytest.FixtureRequest) -> Table:
    """The table of the sweep that the test's marker `mull` asks for."""
    try:
        table: Table = request.node.stash[TABLE]
    except KeyError:
        raise pytest.UsageError("mull_table is for tests with @pytest.mark.mull(TASK, ...)") from None
    return table


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Runs the sweep of a marked test before its fixtures are made."""
    marker = item.get_closest_marker("mull")
    if marker is None:
        return
    try:
        asked = MarkedSweep(*marker.args, **marker.kwargs)
    except TypeError as error:
        raise pytest.UsageError(f"@pytest.mark.mull of {item.name}: {error}") from None
    table, failed = _run(asked)
    item.stash[TABLE], item.stash[FAILED] = table, failed


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fails a marked test whose figures do not pass."""
    if failed := item.stash.get(FAILED, None):
        pytest.fail("; ".join(failed), pytrace=False)


def _run(asked: MarkedSweep) -> tuple[Table, list[str]]:
    from mull import spec
    from mull.bank.places import open_bank
    from mull.catalog import Plans, is_served, model_of, verifier_of
    from mull.lab import compared, grid, sources
    from mull.run.needs import check_given
    from mull.types import Params

    texts = [asked.strategy] if isinstance(asked.strategy, str) else asked.strategy
    named = Plans(asked.seed, None)
    plans: dict[str, Any] = {spec.describe(spec.STRATEGIES, one): one for one in map(named.build, texts)}
    verifier = verifier_of(asked.verifier, asked.seed, None)
    for one in plans.values():
        check_given(one, verifier, None, None)
    task: Any = spec.build("task", spec.TASKS, asked.task)
    model: Any = model_of(asked.model, asked.seed)
    params = Params(asked.temperature, asked.max_tokens)
    plan = grid.Plan(task, model, plans, verifier, params=params, seed=asked.seed)
    for one in (*named.models, model):
        if is_served(one):
            asyncio.run(one.prepare())
    with nullcontext() if asked.bank is None else open_bank(str(asked.bank)) as bank:
        cells = asyncio.run(grid.run_plan(plan, bank, n_problems=asked.problems))
    now = compared.chances({model.name: grid.recordings(model, cells)}, asked.seed)
    before = None
    if asked.compare_to is not None:
        groups = sources.read_source(Path(asked.compare_to)).groups
        before = compared.chances({name: group.recordings for name, group in groups.items()}, asked.seed)
    return grid.tabulate(task, model, cells, asked.seed), compared.failures(now, asked.fail_under, before, asked.seed)
