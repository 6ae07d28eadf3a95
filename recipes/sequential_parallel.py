"""Sequential against parallel at a fixed number of answers (Snell et al. 2024).

`python recipes/sequential_parallel.py` runs `revise:n=16,chain=1,2,4,8,16` on held-out chain problems of a built-in
model, by difficulty and with several seeds. It prints accuracy, tokens and the paired difference to 16 answers side by
side with its 95 % interval over problems, and draws the figure with `--figure FILE`.
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
from mull.lab.compare import DIFFERENCE, SHARE, bootstrap
from mull.types import Params

Floats = NDArray[np.float64]


def measure(level: int, seed: int, n: int, chains: list[int], n_problems: int, model_name: str) -> Floats:
    """[chains, problems, 2]: whether it was right, and the tokens that it took."""
    task = spec.build("task", spec.TASKS, f"chain:ops={level}", seed=seed)
    model = spec.build("model", spec.MODELS, model_name)
    plans = {str(chain): spec.strategy(f"revise:n={n},chain={chain}") for chain in chains}
    ran = grid.run_grid(
        task, model, plans, n_problems=n_problems, bank=MemoryBank(), params=Params(max_tokens=400), seed=seed
    )
    cells = asyncio.run(ran)
    rows = [[[float(c.grade.correct is True), float(c.spent.tokens or 0)] for c in cells[str(k)]] for k in chains]
    return np.array(rows)


def draw(path: Path, chains: list[int], found: dict[int, Floats]) -> None:
    """Accuracy over the length of a chain, a line for each difficulty."""
    from matplotlib.figure import Figure

    figure = Figure((6, 4), layout="constrained")
    axes = figure.add_subplot()
    for level, rows in found.items():
        means = [100 * rows[i, :, 0].mean() for i in range(len(chains))]
        ends = [bootstrap(rows[i, :, 0], bounds=SHARE) for i in range(len(chains))]
        line = axes.plot(chains, means, marker="o", label=f"{level} operations")[0]
        axes.fill_between(chains, [100 * e.low for e in ends], [100 * e.high for e in ends], alpha=0.15,
                          color=line.get_color())  # fmt: skip
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
    print(
        "| operations | chain | accuracy % | tokens | difference to the first, points [95 %] |\n|---|---|---|---|---|"
    )
    found: dict[int, Floats] = {}
    for level in options.levels:
        parts = [
            measure(level, seed, options.n, options.chains, options.problems, options.model) for seed in options.seeds
        ]
        rows = found[level] = np.concatenate(parts, axis=1)
        for chain, row in zip(options.chains, rows, strict=True):
            head = f"| {level} | {chain} | {100 * row[:, 0].mean():.1f} | {row[:, 1].mean():,.0f} |"
            if chain == options.chains[0]:
                print(f"{head} - |", flush=True)
                continue
            behind = (row[:, 0] - rows[0, :, 0]).tolist()
            ci = bootstrap(behind, bounds=DIFFERENCE)
            difference = f"{100 * float(np.mean(behind)):+.1f} [{100 * ci.low:+.1f}, {100 * ci.high:+.1f}]"
            print(f"{head} {difference} |", flush=True)
    if options.figure:
        draw(options.figure, options.chains, found)


if __name__ == "__main__":
    main()
