"""What reinforcement learning optimises: the value of a set of `k` draws, and what each draw of a group adds to it.

The value of a set is 1 if any of its draws is right (`pass@k`, Walder and Karkhanis 2025, arXiv 2505.15201), if the
majority of its answers is right (`maj@k`), or if the draw with the best score is right (`best@k`, compare Chow et al.
2024, arXiv 2412.15287). Averaged over all sets of `k` draws from a group of `n`, the gain by a draw is an unbiased
weight for the gradient of its log-probability: the baseline, the value of the set without it, does not depend on it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mull.errors import UsageError

Wide = NDArray[np.float64]
Aim = Literal["pass", "maj", "best"]


@dataclass(frozen=True, slots=True)
class Objective:
    """The strategy that a model is trained for, and its number of draws."""

    aim: Aim = "pass"
    k: int = 1

    def __str__(self) -> str:
        return f"{self.aim}@{self.k}"


def objective_of(text: str, group: int) -> Objective:
    """Reads `pass@k`, `maj@k` or `best@k`. Raises `UsageError` for another text, or if `k` exceeds the group."""
    match = re.fullmatch(r"(pass|maj|best)@([1-9]\d{0,3})", text.strip())
    if match is None:
        raise UsageError(f"an objective is pass@k, maj@k or best@k, such as pass@4, not {text!r}")
    aim, k = match[1], int(match[2])
    if k > group:
        raise UsageError(f"{text} needs groups of at least {k} draws, and a group has {group}: raise --group")
    if aim == "maj" and k == 2:
        raise UsageError("a majority of 2 draws is a single draw with ties: use maj@3 or more, or pass@1")
    return Objective("pass" if k == 1 else aim, k)  # type: ignore[arg-type]


def gains(
    objective: Objective,
    rewards: Sequence[float],
    answers: Sequence[Hashable | None] = (),
    scores: Sequence[float] = (),
) -> Wide:
    """What each draw of a group adds to the value of a set of `k` draws, times the group size `n`: [n].

    The mean over all sets of `k` draws that contain the draw of the set's value minus its value without the draw,
    times `k`; for `k = 1` that is the reward itself. `rewards` are 1 for a right draw and 0 for a wrong one; `pass@k`
    takes any numbers and values a set by its largest. `answers` has each draw's answer, `None` for one without
    (`maj@k`); ties of a vote are shared. `scores` are a verifier's (`best@k`); among equals the earlier draw is taken.
    """
    values = np.asarray(rewards, dtype=np.float64)
    if objective.k == 1:
        return values
    if objective.aim == "maj":
        return _majority(values, answers, objective.k)
    return _best(values, np.asarray(scores if objective.aim == "best" else values), objective.k)


def _best(rewards: Wide, scores: Wide, k: int) -> Wide:
    """Gains where a set is worth the reward of its draw with the highest score."""
    n = len(rewards)
    order = np.lexsort((-np.arange(n), scores))  # ascending; of equal scores the later draw is lower
    ranked = rewards[order]
    below = np.arange(n)
    # Sets with draw i: those in which it is the best, and those in which a draw above it is.
    is_best = _choose(below, k - 1) * ranked
    is_other = _choose(below - 1, k - 2) * ranked
    with_it = is_best + is_other.sum() - is_other.cumsum()
    # Sets of the k - 1 others: draws above i have one draw less below them.
    above = _choose(below - 1, k - 2) * ranked
    lower = _choose(below, k - 2) * ranked
    without = above.sum() - above.cumsum() + lower.cumsum() - lower
    found = np.empty(n)
    found[order] = (with_it - without) * n / math.comb(n, k)
    return found


def _choose(n: NDArray[np.int_], k: int) -> Wide:
    return np.array([math.comb(one, k) if one >= 0 else 0 for one in n.tolist()], dtype=np.float64)


AnswerCount = tuple[int, int]
"""An answer: how many draws that gave it can be drawn, and how many votes it has before."""


def _majority(rewards: Wide, answers: Sequence[Hashable | None], k: int) -> Wide:
    """Gains where a set is worth 1 if its most frequent answer is right; right draws agree with each other."""
    n = len(rewards)
    counts = Counter(answer for answer, reward in zip(answers, rewards, strict=True) if reward <= 0)
    n_silent = counts.pop(None, 0)
    n_right = n - n_silent - counts.total()

    def gain(kind: Hashable | None, *, is_right: bool) -> float:
        if kind is None and not is_right:
            return 0.0
        others = [(c, 0) for one, c in counts.items() if is_right or one != kind]
        won = []
        for votes in (1, 0):
            right = (n_right - 1, votes) if is_right else (n_right, 0)
            wrong = others if is_right else [*others, (counts[kind] - 1, votes)]
            won.append(_won(right, tuple(sorted(wrong)), n_silent, k - 1))
        return (won[0] - won[1]) * n / math.comb(n, k)

    known = {kind: gain(kind, is_right=False) for kind in counts}
    of_right = gain(None, is_right=True) if n_right else 0.0
    return np.array(
        [of_right if reward > 0 else known.get(answer, 0.0) for answer, reward in zip(answers, rewards, strict=True)]
    )


@lru_cache(4096)
def _won(right: AnswerCount, wrong: tuple[AnswerCount, ...], n_silent: int, size: int) -> float:
    """The number of sets of `size` draws whose vote the right answer wins; a tie of `t` answers counts `1 / t`."""
    total = 0.0
    for drawn in range(min(size, right[0]) + 1):
        votes, rest = drawn + right[1], size - drawn
        if votes == 0:
            continue
        # ways[s, t]: to draw s of the wrong answers so that t of them tie with the right one and none has more votes
        ways = np.zeros((rest + 1, len(wrong) + 1))
        ways[0, 0] = 1.0
        for available, before in wrong:
            longer = np.zeros_like(ways)
            for j in range(min(available, rest, votes - before) + 1):
                more = math.comb(available, j) * ways[: rest + 1 - j]
                if j + before == votes:
                    longer[j:, 1:] += more[:, :-1]
                else:
                    longer[j:] += more
            ways = longer
        silent = np.array([math.comb(n_silent, rest - s) for s in range(rest + 1)], dtype=np.float64)
        shares = 1.0 / np.arange(1, len(wrong) + 2)
        total += math.comb(right[0], drawn) * float(silent @ ways @ shares)
    return total
