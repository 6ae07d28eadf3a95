"""nano with `auto` against one pass of mini, 14 times its size, at equal FLOPs: `python recipes/fourteen_times.py run`.

Each question has a ceiling of its own: the FLOPs of one pass of mini on that very question, prompt and attention
counted. nano's draws, its verifier and the look at the question all have to fit under it. On `chain` (1 to 16
operations) nano has nano-prm and a policy priced in FLOPs, learned on the training split by
`recipes/compute_optimal.py learn`; on `countdown` (3 to 6 numbers) it has the checker, which is free, and no policy.
`run` keeps what each made of each problem in `docs/compute-optimal/fourteen.jsonl`; `show` prints the table of
docs/compute-optimal.md from that and draws its figure.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull import spec
from mull.advice.spend import exchange
from mull.bank import Bank, open_bank
from mull.lab.grid import grade
from mull.run import Run, Strategy
from mull.stats.intervals import SHARE, bootstrap
from mull.stats.paired import paired
from mull.strategies.auto import Auto
from mull.types import Budget, Model, Params, Problem, Task, Verifier

DOCS = Path(__file__).parents[1] / "docs"
HOME = DOCS / "compute-optimal"
POLICY, RESULTS, PICTURE = HOME / "policy-flops.toml", HOME / "fourteen.jsonl", DOCS / "fourteen-times.png"
TASKS = [f"chain:ops={ops}" for ops in range(1, 17)] + [f"countdown:numbers={n}" for n in range(3, 7)]
PARAMS = Params(max_tokens=400)
SEED, N_MINI = 9300, 4
"""Draws of mini on each question: its accuracy is their mean, its FLOPs those of the first."""


def built(kind: str, name: str) -> Any:
    return spec.build(kind, spec.MODELS if kind == "model" else spec.VERIFIERS, name)


async def one(task: Task, problem: Problem, bank: Bank) -> dict[str, Any]:
    """A question asked of mini once, and of nano for the same FLOPs."""
    mini = Run(built("model", "mini"), bank=bank, params=PARAMS, seed=SEED)
    draws = await mini.draw(problem.prompt, N_MINI)
    flops = draws[0].cost.flops
    right = [(await task.grade(problem.id, draw)).correct is True for draw in draws]
    row: dict[str, Any] = {"task": task.name, "problem": problem.id, "mini": [float(np.mean(right)), flops]}
    is_chain = task.name.startswith("chain")
    verifier = built("verifier", "nano-prm" if is_chain else "countdown")
    auto = Auto(policy=str(POLICY)) if is_chain else Auto(n=64)
    vote = spec.strategy("majority:n=64")
    arms: dict[str, tuple[Strategy, Verifier | None]] = {
        "single": (spec.strategy("single"), None),
        "auto": (auto, verifier),
        "majority": (vote, None),
    }
    model: Model = built("model", "nano")
    for name, (strategy, judge) in arms.items():
        budget = Budget() if name == "single" else Budget(flops=flops)
        run = Run(model, verifier=judge, budget=budget, bank=bank, params=PARAMS, seed=SEED)
        outcome = await strategy(problem, run)
        verdict = await grade(task, problem, outcome)
        row[name] = [float(verdict.correct is True), run.spent.flops, len(outcome.candidates)]
        assert name == "single" or (run.spent.flops or 0) <= (flops or 0), "a ceiling was exceeded"
        if "option" in outcome.notes:
            row["option"] = outcome.notes["option"]
    return row


async def level(name: str, n: int, bank: Bank) -> list[dict[str, Any]]:
    task = spec.build("task", spec.TASKS, f"{name},seed={SEED}")
    problems = itertools.islice(task.problems(), n)
    return await asyncio.gather(*(one(task, problem, bank) for problem in problems))


def show() -> None:
    """Prints the table and draws the figure."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    print("FLOPs a question in millions, of one pass of mini and of what nano spent\n")
    print(
        "| level | problems | nano, one draw % | mini, pass@1 % | FLOPs | auto % | FLOPs "
        "| auto minus mini | nano, majority % |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for task in TASKS:
        here = [row for row in rows if row["task"] == task]
        print(f"| `{task}` | {len(here)} | {100 * np.mean([row['single'][0] for row in here]):.0f} | {cells(here)} |")
    known = passes()
    middle = [row for row in rows if 0.1 <= known[row["task"]] <= 0.9]
    for title, chosen in {
        "chain, nano's pass@1 between .1 and .9": [row for row in middle if row["task"].startswith("chain")],
        "countdown, the same": [row for row in middle if row["task"].startswith("countdown")],
        "all others": [row for row in rows if row not in middle],
    }.items():
        single = 100 * np.mean([row["single"][0] for row in chosen])
        print(f"| {title} | {len(chosen)} | {single:.0f} | {cells(chosen)} |")
    for inference in (0.16, 0.79, 22.0):
        times = exchange(14, inference)
        print(
            f"\n{inference} tokens of inference for each of pretraining: nano may spend {times:.1f} passes of its own"
        )
    draw(rows)


def passes() -> dict[str, float]:
    """nano's pass@1 by level, as docs/levels/nano.md has it."""
    found = {}
    for line in (DOCS / "levels" / "nano.md").read_text().splitlines():
        if line.startswith("| `"):
            _, task, one, *_ = line.split("|")
            found[task.strip().strip("`")] = float(one.split()[0]) / 100
    return found


def cells(rows: Sequence[dict[str, Any]]) -> str:
    """mini, nano and their paired difference over some of the problems."""
    mini, auto, vote = ([row[name][0] for row in rows] for name in ("mini", "auto", "majority"))
    spent = {name: np.mean([row[name][1] for row in rows]) / 1e6 for name in ("mini", "auto")}
    gain = paired("auto", "mini", auto, mini)
    assert gain is not None
    low, high = (100 * end for end in gain.ci95)
    return (
        f"{100 * np.mean(mini):.0f} | {spent['mini']:,.0f} | {100 * np.mean(auto):.0f} | {spent['auto']:,.0f} "
        f"| {100 * gain.difference:+.0f} [{low:+.0f}, {high:+.0f}] | {100 * np.mean(vote):.0f}"
    )


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """Accuracy over FLOPs by difficulty: one draw of nano, `auto` for mini's FLOPs, and one pass of mini."""
    groups = {"chain, 1 to 4": range(1, 5), "5 to 8": range(5, 9), "9 to 12": range(9, 13), "13 to 16": range(13, 17)}
    panels = {name: [f"chain:ops={ops}" for ops in levels] for name, levels in groups.items()}
    panels["countdown, 3 and 4"] = ["countdown:numbers=3", "countdown:numbers=4"]
    panels["countdown, 5 and 6"] = ["countdown:numbers=5", "countdown:numbers=6"]
    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(2, 3, sharey=True).flat
    styles = {
        "single": ("nano, one draw", "#7a8ca3", "o"),
        "majority": ("nano, majority", "#2d6a8e", "s"),
        "auto": ("nano, auto", "#111827", "D"),
        "mini": ("mini, one pass", "#c8553d", "^"),
    }
    for axes, (title, tasks) in zip(places, panels.items(), strict=True):
        here = [row for row in rows if row["task"] in tasks]
        for name, (label, colour, mark) in styles.items():
            values = [row[name][0] for row in here]
            low, high = bootstrap(values, bounds=SHARE)
            mean, x = float(np.mean(values)), np.mean([row[name][1] for row in here]) / 1e9
            error = [[100 * (mean - low)], [100 * (high - mean)]]
            axes.errorbar([x], [100 * mean], error, fmt=mark, color=colour, label=label, capsize=3, markersize=6)
        axes.set_title(title, fontsize=9)
        axes.set_xscale("log")
        axes.set_ylim(-3, 103)
        axes.set_xlim(0.03, 4)
        axes.grid(alpha=0.25)
    figure.supxlabel("billions of FLOPs a question", fontsize=9)
    figure.supylabel("problems solved, %", fontsize=9)
    figure.axes[0].legend(fontsize=7.5, loc="lower left")
    figure.savefig(PICTURE, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description="A model against one 14 times its size at equal FLOPs.")
    parser.add_argument("what", choices=["run", "show"])
    parser.add_argument("--problems", type=int, default=20, help="of each level")
    parser.add_argument("--bank", default="compute-optimal.db", help="where draws are kept")
    options = parser.parse_args()
    if options.what == "run":
        with open_bank(options.bank) as bank, RESULTS.with_suffix(".part").open("w") as file:
            for name in TASKS:
                for row in asyncio.run(level(name, options.problems, bank)):
                    file.write(json.dumps(row) + "\n")
                print(name, flush=True)
        RESULTS.with_suffix(".part").replace(RESULTS)
    show()


if __name__ == "__main__":
    main()
