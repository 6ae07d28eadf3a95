"""Level-by-level searches over steps: beam, lookahead, DVTS, REBASE and stepwise best-of-n.

Each ends with at most `n` complete replies and selects among them. A reply that has ended counts as one of the n, so
the remaining branches share the rest of the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mull.errors import UsageError
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.strategies.stepwise import (
    Branch,
    Pick,
    Search,
    check_divides,
    check_options,
    flat,
    rank,
    selection_of,
    shares,
)
from mull.types import Need, Outcome, Problem, Scaling, Selection


@dataclass(frozen=True)
class Beam:
    """Beam search against a process reward model (BFS-V, Snell et al. 2024, arXiv 2408.03314, section 5).

    Draws n first steps; then, at each level, keeps the best n / width branches and extends each by `width` steps.
    Stops after `depth` levels.
    """

    needs = frozenset({Need.VERIFIER, Need.STEPS, Need.CONTINUATION})
    draws = Scaling.TREE

    n: int = 16
    width: int = 4
    depth: int = 40
    pick: Pick = "weighted"
    separator: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, width=self.width, depth=self.depth)
        check_divides(self.n, self.width)
        check_options(self.pick, self.separator)

    async def value(self, search: Search, steps: Sequence[Branch]) -> None:
        """Scores new steps."""
        await search.score(steps)

    @property
    def selects(self) -> Selection:
        return selection_of(self.pick)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, self.separator)
        live, left = [search.root], self.n
        with run.reserve(problem.prompt):
            for _ in range(self.depth):
                steps = flat(await search.grow(list(zip(live, shares(left, len(live)), strict=True))))
                if not steps:
                    break
                await self.value(search, steps)
                ranked = search.sift(steps)
                left = self.n - len(search.complete)
                live = search.keep(ranked, max(left // self.width, 1) if left else 0)
                if not live:
                    break
        return await search.outcome(self.pick, live)


@dataclass(frozen=True)
class Lookahead(Beam):
    """Beam search that scores a step at the end of a greedy roll-out of `k` more steps (Snell et al. 2024).

    Roll-outs are discarded; with them a level costs n (k + 1) draws. Equal steps share one roll-out.
    """

    k: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, k=self.k)

    async def value(self, search: Search, steps: Sequence[Branch]) -> None:
        """Scores the ends of the roll-outs."""
        firsts: dict[tuple[object, ...], Branch] = {}
        twin = {step: firsts.setdefault((step.prompt, step.is_over, step.n_tokens), step) for step in steps}
        end_of = {step: step for step in firsts.values()}
        for _ in range(self.k):
            going = [step for step, end in end_of.items() if not end.is_over]
            grown = await search.grow([(end_of[step], 1) for step in going], temperature=0.0)
            for step, further in zip(going, grown, strict=True):
                end_of[step] = further[0] if further else end_of[step]
        await search.score(list(end_of.values()))
        for step in steps:
            end = end_of[twin[step]]
            step.score = end.score
            if end is not step:
                search.decided("lookahead", [step], end=end.sample, value=end.value)


@dataclass(frozen=True)
class Dvts:
    """Diverse verifier tree search: n / width independent greedy searches (Hugging Face, search-and-learn).

    Each extends its best branch by `width` steps. With n = width it is one greedy search.
    """

    needs = frozenset({Need.VERIFIER, Need.STEPS, Need.CONTINUATION})
    draws = Scaling.TREE

    n: int = 16
    width: int = 4
    depth: int = 40
    pick: Pick = "weighted"
    separator: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, width=self.width, depth=self.depth)
        check_divides(self.n, self.width)
        check_options(self.pick, self.separator)

    @property
    def selects(self) -> Selection:
        return selection_of(self.pick)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, self.separator)
        trees = [(search.root, self.width)] * (self.n // self.width)
        with run.reserve(problem.prompt):
            for _ in range(self.depth):
                grown = await search.grow(trees)
                if not any(grown):
                    break
                await search.score(flat(grown))
                after: list[tuple[Branch, int]] = []
                for (_, width), steps in zip(trees, grown, strict=True):
                    ranked = search.sift(steps)
                    left = width - (len(steps) - len(ranked))
                    after += [(best, left) for best in search.keep(ranked, 1 if left else 0)]
                if not after:
                    break
                trees = after
        return await search.outcome(self.pick, sorted((branch for branch, _ in trees), key=rank))


def balanced(values: Sequence[float | None], width: int, temperature: float) -> list[int]:
    """How many continuations each branch gets: its softmax share of the width, rounded up from the best one down.

    They always sum to the width. A branch without a value gets none, unless no branch has one: then shares are equal.
    """
    known = sorted((i for i, v in enumerate(values) if v is not None), key=lambda i: -(values[i] or 0.0))
    counts = [0] * len(values)
    if not known:
        return shares(width, len(values))
    weights = [math.exp(((values[i] or 0.0) - (values[known[0]] or 0.0)) / temperature) for i in known]
    left = width
    for place, i in enumerate(known):
        rest = math.fsum(weights[place:])
        # Rounding errors must not give equal values different shares.
        counts[i] = min(left, math.ceil(left * weights[place] / rest - 1e-9)) if rest > 0 else 0
        left -= counts[i]
    counts[known[0]] += left
    return counts


@dataclass(frozen=True)
class Rebase:
    """Reward-balanced search (REBASE, Wu et al. 2024, arXiv 2408.00724): better branches get more continuations.

    At each level the remaining width is divided in proportion to exp(score / `balance`).
    """

    needs = frozenset({Need.VERIFIER, Need.STEPS, Need.CONTINUATION})
    draws = Scaling.TREE

    n: int = 16
    balance: float = 0.2
    depth: int = 25
    pick: Pick = "weighted"
    separator: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, depth=self.depth)
        check_options(self.pick, self.separator)
        if not self.balance > 0:
            raise UsageError(f"balance is a temperature and must be above 0, not {self.balance}")

    @property
    def selects(self) -> Selection:
        return selection_of(self.pick)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, self.separator)
        live, counts = [search.root], [self.n]
        with run.reserve(problem.prompt):
            for _ in range(self.depth):
                steps = flat(await search.grow(list(zip(live, counts, strict=True))))
                if not steps:
                    break
                await search.score(steps)
                live, left = search.sift(steps), self.n - len(search.complete)
                counts = balanced([b.value for b in live], left, self.balance) if live else []
                search.decided(
                    "kept", [b for b, n in zip(live, counts, strict=True) if n], counts=[n for n in counts if n]
                )
                search.decided("pruned", [b for b, n in zip(live, counts, strict=True) if not n])
                if not live or not left:
                    break
        return await search.outcome(self.pick, live)


@dataclass(frozen=True)
class StepBon:
    """Stepwise best-of-n: draws n next steps, keeps the best scored one, and repeats until the reply ends.

    Greedy search against a process reward model; returns one reply.
    """

    needs = frozenset({Need.VERIFIER, Need.STEPS, Need.CONTINUATION})
    draws = Scaling.TREE
    selects = Selection.SCORES

    n: int = 4
    depth: int = 40
    separator: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, depth=self.depth)
        check_options("best", self.separator)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, self.separator)
        path = search.root
        with run.reserve(problem.prompt):
            for _ in range(self.depth):
                (steps,) = await search.grow([(path, self.n)])
                if not steps:
                    break
                await search.score(steps)
                (path,) = search.keep(sorted(steps, key=rank), 1)
                if path.is_over:
                    search.complete = [path]
                    break
                search.complete += [step for step in steps if step.is_over]
        return await search.outcome("best", [path])
