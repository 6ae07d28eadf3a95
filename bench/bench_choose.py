"""How often `mull choose` takes a right run by a judge that errs at a stated rate, on recorded programs of a model.

Fields of 8 of the 16 programs for each HumanEval problem (of `mull demo real`) stand for finished runs; only those with
right and wrong ones are tried. An oracle reads a pair in both orders, and in each names the right one, but at its error
rate the wrong one; of two right or two wrong ones it names one by lot. Orders that contradict each other are a tie.

    python bench/bench_choose.py [FIELDS A PROBLEM]
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mull import spec
from mull.files.recording import AgentRun
from mull.files.records import read_recordings
from mull.lab.choosing import FinishedRun, by_judge
from mull.types import Calls, Cost, Pair, Preference, Problem

FILE = Path(__file__).parents[1] / "src" / "mull" / "drawn" / "humaneval-qwen2.5-coder-0.5b.jsonl.gz"
SIZE = 8
ERRORS = (0.0, 0.1, 0.2, 0.3)
PLANS = ("pivot", "tournament")


@dataclass(frozen=True)
class Oracle:
    """A judge of two runs by the results that are right."""

    right: frozenset[str]
    error: float
    rng: random.Random
    name: str = "oracle"
    identity: str | None = None

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        return Cost()

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        return [Preference((self._says(pair) + self._says(pair)) / 2) for pair in pairs]

    def _says(self, pair: Pair) -> float:
        first, second = (side.answer in self.right for side in (pair.first, pair.second))
        if first == second:
            return float(self.rng.random() < 0.5)
        return float(first == (self.rng.random() >= self.error))


def named(why: str, runs: Sequence[FinishedRun]) -> FinishedRun:
    """The run that leads, where the judge does not prefer it to another."""
    return next(run for run in runs if why.startswith(f"the judge does not prefer {run.name} to "))


def main(n_fields: int) -> None:
    pools = [one for one in read_recordings(FILE) if len({sample.correct for sample in one.samples}) == 2]
    rng = random.Random(21)
    fields = []
    for pool in pools:
        for _ in range(n_fields):
            drawn = rng.sample(pool.samples, SIZE)
            if len({sample.correct for sample in drawn}) == 2:
                fields.append(drawn)
    share = sum(sum(s.correct is True for s in drawn) for drawn in fields) / SIZE / len(fields)
    print(
        f"{len(fields)} fields of {SIZE} runs, right and wrong ones; a run taken by lot is right on {100 * share:.1f} %"
    )
    print("error  by          comparisons   right   wrong  cannot tell  right of the taken  leader right else")
    for error in ERRORS:
        for by in PLANS:
            right = wrong = leads = met = 0
            for place, drawn in enumerate(fields):
                runs = [
                    FinishedRun(f"run-{i}", "task", "Do it.", "m", s._replace(run=AgentRun(f"run-{i}", "agent")))
                    for i, s in enumerate(drawn)
                ]
                good = frozenset(run.result for run in runs if run.sample.correct)
                judge, plan = Oracle(good, error, rng), spec.strategy(f"{by}:n={SIZE}")
                made = asyncio.run(by_judge(runs, judge, plan, by, seed=place))
                right += made.chosen is not None and made.chosen.result in good
                wrong += made.chosen is not None and made.chosen.result not in good
                leads += made.chosen is None and named(made.why, runs).result in good
                met += made.comparisons
            n = len(fields)
            untold = n - right - wrong
            print(
                f"{error:5} {by:12} {met / n:10.1f} {100 * right / n:6.1f}% {100 * wrong / n:6.1f}% "
                f"{100 * untold / n:11.1f}% {100 * right / (right + wrong):17.1f}% {100 * leads / untold:17.1f}%",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
