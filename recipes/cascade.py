"""What a cascade from nano to mini is worth: `python recipes/cascade.py` (needs the extra `lab`).

A mixed set of held-out problems, chains of 1 to 8 operations and countdowns of 3 and 4 numbers, others for each of
three seeds. Prints a table of accuracy and exact FLOPs for a problem, with differences to mini's own vote on the same
problems, and draws `docs/composition.png`. Draws are kept in a bank: run it again to go on after an interruption.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull import spec
from mull.bank import Bank, open_bank
from mull.lab import grid
from mull.report.words import percent, points
from mull.stats.intervals import wilson
from mull.stats.paired import Paired, paired
from mull.tasks.synthetic import ChainTask, CountdownTask
from mull.types import Params

DOCS = Path(__file__).parents[1] / "docs"
SEEDS = (0, 1, 2)
N_PROBLEMS = 25
"""Problems of each level and seed."""
N = 8
"""Draws of the vote that mini is compared by."""
BARS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
NANO = ("single", *(f"majority:n={n}" for n in (2, 4, 8, 16)))
MINI = ("single", *(f"majority:n={n}" for n in (2, 4, 8)))
REFERENCE = ("mini", f"majority:n={N}")
CASCADES = (
    *(f"cascade:first=(majority:n=4),then=(majority:n={N}),model=mini,bar={bar:g}" for bar in (0.5, 0.7)),
    *(f"cascade:first=(majority:n=8),then=(majority:n={N}),model=mini,bar={bar:g}" for bar in BARS),
    *(f"cascade:first=(majority:n=16),then=(majority:n={N}),model=mini,bar={bar:g}" for bar in BARS),
    *(f"cascade:first=(adaptive:n=16),then=(adaptive:n={N}),model=mini,bar={bar:g}" for bar in BARS[:4]),
    "cascade:first=(majority:n=8),then=single,model=mini,bar=0.5",
)
MIDDLE = CASCADES[4]
"""A cascade of a middling bar, which no result chose."""
TARGET = 0.6
"""The share of mini's FLOPs at which a cascade is to have mini's accuracy."""


class Measured(NamedTuple):
    """A strategy on a model: who was right on which problem, FLOPs of each, and the share that went on to mini."""

    model: str
    strategy: str
    correct: list[bool]
    flops: list[float]
    escalated: float | None

    @property
    def accuracy(self) -> float:
        return sum(self.correct) / len(self.correct)

    @property
    def mflops(self) -> float:
        return sum(self.flops) / len(self.flops) / 1e6


def tasks(seed: int) -> list[Any]:
    return [*(ChainTask(ops, seed=seed) for ops in range(1, 9)), *(CountdownTask(n, seed=seed) for n in (3, 4))]


async def measure(seeds: Sequence[int], n: int, bank: Bank) -> list[Measured]:
    """All strategies on all problems of all seeds, in one order for all of them."""
    cells: dict[tuple[str, str], list[grid.Cell]] = {}
    for seed, (model, strategies) in itertools.product(seeds, (("nano", NANO), ("mini", MINI), ("nano", CASCADES))):
        the_model = spec.build("model", spec.MODELS, model)
        plans = {text: spec.strategy(text) for text in strategies}
        for task in tasks(seed):
            found = await grid.run_plan(
                grid.Plan(task, the_model, plans, params=Params(max_tokens=400), seed=seed), bank, n_problems=n
            )
            for text, column in found.items():
                cells.setdefault((model, text), []).extend(column)
            print(f"seed {seed}: {model} on {task.name}", file=sys.stderr)
    return [_measured(model, text, column) for (model, text), column in cells.items()]


def _measured(model: str, text: str, cells: Sequence[grid.Cell]) -> Measured:
    flops = [cell.spent.flops for cell in cells]
    assert None not in flops
    went_on = [cell.outcome.notes.get("stages") == 2 for cell in cells]
    return Measured(
        model,
        text,
        [cell.grade.correct is True for cell in cells],
        [float(x or 0) for x in flops],
        sum(went_on) / len(went_on) if text.startswith("cascade") else None,
    )


def table(found: Sequence[Measured], reference: Measured) -> str:
    lines = [
        f"{len(reference.correct)} held-out problems; differences and shares are to {' '.join(REFERENCE)}.",
        "",
        "| model | strategy | accuracy % [95 %] | MFLOP | share of FLOPs % | difference, points [95 %] | to mini % |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        pair = against(row, reference)
        lines.append(
            f"| {row.model} | `{row.strategy}` | {percent(row.accuracy, wilson(sum(row.correct), len(row.correct)))} "
            f"| {row.mflops:.0f} | {100 * row.mflops / reference.mflops:.0f} "
            f"| {points(pair.difference, pair.ci95)} "
            f"| {'' if row.escalated is None else f'{100 * row.escalated:.0f}'} |"
        )
    return "\n".join(lines)


def against(row: Measured, reference: Measured) -> Paired:
    pair = paired(row.strategy, reference.strategy, row.correct, reference.correct)
    assert pair is not None
    return pair


def draw(found: Sequence[Measured], path: Path) -> None:
    """Accuracy over FLOPs, one line for each family."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    families = {
        "nano, votes": ("#2d6a8e", "o", [row for row in found if row.model == "nano" and row.escalated is None]),
        "mini, votes": ("#c8553d", "s", [row for row in found if row.model == "mini"]),
        "cascade, 8 draws first": ("#2a8f5b", "^", [r for r in found if "first=(majority:n=8),then=(" in r.strategy]),
        "cascade, 16 draws first": ("#7c3aed", "v", [r for r in found if "first=(majority:n=16)" in r.strategy]),
        "cascade, adaptive": ("#8a6d1d", "D", [r for r in found if "first=(adaptive" in r.strategy]),
    }
    for name, (color, marker, rows) in families.items():
        ranked = sorted(rows, key=lambda row: row.mflops)
        axes.plot(
            [row.mflops for row in ranked],
            [100 * row.accuracy for row in ranked],
            color=color,
            marker=marker,
            markersize=4.5,
            linewidth=1.4,
            label=name,
        )
    axes.set_xscale("log")
    axes.set_ylim(top=90)
    axes.set_xlabel("MFLOP a problem")
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=N_PROBLEMS, help="of each level and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--bank", default="build/cascade.db")
    options = parser.parse_args()
    Path(options.bank).parent.mkdir(parents=True, exist_ok=True)
    with open_bank(options.bank) as bank:
        found = asyncio.run(measure(options.seeds, options.problems, bank))
    reference = next(row for row in found if (row.model, row.strategy) == REFERENCE)
    print(table(found, reference))
    enough = [row for row in found if row.escalated is not None and row.mflops <= TARGET * reference.mflops]
    best = max(enough, key=lambda row: row.accuracy)
    pair = against(best, reference)
    print(
        f"\nAt most {100 * TARGET:.0f} % of the FLOPs: `{best.strategy}` has {100 * best.accuracy:.1f} % at "
        f"{100 * best.mflops / reference.mflops:.0f} %, {100 * pair.difference:+.1f} points "
        f"[{100 * pair.ci95.low:+.1f}, {100 * pair.ci95.high:+.1f}] to {' '.join(REFERENCE)}."
    )
    rival = next(row for row in found if (row.model, row.strategy) == ("nano", "majority:n=16"))
    for row in (best, next(row for row in found if row.strategy == MIDDLE)):
        pair = against(row, rival)
        times = row.mflops / rival.mflops
        print(
            f"`{row.strategy}` to nano {rival.strategy}: {100 * pair.difference:+.1f} points "
            f"[{100 * pair.ci95.low:+.1f}, {100 * pair.ci95.high:+.1f}], {times:.1f} times its FLOPs."
        )
    draw(found, DOCS / "composition.png")


if __name__ == "__main__":
    main()
