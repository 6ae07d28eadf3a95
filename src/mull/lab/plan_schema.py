"""The schema of a study's plan as pydantic models; in its own module, because pydantic is slow to import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, field_validator, model_validator

from mull.config.checked import instead

Count = Annotated[int, Field(strict=True, ge=1)]
Names = Annotated[list[StrictStr], Field(min_length=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PlanTable(BaseModel):
    """A table that takes the settings it names and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CeilingTable(PlanTable):
    """`[ceiling]`: the most that the whole study may spend."""

    calls: Count | None = None
    tokens: Count | None = None
    usd: Amount | None = None
    flops: Amount | None = None


class TaskTable(PlanTable):
    """`[[tasks]]`: one task at its levels; what is `None` here is as the plan has it for all tasks."""

    spec: Annotated[StrictStr, Field(min_length=1)]
    levels: list[Any] = []
    strategies: Names | None = None
    problems: Count | None = None
    verifier: StrictStr | None = None
    max_tokens: Count | None = None
    upper_bounds: list[StrictStr] = []

    @field_validator("levels")
    @classmethod
    def _are_plain(cls, levels: list[Any]) -> list[Any]:
        if not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in levels):
            raise ValueError("levels are texts or numbers")
        return levels

    @model_validator(mode="after")
    def _goes_with_its_levels(self) -> Self:
        if bool(self.levels) != ("{level}" in self.spec):
            raise ValueError(f"the task {self.spec!r}: {{level}} in its spec and its list of levels go together")
        return self


class PlanFile(PlanTable):
    """The whole plan."""

    title: StrictStr = "A study of test-time scaling"
    models: Names = ["nano"]
    strategies: Names = ["single", "majority:n=8"]
    draws: list[Count] = []
    problems: Count = 24
    verifier: StrictStr | None = None
    seed: Annotated[int, Field(strict=True)] = 0
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    max_tokens: Count = 400
    tasks: Annotated[list[TaskTable], Field(min_length=1)]
    ceiling: CeilingTable = CeilingTable()

    @field_validator("models")
    @classmethod
    def _are_named_once(cls, models: list[str]) -> list[str]:
        if len(set(models)) < len(models):
            raise ValueError(f"a model is named twice in {', '.join(models)}")
        return models

    @model_validator(mode="after")
    def _have_numbers(self) -> Self:
        named = [*self.strategies, *(one for task in self.tasks for one in task.strategies or ())]
        if not self.draws and any("{n}" in one for one in named):
            raise ValueError("strategies with {n} take their numbers of draws from draws = [2, 4, 8]")
        return self


TABLES: dict[str, tuple[str, type[PlanTable]]] = {
    "tasks": ("a table [[tasks]]", TaskTable),
    "ceiling": ("a table [ceiling]", CeilingTable),
}


def unknown(keys: Sequence[str]) -> str:
    """What a plan takes instead of a setting that is not known."""
    form, schema = TABLES[keys[0]] if len(keys) > 1 else ("a plan", PlanFile)
    return instead(keys[-1], list(schema.model_fields), f"{form} takes")
