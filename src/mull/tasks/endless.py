"""What the generated tasks with puzzles share: problems by number, splits, and grading by a puzzle's own check."""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast

from mull.errors import UsageError
from mull.replies.answers import answers_of
from mull.tasks.synthetic import N_REMEMBERED, Split, split_of
from mull.types import Grade, Kind, Problem, Prompt, Sample

Ask = Literal["steps", "answer"]
"""What a prompt asks for: steps before the answer, or the answer alone, in a few tokens."""
STEPS = "Think step by step, and end with"
ONLY = "Reply with nothing but"
"""Stands in place of `STEPS` in a prompt that asks for the answer alone."""
NO_ANSWER = "no answer of the kind that the problem asks for can be read"


class Puzzle(Protocol):
    """A problem with all that decides which answers are right."""

    @property
    def text(self) -> str:
        """The prompt, with `STEPS` where it asks for steps."""
        ...

    @property
    def kind(self) -> Kind: ...

    @property
    def given(self) -> Mapping[str, Any]:
        """What the prompt states, as data: `Problem.given`."""
        ...

    @property
    def content(self) -> str:
        """What identifies the puzzle, and so decides its split."""
        ...

    def misses(self, answer: str) -> str:
        """Why an answer in its canonical form is wrong; empty if it is right."""
        ...


P = TypeVar("P", bound=Puzzle)


class Endless(ABC, Generic[P]):
    """A task whose problem `i` of a seed is always the same, and generated when it is needed.

    A hash of its content assigns each puzzle to one split: a tenth is held out for measuring, the rest is for training.
    `ask` changes what prompts ask for, not the puzzles.
    """

    size = None
    date = None
    step_truth = False
    called: ClassVar[str]
    seed: int
    split: Split
    ask: Ask

    @property
    @abstractmethod
    def level(self) -> str:
        """The options that set the difficulty."""

    @abstractmethod
    def draw(self, rng: random.Random) -> P:
        """A random puzzle, of either split."""

    @property
    def source(self) -> str:
        """What the puzzles follow from, beside the seed."""
        return f"{self.called}:{self.level}" + ("" if self.split == "test" else f",split={self.split}")

    @property
    def name(self) -> str:
        return self.source + ("" if self.ask == "steps" else f",ask={self.ask}")

    def puzzle(self, problem_id: str) -> P:
        """The puzzle of a problem."""
        return cast(P, _puzzle_at(self, int(problem_id.rpartition("/")[2])))

    def problems(self) -> Iterator[Problem]:
        for i in itertools.count():
            puzzle = _puzzle_at(self, i)
            text = puzzle.text if self.ask == "steps" else puzzle.text.replace(STEPS, ONLY)
            yield Problem(f"{self.name}/{self.seed}/{i}", Prompt.user(text), puzzle.kind, puzzle.given)

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        puzzle = self.puzzle(problem_id)
        answer = await answer_to(puzzle, problem_id, sample)
        why = NO_ANSWER if answer is None else puzzle.misses(answer)
        return Grade(not why, why)


@lru_cache(N_REMEMBERED)
def _puzzle_at(task: Endless[Any], index: int) -> Puzzle:
    rng = random.Random(f"{task.source}/{task.seed}/{index}")
    while True:
        puzzle: Puzzle = task.draw(rng)
        if split_of(puzzle.content) == task.split:
            return puzzle


async def answer_to(puzzle: Puzzle, problem_id: str, sample: Sample) -> str | None:
    """The canonical answer of a reply to a puzzle; `None` if it has none."""
    (answer,) = await answers_of(Problem(problem_id, sample.prompt, puzzle.kind), [sample])
    return answer


def check_between(low: float, high: float, **options: float) -> None:
    """Raises `UsageError` for an option outside `low` to `high`."""
    for name, value in options.items():
        if not low <= value <= high:
            raise UsageError(f"{name} must be between {low} and {high}, not {value}")
