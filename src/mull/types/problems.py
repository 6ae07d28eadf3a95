"""Problems without their gold answers, outcomes of strategies, and the tasks that grade replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from mull.shown import html_table
from mull.types.conversation import Prompt, Sample
from mull.types.verdicts import Score

MOST_SHOWN = 8
"""Of the answers of a vote, in a notebook."""


class Stopped(StrEnum):
    """Why a strategy stopped."""

    COMPLETE = "complete"
    """It finished all its work."""
    EARLY = "early"
    """Its own stopping rule decided that more draws would not help."""
    BUDGET = "budget"
    """It reached a ceiling of the budget."""
    DEADLINE = "deadline"
    """It reached the ceiling on seconds."""
    EXHAUSTED = "exhausted"
    """The model has no more draws, as a recording after its last one."""


class AnswerKind(StrEnum):
    """The kind of answer to a problem, which decides how answers are read and compared."""

    NUMBER = "number"
    CHOICE = "choice"
    TEXT = "text"
    YES_NO = "yes-no"
    EXPRESSION = "expression"
    """An arithmetic expression, compared as written."""
    MATH = "math"
    """A mathematical answer, in LaTeX or plain text, compared by meaning (`mull.equal`)."""
    CODE = "code"
    """A program, complete and ready to run."""


class Kind(Protocol):
    """A custom kind of answer beside those of `AnswerKind`: a frozen value such as those in `mull.replies.kinds`."""

    @property
    def value(self) -> str:
        """The name in keys and reports; kinds that read answers differently must have different names."""
        ...

    def read(self, sample: Sample) -> str | None:
        """The canonical answer of a reply; `None` if it gives none and so must not vote."""
        ...

    def canonical(self, text: str) -> str | None:
        """The canonical form of an answer: equal answers have equal forms. `None` if `text` is not an answer."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """What a strategy may see. There is no gold answer here, by type.

    `given` holds data that may be used for checks at run time (the numbers of a countdown, public tests, a theorem).
    """

    id: str
    prompt: Prompt
    kind: AnswerKind | Kind = AnswerKind.TEXT
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a strategy on a problem.

    `best` is the selected sample (`None`: none). `candidates` are all samples drawn; `scores` has one score per
    candidate, or is empty. `tally` is the weight of each answer class, heaviest first, if the strategy voted.
    `confidence` is the winner's share of that weight, or its score. `notes` are further figures of the strategy, by
    name: a vote reports how many candidates gave `no_answer` and how many have an `undecided` class.
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

    def _repr_html_(self) -> str:
        """The outcome as a notebook shows it."""
        rows: list[tuple[str, object]] = [("answer", "none" if self.answer is None else self.answer)]
        if self.confidence is not None:
            rows.append(("confidence", f"{self.confidence:.2f}"))
        rows += [("draws", len(self.candidates)), ("stopped", self.stopped.value)]
        rows += [(f"votes for {answer}", f"{weight:g}") for answer, weight in self.tally[:MOST_SHOWN]]
        if len(self.tally) > MOST_SHOWN:
            rows.append(("other answers", len(self.tally) - MOST_SHOWN))
        if self.n_unscored:
            rows.append(("draws without a score", self.n_unscored))
        return html_table(("outcome", ""), rows)


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether a reply is correct. `correct` is `None` when that could not be decided; `why` is the reason."""

    correct: bool | None
    why: str = ""


class Task(Protocol):
    """A problem set, and the only holder of gold answers."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None:
        """The number of problems; `None`: unlimited, because they are generated."""
        ...

    @property
    def domain(self) -> str | None:
        """The domain of the problems, such as `arithmetic` or `code`; `None`: not known."""
        ...

    @property
    def date(self) -> str | None:
        """When the problems were published (ISO 8601); `None`: not known, or newly generated."""
        ...

    @property
    def step_truth(self) -> bool:
        """Whether `check_steps(problem_id, steps)` decides which steps of a reply are correct."""
        ...

    def problems(self) -> Iterable[Problem]: ...

    async def grade(self, problem_id: str, sample: Sample) -> Grade: ...
