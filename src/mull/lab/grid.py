"""The grid: every strategy on every problem of a task, with graded outcomes, costs and intervals."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mull import cost
from mull.answers import classes_now
from mull.lab.compare import Interval, Paired, compare, wilson
from mull.lab.metrics import Pool
from mull.run import Run
from mull.trials import Executor
from mull.types import (
    Bank,
    Budget,
    Cost,
    Grade,
    Judge,
    Model,
    Outcome,
    Params,
    Problem,
    Sample,
    Score,
    Stopped,
    Strategy,
    Task,
    Verifier,
)

N_AT_ONCE = 64
"""Problems under way at the same time: enough to keep a batching model busy."""


class Cell(NamedTuple):
    """One strategy's outcome on one problem."""

    problem: Problem
    outcome: Outcome
    grade: Grade
    candidates: tuple[Grade, ...]
    spent: Cost
    fresh: Cost


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy's figures over a problem set; `oracle` is the share of problems with a correct candidate.

    Outcomes that could not be graded count in `ungraded` and in no share; an outcome without an answer is wrong.
    `retries` counts attempts at draws that were made again, `failed` draws that came to nothing for all that.
    """

    task: str
    model: str
    strategy: str
    problems: int
    samples: float
    accuracy: float | None
    ci95: Interval | None
    oracle: float | None
    cost: Cost
    unanswered: int
    ungraded: int
    stopped: Mapping[str, int]
    retries: int | None = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order of the strategies, and the paired difference of each to the first."""

    rows: list[Row]
    pairs: list[Paired]


def pool(cell: Cell) -> Pool:
    """The draws behind an outcome, for curves."""
    return pool_of(cell.problem, cell.outcome.candidates, cell.candidates, cell.outcome.scores)


def pool_of(problem: Problem, samples: Sequence[Sample], grades: Sequence[Grade], scores: Sequence[Score]) -> Pool:
    """Graded draws of a problem, for curves; `scores` may be empty."""
    correct = tuple(grade.correct is True for grade in grades)
    answers = tuple(classes_now(problem, samples))
    values = tuple(score.value for score in scores) or (None,) * len(samples)
    tokens = tuple(sample.cost.output_tokens for sample in samples)
    return Pool(problem.id, len(samples), sum(correct), answers, correct, values, tokens)


async def grade(task: Task, problem: Problem, outcome: Outcome) -> Grade:
    """The grade of an outcome; without a reply it is wrong."""
    return await task.grade(problem.id, outcome.best) if outcome.best is not None else Grade(False, "no answer")


async def run_grid(
    task: Task,
    model: Model,
    strategies: Mapping[str, Strategy],
    *,
    n_problems: int | None,
    verifier: Verifier | None = None,
    judge: Judge | None = None,
    executor: Executor | None = None,
    budget: Budget | None = None,
    bank: Bank | None = None,
    params: Params | None = None,
    seed: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, list[Cell]]:
    """Runs each strategy on each problem.

    Draws go to the bank as they come, so that a second run pays only for what is missing. The strategies take
    turns on a problem, so that draws that two of them share are made once. `tick` is called for each outcome.
    """
    problems = list(itertools.islice(task.problems(), n_problems))
    cells: dict[str, dict[int, Cell]] = {name: {} for name in strategies}
    todo = iter(enumerate(problems))

    async def work() -> None:
        for i, problem in todo:
            for name, strategy in strategies.items():
                rng = random.Random(f"{seed}/{problem.id}/{name}")
                run = Run(
                    model, verifier=verifier, judge=judge, executor=executor, budget=budget, bank=bank, params=params,
                    seed=seed, rng=rng,
                )  # fmt: skip
                outcome = await strategy(problem, run)
                grades = [await task.grade(problem.id, sample) for sample in outcome.candidates]
                verdict = await grade(task, problem, outcome)
                cells[name][i] = Cell(problem, outcome, verdict, tuple(grades), run.spent, run.fresh)
                tick()

    workers = [asyncio.create_task(work()) for _ in range(min(N_AT_ONCE, len(problems)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return {name: [done[i] for i in range(len(problems))] for name, done in cells.items()}


def tabulate(task: Task, model: Model, cells: Mapping[str, Sequence[Cell]], seed: int = 0) -> Table:
    """The figures of a grid."""
    rows = [_row(task.name, model.name, name, column) for name, column in cells.items()]
    pairs = compare({name: [cell.grade.correct for cell in column] for name, column in cells.items()}, seed)
    return Table(rows, pairs)


def _row(task: str, model: str, strategy: str, cells: Sequence[Cell]) -> Row:
    graded = [cell for cell in cells if cell.grade.correct is not None]
    n_correct = sum(cell.grade.correct is True for cell in graded)
    covered = [any(g.correct is True for g in cell.candidates) for cell in graded]
    stopped = {reason.value: sum(cell.outcome.stopped is reason for cell in cells) for reason in Stopped}
    return Row(
        task,
        model,
        strategy,
        len(cells),
        sum(len(cell.outcome.candidates) for cell in cells) / len(cells),
        n_correct / len(graded) if graded else None,
        wilson(n_correct, len(graded)) if graded else None,
        sum(covered) / len(covered) if covered else None,
        cost.mean([cell.spent for cell in cells]),
        sum(cell.outcome.answer is None for cell in cells),
        len(cells) - len(graded),
        {reason: n for reason, n in stopped.items() if n},
        cost.total(cell.spent for cell in cells).retries,
        sum(sample.error is not None for cell in cells for sample in cell.outcome.candidates),
    )
