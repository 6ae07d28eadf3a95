"""Votes of the first k draws in many orders, by running counts: the exact mean over all subsets is infeasible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

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

    def scale(self, bits: int) -> Scale:
        """How weights are written in whole units, of which all together have at most so many bits."""
        if self.weight is None or (not self.margin() and self.weight.sum() < 2**bits):
            return Scale(1.0, 0.0)
        return Scale(2.0 ** (bits - math.frexp(float(self.weight.sum()))[1]), self.margin())


class Scale(NamedTuple):
    """Whole units for the weights of a poll."""

    unit: float
    margin: float

    def slack(self, k: int) -> float:
        """Tallies of k draws that differ by more units differ: each weight was rounded by half a unit at most."""
        return 0.0 if self.unit == 1 and not self.margin else self.margin * self.unit + k + 1


class _Tally(NamedTuple):
    """The votes for each class in each order, [classes, orders, polls], and the most and second most of a class."""

    of_classes: NDArray[Any]
    best: NDArray[Any]
    second: NDArray[Any]

    @classmethod
    def between(cls, first: NDArray[Any], sums: NDArray[Any], ends: Ints) -> _Tally:
        """The votes from where the sums are `first` to these ends."""
        found = np.empty_like(first)
        best, second, lower = (np.full(first.shape[1:], -1, dtype=first.dtype) for _ in range(3))
        for one, start, running in zip(found, first, sums, strict=True):
            np.take(running, ends, axis=0, out=one, mode="clip")
            one -= start
            np.minimum(best, one, out=lower)
            np.maximum(second, lower, out=second)
            np.maximum(best, one, out=best)
        return cls(found, best, second)


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
        """Votes of polls that all have weights of at least 0, or none, [polls, ks]."""
        n_classes, n_polls = max(len(poll.right) for poll in polls), len(polls)
        bits = n_classes.bit_length()
        scales = [poll.scale(60 - bits) for poll in polls]
        kind = np.int32 if polls[0].weight is None and self.n << bits < 2**31 else np.int64
        # Tallies are whole units above the number of their class: the largest tells both. Sums of all orders may
        # overflow: only their differences are used.
        sums: NDArray[Any] = np.zeros((n_classes, len(self.row) + 1, n_polls), dtype=kind)
        right = np.zeros((n_classes, n_polls))
        for p, (poll, scale) in enumerate(zip(polls, scales, strict=True)):
            right[: len(poll.right), p] = poll.right
            ids = poll.ids[self.row]
            places = np.flatnonzero(ids < len(poll.right))
            vote: Any = 1 if poll.weight is None else np.rint(poll.weight * scale.unit).astype(kind)[self.row[places]]
            sums[ids[places], places + 1, p] = vote << bits
        for i in range(1, sums.shape[1]):  # faster than `cumsum`, which goes along columns
            np.add(sums[:, i], sums[:, i - 1], out=sums[:, i])
        first = np.take(sums, self.starts, axis=1) - np.arange(n_classes, dtype=kind)[:, None, None]
        found = np.empty((n_polls, len(ks)))
        for j, k in enumerate(ks):
            starts = self.starts[:1] if k == self.n else self.starts  # all n are the same draws in every order
            tally = _Tally.between(first[:, : len(starts)], sums, starts + k)
            slack = np.array([scale.slack(k) for scale in scales])
            found[:, j] = self._led(polls, ks[: j + 1], tally, bits, right, slack)
        return found

    def _led(
        self, polls: Sequence[Poll], ks: Sequence[int], tally: _Tally, bits: int, right: Floats, slack: Ints
    ) -> Floats:
        """How correct the leaders of the tallies are, mean over orders, [polls]; they are sure by more than `slack`."""
        top, n_orders = tally.best >> bits, len(tally.best)
        is_won = (top - (tally.second >> bits) > slack) & (top > slack)
        shares = np.take_along_axis(right, (tally.best & (2**bits - 1)).astype(np.intp), axis=0)
        total = np.where(is_won, shares, 0.0).sum(axis=0)
        is_tied = ~is_won & (slack == 0) & (top > 0)
        orders, tied = np.nonzero(is_tied)
        leads = tally.of_classes[:, orders, tied] >> bits == top[orders, tied]
        shared = (leads * right[:, tied]).sum(axis=0) / leads.sum(axis=0)
        total += np.bincount(tied, weights=shared, minlength=len(polls))
        if polls[0].weight is not None:  # nobody votes where the most votes are none
            is_unsure = ~is_won & ~is_tied
            for p in np.flatnonzero(is_unsure.any(axis=0)).tolist():
                if n_orders == 1:
                    total[p] = self._counted(np.arange(len(self.starts)), polls[p], ks).mean()
                else:
                    total[p] += self._counted(np.flatnonzero(is_unsure[:, p]), polls[p], ks).sum()
        led: Floats = total / n_orders
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
