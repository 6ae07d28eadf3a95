"""Backtracking walks over steps (VGB, arXiv 2510.03149) beside searches and votes, with nano-prm and with it noised.

mull has no such strategy: it takes five times the tokens of a beam and is not better, with either verifier. Noise is
added to the log-odds of a score, always the same to the same text. Differences are paired, to the dearest setting of
each kind within the tokens of the walk.

    python bench/bench_walk.py [PROBLEMS]
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from chains import measured, table, within
from mull import spec
from mull.run import Run
from mull.strategies.stepwise import Branch, Search
from mull.types import Calls, Cost, Need, Outcome, Problem, Sample, Scaling, Score, Selection, Verifier

LEVELS = (7,)
NOISES = (0.0, 2.0)
OTHERS = ("majority:n=16", "weighted:n=8", "beam:n=6,width=3", "particles:n=6,pick=weighted")


@dataclass(frozen=True)
class Noised:
    """A verifier whose log-odds have normal noise."""

    of: Verifier
    noise: float
    identity: str | None = None

    @property
    def name(self) -> str:
        return f"{self.of.name} with noise {self.noise:g}"

    @property
    def split(self) -> str | None:
        found: str | None = getattr(self.of, "split", None)
        return found

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return self.of.quote(problem, samples)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        scores = await self.of.score(problem, samples, calls)
        return [self._noised(problem, one, score) for one, score in zip(samples, scores, strict=True)]

    def _noised(self, problem: Problem, sample: Sample, score: Score) -> Score:
        if score.value is None or not self.noise:
            return score
        seed = int.from_bytes(hashlib.blake2b((problem.id + sample.reply).encode(), digest_size=8).digest())
        value = min(max(score.value, 1e-4), 1 - 1e-4)
        odds = math.log(value / (1 - value)) + self.noise * np.random.default_rng(seed).normal()
        return replace(score, value=1 / (1 + math.exp(-odds)), steps=())


@dataclass(frozen=True)
class Walk:
    """`n` random walks over partial replies, of at most `moves` each; a vote weighted by scores chooses.

    From a reply with value v a walk goes back a step with a chance in proportion to v, and on to each of `width` drawn
    next steps in proportion to its value over `width`.
    """

    needs = frozenset({Need.VERIFIER, Need.STEPS, Need.CONTINUATION})
    draws = Scaling.TREE
    selects = Selection.SCORES

    n: int = 2
    width: int = 2
    moves: int = 60

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        search = await Search.start(problem, run)
        walks = [search.root] * self.n
        for _ in range(self.moves):
            live = [i for i, one in enumerate(walks) if not one.is_over]
            grown = await search.grow([(walks[i], self.width) for i in live])
            await search.score([step for steps in grown for step in steps])
            for i, steps in zip(live, grown, strict=True):
                walks[i] = self._moved(run, walks[i], steps)
        search.complete += [one for one in walks if one.is_over]
        return await search.outcome("weighted", [one for one in walks if not one.is_over])

    @staticmethod
    def _moved(run: Run, here: Branch, steps: list[Branch]) -> Branch:
        places, weights = [*steps], [(step.value or 0.0) / len(steps) for step in steps]
        if here.parent is not None:
            places, weights = [*places, here.parent], [*weights, here.value or 0.0]
        return run.rng.choices(places, weights)[0] if sum(weights) else here


def main(n_problems: int) -> None:
    nano, prm = spec.build("model", spec.MODELS, "nano"), spec.build("verifier", spec.VERIFIERS, "nano-prm")
    walks = {"walk": Walk()}
    plans = {name: spec.strategy(name) for name in OTHERS} | walks
    for noise in NOISES:
        rows = measured(nano, LEVELS, plans, n_problems, Noised(prm, noise))
        print(f"nano, {', '.join(map(str, LEVELS))} operations, noise {noise:g}")
        print("\n".join(table(rows)))
        for name in walks:
            print("\n".join(within(rows, name, ("beam", "particles", "weighted", "majority"))), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
