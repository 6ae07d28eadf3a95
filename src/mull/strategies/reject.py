"""Speculative rejection: stops replies with low scores before they end."""

from __future__ import annotations

from dataclasses import dataclass

from mull.errors import UsageError
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.strategies.stepwise import Branch, Pick, Search, check_options, flat, rank, selection_of, shares
from mull.types import Need, Outcome, Problem, Scaling, Selection


def survivors(n: int, alpha: float) -> int:
    """How many of n replies continue after a round that rejects the share `alpha`; at least one."""
    return max(1, round((1 - alpha) * n))


@dataclass(frozen=True)
class RejectEarly:
    """Speculative rejection (Sun et al. 2024, arXiv 2410.20290): stops the worst of n partial replies in rounds.

    Each round extends every reply by `chunk` tokens, scores all of them, ended ones included, and stops the worst share
    `alpha`. Needs a verifier whose scores of partial replies are informative; the best scored ended reply wins.
    """

    needs = frozenset({Need.VERIFIER, Need.CONTINUATION})
    draws = Scaling.PARALLEL

    n: int = 16
    alpha: float = 0.5
    chunk: int = 64
    pick: Pick = "best"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, chunk=self.chunk)
        check_options(self.pick)
        if not 0 < self.alpha < 1:
            raise UsageError(f"alpha is the share that stops in each round, between 0 and 1, not {self.alpha}")

    @property
    def selects(self) -> Selection:
        return selection_of(self.pick)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, chunk=self.chunk)
        live, wanted, ended = [search.root], self.n, list[Branch]()
        with run.reserve(problem.prompt):
            while live:
                parts = flat(await search.grow(list(zip(live, shares(wanted, len(live)), strict=True))))
                if not parts:
                    break
                await search.score(parts)
                search.complete += [branch for branch in parts if branch.is_over]
                pool = sorted([*ended, *parts], key=rank)
                pool = search.keep(pool, survivors(len(pool), self.alpha))
                ended, live = [b for b in pool if b.is_over], [b for b in pool if not b.is_over]
                wanted = len(live)
                if len(pool) == wanted == 1:
                    (ends,) = await search.finish(live)
                    await search.score(ends)
                    search.complete += ends
                    break
        return await search.outcome(self.pick, live)
