"""How hard each level of the generated tasks is for a built-in model: `python recipes/levels.py nano`.

Prints a table of pass@1, majority@16 and coverage@64 by level, on held-out problems, and keeps it as
`docs/levels/<model>.md`.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from mull import spec
from mull.files.recording import Recording
from mull.lab import grid
from mull.lab.metrics import curves
from mull.report.words import percent
from mull.strategies.parallel import Majority
from mull.types import Params

TASKS = [f"chain:ops={ops}" for ops in range(1, 17)] + [f"countdown:numbers={n}" for n in range(3, 7)]
DOCS = Path(__file__).parents[1] / "docs" / "levels"


def draws_of(task: Any, model: Any, n_problems: int, n_draws: int, seed: int) -> list[Recording]:
    """The graded draws of a task's first problems."""
    plans = {"all": Majority(n_draws)}
    params = Params(max_tokens=400)
    cells = asyncio.run(
        grid.run_plan(grid.Plan(task, model, plans, params=params, seed=seed), None, n_problems=n_problems)
    )["all"]
    return [grid.draws(cell) for cell in cells]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure each level of the generated tasks.")
    parser.add_argument("model", choices=["nano", "mini", "nano-r1", "nano-think"])
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = spec.build("model", spec.MODELS, options.model)
    ks = [1, 16, options.draws]
    lines = [
        f"| level | pass@1 % [95 %] | majority@16 % [95 %] | coverage@{options.draws} % [95 %] | coverage / pass@1 |",
        "|---|---|---|---|---|",
    ]
    for name in TASKS:
        task = spec.build("task", spec.TASKS, name)
        measured = curves(draws_of(task, model, options.problems, options.draws, options.seed), ks)
        one, most = measured.coverage[0], measured.coverage[-1]
        vote = next(point for point in measured.majority if point.k == 16)
        ratio = f"{most.value / one.value:.1f}" if one.value else "-"
        cells = [percent(point.value, point.ci95) for point in (one, vote, most)]
        lines.append(f"| `{name}` | {' | '.join(cells)} | {ratio} |")
        print(lines[-1], flush=True)
    DOCS.mkdir(parents=True, exist_ok=True)
    head = f"{options.model}: {options.problems} held-out problems a level, {options.draws} draws each, temperature 1."
    (DOCS / f"{options.model}.md").write_text("\n".join([f"# {options.model} by level", "", head, "", *lines, ""]))


if __name__ == "__main__":
    main()
