"""Recursive self-aggregation: a population of replies, each rewritten from several others (arXiv 2509.26626)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mull.replies.answers import classes
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, elected
from mull.strategies.quoting import check_reads, legible, showing
from mull.types import NO_NEEDS, Ask, Finish, Outcome, Problem, Scaling, Selection

AGGREGATE = (
    "Some of these replies may be wrong or incomplete. Compare them step by step, keep what holds, mend what does not, "
    "and write one better reply to the task, complete in itself and in the form that the task asks for."
)


@dataclass(frozen=True)
class Rsa:
    """Recursive self-aggregation: n replies, rewritten `rounds` times, each from k random ones of the last round.

    It makes n (rounds + 1) draws; the most frequent answer of the last round wins. A reply whose rewriting failed or
    was not affordable stays as it was (Venkatraman et al. 2025, arXiv 2509.26626).
    """

    needs = NO_NEEDS
    draws = Scaling.SEQUENTIAL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    k: int = 4
    rounds: int = 3

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, k=self.k)
        check_at_least(0, rounds=self.rounds)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await check_reads(problem, run, AGGREGATE)
        population = await run.draw(problem.prompt, self.n)
        drawn = list(population)
        for _ in range(self.rounds):
            shown = legible(population)
            if not shown:
                break
            some = [run.rng.sample(shown, min(self.k, len(shown))) for _ in population]
            asks = [Ask(showing(problem, run, replies, AGGREGATE), 1, run.params) for replies in some]
            written = [next(iter(got), None) for got in await run.draw_each(asks)]
            drawn += filter(None, written)
            is_new = [new is not None and new.finish is not Finish.ERROR for new in written]
            population = [
                new if new and fit else old for old, new, fit in zip(population, written, is_new, strict=True)
            ]
        answers = await classes(problem, population)
        ballot = pick.majority(answers, run.rng)
        return replace(elected(ballot, answers, population, (), run.stopped), candidates=tuple(drawn))
