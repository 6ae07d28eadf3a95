"""Sweeps as lessons that a policy is learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mull.allocate.difficulty import Look
from mull.allocate.learn import Lesson, Tried
from mull.allocate.policy import UNITS, Origin
from mull.errors import FileFormatError, UsageError
from mull.lab.cases import Case, Taken, read_recorded
from mull.types import Cost

REMEDY = "sweep with `mull sweep ... --out FILE` of this version"


def read_lessons(paths: Sequence[Path], model: str | None = None) -> tuple[list[Lesson], Origin]:
    """The problems of sweeps of one model with one verifier, tried by all strategies that every sweep has.

    Problems with an outcome that could not be graded are left out. Raises `FileFormatError` for what is no sweep, and
    `UsageError` where two sweeps are of different models or verifiers, naming both.
    """
    lessons: list[Lesson] = []
    found: list[tuple[Path, Mapping[str, Any]]] = []
    names: list[str] | None = None
    cases: list[Case] = []
    for path in paths:
        source = read_recorded(path)
        if model is None and len(source.groups) > 1:
            raise UsageError(f"{path} has several models: name one of {', '.join(source.groups)} with --model")
        if model is not None and model not in source.groups:
            raise UsageError(f"{path} has nothing of the model {model!r}; it has {', '.join(source.groups)}")
        group = source.groups[model] if model is not None else next(iter(source.groups.values()))
        if not source.sweeps or "identities" not in source.sweeps[0]:
            raise FileFormatError(path, None, f"it does not say which model and verifier it is of: {REMEDY}")
        found += [(path, about) for about in source.sweeps]
        cases += group.cases
        here = list(group.cases[0].taken)
        names = here if names is None else [name for name in names if name in here]
        model = group.name
    assert model is not None  # there is a path
    origin = _origin(found, model)
    if not names:
        raise UsageError(
            "no strategy is in every sweep: a policy chooses among strategies that all problems were tried by"
        )
    for case in cases:
        lesson = _lesson(case, names)
        if lesson is not None:
            lessons.append(lesson)
    drawn = sum(case.pool.n for case in cases if case.pool is not None)
    return lessons, Origin(*origin, len(lessons), drawn, datetime.now(UTC).date().isoformat())


def _origin(
    found: Sequence[tuple[Path, Mapping[str, Any]]], model: str
) -> tuple[str, str | None, tuple[str, ...], tuple[str, ...], float]:
    """Model, verifier, tasks, kinds and temperature, the same in all sweeps but for the tasks and kinds."""
    told = []
    for path, about in found:
        try:
            identity, verifier = about["identities"][model], about["verifier_identity"]
            told.append((identity, verifier, float(about["params"]["temperature"])))
        except (KeyError, TypeError) as error:
            raise FileFormatError(path, None, f"it does not say {error}: {REMEDY}") from error
    for (path, _), (identity, verifier, temperature) in zip(found, told, strict=True):
        for what, one, first in zip(
            ("model", "verifier", "temperature"), (identity, verifier, temperature), told[0], strict=True
        ):
            if one != first:
                raise UsageError(f"{found[0][0]} and {path} differ in their {what}: {first} and {one}")
    tasks = tuple(dict.fromkeys(str(about["task"]) for _, about in found))
    kinds = tuple(dict.fromkeys(kind for _, about in found for kind in about.get("kinds", ())))
    return told[0][0], told[0][1], tasks, kinds, told[0][2]


def _lesson(case: Case, names: Sequence[str]) -> Lesson | None:
    taken = {name: case.taken[name] for name in names if name in case.taken}
    if len(taken) < len(names) or any(one.correct is None for one in taken.values()):
        return None
    pool = case.pool
    looks: tuple[Look, ...] = ()
    if pool is not None:
        looks = tuple(
            Look(answer, sample.score, sample.output_tokens, sample.logprob)
            for answer, sample in zip(pool.answers, case.samples, strict=True)
        )
    tries = {name: Tried(one.correct is True, _costs(one.cost)) for name, one in taken.items()}
    return Lesson(
        case.id, case.prompt or "", looks, () if pool is None else pool.correct, _each(looks, case.taken), tries
    )


def _costs(cost: Cost) -> dict[str, float | None]:
    return {"tokens": cost.tokens, "flops": cost.flops, "usd": cost.usd}


def _each(looks: Sequence[Look], taken: Mapping[str, Taken]) -> dict[str, float | None]:
    """The mean cost of one of the draws looked at, with its score: of a strategy that made just these draws."""
    same = [one.cost for one in taken.values() if one.draws == len(looks) and looks]
    if not same:
        return dict.fromkeys(UNITS)
    dearest = max(same, key=lambda cost: cost.tokens or 0)
    return {unit: None if cost is None else cost / len(looks) for unit, cost in _costs(dearest).items()}
