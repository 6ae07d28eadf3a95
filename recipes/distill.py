"""A small model taught by a larger one, against the small one's own reinforcement: `python recipes/distill.py`.

mini is reinforced; its right traces teach nano. nano is reinforced itself for as long. The FLOPs of nano's
reinforcement, draws and training, are the budget of the distillation: the teacher's draws and the student's training
together. What it cost to reinforce the teacher is told beside it. All models then draw on held-out problems. Run it
again to go on after an interruption.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import learned
from learned import ROOT
from mull.report.words import short
from mull.train.curve import read_run

TRAIN = (4, 5, 6, 7, 8)
LEVELS = (4, 6, 8, 10)
PILOT = 25
"""Problems of a first distillation, which tells what one costs."""


def main() -> None:
    parser = argparse.ArgumentParser(description="A small model taught by a larger one, against its own reinforcement.")
    parser.add_argument("--teacher", default="mini")
    parser.add_argument("--student", default="nano")
    parser.add_argument("--steps", type=int, default=50, help="of each reinforcement")
    parser.add_argument("--minutes", type=float, default=120, help="the most of each measurement")
    parser.add_argument("--problems", type=int, default=200, help="held-out problems a level")
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "distill")
    parser.add_argument("--quick", action="store_true", help="a tiny size, in a folder of its own")
    options = parser.parse_args()
    out, size, docs = options.out, ("--groups", 16, "--group", 16, "--max-tokens", 300), ROOT / "docs"
    pilot = PILOT
    if options.quick:
        out, size = out.with_name(f"{out.name}-quick"), ("--groups", 2, "--group", 4, "--max-tokens", 120)
        options.steps, options.problems, options.draws, docs, pilot = 2, 4, 4, out, 6
    lessons = [f"chain:ops={level},split=train" for level in TRAIN]
    for name, base in (("teacher", options.teacher), ("reinforced", options.student)):
        if not (out / name / "model.safetensors").exists():
            learned.mull(
                "train", "grpo", *lessons, "--base", base, "--out", out / name, *size, "--updates", 2, "--rate",
                "3e-4" if name == "reinforced" else "1e-4", "--seed", options.seed,
                "--steps", options.steps, "--threads", options.threads, threads=options.threads,
            )  # fmt: skip
    budget, of_teacher = (_flops(out / name) for name in ("reinforced", "teacher"))
    first = _distilled(options, out / "pilot", lessons, pilot)
    n = max(pilot, int(pilot * budget / first["flops"]))
    done = _distilled(options, out / "distilled", lessons, n)
    tasks = [f"chain:ops={level}" for level in LEVELS]
    models = {
        "student": options.student,
        "reinforced": f"trained:{out / 'reinforced'}",
        "distilled": f"trained:{out / 'distilled'}",
        "teacher": f"trained:{out / 'teacher'}",
    }
    rows = {
        name: learned.counted(
            out / f"draws-{name}.jsonl", model, tasks, options.problems, options.draws, minutes=options.minutes
        )
        for name, model in models.items()
    }
    cells = []
    for task in tasks:
        old, new = learned.both(rows["reinforced"], rows["distilled"], task)
        shares = [learned.share(learned.column(own, task).accuracy) for own in rows.values()]
        cells.append([f"`{task}`", *shares, learned.gain(new.accuracy, old.accuracy)])
    pairs = [learned.both(rows["reinforced"], rows["distilled"], task) for task in tasks]
    old_all, new_all = ([x for pair in pairs for x in pair[i].accuracy] for i in (0, 1))
    text = [
        "# Distilled against reinforced",
        "",
        f"`python recipes/distill.py`: {options.student} reinforced for {options.steps} steps, "
        f"{short(budget)}FLOP; distilled from {n:,} problems of {options.teacher}, itself reinforced for as long, for "
        f"{short(done['flops'])}FLOP, of which the teacher's draws are {short(done['draws'])}FLOP. Reinforcing the "
        f"teacher cost {short(of_teacher)}FLOP beside that. {options.problems} held-out problems a level, "
        f"{options.draws} draws each, seed {options.seed}.",
        "",
        *learned.table(["level", *(f"{name} % [95 %]" for name in models), "distilled over reinforced"], cells),
        "",
        f"All levels together: distilled over reinforced {learned.gain(new_all, old_all)} points.",
    ]
    (docs / "levels").mkdir(exist_ok=True)
    page = docs / "levels" / "distilled.md"
    page.write_text("\n".join(text) + "\n")
    print(page.read_text())


def _flops(folder: Path) -> float:
    """All FLOPs of a run of reinforcement."""
    return sum(float(row["draw_flops"] + row["train_flops"]) for row in read_run(folder).rows)


def _distilled(options: argparse.Namespace, folder: Path, lessons: list[str], n: int) -> dict[str, Any]:
    """Distils the teacher's right traces of `n` problems; returns the FLOPs of its draws and of everything."""
    told = folder.with_suffix(".json")
    if not told.exists():
        learned.mull(
            "train", "distill", f"trained:{folder.parent / 'teacher'}", "--into", options.student, "--out", folder,
            *(word for lesson in lessons for word in ("--task", lesson)), "--problems", n, "--seed", options.seed,
            "--bank", folder.with_suffix(".db"), "--threads", options.threads, "--json", threads=options.threads,
            into=told,
        )  # fmt: skip
    done = json.loads(told.read_text())
    return {"draws": done["teacher"]["flops"], "flops": done["teacher"]["flops"] + done["flops"]}


if __name__ == "__main__":
    main()
