"""The pictures of the documentation: `python recipes/figure.py` (needs the extra `lab`).

`docs/scaling.png`: coverage, majority and best-of-k of nano on both tasks, 200 held-out problems and 64 draws each.
`docs/training.png`: the training curves of the built-in models, from `docs/training/`.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull import spec
from mull.lab import grid
from mull.lab.metrics import Curves, curves
from mull.report import plot
from mull.types import Params

DOCS = Path(__file__).parents[1] / "docs"
PANELS = {
    "chain, 4 operations: a vote": ("chain:ops=4", "majority:n=64", None),
    "countdown, 4 numbers: a checker": ("countdown:numbers=4", "best:n=64", "countdown"),
}
N_PROBLEMS = 200


def measured(task_spec: str, strategy: str, verifier: str | None) -> Curves:
    """The curves of one panel, drawn afresh."""
    task = spec.build("task", spec.TASKS, task_spec)
    model = spec.build("model", spec.MODELS, "nano")
    checker = None if verifier is None else spec.build("verifier", spec.VERIFIERS, verifier)
    plans = {strategy: spec.strategy(strategy)}
    params = Params(max_tokens=400)
    cells = asyncio.run(
        grid.run_plan(grid.Plan(task, model, plans, verifier=checker, params=params), None, n_problems=N_PROBLEMS)
    )
    return curves([grid.draws(cell) for cell in cells[strategy]])


def draw_training(path: Path) -> None:
    """Loss on the training text over tokens, each point the mean of 50 steps."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for source in sorted((DOCS / "training").glob("*.jsonl"), reverse=True):
        rows = [json.loads(line) for line in source.read_text().splitlines()]
        axes.plot([row["tokens"] / 1e6 for row in rows], [row["loss"] for row in rows], label=source.stem)
    axes.set_xlabel("training tokens, millions")
    axes.set_ylabel("loss, nats a learned token")
    axes.set_yscale("log")
    axes.grid(alpha=0.25)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    plot.curves({title: measured(*panel) for title, panel in PANELS.items()}, DOCS / "scaling.png")
    draw_training(DOCS / "training.png")


if __name__ == "__main__":
    main()
