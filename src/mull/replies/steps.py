"""Steps of a reply: the unit that process reward models score and that searches extend."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from mull.errors import UnknownNameError, UsageError

Fold = Literal["last", "min", "prod", "mean"]


def split(reply: str, separator: str = "\n\n") -> list[str]:
    """The steps of a reply, each with the separators that end it; joined they are the reply again.

    Adjacent separators end one step, so that no step is blank. Blank lines before the first step belong to it.
    Raises `UsageError` for an empty separator.
    """
    if not separator:
        raise UsageError("steps need a separator that is not empty")
    ends = [match.end() for match in re.finditer(f"(?:{re.escape(separator)})+", reply)]
    begin = len(reply) - len(reply.lstrip())
    starts = [0, *(end for end in ends if begin < end < len(reply))]
    pieces = [reply[a:b] for a, b in zip(starts, [*starts[1:], len(reply)], strict=True)]
    steps: list[str] = []
    for piece in pieces:
        if steps and not piece.strip():
            steps[-1] += piece
        elif piece:
            steps.append(piece)
    return steps


def fold(values: Sequence[float], how: Fold = "last") -> float:
    """Combines the scores of a reply's steps, all in [0, 1], into one score.

    `last`: Snell et al. 2024; `min`: Math-Shepherd (Wang et al. 2024); `prod`: Lightman et al. 2023, the probability
    that every step is right; `mean`: their arithmetic mean. Raises `UsageError` for no steps or a value outside
    [0, 1], `UnknownNameError` for an unknown fold.
    """
    if how not in FOLDS:
        raise UnknownNameError("fold", how, get_args(Fold))
    if not values:
        raise UsageError("a reply without steps has no score to fold")
    if not all(0 <= value <= 1 for value in values):
        raise UsageError(f"step scores must be between 0 and 1, not {min(values)} to {max(values)}")
    return FOLDS[how](values)


def _product(values: Sequence[float]) -> float:
    # Logarithms keep the product of hundreds of steps from underflowing.
    return math.exp(math.fsum(map(math.log, values))) if min(values) > 0 else 0.0


FOLDS: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "min": min,
    "prod": _product,
    "mean": lambda values: math.fsum(values) / len(values),
}
