"""The grid: every strategy on every problem of a task, with graded outcomes, costs and intervals."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mull import cost
from mull.bank import Bank
from mull.errors import UsageError
from mull.files.recording import RecordedSample, Recording, Result, mean_logprob
from mull.lab.averaged import Averaged, averaged
from mull.replies.answers import classes_now
from mull.run.run import Run, Strategy
from mull.shown import html_table
from mull.stats.intervals import Interval
from mull.stats.paired import Paired, compare
from mull.types import (
    Budget,
    Cost,
    Executor,
    Grade,
    Judge,
    Model,
    Outcome,
    Params,
    Problem,
    Sample,
    Score,
    Stopped,
    Task,
    Verifier,
)

DEFAULT_PROBLEMS = 100
"""Problems taken of a task without end if no number is given."""
N_AT_ONCE = 64
"""Problems run at the same time: enough to keep a batching model busy."""


class Cell(NamedTuple):
    """One strategy's outcome on one problem."""

    problem: Problem
    outcome: Outcome
    grade: Grade
    candidates: tuple[Grade, ...]
    spent: Cost
    fresh: Cost


Done = Callable[[Mapping[str, Cell]], None]
"""What is called with every strategy's cell on a problem, as soon as all of them are there."""


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy's figures over a problem set; `oracle` is the share of problems with a correct candidate.

    Strategies that used gold answers have no accuracy, since theirs is an upper bound: it is in `oracle` alone.
    Outcomes that could not be graded count in `ungraded` and in no share; an outcome without an answer is wrong.
    `retries` counts repeated attempts at draws, `failed` the draws for which every attempt failed.
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
    """Rows in the order of the strategies, and the paired difference of each from the first.

    `caption` is the task's description of what its prompts ask for.
    """

    rows: list[Row]
    pairs: list[Paired]
    caption: str = ""

    def _repr_html_(self) -> str:
        """The table as a notebook shows it; a figure that is not known is `?`."""
        head = (
            "task",
            "model",
            "strategy",
            "problems",
            "draws",
            "accuracy",
            "95 % interval",
            "oracle",
            "tokens",
            "usd",
        )
        return html_table(head, map(_shown, self.rows), self.caption)


def _shown(row: Row) -> tuple[object, ...]:
    accuracy, oracle = ("?" if share is None else f"{100 * share:.1f} %" for share in (row.accuracy, row.oracle))
    ends = "" if row.ci95 is None else f"[{100 * row.ci95[0]:.1f}, {100 * row.ci95[1]:.1f}]"
    tokens, usd = ("?" if cost is None else f"{cost:,.6g}" for cost in (row.cost.tokens, row.cost.usd))
    return row.task, row.model, row.strategy, row.problems, f"{row.samples:g}", accuracy, ends, oracle, tokens, usd


def recorded(
    problem: Problem, samples: Sequence[Sample], grades: Sequence[Grade], scores: Sequence[Score] = ()
) -> Recording:
    """Graded draws of a problem as a recording; `scores` may be empty."""
    values = [score.value for score in scores] or [None] * len(samples)
    drawn = zip(samples, grades, values, strict=True)
    return Recording(
        problem.id,
        problem.prompt.question,
        samples=tuple(_recorded(sample, grade, value) for sample, grade, value in drawn),
        answers=tuple(classes_now(problem, samples)),
        kind=problem.kind,
    )


def _recorded(sample: Sample, grade: Grade, score: float | None) -> RecordedSample:
    logprob = mean_logprob(sample.logprobs)
    return RecordedSample(sample.reply, sample.answer, grade.correct, score, sample.cost.output_tokens, logprob)


def draws(cell: Cell) -> Recording:
    """The draws behind an outcome."""
    return recorded(cell.problem, cell.outcome.candidates, cell.candidates, cell.outcome.scores)


def recordings(model: Model, cells: Mapping[str, Sequence[Cell]]) -> list[Recording]:
    """A grid as recordings: each problem with every strategy's result, and the draws of the strategy with the most.

    Only strategies that draw whole replies, the same number for every problem, provide draws: averages over subsets
    would be biased if the number depended on the draws, or if a search selected continuations. Without such a
    strategy there are no samples. Of two with equally many draws, the one with scores provides them.
    """
    steady = {name: column for name, column in cells.items() if all(map(_lends, column))}
    widest = max(steady, key=lambda name: _width(steady[name]), default=None)
    found = []
    for i, cell in enumerate(next(iter(cells.values()), ())):
        drawn = recorded(cell.problem, (), ()) if widest is None else draws(cells[widest][i])
        results = {name: result(column[i]) for name, column in cells.items()}
        found.append(replace(drawn, results=results, group=model.name, strategy=widest))
    return found


def recording(model: Model, cells: Mapping[str, Cell], unsteady: set[str]) -> Recording:
    """One problem of a grid as `recordings` gives it, before the others are known.

    `unsteady` collects the strategies that provided no draws for some problem so far: they provide none any more.
    """
    unsteady.update(name for name, cell in cells.items() if not _lends(cell))
    steady = {name: cell for name, cell in cells.items() if name not in unsteady}
    widest = max(steady, key=lambda name: _width([steady[name]]), default=None)
    drawn = recorded(next(iter(cells.values())).problem, (), ()) if widest is None else draws(cells[widest])
    results = {name: result(cell) for name, cell in cells.items()}
    return replace(drawn, results=results, group=model.name, strategy=widest)


def columns(rows: Sequence[Mapping[str, Cell]]) -> dict[str, list[Cell]]:
    """The cells of each strategy, from the cells of each problem."""
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _lends(cell: Cell) -> bool:
    """Whether an outcome's candidates are independent draws whose number did not depend on their content."""
    outcome = cell.outcome
    return outcome.stopped is not Stopped.EARLY and all(s.prompt == cell.problem.prompt for s in outcome.candidates)


def _width(cells: Sequence[Cell]) -> tuple[int, int]:
    """How many draws a strategy has, and how many scores."""
    outcomes = [cell.outcome for cell in cells]
    return sum(len(o.candidates) for o in outcomes), sum(len(o.scores) for o in outcomes)


def result(cell: Cell) -> Result:
    """The recorded result of an outcome."""
    grades = [grade.correct for grade in cell.candidates]
    return Result(
        cell.outcome.answer,
        cell.grade.correct,
        True if True in grades else (None if None in grades else False),
        len(cell.outcome.candidates),
        cell.outcome.stopped.value,
        cell.spent,
        dict(cell.outcome.notes),
    )


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


async def run_plan(
    plan: Plan,
    bank: Bank | None,
    *,
    n_problems: int | None,
    tick: Callable[[], None] = lambda: None,
    done: Done = lambda cells: None,
) -> dict[str, list[Cell]]:
    """Runs each strategy on each problem.

    Draws are banked as they arrive, so a second run pays only for missing ones. If another process draws into the
    same bank, this one takes the problems in an order of its own, so that the two share the work. `tick` is called
    after each outcome, and `done` after each problem.
    """
    problems = plan.problems(n_problems)
    cells: dict[int, dict[str, Cell]] = {}
    order = list(enumerate(problems))
    if bank is not None and bank.is_shared():
        random.Random().shuffle(order)
    todo = iter(order)

    async def work() -> None:
        for i, problem in todo:
            cells[i] = await plan.cells(problem, bank, tick)
            done(cells[i])

    workers = [asyncio.create_task(work()) for _ in range(min(N_AT_ONCE, len(problems)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return columns([cells[i] for i in range(len(problems))])


def tabulate(task: Task, model: Model, cells: Mapping[str, Sequence[Cell]], seed: int = 0) -> Table:
    """The figures of a grid, by all draws that each problem has (`lab.averaged`)."""
    drawn = recordings(model, cells)
    found = {name: averaged(name, drawn, seed) for name in cells}
    rows = [_row(task.name, model.name, name, column, found[name], seed) for name, column in cells.items()]
    # Figures that used gold answers are upper bounds, and are compared with nothing.
    methods = {name: found[name].correct for name, column in cells.items() if not _is_bound(column)}
    pairs = compare(methods, seed) if methods else []
    return Table(rows, pairs, getattr(task, "caption", ""))


def _is_bound(cells: Sequence[Cell]) -> bool:
    """Whether a strategy used gold answers."""
    return any(cell.outcome.notes.get("oracle") for cell in cells)


def _row(task: str, model: str, strategy: str, cells: Sequence[Cell], found: Averaged, seed: int) -> Row:
    is_bound = _is_bound(cells)
    graded = [covered for covered, right in zip(found.covered, found.correct, strict=True) if right is not None]
    stopped = {reason.value: sum(cell.outcome.stopped is reason for cell in cells) for reason in Stopped}
    return Row(
        task,
        model,
        strategy,
        len(cells),
        sum(len(cell.outcome.candidates) for cell in cells) / len(cells),
        None if is_bound else found.accuracy,
        None if is_bound else found.interval(seed),
        sum(covered or 0.0 for covered in graded) / len(graded) if graded else None,
        cost.mean([cell.spent for cell in cells]),
        sum(cell.outcome.answer is None for cell in cells),
        len(cells) - len(graded),
        {reason: n for reason, n in stopped.items() if n},
        cost.total(cell.spent for cell in cells).retries,
        sum(sample.error is not None for cell in cells for sample in cell.outcome.candidates),
    )
