"""How well a process reward model finds wrong steps: `python recipes/prm_quality.py [FOLDER] [--levels 2 4 ...]`.

On held-out chain problems, against the exact truth of each step: the ROC area over steps, and how often the first
step with a score under the bar is the first wrong one, over nano's wrong solutions.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mull.models.embedded import EmbeddedModel
from mull.replies import steps
from mull.run import Run
from mull.runtime import WEIGHTS
from mull.tasks.synthetic import ChainTask
from mull.train.label import first_wrong
from mull.types import Params, Problem
from mull.verifiers.trained import Trained


class Measured(NamedTuple):
    """Scores and truths of steps that claim something; of each wrong solution its scores and its first error."""

    scores: list[float]
    truths: list[bool]
    wrong: list[tuple[tuple[float, ...], int]]


async def level(task: ChainTask, verifier: Trained, n_problems: int, n_draws: int) -> Measured:
    """Draws, scores and checks one level."""
    measured = Measured([], [], [])

    async def one(problem: Problem) -> None:
        run = Run(EmbeddedModel(str(WEIGHTS / "nano")), verifier=verifier, params=Params(max_tokens=400))
        samples = await run.draw(problem.prompt, n_draws)
        for sample, score in zip(samples, await run.score(problem, samples), strict=True):
            claims = task.check_steps(problem.id, steps.split(sample.reply, "\n"))
            wrong = first_wrong(claims)
            places = [i for i, claim in enumerate(claims) if claim is not None]
            measured.scores.extend(score.steps[i] for i in places)
            measured.truths.extend(wrong is None or i < wrong for i in places)
            if wrong is not None and not (await task.grade(problem.id, sample)).correct:
                claimed = tuple(score.steps[i] for i in places)
                measured.wrong.append((claimed, places.index(wrong)))

    await asyncio.gather(*map(one, itertools.islice(task.problems(), n_problems)))
    return measured


def found(wrong: Sequence[tuple[tuple[float, ...], int]], bar: float) -> float:
    """The share of wrong solutions whose first step under the bar is the first wrong one."""
    hits = [next((i for i, score in enumerate(scores) if score < bar), None) == first for scores, first in wrong]
    return sum(hits) / len(hits) if hits else float("nan")


def area(scores: list[float], truths: list[bool]) -> float:
    """Area under the ROC curve, ties counted half."""
    values, right = np.asarray(scores), np.asarray(truths)
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[places]
    n, m = int(right.sum()), int((~right).sum())
    return float((ranks[right].sum() - n * (n + 1) / 2) / (n * m)) if n and m else float("nan")


def measure(levels: Sequence[int], seed: int, n: int, n_draws: int, verifier: Trained) -> dict[int, Measured]:
    return {ops: asyncio.run(level(ChainTask(ops, seed=seed), verifier, n, n_draws)) for ops in levels}


def together(parts: Iterable[Measured]) -> Measured:
    """Several levels as one."""
    return Measured(*(list(itertools.chain.from_iterable(column)) for column in zip(*parts, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description="How well a process reward model finds wrong steps.")
    parser.add_argument("folder", nargs="?", default=str(WEIGHTS / "nano-prm"))
    parser.add_argument("--levels", type=int, nargs="+", default=list(range(2, 14)))
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--seed", type=int, default=4242)
    options = parser.parse_args()
    verifier = Trained(options.folder)
    # The bar is chosen on other problems than it is measured on.
    chosen_on = together(
        measure(options.levels, options.seed + 1, max(1, options.problems // 4), options.draws, verifier).values()
    )
    bar = max((i / 100 for i in range(5, 100)), key=lambda bar: found(chosen_on.wrong, bar))
    measured = measure(options.levels, options.seed, options.problems, options.draws, verifier)
    print(f"bar {bar}, chosen on {len(chosen_on.wrong):,} wrong solutions of other problems\n")
    print("| operations | steps | ROC area | wrong solutions | first error found |\n|---|---|---|---|---|")
    for name, m in [*((str(ops), m) for ops, m in measured.items()), ("all", together(measured.values()))]:
        share = f"{found(m.wrong, bar):.1%}"
        print(
            f"| {name} | {len(m.scores):,} | {area(m.scores, m.truths):.4f} | {len(m.wrong):,} | {share} |", flush=True
        )


if __name__ == "__main__":
    main()
