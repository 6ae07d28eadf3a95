"""Draws of a real model on HumanEval: kept as one small file, and replayed as the figures of docs/real-models.md.

    python recipes/real_models.py keep SWEEP.jsonl ... [--hours H] [--larger]
    python recipes/real_models.py show [--task HumanEval.jsonl]

`keep` takes the problems with all draws from what `mull sweep --out` wrote (also unfinished, and its FILE.before), and
writes them to `src/mull/drawn`; with `--larger` one draw a problem of the larger model. `show` writes the tables into
the page and draws its figure. With the task's file it also runs the programs, in the sandbox, for the strategies that
choose by their outputs.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull import spec
from mull.bank import open_bank
from mull.cli.demo import DEMOS, DRAWN
from mull.files.recording import Recording
from mull.files.records import read_recordings
from mull.lab import grid, replayed
from mull.laws import coverage
from mull.report import plot
from mull.report.replayed import KINDS
from mull.report.words import ends, percent, points
from mull.tasks.code import HumanEvalTask
from mull.types import Grade, Sample, Task

DOCS = Path(__file__).parents[1] / "docs"
FILE = DRAWN / DEMOS["real"]
KS = (1, 2, 4, 8, 16)
N_DRAWS, N_PROBLEMS = 16, 164
MODEL, LARGER = "Qwen2.5-Coder-0.5B-Instruct", "Qwen2.5-Coder-1.5B-Instruct"
LARGER_FILE = DRAWN / "humaneval-qwen2.5-coder-1.5b.jsonl.gz"
COMMAND = (
    "mull sweep humaneval:HumanEval.jsonl -m hf:{model},dtype=bfloat16,context=1536 -s best:n={n} --verifier tests "
    r"-t 0.8 --max-tokens 400 --stop $'\n```\n' --out draws.jsonl"
)
BEGIN, END = "<!-- measured -->", "<!-- end -->"
ORDERS = 2
"""Orders of the draws over which strategies that run programs are averaged."""
RUN = ("cluster:n={k},tests=0", "mbr:n={k},tests=0")
LINES = {
    "coverage": ("coverage (oracle)", "#7a8ca3", "--"),
    "until-pass": ("first to pass the docstring's examples", "#c8553d", "-"),
    "best": ("best of k by the docstring's examples", "#e0a458", "-"),
    "cluster": ("largest cluster by outputs", "#2d6a8e", "-"),
    "mbr": ("least Bayes risk by outputs", "#7c3aed", "-"),
}


def rows_of(paths: Sequence[Path], n_draws: int) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What the sweep says of itself, and its finished problems by name; a file that is being written may end early."""
    about: dict[str, Any] = {}
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if "sweep" in row:
                about = about or row["sweep"]
            elif len(row["samples"]) == n_draws:
                found.setdefault(row["problem_id"], row)
    return about, dict(sorted(found.items(), key=lambda one: int(one[0].rpartition("/")[2])))


def keep(paths: Sequence[Path], hours: float | None, *, is_larger: bool) -> None:
    model, n_draws, file = (LARGER, 1, LARGER_FILE) if is_larger else (MODEL, N_DRAWS, FILE)
    about, rows = rows_of(paths, n_draws)
    costs = [row["outcomes"][f"best:n={n_draws}"]["cost"] for row in rows.values()]
    drawn = {
        "title": "HumanEval",
        "problems": N_PROBLEMS,
        "model": model,
        "weights": "weights of the file quantised to Q4_K_M, computed in bfloat16",
        "temperature": about["params"]["temperature"],
        "max_tokens": about["params"]["max_tokens"],
        "date": "2026-11-30",
        "on": "by mull's own engine on one core of a processor",
        "tokens": sum(cost["output_tokens"] for cost in costs),
        "flops": sum(cost["flops"] for cost in costs),
        "hours": hours,
    }
    kept = {name: about[name] for name in ("mull", "python", "numpy", "strategies", "verifier", "params", "kinds")}
    head = {
        "command": COMMAND.format(model=model, n=n_draws),
        **kept,
        "task": "humaneval",
        "models": [model],
        "data_date": "2021-07-07",
        "drawn": drawn,
    }
    lines: list[dict[str, Any]] = [{"sweep": head}]
    for row in rows.values():
        fields = ("text", "final_answer", "correct", "score", "output_tokens", "logprob")
        samples = [{name: sample[name] for name in fields} for sample in row["samples"]]
        lines.append({"problem_id": row["problem_id"], "prompt": row["prompt"], "model": model, "samples": samples})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(rows)} problems, {drawn['tokens']:,} tokens, {file.stat().st_size:,} bytes in {file}")


async def run_programs(task: Task, seeds: int, bank: Path) -> dict[str, list[dict[str, float]]]:
    """The strategies that run programs, in several orders of the same draws: right or not, by problem, [orders]."""
    found: dict[str, list[dict[str, float]]] = {}
    with open_bank(str(bank)) as opened:
        executor = spec.build("executor", spec.EXECUTORS, "python")
        names = [text.format(k=k) for text in RUN for k in KS[1:]]
        plans = {name: spec.strategy(name) for name in names}
        for seed in range(seeds):
            model = spec.build("model", spec.MODELS, f"recorded:{FILE},seed={seed}")
            plan = grid.Plan(task, model, plans, executor=executor, seed=seed)
            cells = await grid.run_plan(plan, opened, n_problems=None)
            for name in names:
                rights = {cell.problem.id: float(cell.grade.correct is True) for cell in cells[name]}
                found.setdefault(name, []).append(rights)
            print(f"order {seed + 1} of {seeds}", file=sys.stderr)
    return found


class Graded(HumanEvalTask):
    """HumanEval with the grades that its draws were given when they were made."""

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade(RIGHT[problem_id, sample.text])


RIGHT: dict[tuple[str, str], bool | None] = {}


def drawn_of(task_file: Path) -> Graded:
    """The task with only the problems of which there are draws."""
    recordings = read_recordings(FILE)
    RIGHT.update({(one.id, sample.text): sample.correct for one in recordings for sample in one.samples})
    known = {one.prompt for one in recordings}
    rows = [line for line in task_file.read_text(encoding="utf-8").splitlines() if json.loads(line)["prompt"] in known]
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "HumanEval.jsonl")
        part.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return Graded(str(part))


def show(task_file: Path | None, orders: int, bank: Path) -> None:
    every = read_recordings(FILE)
    recordings = [one for one in every if replayed.is_tested(one)]
    found = replayed.replays(recordings, KS)
    if task_file is not None:
        lengths = found[0].tokens
        for name, rights in asyncio.run(run_programs(drawn_of(task_file), orders, bank)).items():
            k = int(name.partition("n=")[2].partition(",")[0])
            right = np.array([[each[one.id] for each in rights] for one in recordings]).mean(axis=1)
            found.append(replayed.Replay(name, right, k * np.ones(len(right)), k * lengths))
    found = [one for one in found if one.name == "single" or one.draws.max() > 1]
    put(DOCS / "real-models.md", "\n".join([*told(every, recordings, found), *against_larger(recordings)]))
    draw(found, DOCS / "real-models.png")


def put(page: Path, measured: str, begin: str = BEGIN, end: str = END) -> None:
    """Writes what was measured between two marks of a page, and prints it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n\n{measured}\n{end}{after}", encoding="utf-8")
    print(measured)


def told(every: Sequence[Recording], tested: Sequence[Recording], found: Sequence[replayed.Replay]) -> Iterator[str]:
    """The measured part of the page, line by line."""
    drawn, tests = every[0].sweep["drawn"], replayed.public_tests(tested)
    pairs = {pair.a: pair for pair in replayed.differences(found)}
    yield (
        f"{len(every)} of {drawn['problems']} problems, {N_DRAWS} draws of each, {drawn['tokens']:,} tokens, "
        f"{drawn['flops']:.3g} FLOPs. {len(tested)} of them have examples in the docstring; the table is over these."
    )
    yield "\n| strategy | solved, % [95 %] | against one draw, points | draws | tokens |\n|---|---|---|---|---|"
    for one in found:
        gain = points(pairs[one.name].difference, pairs[one.name].ci95) if one.name in pairs else ""
        name = f"{one.name} (oracle)" if one.is_oracle else f"`{one.name}`"
        solved = percent(one.accuracy, one.interval())
        yield f"| {name} | {solved} | {gain} | {one.draws.mean():.1f} | {one.tokens.mean():,.0f} |"
    yield "\n| draws of these problems | right by the hidden tests | wrong by them |\n|---|---|---|"
    right = tests.passing - tests.passing_wrong
    wrong = tests.failing - tests.failing_right
    yield f"| pass the docstring's examples | {right:,} | {tests.passing_wrong:,} |"
    yield f"| fail them | {tests.failing_right:,} | {wrong:,} |"
    yield "\n| by one half of the draws | problems | one draw, % | `until-pass` of 8, % | gain, points | coverage, % |"
    yield "|---|---|---|---|---|---|"
    for kind in replayed.by_difficulty(tested):
        gain = "" if kind.gain is None else points(kind.gain.difference, kind.gain.ci95)
        shares = (percent(kind.single), percent(kind.until_pass), gain, percent(kind.coverage))
        yield f"| {kind.name}: {KINDS[kind.name]} right | {kind.problems} | {' | '.join(shares)} |"
    law = coverage.fit([one.n for one in every], [one.n_correct for one in every])
    yield "\n| all problems, draws | coverage (oracle), % | 95 % band |\n|---|---|---|"
    for k in (1, N_DRAWS, 4 * N_DRAWS):
        there = law.predict(k)
        how = "measured" if k <= N_DRAWS else "predicted by the laws"
        yield f"| {k}, {how} | {percent(there.value)} | {ends(there.band)} |"


def against_larger(tested: Sequence[Recording]) -> Iterator[str]:
    """The small model with the examples of the docstring, against one draw of the larger model."""
    others = {one.id: one for one in read_recordings(LARGER_FILE)}
    ones = [others[one.id] for one in tested]
    right = np.array([one.n_correct for one in ones], dtype=np.float64)
    lengths = np.array([one.samples[0].output_tokens for one in ones], dtype=np.float64)
    larger = replayed.Replay(LARGER, right, np.ones(len(right)), lengths)
    flops = flops_of(ones[0]) * lengths.mean()
    solved = percent(larger.accuracy, larger.interval())
    yield f"\nOne draw of {LARGER} solves {solved} % of the same problems, with {flops / 1e12:.2f} TFLOP each."
    yield "\n| 0.5B model, with the examples | solved, % [95 %] | against the larger, points | FLOPs, of the larger's |"
    yield "|---|---|---|---|"
    for one in replayed.replays(tested, KS):
        if one.name == "single" or (one.name.startswith("until-pass") and one.draws.max() > 1):
            (pair,) = replayed.differences([larger, one])
            gain, share = points(pair.difference, pair.ci95), flops_of(tested[0]) * one.tokens.mean() / flops
            yield f"| `{one.name}` | {percent(one.accuracy, one.interval())} | {gain} | {share:.2f} |"
    yield "\n| by one half of the 0.5B model's draws | problems | larger, one draw, % | `until-pass` of 8, % |"
    yield "|---|---|---|---|"
    for kind in replayed.by_difficulty(tested):
        of_kind = right[[replayed.difficulty(one) == kind.name for one in tested]].mean()
        shares = f"{percent(float(of_kind))} | {percent(kind.until_pass)}"
        yield f"| {kind.name}: {KINDS[kind.name]} right | {kind.problems} | {shares} |"
    never = sum(bool(found) and not any(one.correct) for found, one in zip(right, tested, strict=True))
    yield f"\n{never} problems are solved by that draw and by none of the 0.5B model's 16."


def flops_of(one: Recording) -> float:
    """FLOPs for each token drawn, prompts included, on average over the sweep."""
    return float(one.sweep["drawn"]["flops"] / one.sweep["drawn"]["tokens"])


def draw(found: Sequence[replayed.Replay], path: Path) -> None:
    """Problems solved over tokens a problem; bands are 95 % intervals over problems."""
    with plot.plain_text():
        figure = Figure(figsize=(6.2, 4.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        single = next(one for one in found if one.name == "single")
        for kind, (what, colour, line) in LINES.items():
            part = [single, *(one for one in found if one.name.startswith(kind) and one.draws.max() > 1)]
            if len(part) < 2:
                continue
            part.sort(key=lambda one: one.tokens.mean())
            x = [one.tokens.mean() for one in part]
            between = [one.interval() for one in part]
            axes.plot(x, [100 * one.accuracy for one in part], line, color=colour, label=what, marker="o", markersize=3)
            axes.fill_between(
                x, [100 * e.low for e in between], [100 * e.high for e in between], color=colour, alpha=0.1, lw=0
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks := [round(single.tokens.mean()) * k for k in KS], [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("tokens a problem, mean")
        axes.set_ylabel("problems solved, %")
        axes.set_ylim(40, 100)
        axes.set_title(f"HumanEval, {MODEL}\n{len(single.right)} problems with examples, 16 draws each", fontsize=9)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, loc="lower right")
        plot.save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    keeping = verbs.add_parser("keep")
    keeping.add_argument("sweeps", type=Path, nargs="+")
    keeping.add_argument("--hours", type=float)
    keeping.add_argument("--larger", action="store_true")
    showing = verbs.add_parser("show")
    showing.add_argument("--task", type=Path)
    showing.add_argument("--orders", type=int, default=ORDERS)
    showing.add_argument("--bank", type=Path, default=Path("build/real-models.db"))
    options = parser.parse_args()
    if options.verb == "keep":
        keep(options.sweeps, options.hours, is_larger=options.larger)
    else:
        options.bank.parent.mkdir(parents=True, exist_ok=True)
        show(options.task, options.orders, options.bank)


if __name__ == "__main__":
    main()
