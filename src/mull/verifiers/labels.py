"""Probabilities of a few label words as a model's next output, from its likeliest tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNDECIDED = 0.01
"""Maximum error of a probability due to tokens not listed; beyond it there is no answer."""
_EDGES = " \t\r\n*_`'\"()[].,:;!#▁Ġ"


def plain(token: str) -> str:
    """A token without spaces, markup and capitals."""
    return token.strip(_EDGES).casefold()


def log_masses(tokens: Sequence[tuple[str, float]], words: Sequence[Sequence[str]]) -> list[float] | None:
    """The log-probability of each group of words, from the likeliest tokens and their log-probabilities.

    An unlisted word is at most as likely as the last listed token; if that leaves a group's share uncertain by more
    than `UNDECIDED`, or no word of any group is listed, there is no answer.
    """
    masses = [math.fsum(math.exp(p) for token, p in tokens if _is_one_of(token, group)) for group in words]
    if not any(masses):
        return None
    rest = math.exp(min(p for _, p in tokens))
    known = math.fsum(masses)
    missing = sum(mass == 0 for mass in masses)
    if missing and missing * rest / (known + missing * rest) > UNDECIDED:
        return None
    return [math.log(mass) if mass else math.log(rest) if rest else -745.0 for mass in masses]


def _is_one_of(token: str, words: Sequence[str]) -> bool:
    # A word of symbols only, such as + and -, has nothing else to compare.
    return any(token.strip() == word or (plain(word) and plain(token) == plain(word)) for word in words)
