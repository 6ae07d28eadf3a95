"""`best-stop` beside best-of-16 and the other choices by score on the same draws: nano with nano-prm, two levels.

python bench/bench_best_stop.py [PROBLEMS]
"""

from __future__ import annotations

import asyncio
import sys
from itertools import islice
from statistics import fmean

from mull import spec
from mull.bank import MemoryBank
from mull.run import Run
from mull.stats.paired import paired
from mull.tasks.synthetic import ChainTask
from mull.types import Params, Problem

NANO = spec.build("model", spec.MODELS, "nano")
PRM = spec.build("verifier", spec.VERIFIERS, "nano-prm")
LEVELS = (8, 12)
BEST = "best:n=16"
PLANS = (BEST, "best-stop:n=16", "best-stop:n=16,price=0.02", "best:n=8", "majority-of-bests:n=16", "majority:n=16")


async def main(n_problems: int) -> None:
    print(f"{'level':>5} {'strategy':26} {'draws':>5} {'right':>7}   difference to {BEST}, points")
    for level in LEVELS:
        task, bank = ChainTask(ops=level), MemoryBank()
        problems, base = list(islice(task.problems(), n_problems)), list[float]()
        for plan in PLANS:
            strategy = spec.strategy(plan)

            async def one(problem: Problem, strategy=strategy, task=task, bank=bank) -> tuple[float, int]:  # type: ignore[no-untyped-def]
                run = Run(NANO, verifier=PRM, bank=bank, params=Params(1.0, 400), seed=22)
                outcome = await strategy(problem, run)
                grade = None if outcome.best is None else await task.grade(problem.id, outcome.best)
                return float(bool(grade and grade.correct)), len(outcome.candidates)

            rows = await asyncio.gather(*map(one, problems))
            right = [row[0] for row in rows]
            base = base or right
            gap = paired(plan, BEST, right, base)
            assert gap is not None
            low, high = gap.ci95
            told = "" if plan == BEST else f"   {100 * gap.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            print(
                f"{level:5} {plan:26} {fmean(row[1] for row in rows):5.1f} {100 * fmean(right):6.1f} %{told}",
                flush=True,
            )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
