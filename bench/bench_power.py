"""`power` beside the majority vote at equal tokens, on nano and three levels of `chain`.

One reply of `power` is compared with votes of as many tokens, and with single draws at temperature 1, at that of its
proposals, and at 0. Tokens are those that the model wrote; the same problems for all, with paired intervals.

    python bench/bench_power.py [PROBLEMS]
"""

from __future__ import annotations

import asyncio
import math
import sys
from dataclasses import dataclass
from itertools import islice

from mull import spec
from mull.run import Run, Strategy
from mull.stats.paired import paired
from mull.tasks.synthetic import ChainTask
from mull.types import Params, Problem

NANO = spec.build("model", spec.MODELS, "nano")
LEVELS = (5, 8, 11)
ALPHA, STEPS = 4.0, 6
POWER = f"power:steps={STEPS},chunk=24"
SINGLE, COOL, GREEDY = "single", f"single at temperature {1 / ALPHA:g}", "single at temperature 0"


@dataclass(frozen=True)
class Measured:
    """Who was right on which problem, and the mean tokens and calls of one."""

    correct: list[bool]
    tokens: float
    calls: float


async def measured(task: ChainTask, problems: list[Problem], plan: str) -> Measured:
    text, _, temperature = plan.partition(" at temperature ")
    strategy: Strategy = spec.strategy(text)

    async def one(problem: Problem) -> tuple[bool, int, int]:
        run = Run(NANO, params=Params(float(temperature or 1), 400), seed=21)
        outcome = await strategy(problem, run)
        grade = None if outcome.best is None else await task.grade(problem.id, outcome.best)
        return bool(grade and grade.correct), run.spent.output_tokens or 0, run.spent.calls or 0

    rows = await asyncio.gather(*map(one, problems))
    n = len(rows)
    return Measured([right for right, _, _ in rows], sum(t for _, t, _ in rows) / n, sum(c for _, _, c in rows) / n)


async def main(n_problems: int) -> None:
    print(f"{'level':>5} {'strategy':28} {'tokens':>7} {'calls':>6} {'right':>7}   difference to {POWER}")
    for level in LEVELS:
        task = ChainTask(ops=level)
        problems = list(islice(task.problems(), n_problems))
        power = await measured(task, problems, POWER)
        single = await measured(task, problems, SINGLE)
        n = max(1, math.ceil(power.tokens / single.tokens))
        rows = {POWER: power, SINGLE: single}
        for plan in (COOL, GREEDY, f"majority:n={n}", f"majority:n={n} at temperature {1 / ALPHA:g}"):
            rows[plan] = await measured(task, problems, plan)
        for plan, row in rows.items():
            told = (
                f"{level:5} {plan:28} {row.tokens:7.0f} {row.calls:6.1f} {100 * sum(row.correct) / n_problems:6.1f} %"
            )
            if plan != POWER:
                gap = paired(plan, POWER, [float(x) for x in row.correct], [float(x) for x in power.correct])
                assert gap is not None
                low, high = gap.ci95
                told += f"   {100 * gap.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            print(told, flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
