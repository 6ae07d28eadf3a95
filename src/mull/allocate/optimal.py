"""The optimal stopping rule on average, given a price per draw and a loss for an answer other than the full vote's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mull.allocate.prior import MOST_ANSWERS, Floats, Ints, Prior, simulate

N_SIMULATED = 1_500_000, 40_000
"""Maximum simulated draws, and problems: about a second for 64 draws per problem."""
LEAST_SEEN = 10
"""In states that fewer simulated problems reach, it continues: too little data to stop there."""


@dataclass(frozen=True)
class StopPolicy:
    """A stopping rule for a vote over at most n draws.

    A state is the votes of the leader, of the runner-up, all votes and all draws: `stops[draws]` are the states in
    which to stop, one per row. `draws` and `disagreement` are their expectations under the prior.
    """

    n: int
    stops: tuple[NDArray[np.int16], ...]
    draws: float
    disagreement: float

    def is_enough(self, first: int, second: int, votes: int, draws: int) -> bool:
        """Whether to stop in this state."""
        return bool((self.stops[draws] == (first, second, votes)).all(1).any())

    def next_stop(self, first: int, second: int, votes: int, draws: int) -> int:
        """The least number of draws after which the rule could stop, for any answers."""
        now = np.array((first, second, votes))
        for k in range(1, self.n - draws):
            there = self.stops[draws + k]
            if ((there >= now) & (there <= now + k)).all(1).any():
                return k
        return self.n - draws


@lru_cache
def policy(prior: Prior, n: int, price: float, seed: int = 0) -> StopPolicy:
    """The optimal stopping rule for problems from the prior, by backward induction over simulated votes.

    It minimises the mean of `price` times the draws, plus 1 if the answer differs from that of the vote over all n
    draws. At every state it compares the loss of stopping with the mean loss of continuing over the problems that reach
    it (Wald and Wolfowitz 1950; regression on states as in Longstaff and Schwartz 2001).
    """
    most, at_most = N_SIMULATED
    return induced(*_states(simulate(prior, n, max(1000, min(at_most, most // n)), seed)), price)


def induced(states: Ints, losses: Floats, price: float) -> StopPolicy:
    """The optimal stopping rule for votes in hand, by backward induction: `price` a draw plus the loss at the end.

    Both are [draws + 1, votes]: the state of each vote after so many draws, packed as by `packed`, and what stopping
    there loses.
    """
    n = len(losses) - 1
    value = losses[n]
    used = np.full(len(value), n)
    stops: list[NDArray[np.int16]] = [np.empty((0, 3), np.int16)] * (n + 1)
    for draws in range(n - 1, 0, -1):
        different, where = np.unique(states[draws], return_inverse=True)
        gain = np.bincount(where, value + price - losses[draws])
        is_stop = (gain >= 0) & (np.bincount(where) >= LEAST_SEEN)
        stopped = is_stop[where]
        value = np.where(stopped, losses[draws], value + price)
        used = np.where(stopped, draws, used)
        stops[draws] = _unpacked(different[is_stop], n)
    return StopPolicy(n, tuple(stops), float(used.mean()), float((value - price * (used - 1)).mean()))


def packed(first: Ints, second: Ints, votes: Ints, n: int) -> Ints:
    """A state of a vote over n draws as one number."""
    return (first * (n + 1) + second) * (n + 1) + votes


def _states(answers: NDArray[np.int16]) -> tuple[Ints, Floats]:
    """For each number of draws: each simulated problem's state as one number, and the loss of stopping there."""
    n_problems, n = answers.shape
    full = np.stack([(answers == a).sum(1) for a in range(MOST_ANSWERS)], axis=1)
    wins = (full == full.max(1, keepdims=True)) & (full > 0)
    counts = np.zeros((n_problems, MOST_ANSWERS), np.int16)
    votes = np.zeros(n_problems, np.int64)
    states, losses = np.zeros((n + 1, n_problems), np.int64), np.zeros((n + 1, n_problems))
    every = np.arange(n_problems)
    for draws in range(n + 1):
        if draws:
            answer = answers[:, draws - 1]
            known = answer >= 0
            counts[every[known], answer[known]] += 1
            votes += answer != -1
        top = np.partition(counts, (MOST_ANSWERS - 2, MOST_ANSWERS - 1), axis=1).astype(np.int64)
        states[draws] = packed(top[:, -1], top[:, -2], votes, n)
        leads = (counts == top[:, -1:]) & (counts > 0)
        agrees = (leads & wins).sum(1) / np.maximum(leads.sum(1), 1)
        losses[draws] = np.where(wins.any(1), 1 - agrees, 0.0)
    return states, losses


def _unpacked(states: Ints, n: int) -> NDArray[np.int16]:
    """The votes of the leader, of the runner-up and of all, one state per row."""
    rest, votes = np.divmod(states, n + 1)
    return np.stack([*np.divmod(rest, n + 1), votes], axis=1).astype(np.int16)
