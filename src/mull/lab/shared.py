"""One budget of draws shared by all problems of a task, spent on those that no draw has solved yet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from mull.allocate.batch import Belief, Shared
from mull.bank import Bank
from mull.errors import UsageError
from mull.lab.grid import N_AT_ONCE, Cell, Plan, grade
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import chosen
from mull.types import Problem, Sample, Score, Stopped


class _Open:
    """A problem in progress: its run, its draws, and the checker's scores."""

    def __init__(self, problem: Problem, run: Run) -> None:
        self.problem, self.run = problem, run
        self.samples: list[Sample] = []
        self.scores: list[Score] = []

    async def draw(self) -> bool | None:
        """Whether one more draw passes; `None` if no more draws are possible."""
        drawn = await self.run.draw(self.problem.prompt)
        if not drawn:
            return None
        self.samples += drawn
        self.scores += await self.run.score(self.problem, drawn)
        return self._passes(self.scores[-1])

    @staticmethod
    def _passes(score: Score) -> bool:
        return score.value is not None and score.value >= 1

    async def cell(self, plan: Plan) -> Cell:
        passed = next((i for i, score in enumerate(self.scores) if self._passes(score)), None)
        place = passed if passed is not None else pick.best(self.scores, self.run.rng)
        stopped = Stopped.EARLY if passed is not None else Stopped.BUDGET
        outcome = await chosen(place, self.problem, self.samples, self.scores, stopped)
        grades = [await plan.task.grade(self.problem.id, sample) for sample in self.samples]
        verdict = await grade(plan.task, self.problem, outcome)
        return Cell(self.problem, outcome, verdict, tuple(grades), self.run.spent, self.run.fresh)


async def run_shared(
    plan: Plan, bank: Bank | None, n: int, *, n_problems: int | None, tick: Callable[[], None] = lambda: None
) -> list[Cell]:
    """Each problem's outcome with a shared budget of n draws per problem; `plan.strategies` are not used.

    Draws are made in rounds of one for each of up to `N_AT_ONCE` problems (`allocate.batch.Shared`), so which draws are
    made does not depend on which arrive first. A problem is solved, and gets no more draws, once a sound checker passes
    one. The plan's own budget holds for each problem. Raises `UsageError` without a verifier.
    """
    if plan.verifier is None:
        raise UsageError("a shared budget needs a checker that decides which problems are solved: name a --verifier")
    if n < 1:
        raise UsageError(f"a shared budget must be at least one draw per problem, not {n}")
    problems = plan.problems(n_problems)
    states = [
        _Open(
            problem,
            Run(
                plan.model,
                verifier=plan.verifier,
                budget=plan.budget,
                bank=bank,
                params=plan.params,
                seed=plan.seed,
                rng=random.Random(f"{plan.seed}/{problem.id}/shared".encode(errors="surrogatepass")),
            ),
        )
        for problem in problems
    ]
    shared = Shared([Belief()] * len(problems), n * len(problems))
    while chosen_now := shared.next(N_AT_ONCE):
        for i, is_solved in zip(chosen_now, await asyncio.gather(*(states[i].draw() for i in chosen_now)), strict=True):
            if is_solved is None:
                shared.drop(i)
            else:
                shared.tell(i, is_solved)
    cells = []
    for state in states:
        cells.append(await state.cell(plan))
        tick()
    return cells
