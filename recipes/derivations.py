"""The training text of `nano-base`: derivations as they are found, right and wrong, of which few end with an answer.

It is what a base model has seen before it learns to answer: a reply thinks between `<think>` and `</think>`, a
derivation a line, in the format of `corpus.py`. But slips are learnt as well, at a rate drawn for each reply; some are
noticed, with `Wait` and the line again, and some right lines are derived again. A reply ends with its result, with
another number, or with none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from corpus import Example, Piece, _begun, _left, _slipped, mixed
from mull.tasks.synthetic import Move, after, apply, chain, countdown, expression, moves

HIGHEST_SLIPPED = 0.25
"""The share of wrong lines at the highest rate of slips."""
NOTICED = 0.25
AGAIN = 0.03
"""The share of slips that are mended, and of right lines that are derived twice."""
ANSWERED, GUESSED = 0.4, 0.3
"""The share of replies that end with their result, and with another number; the others end without an answer."""
SEARCHED = 0.5
"""The share of countdowns whose numbers are joined in the way that hits the target; the others are joined anyhow."""


def _ending(rng: random.Random, result: str, other: str) -> str:
    fate = rng.random()
    if fate < ANSWERED:
        return f"</think>\nanswer: {result}"
    return f"</think>\nanswer: {other}" if fate < ANSWERED + GUESSED else "</think>"


def chain_example(rng: random.Random, ops: int) -> Example:
    problem = chain(rng, ops, "train")
    rate, value = rng.uniform(0, HIGHEST_SLIPPED), problem.lines[0].value
    trail = ":".join(line.name for line in reversed(problem.lines))
    text = [f"<think>\n{trail}:{value}\n"]
    for i, line in enumerate(problem.lines[1:], 1):
        right = apply(line.operator, value, line.operand)
        if right is None:  # a slip has led out of the numbers
            break
        told = _slipped(rng, right) if rng.random() < rate else right
        begun = _begun(problem, i, value)
        text.append(f"{begun}{told}\n")
        if rng.random() < (AGAIN if told == right else NOTICED):
            text.append(f"Wait\n{begun}{right}\n")
            told = right
        value = told
    text.append(_ending(rng, str(value), str(rng.randint(1, 999))))
    return Example(problem.text, (Piece("".join(text)),))


def countdown_example(rng: random.Random, numbers: int) -> Example:
    problem = countdown(rng, numbers, "train")
    is_searched = rng.random() < SEARCHED
    left, joined, text = list(problem.numbers), list[Move](), ["<think>\n"]
    while len(left) > 1:
        move = problem.moves[len(joined)] if is_searched else rng.choice(moves(left))
        left = after(left, move)
        joined.append(move)
        text.append(f"{move.a}{move.operator}{move.b}={move.value}{_left(left) if len(left) > 1 else ''}\n")
    given = list(problem.numbers)
    rng.shuffle(given)
    text.append(_ending(rng, expression(tuple(joined)), "+".join(map(str, given))))
    return Example(problem.text, (Piece("".join(text)),))


def examples(seed: int) -> Iterator[Example]:
    """The endless training text of a seed."""
    return mixed(seed, chain_example, countdown_example)
