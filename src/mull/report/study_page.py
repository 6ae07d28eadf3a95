"""The page of a study: an answer in three sentences, a heat map, findings as figures, costs, losses and problems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mull import spec
from mull.errors import UsageError
from mull.files.recording import Recording
from mull.lab.findings import Groups, RunChances, StudyRow, run_chances, summary, unsolved
from mull.lab.gap import measure
from mull.lab.measured import Measured, Study, Tile
from mull.lab.recorded import Group, Source
from mull.lab.studied import Bound, MissingCell, listed, unreadable
from mull.lab.study_findings import StudyFinding, findings
from mull.report.answer import Answer
from mull.report.figures import BEST, GRID, MUTED, Figure
from mull.report.heat import UNREADABLE, heat
from mull.report.page import render
from mull.report.sections import Report, Section, SectionTable, curves_section, limits_section
from mull.report.study_answer import headline, sentences
from mull.report.words import ends, number, percent, points
from mull.stats.paired import paired
from mull.types import Cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LABEL = 62
"""Characters of a label in a figure; the table below it has the whole."""
MOST_PLACES = 8
"""Most columns of a heat map that the names of tasks fit under."""
UNCHOSEN = UsageError("a study has one answer for all its groups")


def page(
    groups: Groups,
    sources: Sequence[Source],
    holes: Sequence[MissingCell],
    title: str,
    made_by: Mapping[str, str],
    seed: int = 0,
    bounds: Sequence[Bound] = (),
) -> str:
    """The page as HTML, self-contained."""
    found = run_chances(groups, seed)
    rows, told = summary(groups, seed, found), findings(groups, seed, bounds)
    cells = [
        _cell(f"{model} on {task}", task, recordings, found[task][model])
        for task, models in groups.items()
        for model, recordings in models.items()
    ]
    report = _report(cells, sources, made_by, seed, title)
    by_model = _report(_models(groups, seed), sources, made_by, seed, title)
    sections = [
        _where(rows, holes),
        _missing(rows, holes),
        *map(_finding, told),
        _when(found, told, seed),
        _costs(rows),
        curves_section(by_model),
        limits_section(by_model),
    ]
    answer = Answer("", "study", None, None, headline(rows), " ".join(sentences(found, rows, told, seed)), ())
    return render(report, [section for section in sections if section is not None], [answer])


def _report(
    studies: Sequence[Study], sources: Sequence[Source], made_by: Mapping[str, str], seed: int, title: str
) -> Report:
    """A report without advice on each of its groups."""
    n = len(studies)
    slugs = [str(i + 1) for i in range(n)]
    return Report(
        list(studies), "tokens", [UNCHOSEN] * n, [(None, None)] * n, list(sources), made_by, seed, title, slugs
    )


def _cell(name: str, task: str, recordings: Sequence[Recording], found: Mapping[str, Mapping[str, float]]) -> Study:
    """The problems of a model on a task, with what each strategy is known to solve, for the table of problems."""
    strategies = [
        Measured(
            strategy,
            tuple(chances.get(one.id) for one in recordings),
            None,
            None,
            float(max(one.results[strategy].draws for one in recordings if strategy in one.results)),
            Cost(),
            None,
            False,
        )
        for strategy, chances in found.items()
    ]
    return Study(Group(name, list(recordings), task), None, None, strategies)


def _models(groups: Groups, seed: int) -> list[Study]:
    """Each model's curves and limits over the problems of all its tasks."""
    made = []
    for model in dict.fromkeys(model for models in groups.values() for model in models):
        recordings = [one for models in groups.values() for one in models.get(model, ()) if one.n]
        if recordings:
            measured = measure(recordings, None, seed)
            made.append(Study(Group(f"{model}, all tasks", recordings), measured.curves, measured.limits, []))
    return made


def _where(rows: Sequence[StudyRow], holes: Sequence[MissingCell]) -> Section:
    """Accuracy of one draw and of the best strategy; the longer side, of tasks or of models, goes down the page."""
    tasks = list(dict.fromkeys([*(row.task for row in rows), *(hole.task for hole in holes)]))
    models = list(dict.fromkeys([*(row.model for row in rows), *(hole.model for hole in holes)]))
    at = {(row.task, row.model): row for row in rows}
    unread = {(hole.task, hole.model) for hole in holes if hole.is_unreadable}

    def tile(task: str, model: str, value: str) -> Tile:
        row = at.get((task, model))
        if row is None:
            return Tile(None, 0, UNREADABLE if (task, model) in unread else "not run")
        return Tile(getattr(row, value), row.problems)

    def drawn(name: str, title: str, value: str) -> Figure:
        if len(tasks) > max(len(models), MOST_PLACES):
            tiles = {task: [tile(task, model, value) for model in models] for task in tasks}
            return heat(name, title, tiles, models, "model", "task")
        tiles = {model: [tile(task, model, value) for task in tasks] for model in models}
        return heat(name, title, tiles, [task.replace(":", "\n") for task in tasks], "task", "model")

    sizes = {row.problems for row in rows}
    of = f", {max(sizes):,} problems each" if len(sizes) == 1 else ""
    lead = f"Each cell is a model on a task at a level{of}; a dash was not run"
    lead += ", and a cross is a model that cannot read the task's prompts." if unread else "."
    maps = (
        drawn("one", "One draw: right by model and task, %", "single"),
        drawn("best", "The best strategy run there, %", "accuracy"),
    )
    return Section("where", "Where it works", (f"{lead} The best of several is a little lucky.",), maps)


def _missing(rows: Sequence[StudyRow], holes: Sequence[MissingCell]) -> Section | None:
    """What was not run, a row for each model and reason, and what no model solves."""
    why: dict[tuple[str, str], list[MissingCell]] = {}
    for hole in holes:
        if not hole.is_unreadable:
            why.setdefault((hole.model, hole.why), []).append(hole)
    table = [
        (
            model,
            listed([one.task for one in own]),
            f"{sum(h.done for h in own):,} of {sum(h.problems for h in own):,}",
            w,
        )
        for (model, w), own in why.items()
    ]
    lead = [f"{line}." for line in unreadable(holes)]
    lead += [f"{task}: no draw of any model solves any problem, so it is in no comparison." for task in unsolved(rows)]
    if not table and not lead:
        return None
    tables = (SectionTable(("model", "tasks", "problems run", "why"), tuple(table)),) if table else ()
    return Section("missing", "What is missing", tuple(lead), tables=tables)


def _finding(one: StudyFinding) -> Section:
    return Section(f"finding-{one.id}", one.title, (one.sentence,), (_intervals(one),) if one.rows else ())


def _intervals(one: StudyFinding) -> Figure:
    """The rows of a finding as points with their intervals, one below the other."""

    def draw(axes: Axes, tips: list[str]) -> None:
        for y, row in enumerate(one.rows):
            low, high = (100 * end for end in row.ci95)
            axes.plot([low, high], [y, y], color=BEST, alpha=0.6, linewidth=1.4)
            axes.plot([100 * row.value], [y], "o", color=BEST, markersize=4.5, gid=f"tip{len(tips)}")
            tips.append(f"{row.label}: {percent(row.value, row.ci95)}, {row.problems:,} problems")
            label = row.label if len(row.label) <= MOST_LABEL else f"{row.label[: MOST_LABEL - 1]}…"
            place = (0.0, y - 0.28)
            axes.annotate(label, place, xycoords=("axes fraction", "data"), fontsize=6.5, color=MUTED).set_in_layout(
                False
            )
        axes.axvline(0, color=GRID, linewidth=1)
        axes.set_ylim(len(one.rows) - 0.5, -0.7)
        axes.set_yticks([])
        axes.set_xlabel(one.unit)
        axes.grid(axis="x")

    rows = tuple((row.label, percent(row.value, row.ci95), f"{row.problems:,}") for row in one.rows)
    alt = f"{len(one.rows)} figures with 95 % intervals. {one.sentence}"
    return Figure(
        f"finding-{one.id}",
        one.title,
        alt,
        ("", f"{one.unit} [95 %]", "problems"),
        rows,
        draw,
        0.9 + 0.36 * max(len(one.rows), 2),
    )


def _when(chances: RunChances, found: Sequence[StudyFinding], seed: int) -> Section:
    """The table of when to use what, each row with its evidence in these data or `not shown here`."""
    by_id = {one.id: one for one in found}
    verifier, votes = _over_single(chances, "best:", seed), _over_single(chances, "majority:", seed)
    rows = (
        ("a verifier chooses well", "many draws, and the best scored", verifier),
        ("no verifier, but answers repeat", "many draws, and a vote", votes),
        ("a longer reply mends itself", "one longer reply", by_id["sequential"].sentence),
        ("tokens are what is scarce", "a model trained to think, or many draws", by_id["thinking"].sentence),
        ("each draw adds less", "few draws", by_id["diminishing"].sentence),
        ("the problems are hard", "a better model, not more draws", by_id["difficulty"].sentence),
        ("no draw is ever right", "a better model", by_id["reach"].sentence),
    )
    return Section(
        "when",
        "When to use what",
        ("Each row with its evidence here.",),
        tables=(SectionTable(("where", "use", "evidence"), rows),),
    )


def _over_single(chances: RunChances, kind: str, seed: int) -> str:
    """The largest number of draws of a kind of strategy against one draw: each problem's mean over the models."""
    differences: dict[tuple[str, str], list[float]] = {}
    names: dict[str, None] = {}
    for task, own in ((task, own) for task, models in chances.items() for own in models.values()):
        kinds = [name for name in own if name.startswith(kind)]
        if kinds and "single" in own:
            name = max(kinds, key=lambda one: getattr(spec.named(one), "n", 0))
            names[name] = None
            for id, x in own[name].items():
                if id in own["single"]:
                    differences.setdefault((task, id), []).append(x - own["single"][id])
    means = [math.fsum(each) / len(each) for each in differences.values()]
    pair = paired("", "", means, [0.0] * len(means), seed)
    if pair is None:
        return "Not shown here: the study did not run it."
    told = f"{listed(list(names))} minus one draw, mean over the models: {points(pair.difference)} points "
    told += f"{ends(pair.ci95, is_signed=True)} on {pair.problems:,} problems"
    return f"{told}." if pair.p_value < 0.05 else f"Not shown here: {told}, which chance may do."


def _costs(rows: Sequence[StudyRow]) -> Section:
    """Tokens of a draw, accuracy and coverage of each model on each task."""
    columns = (
        "task",
        "model",
        "one draw % [95 %]",
        "best strategy",
        "%",
        "coverage (oracle) %",
        "tokens a draw",
        "right per 1,000 tokens",
    )
    told = tuple(
        (
            row.task,
            row.model,
            percent(row.single, row.single_ci95),
            row.best or "unknown",
            percent(row.accuracy),
            percent(row.coverage),
            number(row.tokens),
            "?" if not row.tokens or row.single is None else f"{1000 * row.single / row.tokens:.2f}",
        )
        for row in rows
    )
    return Section(
        "cost", "What it costs", ("Coverage is a perfect choice, not a method.",), tables=(SectionTable(columns, told),)
    )
