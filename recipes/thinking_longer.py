"""What thinking longer buys nano and nano-think: `python recipes/thinking_longer.py`.

Chains of held-out problems, other problems and draws for each seed, at temperature 1. One chain of thought is gone on
with after `Wait` 0 to 5 times, or until it has so many tokens, or cut at so many; votes of several chains are there for
the comparison at equal tokens. Rows are kept in `build/thinking-rows.jsonl`: run it again to go on after an
interruption. `docs/levels/thinking.md` and `docs/thinking-longer.png` are made of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull import spec
from mull.bank import MemoryBank
from mull.files.recording import Recording, Result
from mull.lab import grid
from mull.lab.recorded import Group
from mull.lab.thinking import Thinking, measure
from mull.report.thoughts import lines
from mull.report.words import percent, points
from mull.stats.intervals import wilson
from mull.stats.paired import paired
from mull.tasks.synthetic import ChainTask
from mull.types import Cost, Params

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "build" / "thinking-rows.jsonl"
PAGE = ROOT / "docs" / "levels" / "thinking.md"
PICTURE = ROOT / "docs" / "thinking-longer.png"
MODELS = ("nano", "nano-think")
LEVELS = (4, 6, 7, 8)
SEEDS = (0, 1, 2)
N_PROBLEMS = 50
WAITS = tuple(f"force:wait={n}" for n in range(6))
LEASTS = tuple(f"force:at_least={n}" for n in (200, 300))
MOSTS = tuple(f"force:at_most={n}" for n in (40, 80, 120))
VOTES = tuple(f"majority:n={n}" for n in (1, 3, 5))
PARAMS = Params(1.0, max_tokens=1000)
COLOURS = {"nano": "#c8553d", "nano-think": "#2d6a8e"}

Told = dict[str, dict[str, Result]]
"""Outcomes by problem and strategy."""


def fill(path: Path, models: Sequence[str], seeds: Sequence[int], levels: Sequence[int], n: int) -> None:
    """Measures what is not in the file yet."""
    known = {(row["model"], row["level"], row["seed"]) for row in read(path)}
    path.parent.mkdir(exist_ok=True)
    for seed in seeds:
        for level in levels:
            for name in models:
                if (name, level, seed) in known:
                    continue
                plans = {text: spec.strategy(text) for text in (*WAITS, *LEASTS, *MOSTS, *VOTES)}
                task, model = ChainTask(level, seed=seed), spec.build("model", spec.MODELS, name)
                cells = asyncio.run(
                    grid.run_plan(grid.Plan(task, model, plans, params=PARAMS, seed=seed), MemoryBank(), n_problems=n)
                )
                row = {
                    "model": name,
                    "level": level,
                    "seed": seed,
                    "outcomes": {text: [_outcome(cell) for cell in column] for text, column in cells.items()},
                }
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                right = sum(cell.grade.correct is True for cell in cells[WAITS[0]])
                print(f"{name} {task.name} seed {seed}: {right} of {n} without waiting", flush=True)


def _outcome(cell: grid.Cell) -> list[Any]:
    notes = cell.outcome.notes
    return [cell.grade.correct is True, cell.spent.output_tokens, notes.get("thinking_tokens"), notes.get("rounds", 0)]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def told(rows: Sequence[Mapping[str, Any]], model: str, levels: Sequence[int]) -> Told:
    """All outcomes of a model on some levels, seeds together."""
    found: Told = {}
    for row in rows:
        if row["model"] != model or row["level"] not in levels:
            continue
        for text, outcomes in row["outcomes"].items():
            for i, (correct, tokens, thought, rounds) in enumerate(outcomes):
                notes = {} if thought is None else {"thinking_tokens": thought, "rounds": rounds}
                result = Result(None, correct, None, 1, "complete", Cost(output_tokens=tokens), notes)
                found.setdefault(f"{row['level']}/{row['seed']}/{i}", {})[text] = result
    return found


def only(outcomes: Told, texts: Sequence[str]) -> Thinking:
    """What `mull curves --thinking` makes of some strategies."""
    recordings = [Recording(id, results={text: row[text] for text in texts}) for id, row in outcomes.items()]
    return measure(Group("", recordings))[0]


def right(outcomes: Told, text: str) -> list[float]:
    return [float(row[text].correct is True) for row in outcomes.values()]


def tokens(outcomes: Told, text: str) -> float:
    return sum(row[text].cost.output_tokens or 0 for row in outcomes.values()) / len(outcomes)


def accuracy(outcomes: Told, text: str) -> str:
    values = right(outcomes, text)
    return percent(sum(values) / len(values), wilson(int(sum(values)), len(values)))


def gain(outcomes: Told, a: str, b: str) -> str:
    pair = paired(a, b, right(outcomes, a), right(outcomes, b))
    return "" if pair is None else points(pair.difference, pair.ci95)


def rounds_table(outcomes: Told) -> list[str]:
    """Waiting 0 to 5 times: tokens, accuracy, what a round adds, mends and breaks."""
    head = ("budget", "thinking tokens", "accuracy % [95 %]", "over the one before", "over wait=0", "mended", "broken")
    out = [f"| {' | '.join(head)} | control % |"]
    out.append("|---" * 8 + "|")
    for budget in only(outcomes, WAITS).budgets:
        more = "" if budget.gain is None else points(budget.gain.difference, budget.gain.ci95)
        flips = " | | | " if budget.mended is None else f" | {budget.mended} | {budget.broken} | "
        kept = "" if budget.control is None else percent(budget.control)
        right, first = percent(budget.accuracy, budget.ci95), gain(outcomes, budget.strategy, WAITS[0])
        more += " | " + (first if budget.strategy != WAITS[0] else "")
        out.append(f"| `{budget.strategy}` | {budget.tokens:.0f} | {right} | {more}{flips}{kept} |")
    return out


def page(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    levels = sorted({row["level"] for row in rows})
    n = len(told(rows, MODELS[0], levels[:1]))
    out = ["# What thinking longer buys nano and nano-think", ""]
    seeds = len({row["seed"] for row in rows})
    out += [f"`python recipes/thinking_longer.py`: {n} held-out problems a level, in {seeds} seeds with problems and"]
    out += ["draws of their own, temperature 1.", ""]
    for model in MODELS:
        together = told(rows, model, levels)
        out += [f"## {model}, levels {', '.join(map(str, levels))} together", "", *rounds_table(together), ""]
        out += [f"- {line}" for line in lines(only(together, WAITS))]
        every = only(together, [*MOSTS, *WAITS])
        out += [
            f"- with `at_most` as well, {len(every.budgets)} budgets: {'; '.join(lines(every)[:2])}",
            "",
        ]
    out += [
        "## By level",
        "",
        "| level | model | " + " | ".join(f"wait={i} %" for i in range(len(WAITS))) + " | 5 over 0 |",
    ]
    out.append("|---" * (len(WAITS) + 3) + "|")
    for level in levels:
        for model in MODELS:
            one = told(rows, model, [level])
            cells = [f"{100 * sum(right(one, text)) / len(one):.1f}" for text in WAITS]
            out.append(f"| {level} | {model} | {' | '.join(cells)} | {gain(one, WAITS[-1], WAITS[0])} |")
    out += ["", "## At least, at most, and votes", "", "| | | " + " | ".join(f"{level} ops" for level in levels) + " |"]
    out.append("|---" * (len(levels) + 2) + "|")
    for model in MODELS:
        for text in (*MOSTS, *LEASTS, *VOTES):
            ones = [told(rows, model, [level]) for level in levels]
            cells = [f"{accuracy(one, text)}, {tokens(one, text):.0f} tokens" for one in ones]
            out.append(f"| {model} | `{text}` | {' | '.join(cells)} |")
    return [*out, "", *equal(rows, levels)]


def equal(rows: Sequence[Mapping[str, Any]], levels: Sequence[int]) -> list[str]:
    """One longer chain against a vote: the dearest number of rounds that takes no more tokens than the vote."""
    out = ["## One longer chain against several at equal tokens", ""]
    out += [
        "| level | model | vote | tokens | one chain | tokens | one chain - vote |",
        "|---|---|---|---|---|---|---|",
    ]
    for level in levels:
        for model in MODELS:
            one = told(rows, model, [level])
            for vote in VOTES[1:]:
                top = tokens(one, vote)
                fitting = [text for text in WAITS if tokens(one, text) <= top]
                chain = max(fitting, key=lambda text: tokens(one, text))
                out.append(
                    f"| {level} | {model} | `{vote}` | {top:.0f} | `{chain}` | {tokens(one, chain):.0f} "
                    f"| {gain(one, chain, vote)} |"
                )
    return [*out, ""]


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Accuracy over tokens, a panel for each level."""
    levels = sorted({row["level"] for row in rows})
    figure = Figure(figsize=(4.2 * len(levels), 4.3), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, level in zip(figure.subplots(1, len(levels), sharey=True, squeeze=False)[0], levels, strict=True):
        for model, colour in COLOURS.items():
            one = told(rows, model, [level])
            _line(axes, one, WAITS, colour, f"{model}: one chain, Wait 0 to 5 times", "-", "o")
            _line(axes, one, [*MOSTS, WAITS[0]], colour, f"{model}: cut", ":", "v")
        _line(axes, told(rows, "nano-think", [level]), VOTES, "0.45", "nano-think: vote of 1, 3, 5 chains", "--", "s")
        axes.set_title(f"chain, {level} operations", fontsize=10)
        axes.set_xlabel("tokens a problem")
        axes.grid(alpha=0.25)
        axes.set_ylim(-3, 103)
    figure.axes[0].set_ylabel("problems solved, %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=130)


def _line(axes: Axes, one: Told, texts: Sequence[str], colour: str, label: str, style: str, marker: str) -> None:
    spent = sorted(texts, key=lambda text: tokens(one, text))
    xs, values = [tokens(one, text) for text in spent], [right(one, text) for text in spent]
    ends = [wilson(int(sum(v)), len(v)) for v in values]
    ys = [100 * sum(v) / len(v) for v in values]
    axes.plot(xs, ys, style, color=colour, label=label, marker=marker, markersize=4)
    axes.fill_between(
        xs, [100 * end.low for end in ends], [100 * end.high for end in ends], color=colour, alpha=0.12, linewidth=0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What thinking longer buys nano and nano-think.")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS)
    parser.add_argument("--problems", type=int, default=N_PROBLEMS)
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--table", action="store_true", help="page and picture from the rows in hand, nothing is run")
    options = parser.parse_args()
    if not options.table:
        fill(options.rows, options.models, options.seeds, options.levels, options.problems)
    rows = read(options.rows)
    if {row["model"] for row in rows} != set(MODELS):
        return
    PAGE.write_text("\n".join(page(rows)).rstrip() + "\n")
    draw(rows, PICTURE)
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
