"""Problems without their gold answers, what came of them, and the tasks that grade it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from mull.types.conversation import Prompt, Sample
from mull.types.verdicts import Score


class Stopped(StrEnum):
    """Why a strategy stopped."""

    COMPLETE = "complete"
    """It did all that it was asked to do."""
    EARLY = "early"
    """Its own rule said that more draws would not help."""
    BUDGET = "budget"
    """A ceiling was reached."""
    DEADLINE = "deadline"
    """The ceiling on seconds was reached."""
    EXHAUSTED = "exhausted"
    """The model had no more draws to give, as a recording has after its last."""


class AnswerKind(StrEnum):
    """What answers to a problem look like, which decides how they are read and compared."""

    NUMBER = "number"
    CHOICE = "choice"
    TEXT = "text"
    EXPRESSION = "expression"
    """Arithmetic, compared as it is written."""
    MATH = "math"
    """Anything of mathematics, in LaTeX or plain text, compared by what it means (`mull.equal`)."""
    CODE = "code"
    """A program: what a reply gives is the whole of it, ready to run."""


class Kind(Protocol):
    """A kind of answer of one's own, beside those of `AnswerKind`: a frozen value such as `mull.replies.kinds` has."""

    @property
    def value(self) -> str:
        """Its name in keys and reports; two kinds that read differently have different ones."""
        ...

    def read(self, sample: Sample) -> str | None:
        """The canonical answer of a reply; `None` where it gives none and so must not vote."""
        ...

    def canonical(self, text: str) -> str | None:
        """The form of an answer in which equal answers are equal; `None` for what is no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """What a strategy may see. There is no gold answer here, by type.

    `given` holds what may be checked at run time (the numbers of a countdown, public tests, a theorem).
    """

    id: str
    prompt: Prompt
    kind: AnswerKind | Kind = AnswerKind.TEXT
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a strategy made of a problem.

    `best` is the sample it settled on (`None`: it has none), `candidates` all that it drew, `scores` one for
    each candidate or empty, `tally` the weight of each answer class, heaviest first, where it voted.
    `confidence` is the winner's share of that weight, or its score. `notes` are whatever else the strategy has to
    say, by name: a vote tells how many candidates gave `no_answer` and how many have an `undecided` class.
    """

    best: Sample | None
    answer: str | None
    candidates: tuple[Sample, ...] = ()
    scores: tuple[Score, ...] = ()
    tally: tuple[tuple[str, float], ...] = ()
    confidence: float | None = None
    stopped: Stopped = Stopped.COMPLETE
    notes: Mapping[str, float | str | None] = field(default_factory=dict)

    @property
    def n_unscored(self) -> int:
        """How many candidates the verifier could not score."""
        return sum(score.value is None for score in self.scores)


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether a reply is right. `correct` is `None` when that could not be decided, with `why`."""

    correct: bool | None
    why: str = ""


class Task(Protocol):
    """A problem set, and the only holder of gold answers."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None:
        """How many problems there are; `None`: without end, as they are generated."""
        ...

    @property
    def domain(self) -> str | None:
        """What the problems are of, such as `arithmetic` or `code`; `None`: not known."""
        ...

    @property
    def date(self) -> str | None:
        """When the problems were published (ISO 8601); `None`: not known, or made anew."""
        ...

    @property
    def step_truth(self) -> bool:
        """Whether `check_steps(problem_id, steps)` says which steps of a reply are true."""
        ...

    def problems(self) -> Iterable[Problem]: ...

    async def grade(self, problem_id: str, sample: Sample) -> Grade: ...
