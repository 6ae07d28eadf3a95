"""Speculative thinking (SpecReason, arXiv 2504.07891): nano writes the steps, mini those that fail a check by nano-prm.

mull has no such strategy: with these models nano alone, which draws every step four times, is right more often for
fewer FLOPs. Differences are paired, to the dearest setting of each kind within the FLOPs of the tried one.

    python bench/bench_speculate.py [PROBLEMS]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from chains import difference, measured, table, within
from mull import spec
from mull.replies.answers import answers_of
from mull.run import Run
from mull.strategies.stepwise import Branch, Search
from mull.types import Model, Need, Outcome, Problem, Scaling, Selection

LEVEL = 8
NANO, MINI = (spec.build("model", spec.MODELS, name) for name in ("nano", "mini"))
ALONE = ("single", "majority:n=4", "step-bon:n=2", "step-bon:n=4", "on:of=single,model=mini")


@dataclass(frozen=True)
class Speculate:
    """The small model drafts each step; `large` writes those whose own score is below `bar`, or that have none."""

    needs = frozenset({Need.VERIFIER, Need.STEPS, Need.CONTINUATION})
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE

    large: Model
    bar: float = 0.7

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        small, large = await Search.start(problem, run), await Search.start(problem, run.on(self.large))
        branch, n_steps, n_large = small.root, 0, 0
        while not branch.is_over:
            ((drafted,),) = await small.grow([(branch, 1)])
            await small.score([drafted])
            branch, n_steps = drafted, n_steps + 1
            if not self._passes(drafted):
                ((branch,),) = await large.grow([(drafted.parent or small.root, 1)])
                n_large += 1
        assert branch.sample is not None  # the root is not over
        (answer,) = await answers_of(problem, [branch.sample])
        return Outcome(branch.sample, answer, (branch.sample,), notes={"steps": n_steps, "of large": n_large})

    def _passes(self, step: Branch) -> bool:
        value = step.score.steps[-1] if step.score.steps else step.value
        return value is not None and value >= self.bar


def main(n_problems: int) -> None:
    tried = {f"speculate, bar {bar}": Speculate(MINI, bar) for bar in (0.7, 0.95)}
    plans = {name: spec.strategy(name) for name in ALONE} | tried
    prm = spec.build("verifier", spec.VERIFIERS, "nano-prm")
    rows = measured(NANO, (LEVEL,), plans, n_problems, prm)
    print("\n".join(table(rows)))
    for name in tried:
        written = [sum(float(note[part] or 0) for note in rows[name].notes) for part in ("of large", "steps")]
        print(f"{name}: mini wrote {100 * written[0] / written[1]:.0f} % of the steps")
        print("\n".join(within(rows, name, ("majority", "step-bon"), "flops")))
        print(difference(rows, name, "on:of=single,model=mini"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
