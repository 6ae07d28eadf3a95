"""The training text of the built-in models: worked replies to chain and countdown problems.

A reply thinks between `<think>` and `</think>`, one derivation a line, and ends with `answer: ...`. A share of
the replies make a slip or a dead end, notice it, write `Wait` and derive it again, so that the models can be
made to think longer. What is wrong on purpose carries no loss: the models learn to notice and to mend slips,
not to make them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mull.tasks.synthetic import Chain, Countdown, after, apply, chain, countdown, expression, moves

CHAIN_OPS = range(1, 9)
CHAIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 2)
COUNTDOWN_NUMBERS = range(3, 6)
CHAIN_SHARE = 0.6
SLIP_SHARE = 0.2
RECHECK_SHARE = 0.1
DEAD_ENDS = (0, 1, 2, 3)
DEAD_END_WEIGHTS = (0.6, 0.2, 0.15, 0.05)


class Piece(NamedTuple):
    """A part of a reply, and whether the model is to learn it."""

    text: str
    learn: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    prompt: str
    reply: tuple[Piece, ...]


MakeExample = Callable[[random.Random, int], Example]


def _slipped(rng: random.Random, value: int) -> int:
    """A wrong value that looks like a slip: one off, ten off, or one digit wrong."""
    while True:
        digits = list(str(value))
        kind = rng.random()
        if kind < 0.3:
            wrong = value + rng.choice((-1, 1))
        elif kind < 0.6:
            wrong = value + rng.choice((-10, 10))
        else:
            digits[rng.randrange(len(digits))] = rng.choice("0123456789")
            wrong = int("".join(digits))
        if 0 < wrong <= 999 and wrong != value:
            return wrong


def _derivation(problem: Chain, start: int, values: list[int]) -> list[Piece]:
    """The lines from `start` on (1 is the first operation) for which `values` holds a result."""
    return [Piece(f"{_begun(problem, i, values[i - 1])}{values[i]}\n") for i in range(start, len(values))]


def _begun(problem: Chain, i: int, source: int) -> str:
    """A line up to its result: the fact, and the same with the known value put in."""
    line = problem.lines[i]
    return f"{line.fact}={source}{line.operator}{line.operand}="


def chain_example(rng: random.Random, ops: int) -> Example:
    problem = chain(rng, ops, "train")
    right = [line.value for line in problem.lines]
    trail = ":".join(line.name for line in reversed(problem.lines))
    pieces = [Piece(f"<think>\n{trail}:{right[0]}\n")]
    fate = rng.random()
    if fate < SLIP_SHARE:
        at = rng.randint(1, ops)
        values = [*right[:at], _slipped(rng, right[at])]
        pieces += _derivation(problem, 1, values[:-1])
        pieces.append(Piece(_begun(problem, at, right[at - 1])))
        pieces += [Piece(str(values[at]), learn=False), Piece("\n")]
        further = rng.choice((0, 0, 1, 2, ops))
        for step in problem.lines[at + 1 : at + 1 + further]:
            value = apply(step.operator, values[-1], step.operand)
            if value is None:
                break
            values.append(value)
        pieces += _derivation(problem, at + 1, values)
        pieces.append(Piece("Wait\n"))
        pieces += _derivation(problem, at, right)
    else:
        pieces += _derivation(problem, 1, right)
        if fate < SLIP_SHARE + RECHECK_SHARE:
            pieces.append(Piece("Wait\n"))
            pieces += _derivation(problem, rng.randint(1, ops), right)
    pieces.append(Piece(f"</think>\nanswer: {problem.answer}"))
    return Example(problem.text, tuple(pieces))


def _left(numbers: list[int]) -> str:
    return " left " + " ".join(map(str, numbers))


def _dead_end(rng: random.Random, problem: Countdown) -> list[Piece] | None:
    """An attempt that joins all numbers and misses the target, or `None` where it hit it."""
    left = list(problem.numbers)
    pieces = []
    while len(left) > 1:
        possible = moves(left)
        if any(move.value == problem.target for move in possible):
            return None
        move = rng.choice(possible)
        left = after(left, move)
        pieces.append(Piece(f"{move.a}{move.operator}{move.b}", learn=False))
        pieces.append(Piece(f"={move.value}{_left(left) if len(left) > 1 else ''}\n"))
    return pieces


def countdown_example(rng: random.Random, numbers: int) -> Example:
    problem = countdown(rng, numbers, "train")
    pieces = [Piece("<think>\n")]
    for _ in range(rng.choices(DEAD_ENDS, DEAD_END_WEIGHTS)[0]):
        dead = _dead_end(rng, problem)
        if dead is not None:
            pieces += [*dead, Piece("Wait\n")]
    left = list(problem.numbers)
    for move in problem.moves:
        left = after(left, move)
        pieces.append(Piece(f"{move.a}{move.operator}{move.b}={move.value}{_left(left) if len(left) > 1 else ''}\n"))
    pieces.append(Piece(f"</think>\nanswer: {expression(problem.moves)}"))
    return Example(problem.text, tuple(pieces))


def examples(seed: int) -> Iterator[Example]:
    """The endless training text of a seed."""
    return mixed(seed, chain_example, countdown_example)


def mixed(seed: int, of_chain: MakeExample, of_countdown: MakeExample) -> Iterator[Example]:
    """Endless examples of chains and countdowns of all sizes; each is made from the generator and its size."""
    rng = random.Random(seed)
    while True:
        if rng.random() < CHAIN_SHARE:
            yield of_chain(rng, rng.choices(CHAIN_OPS, CHAIN_WEIGHTS)[0])
        else:
            yield of_countdown(rng, rng.choice(COUNTDOWN_NUMBERS))
