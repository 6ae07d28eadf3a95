"""Every strategy by level at equal compute, on nano with nano-prm: `python recipes/search_at_equal_compute.py`.

What is equal is the mean of all tokens that were written or that the verifier read. A budget is what `weighted` takes
for 2, 4, 8 or 16 draws of a level; at each budget a strategy shows its dearest setting that takes no more, and nothing
is interpolated. Settings were chosen on problems of the training split, which `--tune` shows; what is measured are
held-out problems, others for every seed. Each row is kept in `docs/search-rows.jsonl` as soon as it is known: run it
again to go on after an interruption. `--table` makes `docs/levels/search.md` and `docs/search-compute.png` from the
rows alone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull import spec
from mull.bank import MemoryBank
from mull.cost import total
from mull.lab import grid
from mull.report.words import percent, points, short
from mull.run import Run
from mull.stats.intervals import wilson
from mull.stats.paired import Paired, holm, paired
from mull.tasks.synthetic import ChainTask
from mull.types import Cost, Params
from mull.verifiers.scores import ScoreJudge

NANO = spec.build("model", spec.MODELS, "nano")
PRM = spec.build("verifier", spec.VERIFIERS, "nano-prm")
DOCS = Path(__file__).parents[1] / "docs"
ROWS = DOCS / "search-rows.jsonl"
LEVELS = (2, 7, 11, 13, 15)
"""Numbers of operations: an easy one, and those at which nano's pass@1 is between .6 and .05."""
EASY = (2,)
SEEDS = (0, 1, 2)
N_PROBLEMS = 70
N_ALONE = 4
"""Problems of the first seed that are solved one at a time, for the seconds of a processor that one takes."""
BUDGETS = (2, 4, 8, 16)
"""Draws of `weighted` whose tokens are the budgets."""
SPENT = 0.5
"""The share of a budget that a search must use at least, to be compared at it."""
AT = " at temperature "
GREEDY = f"single{AT}0"
PLANS: dict[str, tuple[str, ...]] = {
    "single": ("single",),
    "greedy": (GREEDY,),
    "majority": tuple(f"majority:n={n}" for n in (3, 4, 6, 7, 8, 12, 13, 16, 24, 32)),
    "adaptive": ("adaptive:n=8", "adaptive:n=16", "adaptive:n=32"),
    "weighted": ("weighted:n=2", "weighted:n=4", "weighted:n=8", "weighted:n=16"),
    "best": ("best:n=2", "best:n=4", "best:n=8", "best:n=16"),
    "best-of-majority": ("best-of-majority:n=4", "best-of-majority:n=8", "best-of-majority:n=16"),
    "until-pass": ("until-pass:n=16,wave=1,bar=0.9",),
    "tournament": ("tournament:n=4",),
    "league": ("league:n=4",),
    "beam": tuple(f"beam:n={n},width={w}" for n, w in ((2, 2), (3, 3), (5, 5), (6, 3), (12, 3), (24, 3))),
    "dvts": ("dvts:n=6,width=3",),
    "particles": ("particles:n=2,pick=weighted", "particles:n=6,pick=weighted"),
    "rebase": ("rebase:n=6",),
    "step-bon": ("step-bon:n=6",),
    "lookahead": ("lookahead:n=4,width=2",),
    "reject-early": ("reject-early:n=8,chunk=16", "reject-early:n=16,chunk=16"),
    "mcts": ("mcts:n=4,width=2",),
    "ab-mcts": ("ab-mcts:n=4",),
    "majority-of-bests": ("majority-of-bests:n=4", "majority-of-bests:n=8", "majority-of-bests:n=16"),
    "best-stop": ("best-stop:n=8", "best-stop:n=16"),
    "pivot": ("pivot:n=4", "pivot:n=8"),
    "swiss": ("swiss:n=4", "swiss:n=8"),
    "learned stop": ("adaptive:n=8,rule=learned", "adaptive:n=16,rule=learned"),
    "shortest": ("shortest:n=8,k=4", "shortest:n=16,k=8"),
    "text-mbr": ("text-mbr:n=8", "text-mbr:n=16"),
    "self-certainty": ("self-certainty:n=8", "self-certainty:n=16"),
    "confidence-vote": ("confidence-vote:n=8", "confidence-vote:n=16"),
    "confidence-stop": ("confidence-stop:n=16,warmup=8",),
    "power": ("power:steps=2", "power"),
    "cooler majority": (f"majority:n=6{AT}0.6", f"majority:n=16{AT}0.6"),
    "cooler weighted": (f"weighted:n=4{AT}0.6", f"weighted:n=16{AT}0.6"),
    "cooler beam": (f"beam:n=6,width=3{AT}0.6",),
}
"""Settings by strategy, the cheapest first."""
LATER = (
    "majority:n=24",
    "majority:n=32",
    "adaptive:n=32",
    "beam:n=3",
    "beam:n=5",
    "beam:n=12",
    "beam:n=24",
    "particles:n=2",
    "dvts",
    "rebase",
    "step-bon",
    "lookahead",
    "reject-early",
    "mcts",
    "ab-mcts",
    "tournament",
    "league",
)
"""How settings begin that are measured after all the others, with those at another temperature."""
TREE = ("beam", "dvts", "particles", "rebase", "step-bon", "lookahead", "reject-early", "mcts", "ab-mcts")
CHOSEN = "beam"
"""On the training split as good as any other search of so many draws, and the plainest."""
TICKS = (50, 200, 1000, 5000)
DRAWN = {"majority": "#2d6a8e", "weighted": "#7c3aed", "best": "#c8553d", CHOSEN: "#2a8f5b"}


class Row(NamedTuple):
    """One setting at one level: who was right on which problem of each seed, what those took, seconds for one alone."""

    correct: dict[int, list[bool]]
    costs: dict[int, Cost]
    seconds: float | None

    @property
    def n(self) -> int:
        return sum(map(len, self.correct.values()))

    @property
    def n_right(self) -> int:
        return sum(map(sum, self.correct.values()))

    @property
    def accuracy(self) -> float:
        return self.n_right / self.n

    def mean(self, part: str) -> float:
        return float(getattr(total(self.costs.values()), part)) / self.n


def params_of(setting: str) -> tuple[Any, Params]:
    """The strategy of a setting and how it samples."""
    strategy, _, temperature = setting.partition(AT)
    return spec.strategy(strategy), Params(float(temperature or 1), max_tokens=400)


def measure(task: ChainTask, setting: str, n: int, bank: MemoryBank) -> tuple[list[bool], Cost]:
    """Who was right on which of the first n problems, and what all of them took."""
    strategy, params = params_of(setting)
    plan = grid.Plan(
        task, NANO, {setting: strategy}, verifier=PRM, judge=ScoreJudge(PRM), params=params, seed=task.seed
    )
    cells = asyncio.run(grid.run_plan(plan, bank, n_problems=n))[setting]
    return [cell.grade.correct is True for cell in cells], total(cell.spent for cell in cells)


def alone(task: ChainTask, setting: str, n: int) -> float:
    """Seconds of a processor for a problem, when one is solved after the other and nothing is known before."""
    strategy, params = params_of(setting)
    started = time.process_time()
    for problem in itertools.islice(task.problems(), n):
        run = Run(NANO, verifier=PRM, judge=ScoreJudge(PRM), params=params, seed=task.seed + 1000)
        asyncio.run(strategy(problem, run))
    return (time.process_time() - started) / n


def fill(path: Path, levels: Sequence[int], seeds: Sequence[int], n: int) -> None:
    """Measures what is not in the file yet, each row written as soon as it is known."""
    known = {(row["level"], row["seed"], row["setting"]) for row in lines(path)}
    for is_late, seed, level in itertools.product((False, True), seeds, levels):
        task, bank = ChainTask(level, seed=seed), MemoryBank()
        # The dearest first: scores that it paid for together are then the same for the cheaper ones.
        for setting in [setting for settings in PLANS.values() for setting in reversed(settings)]:
            if (setting.startswith(LATER) or setting.endswith(".6")) != is_late or (level, seed, setting) in known:
                continue
            seconds = alone(task, setting, N_ALONE) if seed == SEEDS[0] else None
            correct, cost = measure(task, setting, n, bank)
            row = {
                "level": level,
                "seed": seed,
                "setting": setting,
                "correct": "".join("01"[c] for c in correct),
                "seconds": seconds,
                "cost": asdict(cost),
            }
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"seed {seed} {task.name} {setting}: {sum(correct)} of {n}", flush=True)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def load(path: Path) -> dict[int, dict[str, Row]]:
    """By level and setting, in the order of the plans, all seeds together."""
    found: dict[int, dict[str, Row]] = {}
    order = [setting for settings in PLANS.values() for setting in settings]
    told = [line for line in lines(path) if line["setting"] in order]
    for line in sorted(told, key=lambda line: (line["level"], order.index(line["setting"]), line["seed"])):
        level = found.setdefault(line["level"], {})
        old = level.get(line["setting"], Row({}, {}, None))
        seconds = line["seconds"] if old.seconds is None else old.seconds
        right = {**old.correct, line["seed"]: [mark == "1" for mark in line["correct"]]}
        costs = {**old.costs, line["seed"]: Cost(**line["cost"])}
        level[line["setting"]] = Row(right, costs, seconds)
    return found


def shared(rows: Mapping[str, Row]) -> dict[str, Row]:
    """The rows of a level on the problems of those seeds that all of them were measured on."""
    seeds = set.intersection(*(set(row.correct) for row in rows.values()))
    return {
        setting: Row({s: row.correct[s] for s in seeds}, {s: row.costs[s] for s in seeds}, row.seconds)
        for setting, row in rows.items()
    }


def tokens(row: Row) -> float:
    return row.mean("tokens")


def within(rows: Mapping[str, Row], strategy: str, top: float) -> str | None:
    """The dearest setting of a strategy that takes no more than so many tokens."""
    fitting = [s for s in PLANS[strategy] if s in rows and tokens(rows[s]) <= top]
    return max(fitting, key=lambda s: tokens(rows[s])) if fitting else None


def together(found: Mapping[int, Mapping[str, Row]], a: Mapping[int, str], b: Mapping[int, str]) -> Paired | None:
    """The paired difference of two choices of settings by level, over all problems that both were measured on."""
    columns: list[list[float]] = [[], []]
    for level in a.keys() & b.keys():
        sides = [found[level][setting].correct for setting in (a[level], b[level])]
        for seed in sides[0].keys() & sides[1].keys():
            for column, side in zip(columns, sides, strict=True):
                column += map(float, side[seed])
    return paired("a", "b", columns[0], columns[1])


def every(found: Mapping[int, Mapping[str, Row]]) -> list[str]:
    """The table of all settings, level by level."""
    out = []
    for level, rows in found.items():
        out += [f"## `chain:ops={level}`", ""]
        out += ["| strategy | problems | accuracy % [95 %] | tokens | read by the verifier | FLOP | seconds alone |"]
        out += ["|---|---|---|---|---|---|---|"]
        for setting, row in rows.items():
            right = percent(row.accuracy, wilson(row.n_right, row.n))
            told = "?" if row.seconds is None else f"{row.seconds:.2f}"
            out.append(
                f"| `{setting}` | {row.n} | {right} | {tokens(row):,.0f} | {row.mean('verifier_tokens'):,.0f} "
                f"| {short(row.mean('flops'))} | {told} |"
            )
        out.append("")
    return out


def equal(found: Mapping[int, Mapping[str, Row]]) -> list[str]:
    """What each strategy reaches within each budget, by level, all on the same problems; the best in bold."""
    found = {level: shared(rows) for level, rows in found.items()}
    counts = [f"{rows['single'].n} at {level}" for level, rows in found.items()]
    out = [f"Problems that all strategies were measured on: {', '.join(counts)} operations.", ""]
    for n in BUDGETS:
        top = {level: tokens(rows[f"weighted:n={n}"]) for level, rows in found.items()}
        out += [f"### The tokens of {n} weighted draws", ""]
        out += ["| strategy | " + " | ".join(f"{level} ops" for level in found) + " |", "|---" * (len(found) + 1) + "|"]
        out.append("| *tokens a problem* | " + " | ".join(f"*{top[level]:,.0f}*" for level in found) + " |")
        cells: dict[str, list[float | None]] = {}
        for strategy in PLANS:
            chosen = {level: within(rows, strategy, top[level]) for level, rows in found.items()}
            cells[strategy] = [None if s is None else found[level][s].accuracy for level, s in chosen.items()]
        best = [max(v for v in column if v is not None) for column in zip(*cells.values(), strict=True)]
        for strategy, values in cells.items():
            if all(value is None for value in values):
                continue
            shown = [
                "-" if v is None else f"**{100 * v:.1f}**" if v == most else f"{100 * v:.1f}"
                for v, most in zip(values, best, strict=True)
            ]
            out.append(f"| {strategy} | {' | '.join(shown)} |")
        out.append("")
    return out


def condensed(found: Mapping[int, Mapping[str, Row]]) -> list[str]:
    """Levels as rows: a draw, a greedy one, and votes beside the chosen search within the smaller budgets."""
    shown = ("majority", "weighted", CHOSEN)
    heads = [f"{strategy}, {n}" for n in BUDGETS[:-1] for strategy in shown]
    out = ["| operations | one draw | greedy | " + " | ".join(heads) + " |", "|---" * (len(heads) + 3) + "|"]
    for level, rows in found.items():
        cells = [f"{100 * rows[setting].accuracy:.1f}" for setting in ("single", GREEDY)]
        for n in BUDGETS[:-1]:
            settings = [within(rows, strategy, tokens(rows[f"weighted:n={n}"])) for strategy in shown]
            values = [None if s is None else rows[s].accuracy for s in settings]
            best = max(v for v in values if v is not None)
            cells += ["-" if v is None else f"**{100 * v:.1f}**" if v == best else f"{100 * v:.1f}" for v in values]
        out.append(f"| {level} | {' | '.join(cells)} |")
    return [*out, ""]


def claims(found: Mapping[int, Mapping[str, Row]]) -> list[str]:
    """Paired differences over all levels but the easy one."""
    hard = {level: rows for level, rows in found.items() if level not in EASY}
    found_pairs: dict[str, Paired] = {}

    def line(name: str, a: Mapping[int, str | None], b: Mapping[int, str | None]) -> None:
        known = [{level: s for level, s in side.items() if s is not None} for side in (a, b)]
        pair = together(found, known[0], known[1])
        if pair is not None:
            found_pairs[name] = pair

    def fixed(setting: str) -> dict[int, str | None]:
        return dict.fromkeys(hard, setting)

    line("weighted - majority, 16 draws each", fixed("weighted:n=16"), fixed("majority:n=16"))
    for k in BUDGETS:
        top = {level: tokens(rows[f"weighted:n={k}"]) for level, rows in hard.items()}

        def at(strategy: str, top: Mapping[int, float] = top) -> dict[int, str | None]:
            return {level: within(rows, strategy, top[level]) for level, rows in hard.items()}

        line(f"weighted - majority, tokens of {k} weighted draws", at("weighted"), at("majority"))
        for strategy in TREE:
            if all(s is not None and tokens(hard[level][s]) > SPENT * top[level] for level, s in at(strategy).items()):
                line(f"{strategy} - weighted, tokens of {k} weighted draws", at(strategy), at("weighted"))
    line("weighted, 16 draws - single at temperature 0", fixed("weighted:n=16"), fixed(GREEDY))
    out = [
        f"Paired over the problems of the levels {', '.join(map(str, hard))}; p alone, and adjusted for all (Holm):",
        "",
    ]
    out += ["| | problems | difference in points [95 %] | p | adjusted |", "|---|---|---|---|---|"]
    adjusted = holm([pair.p_value for pair in found_pairs.values()])
    for (name, pair), p in zip(found_pairs.items(), adjusted, strict=True):
        told = points(pair.difference, pair.ci95)
        out.append(f"| {name} | {pair.problems:,} | {told} | {pair.p_value:.2g} | {p:.2g} |")
    return [*out, ""]


def draw(found: Mapping[int, Mapping[str, Row]], path: Path) -> None:
    """Accuracy over tokens, a panel for each level; bands for two of the lines, so that they can be told apart."""
    n_columns = 3
    n_rows = len(found) // n_columns + 1
    figure = Figure(figsize=(4.2 * n_columns, 3.3 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, (level, rows) in zip(panels, found.items(), strict=False):
        for strategy, colour in DRAWN.items():
            shown = sorted((rows[s] for s in PLANS[strategy] if s in rows), key=tokens)
            xs = [tokens(row) for row in shown]
            axes.plot(xs, [100 * row.accuracy for row in shown], color=colour, label=strategy, marker="o", markersize=4)
            if strategy in ("weighted", CHOSEN):
                ends = [wilson(row.n_right, row.n) for row in shown]
                low, high = [100 * end.low for end in ends], [100 * end.high for end in ends]
                axes.fill_between(xs, low, high, color=colour, alpha=0.12, linewidth=0)
        for setting, mark in (("single", "s"), (GREEDY, "*")):
            row = rows[setting]
            axes.plot([tokens(row)], [100 * row.accuracy], mark, color="0.25", markersize=7, label=setting)
        axes.set_title(f"chain, {level} operations", fontsize=10)
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [f"{tick:,}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_xlim(TICKS[0] * 0.8, TICKS[-1] * 1.5)
        axes.grid(alpha=0.25)
    figure.supylabel("problems solved, %", fontsize=10)
    figure.supxlabel("tokens a problem, written and read by the verifier", fontsize=10)
    for axes in panels[len(found) :]:
        axes.axis("off")
    panels[len(found)].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.savefig(path, dpi=130)


def report(path: Path) -> None:
    """The page of tables and the picture from the rows in hand."""
    found = load(path)
    seeds = sorted({line["seed"] for line in lines(path)})
    head = [
        "# Every strategy at equal compute",
        "",
        "nano with nano-prm on held-out problems, at temperature 1 where no other is named:",
        "`python recipes/search_at_equal_compute.py`. "
        f"Seeds {', '.join(map(str, seeds))}, each with problems and draws of its own. Tokens are all that were",
        "written and all that the verifier read, the mean over problems. Seconds are those of a processor for one",
        "problem alone.",
        "",
    ]
    brief = [*condensed(found), *claims(found)]
    text = [*head, "## Votes and a search", "", *brief, "## At equal tokens", "", *equal(found), *every(found)]
    (DOCS / "levels" / "search.md").write_text("\n".join(text).rstrip() + "\n")
    draw(found, DOCS / "search-compute.png")
    print("\n".join([*brief, *equal(found)]))


TUNING = (
    "weighted:n=2",
    "weighted:n=4",
    "beam:n=2,width=2",
    "beam:n=3,width=3",
    "beam:n=4,width=2",
    "beam:n=4,width=4",
    "beam:n=6,width=2",
    "beam:n=6,width=3",
    "beam:n=6,width=3,pick=best",
    "particles:n=6",
    "particles:n=6,temper=2",
    "particles:n=6,pick=weighted",
    "rebase:n=6",
    "rebase:n=6,balance=0.1",
    "rebase:n=6,balance=0.05",
    "step-bon:n=3",
    "step-bon:n=6",
    "dvts:n=6,width=2",
    "dvts:n=6,width=3",
    "lookahead:n=2,width=2",
    "lookahead:n=4,width=2",
    "reject-early:n=6,chunk=32",
    "reject-early:n=8,chunk=16",
    "mcts:n=4,width=2",
    "mcts:n=16,value=score,width=2",
    "ab-mcts:n=4",
)


def tune(levels: Sequence[int], n: int) -> None:
    """Settings on problems of the training split."""
    for level in levels:
        bank = MemoryBank()
        for setting in TUNING:
            correct, cost = measure(ChainTask(level, seed=1, split="train"), setting, n, bank)
            print(f"{level:3} {setting:32} {sum(correct) / n:6.1%} {(cost.tokens or 0) / n:8,.0f} tokens", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Every strategy by level at equal compute.")
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--problems", type=int, default=N_PROBLEMS)
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--table", action="store_true", help="tables and picture from the rows in hand, nothing is run")
    parser.add_argument("--tune", action="store_true", help="settings on problems of the training split instead")
    options = parser.parse_args()
    if options.tune:
        tune(options.levels, options.problems)
        return
    if not options.table:
        fill(options.rows, options.levels, options.seeds, options.problems)
    report(options.rows)


if __name__ == "__main__":
    main()
