"""Runs a study: every model on every task and level, from a bank, under one ceiling; what fails leaves a hole."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from mull import cost
from mull.bank import Bank
from mull.cost.ceilings import CEILINGS
from mull.errors import MullError, UsageError
from mull.files.recording import Recording
from mull.lab.cells import CUT_OFF, whole
from mull.lab.grid import Cell, Plan, columns, recordings, run_each, run_plan
from mull.lab.oracle import Oracle
from mull.lab.reach import UnjoinedError
from mull.lab.study_plan import StudyCell, StudyPlan, task_name
from mull.run.needs import draws_of, reuses
from mull.strategies.parallel import Single
from mull.types import Budget, Cost, Scaling

LEAST_PROBLEMS = 5
"""Problems of a level below which its figures say next to nothing."""
N_PROBED = 2
MOST_FAILURES = 2
"""A model is given up after so many cells in a row without any outcome."""
PARTS = ("calls", "output_tokens", "usd", "flops")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a study takes; parts that are not known are `None`. `most` are the tokens if each draw is of full length."""

    calls: int
    tokens: float | None
    most: int
    usd: float | None
    flops: float | None
    hours: float


@dataclass(frozen=True, slots=True)
class MissingCell:
    """A cell that was not run, or only in part, and why. `is_unreadable`: the model cannot read the task's prompts."""

    model: str
    task: str
    done: int
    problems: int
    why: str
    is_unreadable: bool = False


class Bound(NamedTuple):
    """Whether a strategy that was told of the gold answers solved a problem."""

    task: str
    model: str
    strategy: str
    problem: str
    solved: bool


@dataclass(slots=True)
class Studied:
    """The draws of a study by task, then model; its holes, its upper bounds, and what was spent now and in all."""

    groups: dict[str, dict[str, list[Recording]]] = field(default_factory=dict)
    bounds: list[Bound] = field(default_factory=list)
    holes: list[MissingCell] = field(default_factory=list)
    fresh: Cost = field(default_factory=Cost)
    spent: Cost = field(default_factory=Cost)


def n_draws(cell: StudyCell) -> int:
    """Draws per problem: strategies that only choose among plain draws share them, every other makes its own."""
    shared = [0]
    own = 0
    for strategy in (*cell.strategies.values(), *cell.upper_bounds.values()):
        n: int = getattr(strategy, "n", 1)
        if reuses(strategy) and draws_of(strategy) == Scaling.PARALLEL:
            shared.append(n)
        else:
            own += n
    return max(shared) + own


def readable(cells: Sequence[StudyCell]) -> list[StudyCell]:
    """The cells whose model can read the prompts of the task; a model of one task need not read those of another."""
    return [cell for cell in cells if not cell.refusal]


def unread(cells: Sequence[StudyCell]) -> list[MissingCell]:
    """The other cells, as holes."""
    return [
        MissingCell(one.model.name, one.text, 0, one.problems, one.refusal, is_unreadable=True)
        for one in cells
        if one.refusal
    ]


def unreadable(holes: Sequence[MissingCell]) -> list[str]:
    """A sentence for the models and the tasks whose prompts they cannot read."""
    tasks: dict[str, dict[str, str]] = {}
    for hole in holes:
        if hole.is_unreadable:
            tasks.setdefault(hole.model, {}).setdefault(task_name(hole.task), hole.why)
    models: dict[tuple[str, ...], list[str]] = {}
    for model, own in tasks.items():
        models.setdefault((*own, next(iter(own.values()))), []).append(model)
    return [
        f"{listed(names)} cannot read the prompts of {listed(own)}, and {'is' if len(names) == 1 else 'are'} not asked "
        f"there: {why}"
        for (*own, why), names in models.items()
    ]


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def check_ceiling(plan: StudyPlan, cells: Sequence[StudyCell]) -> None:
    """Raises `UsageError` for a ceiling under which no level says anything, with what it is enough for."""
    cells = readable(cells)
    runs = sum(cell.n_runs for cell in cells)
    for name, of in CEILINGS.items():
        top = getattr(plan.ceiling, name)
        if top is None:
            continue
        least = {id(cell): of(cell.quote) for cell in cells}
        unknown = sorted({cell.model.name for cell in cells if least[id(cell)] is None})
        if unknown:
            raise UsageError(f"a ceiling on {name} cannot be kept: its price is unknown for {', '.join(unknown)}")
        needed = sum(len(cell.strategies) * LEAST_PROBLEMS * (least[id(cell)] or 0) for cell in cells)
        if top >= needed:
            continue
        fits, left = 0, float(top)
        for cell in cells:
            left -= len(cell.strategies) * LEAST_PROBLEMS * (least[id(cell)] or 0)
            fits += left >= 0
        enough = f"it is enough for the first {fits} of them" if fits else "it is not enough for any of them"
        raise UsageError(
            f"a ceiling of {top:,} {name} is too low for {runs:,} runs: one draw each of {LEAST_PROBLEMS} problems in "
            f"{len(cells)} cells (a model on a task at a level) may take {needed:,.6g}; {enough}: leave out models, "
            "levels or strategies, or raise it"
        )


def tight(plan: StudyPlan, cells: Sequence[StudyCell]) -> str:
    """Says that the ceiling on tokens may cut runs off, since each has an equal share of it; empty if it cannot."""
    cells = readable(cells)
    share = _share(plan.ceiling, Cost(), sum(cell.n_runs for cell in cells))
    if share is None or share.tokens is None:
        return ""
    uses = [
        (getattr(strategy, "n", 1) * cell.params.max_tokens, name, cell)
        for cell in cells
        for name, strategy in {**cell.strategies, **cell.upper_bounds}.items()
    ]
    most, name, cell = max(uses, key=lambda use: use[0])
    if most <= share.tokens:
        return ""
    return (
        f"the ceiling leaves each run {share.tokens:,} tokens, draws from the bank included, and {name} on {cell.text} "
        f"may take {most:,}: runs that it cuts off are told, and are in no figure"
    )


def probe(cells: Sequence[StudyCell], bank: Bank, seed: int) -> Estimate:
    """Draws once for a few problems of each model and task, and estimates the whole; the study uses these draws."""
    cells = readable(cells)
    calls, most, hours = 0, 0, 0.0
    sums: dict[str, float | None] = dict.fromkeys(PARTS, 0.0)
    seen: dict[tuple[str, str], tuple[Cost, float] | None] = {}
    for cell in cells:
        key = cell.model.name, cell.study_task.spec
        n = cell.problems * n_draws(cell)
        calls, most = calls + n, most + n * cell.params.max_tokens
        if key not in seen:
            seen[key] = _probed(cell, bank, seed)
        found = seen[key]
        for name in PARTS:
            each = None if found is None else getattr(found[0], name)
            total = sums[name]
            sums[name] = None if each is None or total is None else total + n * each
        hours += 0.0 if found is None else n * found[1] / 3600
    return Estimate(calls, sums["output_tokens"], most, sums["usd"], sums["flops"], hours)


def _probed(cell: StudyCell, bank: Bank, seed: int) -> tuple[Cost, float] | None:
    """The mean cost of a draw and its seconds; `None` where the model gives none now."""
    plan = Plan(cell.task, cell.model, {"single": Single()}, params=cell.params, seed=seed)
    start = time.monotonic()
    try:
        found = asyncio.run(run_plan(plan, bank, n_problems=min(N_PROBED, cell.problems)))["single"]
    except MullError:
        return None  # the study itself tells why
    each = cost.mean([one.spent for one in found])
    is_fresh = any(one.fresh.calls for one in found)
    seconds = (time.monotonic() - start) / len(found) if is_fresh else each.seconds or 0.0
    return each, seconds


def run_study(
    plan: StudyPlan,
    cells: Sequence[StudyCell],
    bank: Any,
    *,
    run: Callable[..., Coroutine[Any, Any, None]] = run_each,
    tick: Callable[[], None] = lambda: None,
    began: Callable[[StudyCell], None] = lambda cell: None,
) -> Studied:
    """Runs all cells. Each run has an equal share of what the ceiling leaves, so that the whole is never above it.

    `run` runs a plan as `grid.run_each` does. A second run takes what the bank has. A model that fails leaves holes,
    and the others go on. Raises `UsageError` only for a bad plan, and `UnjoinedError` for a cluster that is not there.
    """
    made, cells = Studied(holes=unread(cells)), readable(cells)
    runs = sum(cell.n_runs for cell in cells)
    failures: Counter[str] = Counter()
    for cell in cells:
        name, text = cell.model.name, cell.text
        done: list[Mapping[str, Cell]] = []
        why = ""
        budget = _share(plan.ceiling, made.spent, runs)
        if failures[name] >= MOST_FAILURES:
            why = f"not run: {name} failed before"
        else:
            began(cell)
            grid_plan = Plan(
                cell.task,
                cell.model,
                cell.strategies,
                cell.verifier,
                budget=budget,
                params=cell.params,
                seed=plan.seed,
            )
            n = cell.problems
            try:
                asyncio.run(run(grid_plan, bank, partial(_keep_row, done), n_problems=n, tick=tick))
                if cell.upper_bounds:
                    told = replace(grid_plan, strategies=cell.upper_bounds, verifier=Oracle(cell.task))
                    _keep_bounds(made, name, text, asyncio.run(run_plan(told, bank, n_problems=n, tick=tick)))
            except UnjoinedError:
                raise
            except MullError as error:
                why = str(error)
        runs -= cell.n_runs
        failures[name] = 0 if done else failures[name] + 1
        _keep(made, cell, text, done, budget)
        why = why or _cut(done, budget)
        if why:
            made.holes.append(MissingCell(name, text, len(done), cell.problems, why))
    return made


def _keep_row(rows: list[Mapping[str, Cell]], place: int, cells: Mapping[str, Cell]) -> None:
    rows.append(cells)


def _keep_bounds(made: Studied, model: str, text: str, cells: Mapping[str, Sequence[Cell]]) -> None:
    for strategy, column in cells.items():
        made.bounds += [Bound(text, model, strategy, c.problem.id, c.grade.correct is True) for c in column]
        made.fresh += cost.total(one.fresh for one in column)
        made.spent += cost.total(one.spent for one in column)


def _share(ceiling: Budget, spent: Cost, runs: int) -> Budget | None:
    """What each run may take so that all runs together stay within what is left; `None` without a ceiling.

    What came from the bank counts as spent, so that a study that is run again has the same shares and outcomes.
    """
    shares: dict[str, Any] = {}
    for name, of in CEILINGS.items():
        top = getattr(ceiling, name)
        if top is not None:
            left = max(0.0, top - (of(spent) or 0)) / max(runs, 1)
            shares[name] = int(left) if name in ("calls", "tokens") else left
    return Budget(**shares) if shares else None


def _cut(done: Sequence[Mapping[str, Cell]], budget: Budget | None) -> str:
    """Says how many runs the ceiling cut off; empty for none."""
    cells = [cell for row in done for cell in row.values()]
    n_cut = 0 if budget is None else sum(whole(cell, budget.tokens).grade is CUT_OFF for cell in cells)
    return f"the ceiling cut off {n_cut:,} of {len(cells):,} runs" if n_cut else ""


def _keep(made: Studied, cell: StudyCell, text: str, done: Sequence[Mapping[str, Cell]], budget: Budget | None) -> None:
    if not done:
        return
    order = {p.id: i for i, p in enumerate(itertools.islice(cell.task.problems(), cell.problems))}
    found = columns(sorted(done, key=lambda row: order[next(iter(row.values())).problem.id]))
    tokens = None if budget is None else budget.tokens
    kept = {name: [whole(one, tokens) for one in column] for name, column in found.items()}
    made.groups.setdefault(text, {})[cell.model.name] = [
        replace(one, group=cell.model.name) for one in recordings(cell.model, kept)
    ]
    outcomes = [one for column in found.values() for one in column]
    made.fresh += cost.total(one.fresh for one in outcomes)
    made.spent += cost.total(one.spent for one in outcomes)
