"""Reinforcement alone, from a base that never learnt to answer: `python recipes/zero.py`.

`nano-base` has seen derivations, right and wrong (`derivations.py`). It is trained by reinforcement for one draw
(pass@1) and for the best of eight (pass@8, PKPO). Figures over steps are those of training problems, which never come
twice; before and after, all three draw on held-out problems: accuracy, length, self-correction, pass@1 to pass@64, and
where pass@k of a trained model falls below that of the base. Run it again to go on after an interruption.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import learned
from learned import ROOT
from mull.stats.estimators import pass_at_ks
from mull.stats.intervals import SHARE, bootstraps
from mull.train.curve import WINDOW, read_run

TRAIN = (3, 4, 5, 6, 7, 8)
LEVELS = (4, 6, 8, 10)
KS = (1, 2, 4, 8, 16, 32, 64)
RUNS = {"pass@1": "one", "pass@8": "eight"}
"""Objectives, and the folders of their runs."""
COLOURS = {"base": "0.4", "pass@1": "#c8553d", "pass@8": "#2d6a8e"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Reinforcement alone, from a base that never learnt to answer.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=float, default=4e6, help="training tokens of the base")
    parser.add_argument("--steps", type=int, default=50, help="of each reinforcement")
    parser.add_argument(
        "--minutes", type=float, default=120, help="the most of the base's training and of a measurement"
    )
    parser.add_argument("--problems", type=int, default=200, help="held-out problems a level")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "zero")
    parser.add_argument("--quick", action="store_true", help="a tiny size, in a folder of its own")
    options = parser.parse_args()
    out, size, docs = options.out, ("--groups", 16, "--group", 16, "--max-tokens", 300), ROOT / "docs"
    if options.quick:
        out, size = out.with_name(f"{out.name}-quick"), ("--groups", 2, "--group", 8, "--max-tokens", 120)
        options.steps, options.problems, options.tokens, docs = 2, 4, 2e4, out
    base = out / "base"
    if not (base / "model.safetensors").exists():
        _train_base(base, options)
    lessons = [f"chain:ops={level},split=train" for level in TRAIN]
    for objective, name in RUNS.items():
        if not (out / name / "model.safetensors").exists():
            learned.mull(
                "train", "grpo", *lessons, "--base", base, "--out", out / name, "--objective", objective, *size,
                "--rate", "3e-4", "--updates", 2, "--seed", options.seed,
                "--steps", options.steps, "--threads", options.threads, threads=options.threads,
            )  # fmt: skip
    tasks = [f"chain:ops={level}" for level in LEVELS]
    rows = {
        name: learned.counted(out / f"draws-{folder}.jsonl", f"trained:{out / folder}", tasks, options.problems, KS[-1],
                              minutes=options.minutes)
        for name, folder in {"base": "base", **RUNS}.items()
    }  # fmt: skip
    learned.mull("report", *(out / name for name in RUNS.values()), "--out", out / "curves.html", threads=1)
    (docs / "levels").mkdir(exist_ok=True)
    page = docs / "levels" / "zero.md"
    page.write_text("\n".join(_page(options, out, rows, tasks)).rstrip() + "\n")
    _draw(out, rows, tasks, docs / "zero.png")
    print(page.read_text())


def _train_base(base: Path, options: argparse.Namespace) -> None:
    words = ["nano-base", "--tokens", options.tokens, "--out", base, "--threads", options.threads]
    words += ["--minutes", options.minutes, "--seed", options.seed + 1]
    script = Path(__file__).with_name("train.py")
    subprocess.run(
        [sys.executable, str(script), *map(str, words)], check=True, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    )


def _page(options: argparse.Namespace, out: Path, rows: dict[str, list[learned.Row]], tasks: list[str]) -> list[str]:
    lines = [
        "# Reinforcement alone, from a base that never learnt to answer",
        "",
        f"`python recipes/zero.py`: {options.steps} steps of each objective on chains of levels "
        f"{TRAIN[0]} to {TRAIN[-1]}, seed {options.seed}; {options.problems} held-out problems a level, {KS[-1]} draws "
        "each, temperature 1.",
        "",
        "## Over steps",
        "",
        f"Means of {WINDOW} steps, on training problems, which never come twice.",
        "",
        *learned.table(
            ["objective", "steps", *learned.CURVES.values()], [line for name in RUNS for line in _steps(out, name)]
        ),
        "",
        "## Before and after, held out",
        "",
    ]
    head = ["level", "model", *(f"pass@{k} % [95 %]" for k in KS), "tokens", "with Wait, %"]
    cells = []
    for task in tasks:
        for name, own in rows.items():
            one = learned.column(own, task)
            if not one.problems:
                continue
            chances = pass_at_ks(one.n, one.right, KS)
            mine = [row for row in own if row["task"] == task]
            tokens, waits = (float(np.mean([row[what] for row in mine])) for what in ("tokens", "waits"))
            cells.append(
                [f"`{task}`", name, *(learned.share(chances[:, i].tolist()) for i in range(len(KS))),
                 f"{tokens:.0f}", f"{100 * waits:.1f}"]
            )  # fmt: skip
    lines += [*learned.table(head, cells), "", "## Where pass@k falls below the base", ""]
    cells = []
    for task in tasks:
        for name in RUNS:
            old, new = learned.both(rows["base"], rows[name], task)
            if old.problems:
                first, last = (
                    [pass_at_ks(one.n, one.right, [k])[:, 0].tolist() for one in (new, old)] for k in (1, KS[-1])
                )
                cells.append(
                    [f"`{task}`", name, learned.gain(*first), learned.gain(*last),
                     learned.told(learned.crossing(old, new, KS), KS[-1])]
                )  # fmt: skip
    return [*lines, *learned.table(["level", "objective", "pass@1 gained", f"pass@{KS[-1]} gained", "crossing"], cells)]


def _steps(out: Path, objective: str) -> list[list[str]]:
    """The first steps of a run, the middle, and the last."""
    run = read_run(out / RUNS[objective]).rows
    width, found = min(WINDOW, len(run)), []
    for start in dict.fromkeys((0, (len(run) - width) // 2, len(run) - width)):
        part = run[start : start + width]
        means = {name: sum(row[name] for row in part) / width for name in learned.CURVES}
        told = f"{100 * means['right']:.1f}", f"{means['length']:.0f}", f"{100 * means['waits']:.1f}"
        found.append([objective, f"{start + 1} to {start + width}", *told])
    return found


def _draw(out: Path, rows: dict[str, list[learned.Row]], tasks: list[str], path: Path) -> None:
    """The curves over steps above, pass@k of each level below."""
    figure = Figure(figsize=(3.6 * max(len(tasks), len(learned.CURVES)), 7), layout="constrained")
    FigureCanvasAgg(figure)
    halves = figure.add_gridspec(2, 1)
    above, below = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    learned.over_steps(
        above.subplots(1, len(learned.CURVES), squeeze=False)[0],
        {objective: (out / folder, COLOURS[objective]) for objective, folder in RUNS.items()},
    )
    for axes, task in zip(below.subplots(1, len(tasks), squeeze=False, sharey=True)[0], tasks, strict=True):
        for name, own in rows.items():
            one = learned.column(own, task)
            if one.problems:
                chances = pass_at_ks(one.n, one.right, KS)
                ends = bootstraps(chances, bounds=SHARE)
                axes.plot(KS, 100 * chances.mean(axis=0), color=COLOURS[name], label=name, marker="o", markersize=3)
                low, high = ([100 * end[i] for end in ends] for i in (0, 1))
                axes.fill_between(KS, low, high, color=COLOURS[name], alpha=0.12, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_title(task, fontsize=9)
        axes.set_xlabel("draws k")
        axes.grid(alpha=0.25)
    below.axes[0].set_ylabel("pass@k (oracle), %")
    below.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
