"""Soft and hard targets, and the folds last, min, prod and mean: `python recipes/targets_and_folds.py [FOLDER]`.

Four process reward models learn from the same labels, every prefix completed: a classifier at the end of steps and
nano's own next tokens, each on hard targets (did any completion come out right) and on soft ones (how many did). Each
scores the same 16 draws of held-out problems, and each fold makes one score of a draw, for the weighted vote and for
best-of-n (Snell et al. 2024, appendix E, found the last step best with soft targets). Labels and checkpoints are shared
with `omega_against_brute.py` and stay in the folder. Needs the extra `train`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from mull import spec
from mull.replies.answers import classes
from mull.replies.steps import FOLDS, fold
from mull.report.words import percent, points
from mull.run import Run
from mull.run.calls import MeteredCalls
from mull.stats.intervals import wilson
from mull.stats.paired import paired
from mull.strategies import pick
from mull.tasks.synthetic import ChainTask
from mull.types import Params, Problem, Score
from mull.verifiers.trained import Trained
from omega_against_brute import LEVELS, RATE, cut, trained

BUDGET = 1_000_000
MODELS = [(readout, target) for readout in ("class", "next") for target in ("hard", "soft")]
LEARNING: dict[str, dict[str, Any]] = {"class": {"rate": RATE}, "next": {"rate": 1e-4, "n_steps": 20}}
"""Next tokens have little to learn."""
N_PROBLEMS, N_DRAWS, SEED = 40, 16, 77
TOLD = (7, 11, 13)
"""Levels that are measured on, and `N_PROBLEMS` of each."""
Right = dict[tuple[str, str, str, str], list[float]]
"""Who was right on which problem, by read-out, target, fold and choice."""


async def problem_of(task: ChainTask, problem: Problem, models: dict[tuple[str, str], Trained], right: Right) -> None:
    """All choices on one problem."""
    nano = spec.build("model", spec.MODELS, "nano")
    run = Run(nano, params=Params(max_tokens=400), seed=SEED)
    samples = await run.draw(problem.prompt, N_DRAWS)
    answers = await classes(problem, samples)
    correct = [float((await task.grade(problem.id, sample)).correct is True) for sample in samples]
    ballot = pick.majority(answers, random.Random(problem.id))
    place = pick.representative(ballot.answer, answers)
    right["", "", "", "majority"].append(0.0 if place is None else correct[place])
    for (readout, target), model in models.items():
        steps = [score.steps for score in await MeteredCalls().score(model, problem, samples)]
        for how in FOLDS:
            scores = [Score(fold(values, how) if values else None) for values in steps]  # type: ignore[arg-type]
            vote = pick.weighted(answers, scores, random.Random(problem.id))
            best = pick.best(scores, random.Random(problem.id))
            for name, chosen in (("weighted", pick.representative(vote.answer, answers, scores)), ("best", best)):
                right[readout, target, how, name].append(0.0 if chosen is None else correct[chosen])


async def measured(models: dict[tuple[str, str], Trained]) -> Right:
    right: Right = defaultdict(list)
    for ops in TOLD:
        task = ChainTask(ops, seed=SEED)
        for problem in itertools.islice(task.problems(), N_PROBLEMS):
            await problem_of(task, problem, models, right)
    return right


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/omega")
    folder.mkdir(parents=True, exist_ok=True)
    file, n_tokens = cut(folder, "math-shepherd", BUDGET)
    models = {}
    for readout, target in MODELS:
        # The classifier on hard targets is the one that `omega_against_brute.py` trained.
        name = f"math-shepherd-{BUDGET}" if (readout, target) == ("class", "hard") else f"{readout}-{target}"
        prm = trained(file, folder / name, readout=readout, target=target, **LEARNING[readout])
        models[readout, target] = Trained(str(prm))
    right = asyncio.run(measured(models))
    vote = right["", "", "", "majority"]
    told = f"{len(vote)} held-out problems of {', '.join(map(str, TOLD))} operations, {N_DRAWS} draws each"
    print(f"{told}; labels of levels {LEVELS}, {n_tokens:,} tokens. Majority: {percent(sum(vote) / len(vote))} %.\n")
    print("| read-out | target | fold | weighted % [95 %] | minus `last` | best-of-n % [95 %] | minus `last` |")
    print("|---|---|---|---|---|---|---|")
    for readout, target in MODELS:
        for how in FOLDS:
            cells = []
            for name in ("weighted", "best"):
                column, last = right[readout, target, how, name], right[readout, target, "last", name]
                cells.append(percent(sum(column) / len(column), wilson(int(sum(column)), len(column))))
                pair = paired("fold", "last", column, last)
                cells.append("" if how == "last" or pair is None else points(pair.difference, pair.ci95))
            print(f"| {readout} | {target} | {how} | {' | '.join(cells)} |")
    print()
    for readout, name in itertools.product(LEARNING, ("weighted", "best")):
        soft, hard = (right[readout, target, "last", name] for target in ("soft", "hard"))
        pair = paired("soft", "hard", soft, hard)
        if pair is not None:
            print(f"{readout}, {name}, last: soft - hard targets {points(pair.difference, pair.ci95)}")


if __name__ == "__main__":
    main()
