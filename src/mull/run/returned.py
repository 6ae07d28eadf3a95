"""Checks of what models, verifiers, judges and executors return, which may be anyone's classes."""

from __future__ import annotations

import math
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from mull.errors import ModelError, VerifierError
from mull.run.judging import Asking, V
from mull.types import Cost, Preference, Sample, Score


def check_stream(name: str, stream: object) -> None:
    """Raises `ModelError` if what `Model.sample` returned is not an asynchronous generator."""
    if not hasattr(stream, "__anext__") or not hasattr(stream, "aclose"):
        if isinstance(stream, Coroutine):
            stream.close()
        raise ModelError(
            f"model {name}: sample returned a {type(stream).__name__}, not an asynchronous generator: write "
            "`async def sample(...)` and `yield` each sample"
        )


def check_sample(name: str, sample: object) -> None:
    """Raises `ModelError` if a model yielded something other than a `Sample` with a cost that can be counted."""
    if not isinstance(sample, Sample):
        raise ModelError(f"model {name}: sample yielded a {type(sample).__name__}, not a Sample")
    _check_cost(ModelError, f"model {name}", sample.cost)


def check_number(name: str, number: int, due: Collection[int]) -> None:
    """Raises `ModelError` if a model yielded a draw that it was not asked for or has yielded already."""
    if number not in due:
        asked = ", ".join(map(str, sorted(due)[:5])) + (", ..." if len(due) > 5 else "")
        raise ModelError(
            f"model {name}: sample yielded draw {number}, and {asked or 'none'} was still to come: `Sample.draw` must "
            "be the `Draw.number` that was asked for, each once"
        )


def checked_verdicts(asking: Asking[V], verdicts: Any, n: int) -> list[V]:
    """The verdicts of `asking` on `n` items; one outside [0, 1] is unknown, and its `why` says so.

    Raises `VerifierError` if there are not `n` of them, if they are of another type, or if a cost cannot be counted.
    """
    kind: type[V] = type(asking.unknown(""))
    if not isinstance(verdicts, Sequence) or not all(isinstance(one, kind) for one in verdicts):
        found = type(verdicts).__name__
        if isinstance(verdicts, Sequence):
            found = f"{found} with a {next(type(one).__name__ for one in verdicts if not isinstance(one, kind))} in it"
        raise VerifierError(f"{asking.name} returned a {found}, not a list of {kind.__name__}")
    if len(verdicts) != n:
        raise VerifierError(f"{asking.name} returned {len(verdicts)} verdicts on {n} items: one each, in order")
    for one in verdicts:
        _check_cost(VerifierError, asking.name, one.cost)
    return [_in_range(asking, one) for one in verdicts]


def _in_range(asking: Asking[V], verdict: V) -> V:
    """The verdict, or an unknown one at the same cost if a value of it is outside [0, 1]."""
    if isinstance(verdict, Score) and (wrong := _outside(verdict.value, *verdict.steps)):
        return replace(verdict, value=None, steps=(), why=f"{asking.name} said {wrong[0]}, which is outside [0, 1]")
    if isinstance(verdict, Preference) and (wrong := _outside(verdict.first)):
        return replace(verdict, first=None, why=f"{asking.name} said {wrong[0]}, which is outside [0, 1]")
    return verdict


def _outside(*values: float | None) -> list[float]:
    return [value for value in values if value is not None and not 0 <= value <= 1]


def _check_cost(error: type[ModelError | VerifierError], who: str, cost: object) -> None:
    if not isinstance(cost, Cost):
        raise error(f"{who}: a cost is a {type(cost).__name__}, not a Cost")
    for name in Cost.__slots__:
        value = getattr(cost, name)
        if value is not None and not (value >= 0 and math.isfinite(value)):
            raise error(f"{who}: a cost has {name}={value}: it must be a number of 0 or more, or None if unknown")
