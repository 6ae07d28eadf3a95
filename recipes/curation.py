"""Which traces to learn from, as in s1: `python recipes/curation.py`.

A teacher (mini) writes 20,000 traces of training problems, and nano's draws of the same problems say how hard they
are. nano is fine-tuned on 1,000 of them chosen by quality, difficulty and diversity, on 1,000 of the good ones at
random (the baseline of the paper), on 1,000 of all at random, on the 1,000 longest, and on all. Each then thinks under
several budgets on held-out problems: accuracy over thinking tokens, control and slope. Run it again to go on after an
interruption.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

import learned
from learned import ROOT
from mull import spec
from mull.bank import MemoryBank
from mull.lab import grid
from mull.report.thoughts import lines
from mull.run import Run
from mull.tasks.synthetic import ChainTask
from mull.types import Params
from thinking_longer import accuracy, only, right, tokens, told

LEVELS = (3, 4, 5, 6, 7, 8)
HELD_OUT = (4, 6, 8)
DRAWS = 4
"""Draws of the teacher, and of nano, for each problem."""
ARMS = {
    "s1": "quality,difficulty,diversity",
    "good": "quality",
    "random": "random",
    "longest": "longest",
    "all": "all",
}
WAITS = tuple(f"force:wait={n}" for n in range(4))
MOSTS = tuple(f"force:at_most={n}" for n in (40, 80, 120))
PARAMS = Params(1.0, max_tokens=400)


def main() -> None:
    parser = argparse.ArgumentParser(description="Which traces to learn from, as in s1.")
    parser.add_argument("--teacher", default="mini")
    parser.add_argument("--student", default="nano")
    parser.add_argument("--traces", type=int, default=20_000)
    parser.add_argument("--n", type=int, default=1000, help="how many are chosen")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--problems", type=int, default=100, help="held-out problems a level")
    parser.add_argument("--minutes", type=float, default=60, help="the most of each stage of draws")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "curation")
    parser.add_argument("--quick", action="store_true", help="a tiny size, in a folder of its own")
    options = parser.parse_args()
    out, docs = options.out, ROOT / "docs"
    if options.quick:
        out = out.with_name(f"{out.name}-quick")
        options.traces, options.n, options.problems, options.epochs, docs = 48, 8, 2, 1, out
    out.mkdir(parents=True, exist_ok=True)
    n = options.traces // DRAWS
    for model, name in ((options.teacher, "traces"), (options.student, "weak")):
        have = asyncio.run(drawn(out / f"{name}.jsonl", model, n, options.minutes))
        if have < n:
            raise SystemExit(f"{have} of {n} problems are drawn: run this recipe again to go on")
    rows = []
    for arm, by in ARMS.items():
        chosen, folder = out / f"{arm}.jsonl", out / arm
        if not chosen.exists():
            words: tuple[object, ...] = (
                "--n",
                options.n,
                "--by",
                by,
                "--weak",
                out / "weak.jsonl",
                "--seed",
                options.seed,
            )
            learned.mull("train", "select", out / "traces.jsonl", "--out", chosen, *words, threads=1)
        if not (folder / "model.safetensors").exists():
            words = ("--base", options.student, "--epochs", options.epochs, "--seed", options.seed)
            learned.mull(
                "train", "sft", chosen, "--out", folder, *words, "--threads", options.threads, threads=options.threads
            )
    for name, model in {"before": options.student, **{arm: f"trained:{out / arm}" for arm in ARMS}}.items():
        rows += budgets(out / f"budgets-{name}.jsonl", name, model, options.problems, options.seed)
    (docs / "levels").mkdir(exist_ok=True)
    page = docs / "levels" / "curation.md"
    page.write_text("\n".join(_page(options, out, rows)).rstrip() + "\n")
    print(page.read_text())


async def drawn(path: Path, model: str, n: int, minutes: float) -> int:
    """Draws of a model on the first problems of all levels in turn, as recorded samples; returns how many problems."""
    drawn_from: Any = spec.build("model", spec.MODELS, model)
    known = {row["problem_id"] for row in learned.read(path)}
    gate, ends_at, began = asyncio.Semaphore(learned.N_AT_ONCE), time.monotonic() + 60 * minutes, time.monotonic()
    tasks = [ChainTask(level, split="train") for level in LEVELS]
    sources = [iter(task.problems()) for task in tasks]
    asked = [(tasks[i % len(tasks)], next(sources[i % len(tasks)])) for i in range(n)]
    with path.open("a") as file:

        async def one(task: ChainTask, problem: Any) -> None:
            async with gate:
                if problem.id in known or time.monotonic() > ends_at:
                    return
                samples = await Run(drawn_from, params=PARAMS, seed=0).draw(problem.prompt, DRAWS)
                grades = [await task.grade(problem.id, sample) for sample in samples]
                row = {
                    "problem_id": problem.id,
                    "prompt": problem.prompt.question,
                    "samples": [
                        {
                            "text": sample.text,
                            "correct": grade.correct,
                            "output_tokens": sample.cost.output_tokens,
                            "finish_reason": sample.finish.value,
                        }
                        for sample, grade in zip(samples, grades, strict=True)
                    ],
                }
                known.add(problem.id)
                file.write(json.dumps(row) + "\n")
                file.flush()

        await asyncio.gather(*itertools.starmap(one, asked))
    have = sum(problem.id in known for _, problem in asked)
    print(f"{model}: {have} of {n} problems, {time.monotonic() - began:.0f} s", flush=True)
    return have


def budgets(path: Path, name: str, model: str, n: int, seed: int) -> list[learned.Row]:
    """What a model makes of each budget on held-out problems, a row a level in the form of `thinking_longer`."""
    known = {row["level"] for row in learned.read(path)}
    for level in HELD_OUT:
        if level in known:
            continue
        plans = {text: spec.strategy(text) for text in (*WAITS, *MOSTS)}
        plan = grid.Plan(
            ChainTask(level, seed=seed), spec.build("model", spec.MODELS, model), plans, params=PARAMS, seed=seed
        )
        cells = asyncio.run(grid.run_plan(plan, MemoryBank(), n_problems=n))
        row = {
            "model": name,
            "level": level,
            "seed": seed,
            "outcomes": {
                text: [
                    [
                        cell.grade.correct is True,
                        cell.spent.output_tokens,
                        cell.outcome.notes.get("thinking_tokens"),
                        cell.outcome.notes.get("rounds", 0),
                    ]
                    for cell in column
                ]
                for text, column in cells.items()
            },
        }
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name}, level {level}: measured", flush=True)
    return learned.read(path)


def _page(options: argparse.Namespace, out: Path, rows: list[learned.Row]) -> list[str]:
    every = {name: told(rows, name, HELD_OUT) for name in ("before", *ARMS)}
    head = ["traces", "n", *(f"`{text}` % [95 %]" for text in (*MOSTS, *WAITS)), "tokens, wait=0", "s1 over it"]
    cells = []
    for name, outcomes in every.items():
        chosen = [] if name == "before" else learned.read(out / f"{name}.jsonl")
        n = sum(len(row["samples"]) for row in chosen)
        over = "" if name in ("before", "s1") else learned.gain(right(every["s1"], WAITS[0]), right(outcomes, WAITS[0]))
        shown = [accuracy(outcomes, text) for text in (*MOSTS, *WAITS)]
        cells.append([name, f"{n:,}", *shown, f"{tokens(outcomes, WAITS[0]):.0f}", over])
    return [
        "# Which traces to learn from",
        "",
        f"`python recipes/curation.py`: {options.traces:,} traces of {options.teacher} on chains of levels "
        f"{LEVELS[0]} to {LEVELS[-1]}; {options.student} fine-tuned for {options.epochs:g} epochs on each "
        f"choice; {options.problems} held-out problems of each of the levels {', '.join(map(str, HELD_OUT))}, seed "
        f"{options.seed}.",
        "",
        *learned.table(head, cells),
        "",
        "## Control, slope and performance",
        "",
        *(f"- {name}: {'; '.join(lines(only(outcomes, [*MOSTS, *WAITS])))}" for name, outcomes in every.items()),
        "",
    ]


if __name__ == "__main__":
    main()
