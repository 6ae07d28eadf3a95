"""How well a process reward model finds wrong steps: `python recipes/prm_quality.py [FOLDER] [--levels 2 4 ...]`.

On held-out chain problems, against the exact truth of each step: the ROC area over steps, and how often the first
step with a score under the bar is the first wrong one, over nano's wrong solutions.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from typing import NamedTuple

import numpy as np

from mull import steps
from mull.models.embedded import WEIGHTS, EmbeddedModel
from mull.models.scorer import Trained
from mull.run import Run
from mull.tasks.synthetic import ChainTask
from mull.train.label import first_wrong
from mull.types import Params, Problem


class Measured(NamedTuple):
    """Step scores and truths of a level's solutions, and the place of each wrong solution's first error."""

    scores: list[float]
    truths: list[bool]
    found: list[bool]


async def level(task: ChainTask, verifier: Trained, n_problems: int, n_draws: int, bar: float) -> Measured:
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
                measured.found.append(next((i for i in places if score.steps[i] < bar), None) == wrong)

    await asyncio.gather(*map(one, itertools.islice(task.problems(), n_problems)))
    return measured


def area(scores: list[float], truths: list[bool]) -> float:
    """Area under the ROC curve, ties counted half."""
    values, right = np.asarray(scores), np.asarray(truths)
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[places]
    n, m = int(right.sum()), int((~right).sum())
    return float((ranks[right].sum() - n * (n + 1) / 2) / (n * m)) if n and m else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description="How well a process reward model finds wrong steps.")
    parser.add_argument("folder", nargs="?", default=str(WEIGHTS / "nano-prm"))
    parser.add_argument("--levels", type=int, nargs="+", default=list(range(2, 14)))
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--bar", type=float, default=0.5)
    options = parser.parse_args()
    verifier = Trained(options.folder)
    whole = Measured([], [], [])
    print("| operations | steps | ROC area | wrong solutions | first error found |\n|---|---|---|---|---|")
    for ops in options.levels:
        task = ChainTask(ops, seed=options.seed)
        found = asyncio.run(level(task, verifier, options.problems, options.draws, options.bar))
        whole.scores.extend(found.scores)
        whole.truths.extend(found.truths)
        whole.found.extend(found.found)
        show(str(ops), found)
    show("all", whole)


def show(name: str, m: Measured) -> None:
    share = f"{np.mean(m.found):.1%}" if m.found else "-"
    print(f"| {name} | {len(m.scores):,} | {area(m.scores, m.truths):.4f} | {len(m.found):,} | {share} |", flush=True)


if __name__ == "__main__":
    main()
