"""The page of training runs: what a run set out to do, how it went, its curves over steps, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mull.lab.recorded import Source
from mull.report.answer import Answer, Fact
from mull.report.figures import BEST, COVERAGE, GAP, INK, MAJORITY, MUTED, Figure
from mull.report.page import render
from mull.report.sections import Report, Section, SectionTable
from mull.report.words import number, percent, short
from mull.train.curve import WINDOW, Row, RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BEST, MAJORITY, GAP, COVERAGE, INK, MUTED)
"""Of the runs of a page, in turn."""
MOST_MEANS = 40
"""Most points of a line: each is the mean of as many steps as that needs."""
Value = Callable[[Row], float | None]


def _of(name: str, factor: float = 1.0) -> Value:
    """A figure of a row; `None` where the row has none, or one that is not finite."""

    def value(row: Row) -> float | None:
        found = row.get(name)
        return factor * found if isinstance(found, int | float) and math.isfinite(found) else None

    return value


def _share(part: str, *whole: str) -> Value:
    """One figure of a row over the sum of several, in per cent."""

    def value(row: Row) -> float | None:
        above, below = _of(part)(row), [_of(name)(row) for name in whole]
        total = sum(one or 0.0 for one in below)
        return 100 * above / total if above is not None and total else None

    return value


QUANTITIES: tuple[tuple[str, str, str, Value], ...] = (
    ("right", "Right draws", "right, %", _of("right", 100)),
    ("reward", "Reward", "mean reward of a draw", _of("reward")),
    ("length", "Length", "tokens of a reply", _of("length")),
    ("waits", "Self-correction", "replies with Wait, %", _of("waits", 100)),
    ("cut-off", "Cut off", "replies cut off, %", _of("cut_off", 100)),
    ("taught", "Groups that teach", "groups with unequal rewards, %", _share("taught", "groups")),
    ("entropy", "Entropy", "nats per token", _of("entropy")),
    ("kl", "Divergence from the base", "nats per token", _of("kl")),
    ("loss", "Loss", "loss", _of("loss")),
    ("gradient", "Gradient", "norm of the gradient", _of("grad_norm")),
    ("clipped", "Clipped ratios", "tokens clipped, %", _of("clipped", 100)),
    ("drawing", "Time spent drawing", "of a step's time, %", _share("draw_seconds", "draw_seconds", "train_seconds")),
)
"""Name, title, unit and value of each curve; one without values in any run is left out."""
SECTIONS = (
    (
        "replies",
        "What the model does",
        ("right", "reward", "length", "waits", "cut-off"),
        "on the problems it trains on",
    ),
    ("optimiser", "How it learns", ("taught", "entropy", "kl", "loss", "gradient", "clipped"), "of each step"),
    ("time", "Where the time goes", ("drawing",), "of each step"),
)


def page(runs: Sequence[RunRecord], made_by: Mapping[str, str], title: str = "") -> str:
    """The page of some runs as HTML, self-contained; curves of several runs are drawn together."""
    sources = [Source(run.folder / "curve.jsonl", {}) for run in runs]
    report = Report([], "tokens", [], [], sources, made_by, 0, title or "Training", [])
    n = sum(len(run.rows) for run in runs)
    return render(report, _sections(runs), [_answer(run) for run in runs], f"{n:,} steps of training")


def write_page(folder: Path, made_by: Mapping[str, str]) -> Path:
    """Writes `report.html` into a run's folder. Raises `MissingExtraError` without the extra `lab`."""
    from mull.report.page import check_installed, write
    from mull.train.curve import read_run

    check_installed()
    write(folder / "report.html", page([read_run(folder)], made_by))
    return folder / "report.html"


def _sections(runs: Sequence[RunRecord]) -> list[Section]:
    by_name = {name: _figure(name, title, unit, value, runs) for name, title, unit, value in QUANTITIES}
    found = []
    for slug, title, names, what in SECTIONS:
        drawn = [figure for name in names if (figure := by_name[name]) is not None]
        if drawn:
            lead = f"Means {what}; a line's points are means of several steps where there are many."
            found.append(Section(slug, title, (lead,), tuple(drawn)))
    return [*found, _costs(runs), _options(runs)]


def _means(rows: Sequence[Row], value: Value) -> list[tuple[float, float]]:
    """Means of as many steps in a row as `MOST_MEANS` points need, each at its middle step."""
    width = -(-len(rows) // MOST_MEANS)
    found = []
    for start in range(0, len(rows), max(1, width)):
        part = rows[start : start + width]
        known = [one for row in part if (one := value(row)) is not None]
        if known:
            found.append((start + (len(part) + 1) / 2, math.fsum(known) / len(known)))
    return found


def _figure(name: str, title: str, unit: str, value: Value, runs: Sequence[RunRecord]) -> Figure | None:
    lines = {run.folder.name: _means(run.rows, value) for run in runs}
    if not any(lines.values()):
        return None

    def draw(axes: Axes, tips: list[str]) -> None:
        for place, (run, means) in enumerate(lines.items()):
            colour = COLOURS[place % len(COLOURS)]
            axes.plot(*zip(*means, strict=True), color=colour, label=run) if means else None
            for step, mean in means:
                axes.plot([step], [mean], "o", color=colour, markersize=2.5, gid=f"tip{len(tips)}")
                tips.append(f"{run}, step {step:g}: {mean:.4g}")
        axes.set_xlabel("step")
        axes.set_ylabel(unit)
        axes.grid(axis="y")
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=7.5, loc="best", handlelength=1.6)

    rows = tuple((run, f"{step:g}", f"{mean:.4g}") for run, means in lines.items() for step, mean in means)
    ends = [f"{run} from {means[0][1]:.4g} to {means[-1][1]:.4g}" for run, means in lines.items() if means]
    return Figure(
        f"training-{name}", title, f"{unit} over steps: {', '.join(ends)}.", ("run", "step", unit), rows, draw
    )


def _mean(rows: Sequence[Row], name: str) -> float | None:
    known = [one for row in rows if (one := _of(name)(row)) is not None]
    return math.fsum(known) / len(known) if known else None


def _answer(run: RunRecord) -> Answer:
    """The run in a sentence and a few figures: means of its first and last steps."""
    if not run.rows:
        return Answer(run.folder.name, "study", None, None, "No step has ended yet", "The run has no rows.", ())
    first, last = run.rows[:WINDOW], run.rows[-WINDOW:]

    def change(name: str, form: Callable[[float | None], str]) -> str:
        return f"{form(_mean(first, name))} → {form(_mean(last, name))}"

    steps = f"first and last {min(WINDOW, len(run.rows))} steps"
    facts = [
        Fact("Right", f"{change('right', percent)} %", f"draws on training problems, {steps}"),
        Fact("Length", f"{change('length', number)} tokens", f"of a reply, {steps}"),
        Fact("Self-correction", f"{change('waits', percent)} %", f"replies with Wait, {steps}"),
        Fact("Tokens drawn", short(_sum(run.rows, "output_tokens")), f"in {number(_sum(run.rows, 'draws'))} draws"),
    ]
    why = run.trouble and f"It stops here: {run.trouble}."
    told = "Problems of training differ from step to step: measure the model on held-out ones with mull sweep."
    headline = f"Right draws {change('right', percent)} % in {len(run.rows):,} steps"
    return Answer(run.folder.name, "study", None, None, headline, f"{why} {told}".strip(), tuple(facts))


def _sum(rows: Sequence[Row], name: str) -> float | None:
    """The total over all steps; `None` if a step does not tell."""
    known = [_of(name)(row) for row in rows]
    return None if None in known or not known else math.fsum(one or 0.0 for one in known)


def _costs(runs: Sequence[RunRecord]) -> Section:
    columns = (
        "run",
        "steps",
        "draws",
        "tokens drawn",
        "FLOPs of draws",
        "FLOPs of training",
        "minutes drawing",
        "minutes training",
    )
    rows = tuple(
        (
            run.folder.name,
            f"{len(run.rows):,}",
            number(_sum(run.rows, "draws")),
            number(_sum(run.rows, "output_tokens")),
            short(_sum(run.rows, "draw_flops")),
            short(_sum(run.rows, "train_flops")),
            *(
                number(None if (t := _sum(run.rows, f"{what}_seconds")) is None else t / 60, 1)
                for what in ("draw", "train")
            ),
        )
        for run in runs
    )
    lead = "Every draw is counted, also those that taught nothing; a `?` was not recorded."
    return Section("costs", "What it cost", (lead,), tables=(SectionTable(columns, rows),))


def _options(runs: Sequence[RunRecord]) -> Section:
    """The options of all runs side by side; those of an interrupted run must be the same when it is resumed."""
    names = list(dict.fromkeys(name for run in runs for name in run.options))
    rows = tuple((name, *(_told(run.options.get(name)) for run in runs)) for name in names)
    columns = ("option", *(run.folder.name for run in runs))
    return Section("options", "Options", tables=(SectionTable(columns, rows),))


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    return "none" if value is None else str(value)
