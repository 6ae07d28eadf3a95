"""The answer of a study in three sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mull.lab.findings import RunChances, StudyRow, unsolved
from mull.lab.studied import listed
from mull.lab.study_findings import StudyFinding
from mull.lab.study_plan import task_name
from mull.report.words import ends, percent, points
from mull.stats.paired import paired


def headline(rows: Sequence[StudyRow]) -> str:
    """How many models, tasks and levels there are."""
    models, levels = len({row.model for row in rows}), list(dict.fromkeys(row.task for row in rows))
    tasks = set(map(task_name, levels))
    return f"{_count(models, 'model')} on {_count(len(tasks), 'task')} at {_count(len(levels), 'level')}"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def sentences(chances: RunChances, rows: Sequence[StudyRow], found: Sequence[StudyFinding], seed: int) -> list[str]:
    """Three: who is right most, what is lost between drawing and choosing, and what no draws reach."""
    gap = next(one for one in found if one.id == "gap")
    reach = next(one for one in found if one.id == "reach")
    return [_best(chances, rows, seed), gap.sentence, reach.sentence]


def _best(chances: RunChances, rows: Sequence[StudyRow], seed: int) -> str:
    """What is right most often: among the models with the most tasks, and on the tasks that all models have."""
    n_tasks = Counter(row.model for row in rows)
    widest = [model for model, n in n_tasks.items() if n == max(n_tasks.values())]
    told = []
    if len(widest) < len(n_tasks):
        which = f"{listed(widest)}, which {'has' if len(widest) == 1 else 'have'} the most tasks"
        told.append(_ahead(chances, rows, widest, f"of {which}", seed))
    told.append(_ahead(chances, rows, list(n_tasks), "that all models have", seed))
    known = [one for one in told if one]
    return " ".join(known) or "No level was solved by any model and run by all, so the models cannot be compared."


def _ahead(chances: RunChances, rows: Sequence[StudyRow], models: Sequence[str], which: str, seed: int) -> str:
    """The strategy and model that are right most often on the problems that these models have; empty without any."""
    never = unsolved(rows)
    columns: dict[str, dict[tuple[str, str], float]] = {}
    for task, has in chances.items():
        for model in models if all(model in has for model in models) and task not in never else ():
            for name, each in has[model].items():
                column = columns.setdefault(f"{name} on {model}", {})
                column.update({(task, id): value for id, value in each.items()})
    if not columns:
        return ""
    widest = max(len(column) for column in columns.values())
    whole = {name: column for name, column in columns.items() if len(column) == widest}
    means = {name: sum(column.values()) / widest for name, column in whole.items()}
    name = max(means, key=lambda one: means[one])
    base = max((one for one in whole if one.startswith("single on ")), key=lambda one: means[one], default=name)
    told = f"{name} is right most often: on {percent(means[name])} % of the {widest:,} problems {which}"
    if base == name:
        return f"{told}."
    keys = list(whole[name])
    pair = paired(name, base, [whole[name][key] for key in keys], [whole[base].get(key) for key in keys], seed)
    if pair is None:
        return f"{told}."
    chance = "" if pair.p_value < 0.05 else ", which chance may do"
    return f"{told}, {points(pair.difference)} points {ends(pair.ci95, is_signed=True)} from {base}{chance}."
