"""The plan of a study, a TOML file: which models, tasks and levels, strategies and budgets, under one ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mull import spec
from mull.catalog import Plans, model_of, verifier_of
from mull.config.checked import checked
from mull.cost.ceilings import check_budget
from mull.errors import PromptError, UsageError, cannot_read
from mull.run import Strategy
from mull.run.needs import check_given
from mull.types import Budget, Cost, Model, Params, Task, Verifier

if TYPE_CHECKING:
    from mull.lab.plan_schema import PlanFile, TaskTable


def task_name(text: str) -> str:
    """The name of the task that a spec stands for, without its options."""
    return spec.parted("task", spec.TASKS, text)[0]


@dataclass(frozen=True, slots=True)
class StudyTask:
    """A task at several levels: `spec` has `{level}` where each level stands.

    `upper_bounds` are strategies that are run with the gold answers as their verifier, such as revisions that are told
    whether they are right; they are bounds, not methods, and stand in no column with the strategies.
    """

    spec: str
    levels: tuple[str, ...]
    strategies: tuple[str, ...]
    problems: int
    verifier: str | None
    max_tokens: int
    upper_bounds: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return task_name(self.spec)

    def at(self, level: str) -> str:
        return self.spec.replace("{level}", level)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a study runs; `ceiling` holds for the whole study."""

    title: str
    models: tuple[str, ...]
    tasks: tuple[StudyTask, ...]
    seed: int
    temperature: float
    ceiling: Budget


@dataclass(frozen=True)
class StudyCell:
    """One model on one task at one level, with everything that its run needs; `n_runs` counts problems x strategies."""

    model: Model
    study_task: StudyTask
    level: str
    task: Task
    strategies: Mapping[str, Strategy]
    verifier: Verifier | None
    params: Params
    upper_bounds: Mapping[str, Strategy] = field(default_factory=dict)

    @property
    def problems(self) -> int:
        """How many problems are run: those that the plan asks for, or all if the task has fewer."""
        size: int | None = getattr(self.task, "size", None)
        return self.study_task.problems if size is None else min(size, self.study_task.problems)

    @property
    def n_runs(self) -> int:
        return self.problems * (len(self.strategies) + len(self.upper_bounds))

    @property
    def text(self) -> str:
        """The spec of the task at this level."""
        return self.study_task.at(self.level)

    @property
    def name(self) -> str:
        return f"{self.model.name} on {self.text}"

    @property
    def quote(self) -> Cost:
        """The most that one draw costs: the first problem's prompt, and all tokens allowed. Raises `PromptError`."""
        problem = next(iter(self.task.problems()))
        found: Cost = self.model.quote(problem.prompt, self.params)
        return found

    @cached_property
    def refusal(self) -> str:
        """Why the model cannot read the prompts of this task; empty if it can."""
        try:
            _ = self.quote
        except PromptError as error:
            return str(error)
        return ""


def read_plan(path: Path) -> StudyPlan:
    """Reads a plan. Raises `FileFormatError` with the line of what is wrong, and the nearest right name."""
    from mull.lab.plan_schema import PlanFile, unknown

    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin files with a mark of the byte order
    except (OSError, UnicodeDecodeError) as error:
        raise cannot_read(path, error) from error
    plan = checked(PlanFile, text, path, unknown)
    budget = Budget(**plan.ceiling.model_dump())
    check_budget(budget)
    tasks = tuple(_task(task, plan) for task in plan.tasks)
    return StudyPlan(plan.title, tuple(plan.models), tasks, plan.seed, plan.temperature, budget)


def _task(task: TaskTable, plan: PlanFile) -> StudyTask:
    """A task with what the plan says for all tasks where it says nothing itself."""
    named = [
        one.replace("{n}", str(n))
        for one in task.strategies or plan.strategies
        for n in (plan.draws if "{n}" in one else [0])
    ]
    return StudyTask(
        task.spec,
        tuple(map(str, task.levels)) or ("",),
        tuple(dict.fromkeys(named)),
        task.problems or plan.problems,
        (plan.verifier if task.verifier is None else task.verifier) or None,
        task.max_tokens or plan.max_tokens,
        tuple(task.upper_bounds),
    )


def _check_once(what: str, names: Sequence[str]) -> None:
    """Raises `UsageError` for a name that stands for two things, of which the figures would be those of the last."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{what} {twice!r}")


def cells_of(plan: StudyPlan, config: Path | None = None) -> list[StudyCell]:
    """All that a plan runs, built: level by level, the models side by side. Raises `UsageError` for a bad name."""
    models = [model_of(name, plan.seed, config, budget=plan.ceiling) for name in plan.models]
    _check_once("two models of the plan have the name", [model.name for model in models])
    _check_once(
        "the plan has twice, where one table with all its strategies is meant, the task",
        [one.at(level) for one in plan.tasks for level in one.levels],
    )
    found = []
    named = Plans(plan.seed, config, Budget(usd=plan.ceiling.usd, flops=plan.ceiling.flops))
    for one in plan.tasks:
        strategies = {spec.describe(spec.STRATEGIES, s): s for s in map(named.build, one.strategies)}
        verifier = verifier_of(one.verifier, plan.seed, config)
        for name, strategy in strategies.items():
            try:
                check_given(strategy, verifier, None, None)
            except UsageError as error:
                raise UsageError(f'{name} on {one.spec}: {error}; in a plan that is verifier = "NAME"') from error
        bounds = {spec.describe(spec.STRATEGIES, s): s for s in map(named.build, one.upper_bounds)}
        params = Params(plan.temperature, one.max_tokens)
        for level in one.levels:
            task = spec.build("task", spec.TASKS, one.at(level))
            found += [StudyCell(model, one, level, task, strategies, verifier, params, bounds) for model in models]
    return found
