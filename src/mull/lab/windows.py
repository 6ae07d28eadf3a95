"""Votes of the first k draws in many orders, by running counts: the exact mean over all subsets is infeasible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_ORDERS = 400
"""The approximate number of orders of a problem's draws."""
CLOSE = 1e-9
"""Tallies this near, as a share of all weights, may be equal: running sums have fewer exact digits than sums."""
WIDTH, SIZE = 2048, 1 << 22
"""Columns, and numbers in all, of the running counts of the problems that are counted at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """The draws of a problem as votes: each one's class [n], and how correct each class is [classes].

    The class after the last does not vote. `weight` has the weight of each draw; `None`: all weigh the same.
    """

    ids: Ints
    right: Floats
    weight: Floats | None = None

    def margin(self) -> float:
        """Tallies by running sums are equal if they differ by less; whole numbers have exact sums."""
        if self.weight is None or (np.all(self.weight == np.rint(self.weight)) and self.weight.sum() < 2**50):
            return 0.0
        return CLOSE * float(self.weight.sum())


@lru_cache(maxsize=4)
def shuffles(n: int, seed: int) -> Ints:
    """Shuffles of n draws, [shuffles, n]; their rotations are the orders: draws come first about equally often."""
    rng = np.random.default_rng(seed)
    made = np.array([rng.permutation(n) for _ in range(-(-N_ORDERS // min(n, N_ORDERS)))])
    made.flags.writeable = False
    return made


class Windows:
    """The first k of n draws in every order: k draws that follow each other on the circle that a shuffle makes."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.shuffles = shuffles(n, seed)
        self.shifts = np.arange(n) if n <= N_ORDERS else np.arange(N_ORDERS) * n // N_ORDERS
        self.row = np.concatenate([self.shuffles, self.shuffles], axis=1).ravel()
        """Each shuffle twice, one after another: an order of k draws is k that are beside each other."""
        self.starts = np.add.outer(np.arange(len(self.shuffles)) * 2 * n, self.shifts).ravel()

    def votes(self, polls: Sequence[Poll], ks: Sequence[int]) -> Floats:
        """How correct the winners of votes of k are, mean over orders, [polls, ks]; ties count in equal parts.

        `ks` must be ascending. All polls have weights, or none has.
        """
        made = np.zeros((len(polls), len(ks)))
        for some in self._batches(polls):
            made[some] = self._running([polls[i] for i in some], ks)
        for i, poll in enumerate(polls):
            if poll.weight is not None and poll.weight.min() < 0:  # an answer without votes has not the least weight
                every = np.arange(len(self.starts))
                made[i] = [self._counted(every, poll, ks[: j + 1]).mean() for j in range(len(ks))]
        return made

    def _batches(self, polls: Sequence[Poll]) -> Iterator[list[int]]:
        """Places of polls that are counted at once, of about equal numbers of classes."""
        n_columns, batch = min(WIDTH, SIZE // len(self.row)), list[int]()
        usual = [
            i for i, poll in enumerate(polls) if len(poll.right) and (poll.weight is None or poll.weight.min() >= 0)
        ]
        for i in sorted(usual, key=lambda i: len(polls[i].right)):
            if batch and len(polls[i].right) * (len(batch) + 1) > n_columns:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _running(self, polls: Sequence[Poll], ks: Sequence[int]) -> Floats:
        n, n_classes, n_polls = self.n, max(len(poll.right) for poll in polls), len(polls)
        # Whole counts may overflow: only their differences, which are at most n, are used.
        whole = np.uint8 if n < 2**8 else np.uint16 if n < 2**16 else np.int64
        kind = whole if polls[0].weight is None else np.float64
        sums: NDArray[Any] = np.zeros((len(self.row) + 1, n_classes, n_polls), dtype=kind)
        right = np.zeros((n_classes, n_polls))
        for p, poll in enumerate(polls):
            right[: len(poll.right), p] = poll.right
            ids = poll.ids[self.row]
            places = np.flatnonzero(ids < len(poll.right))
            sums[places + 1, ids[places], p] = 1 if poll.weight is None else poll.weight[self.row[places]]
        for i in range(1, len(sums)):  # faster than `cumsum`, which goes along columns
            np.add(sums[i], sums[i - 1], out=sums[i])
        rows = sums[:-1].reshape(-1, 2 * n, n_classes, n_polls)
        found = np.empty((n_polls, len(ks)))
        for j, k in enumerate(ks):
            if k == n:  # the same draws in every order
                tally = sums[n : n + 1] - sums[:1]
            elif len(self.shifts) == n:  # slices are faster than places
                tally = (rows[:, k : k + n] - rows[:, :n]).reshape(-1, n_classes, n_polls)
            else:
                tally = sums[self.starts + k] - sums[self.starts]
            found[:, j] = self._led(polls, ks[: j + 1], tally, right)
        return found

    def _led(self, polls: Sequence[Poll], ks: Sequence[int], tally: NDArray[Any], right: Floats) -> Floats:
        """How correct the leaders of the tallies [orders, classes, polls] are, mean over orders."""
        is_weighted, margin = polls[0].weight is not None, np.array([poll.margin() for poll in polls])
        top = tally.max(axis=1)
        leads = tally >= (top - margin)[:, None] if is_weighted else tally == top[:, None]
        n_leads = np.add.reduce(leads.view(np.int8), axis=1, dtype=np.int32)
        is_won = (n_leads == 1) & (top > margin)
        n_won = np.add.reduce((leads & is_won[:, None]).view(np.int8), axis=0, dtype=np.int32)
        total = (n_won * right).sum(axis=0)
        for p in np.flatnonzero(~is_won.all(axis=0)).tolist():
            orders = np.flatnonzero(~is_won[:, p])
            if is_weighted and (margin[p] or np.any(top[orders, p] == 0)):
                if len(tally) == 1:
                    total[p] = self._counted(np.arange(len(self.starts)), polls[p], ks).mean()
                else:
                    total[p] += self._counted(orders, polls[p], ks).sum()
            else:  # nobody votes where the most votes are none
                shares = leads[orders, :, p] @ right[:, p] / n_leads[orders, p]
                total[p] += shares[top[orders, p] > 0].sum()
        led: Floats = total / len(tally)
        return led

    def _counted(self, orders: Ints, poll: Poll, ks: Sequence[int]) -> Floats:
        """How correct the winner of the last of the ks is in these orders, each weight added in its turn."""
        assert poll.weight is not None
        order = self.row[np.add.outer(self.starts[orders], np.arange(ks[-1]))]
        n_all = len(poll.right) + 1
        shape, size = (len(orders), n_all), len(orders) * n_all
        cells = poll.ids[order] + n_all * np.arange(len(orders))[:, None]
        tally, done = np.zeros(size), 0
        for k in ks:
            tally += np.bincount(
                cells[:, done:k].ravel(), weights=poll.weight[order[:, done:k]].ravel(), minlength=size
            )
            done = k
        has_votes = np.bincount(cells.ravel(), minlength=size).reshape(shape)[:, :-1] > 0
        weights = np.where(has_votes, tally.reshape(shape)[:, :-1], -np.inf)
        leads = (weights == weights.max(axis=1, keepdims=True)) & has_votes
        shares: Floats = (leads @ poll.right) / np.maximum(leads.sum(axis=1), 1)
        return shares
