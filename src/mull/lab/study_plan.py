"""The plan of a study, a TOML file: which models, tasks and levels, strategies and budgets, under one ceiling."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mull import spec
from mull.catalog import Plans, model_of, verifier_of
from mull.cost.ceilings import check_budget
from mull.errors import PromptError, UnknownNameError, UsageError, cannot_read
from mull.run import Strategy
from mull.run.needs import check_given
from mull.types import Budget, Cost, Model, Params, Task, Verifier

DEFAULT_PROBLEMS = 24
KEYS = ("title", "models", "strategies", "draws", "problems", "verifier", "seed", "temperature", "max_tokens")
TASK_KEYS = ("spec", "levels", "strategies", "problems", "verifier", "max_tokens", "upper_bounds")
CEILINGS = ("calls", "tokens", "usd", "flops")


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
    def n_runs(self) -> int:
        return self.study_task.problems * (len(self.strategies) + len(self.upper_bounds))

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
    """Reads a plan. Raises `UsageError` naming what is wrong, and the nearest right name."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    _known("key of a plan", found, (*KEYS, "tasks", "ceiling"))
    tables = _of(found, "tasks", list, [])
    if not tables or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f'{path}: a plan has at least one task: [[tasks]] with spec = "chain:ops={{level}}"')
    ceiling = _of(found, "ceiling", dict, {})
    _known("ceiling", ceiling, CEILINGS)
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in ceiling.values()):
        raise UsageError(f"{path}: the ceilings {', '.join(ceiling)} are numbers")
    budget = Budget(**ceiling)
    check_budget(budget)
    models = _texts(found, "models", ("nano",))
    if len(set(models)) < len(models):
        raise UsageError(f"{path}: a model is named twice in {', '.join(models)}")
    return StudyPlan(
        _of(found, "title", str, "A study of test-time scaling"),
        models,
        tuple(_task(table, found) for table in tables),
        _of(found, "seed", int, 0),
        float(_of(found, "temperature", (int, float), 1.0)),
        budget,
    )


def _task(table: Mapping[str, Any], plan: Mapping[str, Any]) -> StudyTask:
    _known("key of a task", table, TASK_KEYS)
    text = _of(table, "spec", str, "")
    levels = tuple(str(level) for level in _of(table, "levels", list, []))
    if not text:
        raise UsageError('a task of a plan has a spec, such as spec = "chain:ops={level}"')
    if bool(levels) != ("{level}" in text):
        raise UsageError(f"the task {text!r}: {{level}} in its spec and its list of levels go together")
    both = {**plan, **table}
    problems = _of(both, "problems", int, DEFAULT_PROBLEMS)
    if problems < 1:
        raise UsageError(f"the task {text!r}: problems must be at least 1, not {problems}")
    draws = _of(plan, "draws", list, [])
    strategies = [
        one.replace("{n}", str(n))
        for one in _texts(both, "strategies", ("single", "majority:n=8"))
        for n in (draws if "{n}" in one else [0])
    ]
    if not strategies:
        raise UsageError("strategies with {n} take their numbers of draws from draws = [2, 4, 8]")
    verifier = _of(both, "verifier", str, "") or None
    max_tokens = _of(both, "max_tokens", int, 400)
    bounds = _texts(table, "upper_bounds", ()) if "upper_bounds" in table else ()
    return StudyTask(text, levels or ("",), tuple(dict.fromkeys(strategies)), problems, verifier, max_tokens, bounds)


def cells_of(plan: StudyPlan, config: Path | None = None) -> list[StudyCell]:
    """All that a plan runs, built: level by level, the models side by side. Raises `UsageError` for a bad name."""
    models = [model_of(name, plan.seed, config, budget=plan.ceiling) for name in plan.models]
    found = []
    named = Plans(plan.seed, config, Budget(usd=plan.ceiling.usd, flops=plan.ceiling.flops))
    for one in plan.tasks:
        strategies = {spec.describe(spec.STRATEGIES, s): s for s in map(named.build, one.strategies)}
        verifier = verifier_of(one.verifier, plan.seed, config)
        for strategy in strategies.values():
            check_given(strategy, verifier, None, None)
        bounds = {spec.describe(spec.STRATEGIES, s): s for s in map(named.build, one.upper_bounds)}
        params = Params(plan.temperature, one.max_tokens)
        for level in one.levels:
            task = spec.build("task", spec.TASKS, one.at(level))
            found += [StudyCell(model, one, level, task, strategies, verifier, params, bounds) for model in models]
    return found


def _known(kind: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in found:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def _of(found: Mapping[str, Any], key: str, kind: Any, default: Any) -> Any:
    value = found.get(key, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}
        raise UsageError(f"{key} of a plan is {names.get(kind, 'a number')}, not {value!r}")
    return value


def _texts(found: Mapping[str, Any], key: str, default: Sequence[str]) -> tuple[str, ...]:
    values = _of(found, key, list, list(default))
    if not values or not all(isinstance(value, str) for value in values):
        raise UsageError(f"{key} of a plan is a list of names, not {values!r}")
    return tuple(values)
