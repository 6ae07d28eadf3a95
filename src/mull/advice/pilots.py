"""Pilots for `mull advise`: made now, of a task, or taken from files of draws."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mull import cost
from mull.errors import UsageError
from mull.types import Budget, Cost, Finish, Params, Stopped

if TYPE_CHECKING:
    from mull.advice.options import Measured
    from mull.advice.pilot import Drawn, Pilot
    from mull.bank.sql import SqlBank
    from mull.lab.cases import Case, Group
    from mull.lab.grid import Cell
    from mull.run import Strategy
    from mull.types import Model, Task, Verifier


class Made(NamedTuple):
    """A pilot, the strategies that were run on its problems, and what making it cost."""

    pilot: Pilot
    measured: list[Measured]
    spent: Cost


class Size(NamedTuple):
    """How large a pilot is."""

    problems: int
    draws: int


def size_of(text: str) -> Size:
    """`50x8` as 50 problems and 8 draws of each."""
    problems, _, draws = text.lower().partition("x")
    if not (problems.isdigit() and draws.isdigit() and int(problems) and int(draws)):
        raise UsageError(f"--pilot takes problems x draws, like 50x8, not {text!r}")
    return Size(int(problems), int(draws))


def make(
    task: Task,
    model: Model,
    size: Size,
    *,
    verifier: Verifier | None,
    strategies: Mapping[str, Strategy],
    tokens: int | None,
    params: Params,
    seed: int,
    bank: SqlBank | None,
    tick: Callable[[], None],
) -> Made:
    """Draws of some problems of a task, within a ceiling on all tokens together, each run with its even share."""
    from mull.lab import grid
    from mull.strategies.parallel import Majority, Weighted

    drawing: Strategy = Majority(size.draws) if verifier is None else Weighted(size.draws)
    plans = {"draws": drawing, **strategies}
    share = None if tokens is None else tokens // (size.problems * len(plans))
    if share is not None and share < 1:
        raise UsageError(f"{tokens:,} tokens are not one for each of {size.problems * len(plans):,} runs of this pilot")
    plan = grid.Plan(task, model, plans, verifier, budget=Budget(tokens=share), params=params, seed=seed)
    cells = asyncio.run(grid.run_plan(plan, bank, n_problems=size.problems, tick=tick))
    problems = [one for cell in cells["draws"] if (one := drawn_of(cell)) is not None]
    spent = cost.total(cell.spent for column in cells.values() for cell in column)
    if len(problems) < len(cells["draws"]):
        raise UsageError(
            f"{len(cells['draws']) - len(problems)} of {len(cells['draws'])} problems have no whole draw: raise "
            "--tokens, make the pilot smaller, or see why draws failed"
        )
    from mull.advice.options import Measured
    from mull.advice.pilot import Pilot

    measured = [
        Measured(name, tuple(c.grade.correct for c in cells[name]), cost.mean([c.spent for c in cells[name]]))
        for name in strategies
    ]
    return Made(Pilot(model.name, tuple(problems)), measured, spent)


def drawn_of(cell: Cell) -> Drawn | None:
    """The draws of one problem with their costs; those that the ceiling cut short are left out."""
    from mull.advice.pilot import NOTHING, Drawn
    from mull.lab.grid import pool_of

    drawn = cell.outcome.candidates
    whole = [i for i, sample in enumerate(drawn) if sample.error is None]
    if cell.outcome.stopped is Stopped.BUDGET and drawn and drawn[-1].finish is Finish.LENGTH:
        whole = [i for i in whole if i < len(drawn) - 1]  # only a last draw is shortened
    if not whole:
        return None
    samples, grades = [drawn[i] for i in whole], [cell.candidates[i] for i in whole]
    scores = [cell.outcome.scores[i] for i in whole] if cell.outcome.scores else []
    pool = pool_of(cell.problem, samples, grades, scores)
    further = cost.mean([s.cost for s in samples[1:]]) if len(samples) > 1 else samples[0].cost
    scoring = cost.mean([score.cost for score in scores]) if scores else NOTHING
    return Drawn(
        pool.n, pool.n_correct, pool.answers, pool.correct, pool.scores if scores else (), samples[0].cost, further,
        scoring,
    )  # fmt: skip


def read(group: Group, usd: float | None) -> Made:
    """A pilot out of a file's group; `usd` is what one of its draws cost."""
    from mull.advice.choice import PARALLEL
    from mull.advice.options import Measured
    from mull.advice.pilot import Pilot

    problems = tuple(_recorded(case, usd) for case in group.cases)
    ran = dict.fromkeys(name for case in group.cases for name in case.taken)
    # What draws alone foretell is foretold: that is surer than one run of it.
    names = [name for name in ran if name.partition(":")[0] not in PARALLEL]
    measured = [
        Measured(
            name, tuple(case.taken[name].correct for case in group.cases),
            cost.mean([case.taken[name].cost for case in group.cases]),
        )
        for name in names
        if all(name in case.taken for case in group.cases)
    ]  # fmt: skip
    return Made(Pilot(group.name, problems), measured, cost.total(_cost_of(one) for one in problems))


def _cost_of(one: Drawn) -> Cost:
    return one.first + cost.times(one.further, one.n - 1)


def _recorded(case: Case, usd: float | None) -> Drawn:
    from mull.advice.pilot import NOTHING, Drawn

    pool = case.pool
    if pool is None:
        raise UsageError(f"problem {case.id} has no samples: advice needs draws")
    known = [t for t in pool.tokens if t is not None]
    tokens: Any = math.fsum(known) / len(known) if known and len(known) == pool.n else None
    each = Cost(1, None, tokens, 0, None, None, usd, None)
    # A sweep tells what all draws of a strategy cost; where they were scored too, the two cannot be told apart.
    for taken in case.taken.values():
        if taken.draws == pool.n and taken.cost.verifier_tokens == 0 and usd is None:
            paid = cost.mean([taken.cost, *[NOTHING] * (pool.n - 1)])
            each = Cost(1, paid.prompt_tokens, tokens, 0, paid.cached_tokens, paid.flops, paid.usd, paid.seconds)
            break
    scores = pool.scores if any(s is not None for s in pool.scores) else ()
    return Drawn(pool.n, pool.n_correct, pool.answers, pool.correct, scores, each, each)
