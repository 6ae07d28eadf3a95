"""Pilots for `mull advise`: run on a task, or read from files of draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mull import cost
from mull.errors import UsageError
from mull.run.together import finished
from mull.types import Budget, Cost, Params

if TYPE_CHECKING:
    from mull.advice.options import PilotMeasured
    from mull.advice.pilot import Pilot, PilotPrice
    from mull.bank.sql import SqlBank
    from mull.files.recording import Recording
    from mull.lab.grid import Cell
    from mull.lab.recorded import Group
    from mull.run import Strategy
    from mull.types import Model, Task, Verifier


class Made(NamedTuple):
    """A pilot, the strategies measured on its problems, and its cost."""

    pilot: Pilot
    measured: list[PilotMeasured]
    spent: Cost


class Size(NamedTuple):
    """The size of a pilot: problems, and draws of each."""

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
    """Runs a pilot on problems of a task, under a ceiling on all tokens together, shared equally by its runs."""
    from mull.lab import grid
    from mull.lab.cells import whole as without_cut
    from mull.strategies.parallel import Majority, Weighted

    drawing: Strategy = Majority(size.draws) if verifier is None else Weighted(size.draws)
    plans = {"draws": drawing, **strategies}
    share = None if tokens is None else tokens // (size.problems * len(plans))
    if share is not None and share < 1:
        raise UsageError(f"{tokens:,} tokens are less than one for each of {size.problems * len(plans):,} runs")
    plan = grid.Plan(task, model, plans, verifier, budget=Budget(tokens=share), params=params, seed=seed)
    cells = finished(grid.run_plan(plan, bank, n_problems=size.problems, tick=tick))
    whole = [cell for one in cells["draws"] if (cell := without_cut(one, share)).outcome.candidates]
    spent = cost.total(cell.spent for column in cells.values() for cell in column)
    if len(whole) < len(cells["draws"]):
        raise UsageError(
            f"{len(cells['draws']) - len(whole)} of {len(cells['draws'])} problems have no complete draw: raise "
            "--tokens, make the pilot smaller, or find out why draws failed"
        )
    from mull.advice.options import PilotMeasured
    from mull.advice.pilot import Pilot

    measured = [
        PilotMeasured(name, tuple(c.grade.correct for c in cells[name]), cost.mean([c.spent for c in cells[name]]))
        for name in strategies
    ]
    problems = tuple(map(_drawn, whole))
    return Made(Pilot(model.name, problems, _prices(whole)), measured, spent)


def _drawn(cell: Cell) -> Recording:
    """The draws of one problem."""
    from mull.lab.grid import recorded

    return recorded(cell.problem, cell.outcome.candidates, cell.candidates, cell.outcome.scores)


def _prices(whole: Sequence[Cell]) -> tuple[PilotPrice, ...]:
    """The cost of each problem's draws, whether they shared requests or not."""
    from mull.advice.billing import as_one_request
    from mull.advice.pilot import NOTHING, PilotPrice

    drawn = as_one_request([[sample.cost for sample in cell.outcome.candidates] for cell in whole])
    prices = []
    for cell, (first, further) in zip(whole, drawn, strict=True):
        scores = cell.outcome.scores
        scoring = cost.mean([score.cost + score.drawn for score in scores]) if scores else NOTHING
        prices.append(PilotPrice(first, further, scoring))
    return tuple(prices)


def read(group: Group, usd: float | None) -> Made:
    """A pilot from a file's group; `usd` is the cost of one of its draws."""
    from mull.advice.billing import of_results
    from mull.advice.options import PilotMeasured
    from mull.advice.pilot import Pilot, PilotPrice
    from mull.files.spool import draw_counts

    problems = group.recordings
    counts = draw_counts(problems)
    sums = of_results(problems) if usd is None and all(n for n, _ in counts) else None
    prices = tuple(PilotPrice(*each) for each in sums) if sums else tuple(_price(one, usd) for one in problems)
    ran: dict[str, tuple[list[bool | None], cost.Ledger]] = {}
    for one in problems:
        for name, result in one.results.items():
            correct, spent = ran.setdefault(name, ([], cost.Ledger()))
            correct.append(result.correct)
            spent.add(result.cost)
    measured = [
        PilotMeasured(name, tuple(correct), spent.mean, yields=True)
        for name, (correct, spent) in ran.items()
        if len(correct) == len(problems)
    ]
    whole = (price.first + cost.times(price.further, n - 1) for (n, _), price in zip(counts, prices, strict=True))
    return Made(Pilot(group.name, problems, prices), measured, cost.total(whole))


def _price(one: Recording, usd: float | None) -> PilotPrice:
    """The cost of a recorded draw of a problem, as far as the file states it."""
    from mull.advice.pilot import NOTHING, PilotPrice

    if not one.n:
        raise UsageError(f"problem {one.id} has no samples: advice needs draws")
    known = [t for t in one.tokens if t is not None]
    tokens: Any = math.fsum(known) / len(known) if known and len(known) == one.n else None
    each = Cost(1, None, tokens, 0, None, None, usd, None)
    # A sweep records the cost of all draws of a strategy; if they were also scored, the two cannot be separated.
    for result in one.results.values():
        if result.draws == one.n and result.cost.verifier_tokens == 0 and usd is None:
            paid = cost.mean([result.cost, *[NOTHING] * (one.n - 1)])
            each = Cost(1, paid.prompt_tokens, tokens, 0, paid.cached_tokens, paid.flops, paid.usd, paid.seconds)
            break
    return PilotPrice(each, each)
