"""Sequential against parallel at a fixed number of answers (Snell et al. 2024).

`python recipes/sequential_parallel.py` runs `revise:n=16,chain=1,2,4,8,16` on held-out chain problems of a built-in
model, by difficulty and with several seeds. It prints accuracy, tokens and the paired differences, with their 95 %
intervals over problems, to 16 answers side by side and to as many answers side by side as the same tokens buy, and
draws the figure with `--figure FILE`.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mull import spec
from mull.bank import MemoryBank
from mull.lab import grid
from mull.report.words import points
from mull.stats.intervals import DIFFERENCE, SHARE, bootstrap
from mull.types import Params

Floats = NDArray[np.float64]


def measure(level: int, seed: int, plans: list[str], n_problems: int, model_name: str) -> Floats:
    """[plans, problems, 2]: whether it was right, and the tokens that it took."""
    task = spec.build("task", spec.TASKS, f"chain:ops={level}", seed=seed)
    model = spec.build("model", spec.MODELS, model_name)
    built = {plan: spec.strategy(plan) for plan in plans}
    ran = grid.run_plan(
        grid.Plan(task, model, built, params=Params(max_tokens=400), seed=seed), MemoryBank(), n_problems=n_problems
    )
    cells = asyncio.run(ran)
    rows = [[[float(c.grade.correct is True), float(c.spent.tokens or 0)] for c in cells[plan]] for plan in plans]
    return np.array(rows)


def behind(row: Floats, other: Floats) -> str:
    """The paired difference of accuracy in points, with its interval."""
    differences = (row[:, 0] - other[:, 0]).tolist()
    return points(float(np.mean(differences)), bootstrap(differences, bounds=DIFFERENCE))


def draw(path: Path, chains: list[int], found: dict[int, Floats]) -> None:
    """Accuracy over the length of a chain, a line for each difficulty."""
    from matplotlib.figure import Figure

    figure = Figure((6, 4), layout="constrained")
    axes = figure.add_subplot()
    for level, rows in found.items():
        means = [100 * rows[i, :, 0].mean() for i in range(len(chains))]
        ends = [bootstrap(rows[i, :, 0], bounds=SHARE) for i in range(len(chains))]
        line = axes.plot(chains, means, marker="o", label=f"{level} operations")[0]
        axes.fill_between(
            chains, [100 * e.low for e in ends], [100 * e.high for e in ends], alpha=0.15, color=line.get_color()
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(chains, [str(k) for k in chains])
    axes.set_xlabel("answers of a chain (1: all side by side)")
    axes.set_ylabel("accuracy, %")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description="Sequential against parallel at a fixed number of answers.")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--levels", type=int, nargs="+", default=[4, 8, 11])
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--chains", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--problems", type=int, default=20, help="for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[201, 202, 203])
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    chained = [f"revise:n={options.n},chain={chain}" for chain in options.chains]
    beside = [f"revise:n={n},chain=1" for n in range(1, options.n + 1)]
    print(
        f"| operations | chain | accuracy % | tokens | minus {options.n} independent answers, points [95 %] "
        "| minus independent answers at equal tokens |\n|---|---|---|---|---|---|"
    )
    found: dict[int, Floats] = {}
    for level in options.levels:
        parts = [measure(level, seed, [*chained, *beside], options.problems, options.model) for seed in options.seeds]
        every = np.concatenate(parts, axis=1)
        rows = found[level] = every[: len(chained)]
        parallel = every[len(chained) :]
        for chain, row in zip(options.chains, rows, strict=True):
            n = max(1, sum(one[:, 1].mean() <= row[:, 1].mean() for one in parallel))
            told = "- | -" if chain == 1 else f"{behind(row, parallel[-1])} | n={n}: {behind(row, parallel[n - 1])}"
            print(
                f"| {level} | {chain} | {100 * row[:, 0].mean():.1f} | {row[:, 1].mean():,.0f} | {told} |", flush=True
            )
    if options.figure:
        draw(options.figure, options.chains, found)


if __name__ == "__main__":
    main()
