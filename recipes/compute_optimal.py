"""Compute-optimal allocation on `chain`, all levels mixed: `python recipes/compute_optimal.py learn`, `test`, `show`.

`learn` sweeps problems of the training split and learns `docs/compute-optimal/policy.toml` from them, and the same
priced in FLOPs. `test` runs
strategies and `auto` with that policy on held-out problems of three seeds, best-of-64 beside it, all with nano-prm, and
keeps what each made of each problem in `docs/compute-optimal/chain.jsonl`. `show` prints the tables of
docs/compute-optimal.md from that file and draws its figure. Draws are kept in the bank that `--bank` names, so that a
run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull import spec
from mull.allocate import policy_file
from mull.allocate.learn import learn
from mull.bank import Bank, open_bank
from mull.files.output import write_lines
from mull.files.records import row_of
from mull.lab import grid, lessons
from mull.report.words import points
from mull.stats.intervals import SHARE, bootstrap, resamples
from mull.stats.paired import paired
from mull.types import Params

DOCS = Path(__file__).parents[1] / "docs"
HOME = DOCS / "compute-optimal"
POLICY, RESULTS, PICTURE = HOME / "policy.toml", HOME / "chain.jsonl", DOCS / "compute-optimal.png"
BLIND = HOME / "policy-blind.toml"
POLICIES = (POLICY, "tokens", 1), (BLIND, "tokens", 0), (HOME / "policy-flops.toml", "flops", 1)
"""Files, units and draws to look at: the second knows a question by its length alone."""
LEVELS = range(1, 17)
PARAMS = Params(max_tokens=400)
TRAIN_SEED, TEST_SEEDS = 9100, (9200, 9201, 9202)
N_TRAIN, N_TEST = 16, 8
"""Problems of each level; of each level and seed."""
OPTIONS = [
    "single",
    "majority:n=4",
    "majority:n=16",
    "weighted:n=4",
    "weighted:n=8",
    "weighted:n=16",
    "best:n=4",
    "best:n=8",
    "best:n=16",
    *(f"until-pass:n=16,wave=1,bar={bar}" for bar in (0.5, 0.8, 0.9)),
    "auto:n=16,level=0.9",
    "particles:n=4",
    "rebase:n=8",
    "rebase:n=16",
]
"""What the policy chooses among."""
BASE = "best:n=64"
BUDGETS = (400, 600, 800, 1200, 1600, 2400)
"""Mean tokens a question that `auto` is run at, beside being run without a mean budget."""


def nano() -> tuple[Any, Any]:
    """The model and its verifier."""
    return spec.build("model", spec.MODELS, "nano"), spec.build("verifier", spec.VERIFIERS, "nano-prm")


def run(task_spec: str, names: Sequence[str], n: int, bank: Bank, **more: Any) -> dict[str, list[grid.Cell]]:
    """Strategies on the first problems of a task."""
    model, verifier = nano()
    task = spec.build("task", spec.TASKS, task_spec)
    plan = grid.Plan(task, model, {name: spec.strategy(name) for name in names}, verifier, params=PARAMS, **more)
    return asyncio.run(grid.run_plan(plan, bank, n_problems=n))


def train(bank: Bank, folder: Path) -> list[Path]:
    """The sweeps of the training split, a file a level, as `mull sweep --out` writes them."""
    model, verifier = nano()
    paths = []
    for ops in LEVELS:
        path = folder / f"train-{ops}.jsonl"
        if not path.exists():
            cells = run(f"chain:ops={ops},split=train,seed={TRAIN_SEED}", OPTIONS, N_TRAIN, bank)
            about = {
                "task": f"chain:ops={ops},split=train",
                "identities": {model.name: model.identity},
                "verifier_identity": verifier.identity,
                "kinds": ["number"],
                "params": {"temperature": 1.0},
            }
            write_lines(path, [{"sweep": about}, *map(row_of, grid.recordings(model, cells))])
            print(f"swept {ops} operations", flush=True)
        paths.append(path)
    return paths


def test(bank: Bank, folder: Path) -> None:
    """What each strategy makes of each held-out problem."""
    autos = [f"auto:policy={POLICY}", *(f"auto:policy={POLICY},budget={b}" for b in BUDGETS), f"auto:policy={BLIND}"]
    rows = []
    for seed in TEST_SEEDS:
        for ops in LEVELS:
            part = folder / f"test-{seed}-{ops}.jsonl"
            if not part.exists():
                cells = run(
                    f"chain:ops={ops},seed={seed}", [BASE, "weighted:n=64", *OPTIONS, *autos], N_TEST, bank, seed=seed
                )
                write_lines(part, kept(cells, seed, ops))
                print(f"seed {seed}: tested {ops} operations", flush=True)
            rows += [json.loads(line) for line in part.read_text().splitlines()]
    write_lines(RESULTS, rows)


def kept(cells: Mapping[str, Sequence[grid.Cell]], seed: int, ops: int) -> Iterable[dict[str, Any]]:
    """A line a problem: of each strategy whether it was right, its tokens, and what `auto` chose."""
    for i in range(len(next(iter(cells.values())))):
        column = {name.replace(f"{HOME}/", ""): cell[i] for name, cell in cells.items()}
        outcomes = {name: [int(cell.grade.correct is True), cell.spent.tokens] for name, cell in column.items()}
        chosen = {name: cell.outcome.notes["option"] for name, cell in column.items() if "option" in cell.outcome.notes}
        yield {"seed": seed, "ops": ops, "problem": i, "outcomes": outcomes, "chosen": chosen}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compute-optimal allocation on chain problems, all levels mixed.")
    parser.add_argument("what", choices=["learn", "test", "show"])
    parser.add_argument("--bank", default="compute-optimal.db", help="where draws are kept")
    parser.add_argument("--folder", type=Path, default=Path("compute-optimal"), help="where sweeps are kept")
    options = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.what == "show":
        show()
        return
    with open_bank(options.bank) as bank:
        if options.what == "learn":
            learned, origin = lessons.read_lessons(train(bank, options.folder))
            for path, unit, pilot in POLICIES:
                policy = learn(learned, origin, unit=unit, pilot=pilot)
                policy_file.write(path, policy)
                print(f"{len(learned)} problems, {len(policy.plans)} plans in {path}")
        else:
            test(bank, options.folder)


class Kept:
    """What a strategy made of all problems: right or wrong, and tokens."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], name: str) -> None:
        self.name = name
        self.correct = np.array([row["outcomes"][name][0] for row in rows], dtype=np.float64)
        self.tokens = np.array([row["outcomes"][name][1] for row in rows], dtype=np.float64)

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())


def ratio(a: Kept, b: Kept) -> tuple[float, float, float]:
    """Mean tokens of `a` over those of `b`, with a 95 % interval: problems resampled, the same for both."""
    drawn = [(w @ a.tokens) / (w @ b.tokens) for w in resamples(len(a.tokens))]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(a.tokens.mean() / b.tokens.mean()), float(low), float(high)


def show_policy() -> None:
    """What the policy learned, and what two folds say of it."""
    policy = policy_file.read(POLICY)
    come, told = policy.origin, policy.calibration
    assert told is not None
    print(
        f"learned from {come.problems} problems of the training split, {come.draws:,} draws to learn difficulty from;"
    )
    print(
        f"predicted pass@1 is off by {told.error:.3f}, Brier {told.brier:.3f} ({told.brier_of_mean:.3f} of its mean)\n"
    )
    print("| bin | pass@1 % | options: accuracy %, tokens a question with the pilot draw |\n|---|---|---|")
    for number, bin in enumerate(policy.bins, 1):
        options = "; ".join(f"`{o.strategy}` {100 * o.accuracy:.0f}, {o.cost['tokens']:,.0f}" for o in bin.options)
        print(f"| {number} | {100 * bin.pass_at_1:.0f} | {options} |")
    print("\n| mean budget | policy % | tokens | one strategy for all % | tokens |\n|---|---|---|---|---|")
    for row in policy.evidence:
        print(
            f"| {row.budget:,.0f} | {100 * row.accuracy:.1f} | {row.cost:,.0f} "
            f"| {100 * row.uniform_accuracy:.1f} | {row.uniform_cost:,.0f} |"
        )
    print()


def show() -> None:
    """Prints the tables and draws the figure."""
    show_policy()
    if not RESULTS.exists():
        print(f"no results on held-out problems in {RESULTS}: run `test`")
        return
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    kept = {name: Kept(rows, name) for name in rows[0]["outcomes"]}
    base = kept[BASE]
    autos = [one for name, one in kept.items() if name.startswith("auto:policy=policy.")]
    uniform = [one for name, one in kept.items() if not name.startswith("auto:policy")]
    seeds = sorted({row["seed"] for row in rows})
    of_seed = {seed: np.array([row["seed"] == seed for row in rows]) for seed in seeds}
    print(f"{len(rows)} held-out problems, {len(rows) // 16 // len(seeds)} of each level and seed\n")
    print(
        "| strategy | accuracy % | by seed | tokens a question | share of best-of-64's | accuracy minus best-of-64's |"
    )
    print("|---|---|---|---|---|---|")
    for one in [base, *sorted((k for k in kept.values() if k is not base), key=lambda k: -k.tokens.mean())]:
        low, high = bootstrap(one.correct, bounds=SHARE)
        by_seed = ", ".join(f"{100 * one.correct[mask].mean():.1f}" for mask in of_seed.values())
        share = "1" if one is base else "{:.3f} [{:.3f}, {:.3f}]".format(*ratio(one, base))
        gain = "" if one is base else difference(one, base)
        print(
            f"| `{one.name}` | {100 * one.accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}] | {by_seed} "
            f"| {one.tokens.mean():,.0f} | {share} | {gain} |"
        )
    print(
        "\n| `auto` | accuracy % | cheapest single strategy as accurate, in hindsight "
        "| tokens, as a multiple of its | accuracy minus its |"
    )
    print("|---|---|---|---|---|")
    for one in autos:
        as_good = [u for u in uniform if u.accuracy >= one.accuracy]
        if not as_good:
            print(f"| `{one.name}` | {100 * one.accuracy:.1f} | none | - | - |")
            continue
        other = min(as_good, key=lambda u: u.tokens.mean())
        share = "{:.2f} [{:.2f}, {:.2f}]".format(*ratio(one, other))
        print(f"| `{one.name}` | {100 * one.accuracy:.1f} | `{other.name}` | {share} | {difference(one, other)} |")
    print("\n| levels | pass@1 % | best-of-64 % | tokens | `auto` % | tokens | options that `auto` chose |")
    print("|---|---|---|---|---|---|---|")
    for first in range(1, 17, 4):
        mask = np.array([first <= row["ops"] < first + 4 for row in rows])
        chosen = Counter(
            row["chosen"]["auto:policy=policy.toml"] for row, is_here in zip(rows, mask, strict=True) if is_here
        )
        what = ", ".join(f"`{name}` {n}" for name, n in chosen.most_common())
        single, *pair = (kept[name] for name in ("single", BASE, "auto:policy=policy.toml"))
        cells = [f"{100 * k.correct[mask].mean():.1f} | {k.tokens[mask].mean():,.0f}" for k in pair]
        print(f"| {first} to {first + 3} | {100 * single.correct[mask].mean():.1f} | {' | '.join(cells)} | {what} |")
    draw(autos, uniform, len(rows))


def difference(a: Kept, b: Kept) -> str:
    """The paired difference of accuracy in points."""
    found = paired(a.name, b.name, a.correct.tolist(), b.correct.tolist())
    assert found is not None
    return points(found.difference, found.ci95)


def draw(autos: Sequence[Kept], uniform: Sequence[Kept], n: int) -> None:
    """Accuracy over tokens: `auto` at its budgets, and every strategy that is the same for all questions."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    kinds = {
        "best": "#c8553d",
        "weighted": "#7c3aed",
        "majority": "#2d6a8e",
        "rebase": "#3f7d58",
        "until-pass": "#b58a2f",
    }
    for kind, colour in kinds.items():
        points = sorted((u for u in uniform if u.name.partition(":")[0] == kind), key=lambda u: u.tokens.mean())
        x, y = [u.tokens.mean() for u in points], [100 * u.accuracy for u in points]
        axes.plot(
            x, y, color=colour, marker="o", markersize=4, linewidth=1, alpha=0.8, label=f"{kind}, the same for all"
        )
    for u in uniform:
        if u.name.partition(":")[0] not in kinds:
            axes.plot([u.tokens.mean()], [100 * u.accuracy], "s", color="#7a8ca3", markersize=4)
            axes.annotate(
                u.name, (u.tokens.mean(), 100 * u.accuracy), fontsize=6.5, xytext=(3, -8), textcoords="offset points"
            )
    ranked = sorted(autos, key=lambda a: a.tokens.mean())
    x, y = [a.tokens.mean() for a in ranked], [100 * a.accuracy for a in ranked]
    ends = np.array([bootstrap(a.correct, bounds=SHARE) for a in ranked]) * 100
    axes.fill_between(x, ends[:, 0], ends[:, 1], color="#111827", alpha=0.08, linewidth=0)
    axes.plot(x, y, color="#111827", marker="D", markersize=5, linewidth=2, label="auto with a policy")
    axes.set_xscale("log")
    axes.set_xlabel("tokens a question, those of the verifier counted")
    axes.set_ylabel("problems solved, %")
    axes.set_title(f"nano with nano-prm, chain of 1 to 16 operations, {n} held-out problems", fontsize=9)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7.5, loc="lower right")
    figure.savefig(PICTURE, dpi=150)


if __name__ == "__main__":
    main()
