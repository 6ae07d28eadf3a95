"""The grid: every strategy on every problem of a task, with graded outcomes, costs and intervals."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mull.bank import Bank
from mull.errors import UsageError
from mull.files.recording import Recording
from mull.lab.cells import Cell, columns, draws, recorded, result
from mull.lab.swept import Row, Table, swept_of
from mull.run.run import Run, Strategy
from mull.strategies.parallel import Single
from mull.types import (
    Budget,
    Executor,
    Grade,
    Judge,
    Model,
    Outcome,
    Params,
    Problem,
    Sample,
    Task,
    Verifier,
)

__all__ = [
    "Cell",
    "Done",
    "Plan",
    "Row",
    "Table",
    "columns",
    "draws",
    "recorded",
    "recordings",
    "result",
    "run_each",
    "run_plan",
    "tabulate",
]

DEFAULT_PROBLEMS = 100
"""Problems taken of a task without end if no number is given."""
N_AT_ONCE = 64
"""Problems run at the same time, at least: enough to keep a batching model busy."""


Done = Callable[[int, Mapping[str, Cell]], None]
"""What is called with a problem's place and every strategy's cell on it, as soon as all of them are there."""


def recordings(model: Model, cells: Mapping[str, Sequence[Cell]]) -> list[Recording]:
    """A grid as recordings (`Swept.recordings`)."""
    return list(swept_of(model, cells).recordings())


def tabulate(task: Task, model: Model, cells: Mapping[str, Sequence[Cell]], seed: int = 0) -> Table:
    """The figures of a grid, by all draws that each problem has (`Swept.table`)."""
    return swept_of(model, cells).table(task, seed)


def how_many(task: Task, asked: int | None) -> int:
    """The largest number of problems to run: `asked`, else all, else `DEFAULT_PROBLEMS` of an endless task."""
    if asked is not None:
        return asked
    size: int | None = getattr(task, "size", None)
    return DEFAULT_PROBLEMS if size is None else size


async def grade(task: Task, problem: Problem, outcome: Outcome) -> Grade:
    """The grade of an outcome; one without a reply is wrong."""
    return await grade_of(task, problem, outcome.best) if outcome.best is not None else Grade(False, "no answer")


async def grade_of(task: Task, problem: Problem, sample: Sample) -> Grade:
    """The grade of a reply. Raises `UsageError` if the task returns something else."""
    found: object = await task.grade(problem.id, sample)
    if not isinstance(found, Grade):
        raise UsageError(f"task {task.name}: grade returned a {type(found).__name__}, not a Grade")
    return found


@dataclass(frozen=True)
class Plan:
    """The strategies and settings to run on each problem of a task."""

    task: Task
    model: Model
    strategies: Mapping[str, Strategy]
    verifier: Verifier | None = None
    judge: Judge | None = None
    executor: Executor | None = None
    budget: Budget | None = None
    params: Params | None = None
    seed: int = 0

    def problems(self, n: int | None) -> list[Problem]:
        """The first n problems of the task, or all. Raises `UsageError` if there are none, or two share an id."""
        found = list(itertools.islice(self.task.problems(), how_many(self.task, n)))
        ids = Counter(problem.id for problem in found)
        if not ids:
            raise UsageError(f"task {self.task.name} has no problems")
        (most, times) = ids.most_common(1)[0]
        if times > 1:
            raise UsageError(f"task {self.task.name}: {times} problems have the id {most!r}; ids must differ")
        return found

    @property
    def n_at_once(self) -> int:
        """How many problems run at the same time: as many as it takes to send a server all requests that it may have.

        It counts the draws that each strategy has in progress; where one does not say, there are `N_AT_ONCE` problems.
        """
        room: int = getattr(self.model, "at_once", 0)
        widths = [_in_progress(strategy) for strategy in self.strategies.values()]
        known = [width for width in widths if width is not None]
        return max(N_AT_ONCE, room // max(known)) if known and len(known) == len(widths) else N_AT_ONCE

    async def cells(self, problem: Problem, bank: Bank | None, tick: Callable[[], None]) -> dict[str, Cell]:
        """Each strategy's outcome on a problem. Strategies run in turn, so that draws that two share are made once."""
        found = {}
        for name, strategy in self.strategies.items():
            rng = random.Random(f"{self.seed}/{problem.id}/{name}".encode(errors="surrogatepass"))
            run = Run(
                self.model,
                verifier=self.verifier,
                judge=self.judge,
                executor=self.executor,
                budget=self.budget,
                bank=bank,
                params=self.params,
                seed=self.seed,
                rng=rng,
            )
            outcome = await run.solve(strategy, problem)
            if getattr(self.verifier, "is_oracle", False):
                outcome = replace(outcome, notes={**outcome.notes, "oracle": 1.0})
            grades = [await grade_of(self.task, problem, sample) for sample in outcome.candidates]
            verdict = await grade(self.task, problem, outcome)
            found[name] = Cell(problem, outcome, verdict, tuple(grades), run.spent, run.fresh)
            tick()
        return found


def _in_progress(strategy: Strategy) -> int | None:
    """The draws of a problem that a strategy has in progress at the same time; `None`: it does not say."""
    if isinstance(strategy, Single):
        return 1
    n: object = getattr(strategy, "n", None)
    return n if isinstance(n, int) and n > 0 else None


async def run_plan(
    plan: Plan,
    bank: Bank | None,
    *,
    n_problems: int | None,
    tick: Callable[[], None] = lambda: None,
    done: Done = lambda place, cells: None,
) -> dict[str, list[Cell]]:
    """Runs each strategy on each problem, as `run_each` does; returns the cells of each strategy in order."""
    cells: dict[int, Mapping[str, Cell]] = {}

    def keep(place: int, found: Mapping[str, Cell]) -> None:
        cells[place] = found
        done(place, found)

    await run_each(plan, bank, keep, n_problems=n_problems, tick=tick)
    return columns([cells[place] for place in range(len(cells))])


async def run_each(
    plan: Plan, bank: Bank | None, done: Done, *, n_problems: int | None, tick: Callable[[], None] = lambda: None
) -> None:
    """Runs each strategy on each problem, and keeps nothing: `done` is called with what is found on each problem.

    Draws are banked as they arrive, so a second run pays only for missing ones. If another process draws into the
    same bank, this one takes the problems in an order of its own, so that the two share the work. `tick` is called
    after each outcome.
    """
    order = list(enumerate(plan.problems(n_problems)))
    if bank is not None and bank.is_shared():
        random.Random().shuffle(order)
    todo = iter(order)

    async def work() -> None:
        for place, problem in todo:
            done(place, await plan.cells(problem, bank, tick))

    await side_by_side(work, min(plan.n_at_once, len(order)))


async def side_by_side(work: Callable[[], Coroutine[Any, Any, None]], n: int) -> None:
    """Runs `work` n times at once; if one of them fails, the others are cancelled, and have ended at the return."""
    workers = [asyncio.create_task(work()) for _ in range(n)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
