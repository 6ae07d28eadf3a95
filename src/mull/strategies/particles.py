"""Particle filtering: partial replies as particles, resampled by their process rewards."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mull.errors import UsageError
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.strategies.stepwise import Branch, Pick, Search, check_options, flat, rank, selection_of
from mull.types import Need, Outcome, Problem, Scaling, Selection

CLIP = 1e-7
"""Scores are clipped to this distance from 0 and 1, where odds are 0 or infinite."""


def odds(values: Sequence[float | None], temper: float = 1.0) -> list[float]:
    """Normalised weights, proportional to (s / (1 - s)) ** (1 / temper); 0 for unknown s, equal if all are unknown."""
    known = [None if v is None else min(max(v, CLIP), 1 - CLIP) for v in values]
    logits = [-math.inf if s is None else math.log(s / (1 - s)) / temper for s in known]
    top = max(logits)
    if top == -math.inf:
        return [1 / len(values)] * len(values)
    weights = [math.exp(logit - top) for logit in logits]
    whole = math.fsum(weights)
    return [w / whole for w in weights]


def effective(weights: Sequence[float]) -> float:
    """The effective sample size of normalised weights: 1 / sum w^2."""
    return 1 / math.fsum(w * w for w in weights)


def systematic(weights: Sequence[float], start: float) -> list[int]:
    """Systematic resampling: copies of each particle, from one uniform number `start` in [0, 1).

    A particle of weight w among n gets n w copies, rounded down or up; the expected number is exactly n w.
    """
    n = len(weights)
    ends: list[float] = []
    for weight in weights:
        ends.append((ends[-1] if ends else 0.0) + weight)
    # The number of points start, start + 1, ... below the end of each particle's interval of [0, n].
    below = [n if end == ends[-1] else min(n, max(0, math.ceil(n * end / ends[-1] - start))) for end in ends]
    return [b - a for a, b in zip([0, *below], below, strict=False)]


@dataclass(frozen=True)
class Particles:
    """Particle filtering (Puri et al. 2025, arXiv 2502.01618): extends n replies by a step, resamples by score odds.

    A particle that has ended keeps its weight and is still resampled. Copies continue with different draws. `temper`
    above 1 flattens the weights, which keeps more distinct particles.
    """

    needs = frozenset({Need.VERIFIER, Need.STEPS, Need.CONTINUATION})
    draws = Scaling.TREE

    n: int = 16
    temper: float = 1.0
    depth: int = 40
    pick: Pick = "best"
    separator: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, depth=self.depth)
        check_options(self.pick, self.separator)
        if not self.temper > 0:
            raise UsageError(f"temper must be above 0, not {self.temper}")

    @property
    def selects(self) -> Selection:
        return selection_of(self.pick)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, self.separator)
        particles = [search.root] * self.n
        with run.reserve(problem.prompt):
            for level in range(self.depth):
                copies = Counter(p for p in particles if not p.is_over)
                grown = dict(zip(copies, await search.grow(list(copies.items())), strict=True))
                if not any(grown.values()):
                    break
                await search.score(flat(grown.values()))
                particles = [grown[p].pop(0) if grown.get(p) else p for p in particles]
                if all(p.is_over for p in particles) or level + 1 == self.depth:
                    break
                particles = self.resample(particles, search)
        search.complete = [p for p in particles if p.is_over]
        return await search.outcome(self.pick, sorted(particles, key=rank))

    def resample(self, particles: Sequence[Branch], search: Search) -> list[Branch]:
        """Resamples n particles from n by their weights."""
        weights = odds([p.value for p in particles], self.temper)
        counts = systematic(weights, search.run.rng.random())
        chosen = [p for p, n in zip(particles, counts, strict=True) if n]
        search.decided(
            "resampled",
            chosen,
            counts=[n for n in counts if n],
            weights=[w for w, n in zip(weights, counts, strict=True) if n],
            effective=effective(weights),
        )
        search.decided("pruned", [p for p, n in zip(particles, counts, strict=True) if not n])
        return [p for p, n in zip(particles, counts, strict=True) for _ in range(n)]
