"""Two endless problem sets, generated from a seed: `chain` (arithmetic stated as facts) and `countdown`.

A hash of its content assigns each problem to one split: a tenth is held out for measuring, the rest is for training, so
that no held-out problem can occur in a training text.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mull.errors import UsageError
from mull.replies.answers import answers_of
from mull.replies.expression import misses
from mull.types import AnswerKind, Grade, Problem, Prompt, Sample

Split = Literal["train", "test"]
Operator = Literal["+", "-", "*", "/"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MAX_VALUE = 999
MAX_OPS = 16
MAX_NUMBERS = 6


def split_of(content: str) -> Split:
    """The split of a problem; `content` identifies the problem."""
    return "test" if hashlib.blake2b(content.encode(), digest_size=8).digest()[0] < 26 else "train"


def apply(operator: str, a: int, b: int) -> int | None:
    """`a operator b` over the positive integers up to `MAX_VALUE`; `None` if the result is outside them."""
    if operator == "+":
        value = a + b
    elif operator == "-":
        value = a - b
    elif operator == "*":
        value = a * b
    elif b == 0 or a % b:
        return None
    else:
        value = a // b
    return value if 0 < value <= MAX_VALUE else None


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity and its definition: `name = source operator operand`, or a value for the first one."""

    name: str
    value: int
    source: str = ""
    operator: str = ""
    operand: int = 0

    @property
    def fact(self) -> str:
        """The fact as stated in the problem."""
        return f"{self.name}:{self.source}{self.operator}{self.operand}" if self.source else f"{self.name}:{self.value}"


@dataclass(frozen=True, slots=True)
class Chain:
    """The requested quantity, the lines that derive it in order, and the stated facts, shuffled."""

    lines: tuple[Line, ...]
    facts: tuple[str, ...]

    @property
    def text(self) -> str:
        return ";".join(self.facts) + f";{self.lines[-1].name}?"

    @property
    def answer(self) -> int:
        return self.lines[-1].value

    @property
    def content(self) -> str:
        return content_of(self.lines)


def content_of(lines: tuple[Line, ...]) -> str:
    """The content that identifies a chain: its start and operations, regardless of names, order and distractors."""
    return f"chain {lines[0].value}" + "".join(f"{line.operator}{line.operand}" for line in lines[1:])


def _derive(rng: random.Random, names: Iterator[str], ops: int) -> tuple[Line, ...]:
    lines = [Line(next(names), rng.randint(2, 99))]
    while len(lines) <= ops:
        last = lines[-1]
        operator = rng.choices("+-*", (4, 3, 3))[0]
        operand = rng.randint(2, 9) if operator == "*" else rng.randint(2, 99)
        value = apply(operator, last.value, operand)
        if value is not None:
            lines.append(Line(next(names), value, last.name, operator, operand))
    return tuple(lines)


def chain(rng: random.Random, ops: int, split: Split) -> Chain:
    """A chain of `ops` operations from the given split, with one distractor for every two or three facts."""
    while True:
        names = iter(rng.sample(LETTERS, len(LETTERS)))
        lines = _derive(rng, names, ops)
        if split_of(content_of(lines)) == split:
            break
    distractors = _derive(rng, names, rng.randint(0, ops // 2))
    facts = [line.fact for line in lines + distractors]
    rng.shuffle(facts)
    return Chain(lines, tuple(facts))


@dataclass(frozen=True, slots=True)
class Move:
    """Two numbers joined into one."""

    a: int
    operator: str
    b: int
    value: int


@dataclass(frozen=True, slots=True)
class Countdown:
    """Numbers, a target, and one way from them to it that uses them all."""

    numbers: tuple[int, ...]
    target: int
    moves: tuple[Move, ...]

    @property
    def text(self) -> str:
        return f"reach {self.target} with " + " ".join(map(str, self.numbers))


def moves(numbers: list[int]) -> list[Move]:
    """All moves from these numbers, the larger operand first."""
    found: dict[Move, None] = {}
    for i, x in enumerate(numbers):
        for y in numbers[i + 1 :]:
            a, b = max(x, y), min(x, y)
            for operator in "+-*/":
                value = apply(operator, a, b)
                if value is not None and not (operator in "*/" and b == 1):
                    found[Move(a, operator, b, value)] = None
    return list(found)


def after(numbers: list[int], move: Move) -> list[int]:
    """The numbers left after a move, the new one last."""
    left = list(numbers)
    left.remove(move.a)
    left.remove(move.b)
    return [*left, move.value]


def expression(moves: tuple[Move, ...]) -> str:
    """The last move's value as one expression of the given numbers.

    A value that two moves produced is written by the latest unused one.
    """
    made: list[tuple[int, str]] = []
    text = ""

    def spell(value: int) -> str:
        for i in range(len(made) - 1, -1, -1):
            if made[i][0] == value:
                return f"({made.pop(i)[1]})"
        return str(value)

    for move in moves:
        right = spell(move.b)
        left = spell(move.a)
        text = f"{left}{move.operator}{right}"
        made.append((move.value, text))
    return text


def countdown(rng: random.Random, numbers: int, split: Split) -> Countdown:
    """A countdown problem with `numbers` numbers up to 12 from the given split; its target is between 10 and 99."""
    while True:
        given = sorted(rng.randint(1, 12) for _ in range(numbers))
        left, path = given, list[Move]()
        while len(left) > 1:
            possible = moves(left)
            path.append(rng.choice(possible))
            left = after(left, path[-1])
        if 10 <= left[0] <= 99 and split_of(f"countdown {given} {left[0]}") == split:
            rng.shuffle(given)
            return Countdown(tuple(given), left[0], tuple(path))


N_REMEMBERED = 4096
"""Number of cached problems: grading a draw needs its problem, and generating one takes milliseconds."""


@lru_cache(N_REMEMBERED)
def _chain_at(task: str, index: int, ops: int, split: Split) -> Chain:
    return chain(_problem_rng(task, index), ops, split)


@lru_cache(N_REMEMBERED)
def _countdown_at(task: str, index: int, numbers: int, split: Split) -> Countdown:
    return countdown(_problem_rng(task, index), numbers, split)


def _problem_rng(task: str, index: int) -> random.Random:
    """The random generator of one problem, independent of all others."""
    return random.Random(f"{task}/{index}")


@dataclass(frozen=True)
class ChainTask:
    """Multi-step arithmetic stated as facts in shuffled order, some of them distractors; `ops` is the difficulty.

    A stand-in for mathematics: there is no exact verifier at run time. Problem `i` of a seed is always the same.
    Problems are held out from all training, except with `split=train`, which is for training labels.
    """

    size = None
    domain = "arithmetic"
    date = None
    step_truth = True

    ops: int = 4
    seed: int = 0
    split: Split = "test"

    def __post_init__(self) -> None:
        if not 1 <= self.ops <= MAX_OPS:
            raise UsageError(f"ops must be between 1 and {MAX_OPS}, not {self.ops}")

    @property
    def name(self) -> str:
        return f"chain:ops={self.ops}" + ("" if self.split == "test" else f",split={self.split}")

    def _chain(self, index: int) -> Chain:
        return _chain_at(f"{self.name}/{self.seed}", index, self.ops, self.split)

    def problems(self) -> Iterator[Problem]:
        for i in itertools.count():
            yield Problem(f"{self.name}/{self.seed}/{i}", Prompt.user(self._chain(i).text), AnswerKind.NUMBER)

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        problem = Problem(problem_id, sample.prompt, AnswerKind.NUMBER)
        gold = self._chain(int(problem_id.rpartition("/")[2])).answer
        (answer,) = await answers_of(problem, [sample])
        return Grade(answer == str(gold))

    def check_steps(self, problem_id: str, steps: Sequence[str]) -> list[bool | None]:
        """Whether each step of a reply is true of the problem; `None` for a step without a claim.

        A derivation is true if the problem states its fact and both values are right; the first line is true if it
        is the path from the requested quantity to the given one; the answer is true if it is the right answer.
        """
        return [_is_true(step.strip(), self._chain(int(problem_id.rpartition("/")[2]))) for step in steps]


_FACT = re.compile(r"([a-z]):([a-z])([-+*])(\d+)")


def _values(facts: tuple[str, ...]) -> dict[str, int | None]:
    """The value of each stated quantity, distractors included."""
    values: dict[str, int | None] = {fact[0]: int(fact[2:]) for fact in facts if not _FACT.fullmatch(fact)}
    left = [match.groups() for fact in facts if (match := _FACT.fullmatch(fact))]
    while left:
        name, source, operator, operand = left.pop(0)
        if source not in values:
            left.append((name, source, operator, operand))
            continue
        value = values[source]
        values[name] = None if value is None else apply(operator, value, int(operand))
    return values


_DERIVED = re.compile(r"([a-z]):([a-z])([-+*])(\d+)=(\d+)\3\4=(\d+)")


def _is_true(step: str, problem: Chain) -> bool | None:
    if step in ("", "<think>", "</think>", "Wait"):
        return None
    values = _values(problem.facts)
    if step.startswith("answer:"):
        return step == f"answer: {problem.answer}"
    derived = _DERIVED.fullmatch(step)
    if derived:
        name, source, operator, operand, value, result = derived.groups()
        is_told = f"{name}:{source}{operator}{operand}" in problem.facts
        return is_told and values.get(source) == int(value) and values.get(name) == int(result)
    return step == ":".join(line.name for line in reversed(problem.lines)) + f":{problem.lines[0].value}"


@dataclass(frozen=True)
class CountdownTask:
    """Reach a target from given numbers with + - * / and brackets; `numbers` is the difficulty.

    A stand-in for code with tests: an exact checker verifies replies at run time. Problems are held out from all
    training, except with `split=train`.
    """

    size = None
    domain = "arithmetic"
    date = None
    step_truth = False

    numbers: int = 4
    seed: int = 0
    split: Split = "test"

    def __post_init__(self) -> None:
        if not 2 <= self.numbers <= MAX_NUMBERS:
            raise UsageError(f"numbers must be between 2 and {MAX_NUMBERS}, not {self.numbers}")

    @property
    def name(self) -> str:
        return f"countdown:numbers={self.numbers}" + ("" if self.split == "test" else f",split={self.split}")

    def _countdown(self, index: int) -> Countdown:
        return _countdown_at(f"{self.name}/{self.seed}", index, self.numbers, self.split)

    def problems(self) -> Iterator[Problem]:
        for i in itertools.count():
            puzzle = self._countdown(i)
            given = {"numbers": puzzle.numbers, "target": puzzle.target}
            yield Problem(f"{self.name}/{self.seed}/{i}", Prompt.user(puzzle.text), AnswerKind.EXPRESSION, given)

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        puzzle = self._countdown(int(problem_id.rpartition("/")[2]))
        problem = Problem(problem_id, sample.prompt, AnswerKind.EXPRESSION)
        (answer,) = await answers_of(problem, [sample])
        why = misses(answer, puzzle.numbers, puzzle.target)
        return Grade(not why, why)
