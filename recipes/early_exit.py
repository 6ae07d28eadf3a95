"""What stopping by confidence saves against as many whole replies: `python recipes/early_exit.py`.

On held-out chain problems of the built-in `nano`, with draws of several seeds: a majority of n whole replies,
`adaptive` of n, `confidence-stop` of n, and its two parts alone (replies are stopped, or the vote ends early). Prints
accuracy, tokens, the share saved and the paired difference of accuracy, with 95 % intervals over problems. Options were
chosen on seed 5.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mull import spec
from mull.bank import open_bank
from mull.lab import grid
from mull.report.words import points
from mull.stats.intervals import DIFFERENCE, bootstrap, resamples
from mull.stats.paired import permutation_test
from mull.types import Params

Floats = NDArray[np.float64]
STOP = "confidence-stop:n=16,warmup=4,eta=50,signal=chosen,window=16"
STRATEGIES = {
    "majority of 16 whole replies": "majority:n=16",
    "adaptive": "adaptive:n=16",
    "confidence-stop": STOP,
    "- stopped replies only": f"{STOP},tau=none",
    "- end of the vote only": STOP.replace("eta=50", "eta=100"),
}


def measure(level: int, seed: int, n_problems: int, model_name: str, bank: str) -> dict[str, Floats]:
    """For each strategy [problems, 2]: whether it was right, and the tokens that it took."""
    task = spec.build("task", spec.TASKS, f"chain:ops={level}", seed=seed)
    model = spec.build("model", spec.MODELS, model_name)
    plans = {name: spec.strategy(text) for name, text in STRATEGIES.items()}
    # The majority asks for log-probabilities too, so that the warm-up has the same draws as its first ones.
    params = Params(max_tokens=400, logprobs=0)
    with open_bank(bank) as kept:
        ran = grid.run_plan(grid.Plan(task, model, plans, params=params, seed=seed), kept, n_problems=n_problems)
        cells = asyncio.run(ran)
    return {
        name: np.array([[float(c.grade.correct is True), float(c.spent.tokens or 0)] for c in column])
        for name, column in cells.items()
    }


def saved(tokens: Floats, whole: Floats) -> tuple[float, float, float]:
    """The share of tokens saved over all problems, and its 95 % interval."""
    shares = [1 - (w @ tokens) / (w @ whole) for w in resamples(len(tokens))]
    low, high = np.quantile(shares, [0.025, 0.975])
    return 1 - tokens.sum() / whole.sum(), float(low), float(high)


def table(found: dict[int, dict[str, Floats]]) -> list[str]:
    lines = [
        "| operations | strategy | accuracy % | tokens | tokens saved % [95 %] | difference, points [95 %] | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for level, columns in found.items():
        first = next(iter(columns.values()))
        for name, column in columns.items():
            row = f"| {level} | {name} | {100 * column[:, 0].mean():.1f} | {column[:, 1].mean():,.0f} |"
            if column is first:
                lines.append(f"{row} - | - | - |")
                continue
            share, low, high = saved(column[:, 1], first[:, 1])
            behind: Sequence[float] = (column[:, 0] - first[:, 0]).tolist()
            difference = points(float(np.mean(behind)), bootstrap(behind, bounds=DIFFERENCE))
            row += f" {100 * share:.1f} [{100 * low:.1f}, {100 * high:.1f}] | {difference} |"
            lines.append(f"{row} {permutation_test(behind):.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="What stopping by confidence saves.")
    parser.add_argument("--levels", type=int, nargs="+", default=[8, 11])
    parser.add_argument("--problems", type=int, default=40, help="for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--bank", help="a file that keeps the draws, so that a run that is stopped can go on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bank = options.bank or str(Path(folder, "bank.db"))
        found: dict[int, dict[str, Floats]] = {}
        for level in options.levels:
            parts = []
            for seed in options.seeds:
                parts.append(measure(level, seed, options.problems, options.model, bank))
                joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
                found[level] = joined
                print(f"# {level} operations, {len(parts)} seeds of {options.problems} problems", flush=True)
        print("\n".join(table(found)))


if __name__ == "__main__":
    main()
