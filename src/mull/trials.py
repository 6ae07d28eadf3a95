"""Programs tried out: what a strategy has run, and what it is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mull.types import Cost, Problem

FREE = Cost()


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and what it is to be tried on: `tests` are assertions, or `inputs` calls or texts to read.

    Where the program reads standard input (the problem names no function) a test is a pair of input and output.
    """

    program: str
    tests: tuple[str | tuple[str, str], ...] = ()
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What came of a trial.

    `passed` has one entry a test (`None`: the test itself is broken). `outputs` has one text an input, equal where
    the values are, or `None` where the program gave none; `errors` says how it ended there. `is_known` is false where
    the sandbox failed and nothing can be said of the program, with `why`.
    """

    passed: tuple[bool | None, ...] = ()
    outputs: tuple[str | None, ...] = ()
    errors: tuple[str, ...] = ()
    is_known: bool = True
    cost: Cost = FREE
    why: str = ""


class Executor(Protocol):
    """Runs programs that a model wrote, kept apart from the machine, and says what they did."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str | None:
        """What what it tells is banked under: the name and all else that changes them. `None`: not to be kept."""
        ...

    def quote(self, problem: Problem, trials: Sequence[Trial]) -> Cost:
        """The most that these trials can cost."""
        ...

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> Sequence[Behaviour]:
        """What each program did, in order."""
        ...
