"""Does a language model that checks steps tell wrong ones from right ones? Steps with known first mistakes.

The rows are chains of thought with the index of the first wrong step (`bigbench_mistake` of the recorded data). Every
step up to the first wrong one is scored by `genprm`. Printed are the AUC, the chance that a wrong step scores lower
than a right one (ties half), with a 95 % interval over replies, and how often the wrong step is the worst.

    python bench/bench_steps.py MODEL [REPLIES [K]]      such as hf:FOLDER,dtype=bfloat16
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mull import spec
from mull.run.calls import MeteredCalls
from mull.types import Finish, Problem, Prompt, Sample

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "bigbench_mistake"
KINDS = ("multistep_arithmetic", "word_sorting", "tracking_shuffled_objects", "logical_deduction")
MOST_STEPS = 9


def rows(n: int) -> list[dict[str, Any]]:
    """Replies of each kind in turn with a mistake after their first step."""
    rng = random.Random(0)
    kinds = []
    for kind in KINDS:
        with gzip.open(DATA / f"{kind}.jsonl.gz", "rt", encoding="utf-8") as file:
            found = [json.loads(line) for line in file]
        wrong = [r for r in found if r["mistake_index"] is not None and 2 <= len(r["steps"]) <= MOST_STEPS]
        kinds.append(rng.sample(wrong, -(-n // len(KINDS))))
    return [row for turn in zip(*kinds, strict=True) for row in turn][:n]


def auc(pairs: list[tuple[list[float], float]]) -> float:
    wrong, right = np.array([value for _, value in pairs]), np.array([value for each, _ in pairs for value in each])
    return float(np.mean((wrong[:, None] < right) + 0.5 * (wrong[:, None] == right)))


def main(model: str, n: int, k: int) -> None:
    verifier = spec.build("verifier", spec.VERIFIERS, f"genprm:model=({model}),k={k}")
    pairs: list[tuple[list[float], float]] = []
    worst = without = 0
    for row in rows(n):
        prompt = Prompt.user(row["input"])
        steps = [" ".join(step.split()) for step in row["steps"][: row["mistake_index"] + 1]]
        sample = Sample(prompt, "\n\n".join(steps), Finish.STOP)
        (score,) = asyncio.run(verifier.score(Problem("steps", prompt), [sample], MeteredCalls()))
        if score.value is None:
            without += 1
            continue
        *right, wrong = score.steps
        pairs.append((list(right), wrong))
        worst += wrong == min(score.steps)
    resampled = random.Random(1)
    means = [auc(resampled.choices(pairs, k=len(pairs))) for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    n_right = sum(len(right) for right, _ in pairs)
    print(f"{len(pairs)} wrong and {n_right} right steps, {without} replies without a score")
    print(f"AUC {auc(pairs):.2f} [{low:.2f}, {high:.2f}]; the wrong step is the worst of its reply in {worst}")


if __name__ == "__main__":
    if not DATA.exists():
        print(f"no recorded chains in {DATA}: skipped")
        sys.exit()
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100, int(sys.argv[3]) if len(sys.argv) > 3 else 0)
