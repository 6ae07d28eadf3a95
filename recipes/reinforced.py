"""Reinforcement of nano, three seeds, measured on held-out problems: `python recipes/reinforced.py`.

Each seed trains from nano for `--steps`, of 7 s each on two quiet cores, on chains of the levels `--train`, and nano
and the trained models draw on held-out chains of levels 4 to 12. `docs/levels/reinforced.md` and the page of all curves
are made of it. Run it again to go on after an interruption.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import learned
from learned import ROOT
from mull.stats.intervals import SHARE, bootstrap

LEVELS = tuple(range(4, 13))
TRAIN = (6, 8, 9, 10, 11, 12)
COLOURS = ("#c8553d", "#2d6a8e", "#7c3aed", "#e0a458")
OPTIONS = ("--groups", 16, "--group", 16, "--max-tokens", 300, "--updates", 2, "--rate", "3e-4")


def main() -> None:
    parser = argparse.ArgumentParser(description="Reinforcement of nano, measured on held-out problems.")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--train", type=int, nargs="+", default=TRAIN, help="levels of the chains to train on")
    parser.add_argument("--steps", type=int, default=50, help="of each seed's training")
    parser.add_argument("--minutes", type=float, default=120, help="the most of each measurement")
    parser.add_argument("--problems", type=int, default=200, help="held-out problems a level")
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "reinforced")
    parser.add_argument("--quick", action="store_true", help="a tiny size, in a folder of its own")
    options = parser.parse_args()
    out = options.out
    size: tuple[object, ...] = OPTIONS
    if options.quick:
        out, options.steps = out.with_name(f"{out.name}-quick"), 2
        size = ("--groups", 2, "--group", 4, "--max-tokens", 200)
        options.seeds, options.problems, options.draws = options.seeds[:2], 4, 4
    tasks = [f"chain:ops={level}" for level in LEVELS]
    lessons = [f"chain:ops={level},split=train" for level in options.train]
    before = _measured(options, out, options.base, options.base, tasks)
    after, folders = {}, []
    for seed in options.seeds:
        folder = out / f"seed-{seed}"
        folders.append(folder)
        if not (folder / "model.safetensors").exists():
            learned.mull(
                "train", "grpo", *lessons, "--base", options.base, "--out", folder, "--seed", seed, *size,
                "--steps", options.steps, "--threads", options.threads, threads=options.threads,
            )  # fmt: skip
        after[f"seed {seed}"] = _measured(options, out, f"trained:{folder}", f"seed-{seed}", tasks)
    learned.mull("report", *folders, "--out", out / "curves.html", threads=options.threads)
    page = [
        f"# {options.base}, reinforced",
        "",
        f"`python recipes/reinforced.py`: {options.steps} steps for each seed on chains of levels "
        f"{', '.join(map(str, options.train))}; {options.problems} held-out problems a level, {options.draws} draws "
        "each, temperature 1.",
        "",
        *learned.by_level(before, after, tasks),
        "",
        *_together(before, after),
        "",
        f"## Any of {options.draws} draws right (pass@{options.draws}, an oracle)",
        "",
        *learned.by_level(before, after, tasks, options.draws),
    ]
    target = out / "reinforced.md" if options.quick else ROOT / "docs" / "levels" / "reinforced.md"
    target.write_text("\n".join(page).rstrip() + "\n")
    _draw(before, after, folders, (out if options.quick else ROOT / "docs") / "reinforced.png")
    print(target.read_text())


def _measured(options: argparse.Namespace, out: Path, model: str, name: str, tasks: list[str]) -> list[learned.Row]:
    path = out / f"draws-{name}.jsonl"
    return learned.counted(path, model, tasks, options.problems, options.draws, minutes=options.minutes)


def _together(before: list[learned.Row], after: dict[str, list[learned.Row]]) -> list[str]:
    """Levels 8 to 12 together, and the length and the self-correction of each model there."""
    tasks = [f"chain:ops={level}" for level in LEVELS if level >= 8]
    rows = []
    for name, own in {"base": before, **after}.items():
        pairs = [learned.both(before, own, task) for task in tasks]
        old, new = ([x for pair in pairs for x in pair[i].accuracy] for i in (0, 1))
        mine = [row for row in own if row["task"] in tasks]
        tokens, waits = (sum(row[what] for row in mine) / max(1, len(mine)) for what in ("tokens", "waits"))
        more = "" if name == "base" else learned.gain(new, old)
        rows.append([name, learned.share(new), more, f"{tokens:.0f}", f"{100 * waits:.1f}"])
    head = ["levels 8 to 12", "right % [95 %]", "over the base", "tokens", "with Wait, %"]
    return learned.table(head, rows)


def _draw(before: list[learned.Row], after: dict[str, list[learned.Row]], folders: list[Path], path: Path) -> None:
    """The curves over steps above, the accuracy of one draw by level below; bands are 95 % intervals."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    halves = figure.add_gridspec(2, 1)
    runs = {name: (folder, COLOURS[i]) for i, (name, folder) in enumerate(zip(after, folders, strict=True))}
    above = figure.add_subfigure(halves[0])
    learned.over_steps(above.subplots(1, len(learned.CURVES), squeeze=False)[0], runs)
    axes = figure.add_subfigure(halves[1]).subplots()
    for name, own in {"base": before, **after}.items():
        columns = [learned.column(own, f"chain:ops={level}").accuracy for level in LEVELS]
        ends = [bootstrap(one, bounds=SHARE) for one in columns]
        colour = "0.4" if name == "base" else runs[name][1]
        axes.plot(LEVELS, [100 * np.mean(one) for one in columns], color=colour, label=name, marker="o", markersize=3)
        low, high = ([100 * end[i] for end in ends] for i in (0, 1))
        axes.fill_between(LEVELS, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_xlabel("operations of a chain, held-out problems")
    axes.set_ylabel("one draw right, %")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
