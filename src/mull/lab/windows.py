"""Votes of the first k draws in many orders, by running counts: the exact mean over all subsets is infeasible."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tallies = Callable[[Ints, int], NDArray[Any]]
"""From the places where orders begin and k: the votes of the k draws for each class, [classes, polls, orders]."""

N_ORDERS = 400
"""The approximate number of orders of a problem's draws."""
CLOSE = 1e-9
"""Tallies this near, as a share of all weights, may be equal: running sums have fewer exact digits than sums."""
FEW_TIES = 0.1
"""The share of tied orders below which these are picked out."""
WIDTH, SIZE = 2048, 1 << 22
"""Columns, and numbers in all, of the running counts of the problems that are counted at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """The draws of a problem as votes: each one's class [n], ascending, and how correct each class is [classes].

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
    """The votes for each class in each order, [classes, polls, orders], and the most and second most of a class.

    They are whole units above the number of the class, of so many bits: the largest of them tells both.
    """

    of_classes: NDArray[Any]
    best: NDArray[Any]
    second: NDArray[Any]
    bits: int

    @classmethod
    def of(cls, votes: NDArray[Any], bits: int) -> _Tally:
        """Tallies from the votes above `bits` bits of 0, into which the classes are written."""
        best, second, lower = (np.full_like(votes[0], -1) for _ in range(3))
        for c, one in enumerate(votes):
            one += one.dtype.type(c)
            np.minimum(best, one, out=lower)
            np.maximum(second, lower, out=second)
            np.maximum(best, one, out=best)
        return cls(votes, best, second, bits)


def _tied(tally: _Tally, top: NDArray[Any], right: Floats) -> Floats:
    """The sums over tied orders of how correct the classes with the most votes are, [polls]; `top` is -1 elsewhere."""
    is_tied = top >= 0
    shares = np.zeros(top.shape)
    if is_tied.mean() < FEW_TIES:
        polls, orders = np.nonzero(is_tied)
        lead = tally.of_classes[:, polls, orders] >> tally.bits == top[polls, orders]
        shares[polls, orders] = (lead * right[:, polls]).sum(axis=0) / lead.sum(axis=0)
    else:
        n_leads = np.zeros(top.shape, dtype=np.int32)
        for one, how in zip(tally.of_classes, right, strict=True):
            lead = one >> tally.bits == top
            n_leads += lead
            shares += lead * how[:, None]
        shares /= np.maximum(n_leads, 1)
    # Each poll by itself, so that what it comes to does not depend on the others.
    return np.array([each[ties].sum() for each, ties in zip(shares, is_tied, strict=True)])


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
        self._kept: tuple[int, NDArray[Any]] | None = None
        self._last: NDArray[Any] | None = None

    def votes(self, polls: Sequence[Poll], ks: Sequence[int]) -> Floats:
        """How correct the winners of votes of k are, mean over orders, [polls, ks]; ties count in equal parts.

        `ks` must be ascending. All polls have weights, or none has.
        """
        made = np.zeros((len(polls), len(ks)))
        # What all problems share is large: it is made for one k after another, and weights are summed for all k.
        parts = [slice(j, j + 1) for j in range(len(ks))] if polls[0].weight is None else [slice(None)]
        for part in parts:
            for some in self._batches(polls):
                made[some, part] = self._running([polls[i] for i in some], ks[part])
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
        n_classes = max(len(poll.right) for poll in polls)
        bits, right = n_classes.bit_length(), np.zeros((n_classes, len(polls)))
        for p, poll in enumerate(polls):
            right[: len(poll.right), p] = poll.right
        scales = [poll.scale(60 - bits) for poll in polls]
        votes = self._counts(polls, bits) if polls[0].weight is None else self._sums(polls, bits, scales)
        found = np.empty((len(polls), len(ks)))
        for j, k in enumerate(ks):
            starts = self.starts[:1] if k == self.n else self.starts  # all n are the same draws in every order
            slack = np.array([[scale.slack(k)] for scale in scales])
            found[:, j] = self._led(polls, ks[: j + 1], _Tally.of(votes(starts, k), bits), right, slack)
        return found

    def _counts(self, polls: Sequence[Poll], bits: int) -> Tallies:
        """The numbers of votes: the draws of a class are beside each other, so they are a difference of two counts."""
        ends = np.array([np.searchsorted(poll.ids, np.arange(2**bits - 1), side="right") for poll in polls])
        bounds = np.concatenate([np.zeros((len(polls), 1), dtype=np.int64), ends], axis=1)
        n_classes = max(len(poll.right) for poll in polls)
        kind = np.int16 if self.n << bits < 2**15 else np.int32 if self.n << bits < 2**31 else np.int64
        for p, poll in enumerate(polls):
            bounds[p, len(poll.right) + 1 :] = bounds[p, len(poll.right)]

        def counted(starts: Ints, k: int) -> NDArray[Any]:
            among = self._among(k, len(starts))
            found = self._room((n_classes, len(polls), len(starts)), kind)
            before, after = (np.empty(found.shape[1:], dtype=among.dtype) for _ in range(2))
            among.take(bounds[:, 0], axis=0, out=before, mode="clip")
            for c, one in enumerate(found):
                among.take(bounds[:, c + 1], axis=0, out=after, mode="clip")
                np.subtract(after, before, out=one)
                one <<= bits
                before, after = after, before
            return found

        return counted

    def _room(self, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        """An array for tallies, the last one if it is like it: to get memory anew takes longer than to fill it."""
        if self._last is None or (self._last.shape, self._last.dtype) != (shape, kind):
            self._last = np.empty(shape, dtype=kind)
        return self._last

    def _among(self, k: int, n_orders: int) -> NDArray[Any]:
        """How many of the draws before each place are among the first k of each order, [n + 1, orders]."""
        if self._kept is None or self._kept[0] != k:
            found = np.zeros((self.n + 1, n_orders), dtype=np.int16 if self.n < 2**15 else np.int32)
            order = self.row[np.add.outer(self.starts[:n_orders], np.arange(k))]
            found[order + 1, np.arange(n_orders)[:, None]] = 1
            for i in range(1, len(found)):  # faster than `cumsum`, which goes along columns
                np.add(found[i], found[i - 1], out=found[i])
            self._kept = k, found
        return self._kept[1]

    def _sums(self, polls: Sequence[Poll], bits: int, scales: Sequence[Scale]) -> Tallies:
        """The sums of weights: k draws are beside each other, so they are a difference of two running sums."""
        n_classes = max(len(poll.right) for poll in polls)
        sums = np.zeros((n_classes, len(polls), len(self.row) + 1), dtype=np.int64)
        for p, (poll, scale) in enumerate(zip(polls, scales, strict=True)):
            assert poll.weight is not None
            ids = poll.ids[self.row]
            places = np.flatnonzero(ids < len(poll.right))
            votes = np.rint(poll.weight * scale.unit).astype(np.int64) << bits
            sums[ids[places], p, places + 1] = votes[self.row[places]]
        # The sums of all orders may overflow: only their differences are used.
        np.cumsum(sums, axis=2, out=sums)

        first = sums.take(self.starts, axis=2)

        def summed(starts: Ints, k: int) -> NDArray[Any]:
            found = self._room((n_classes, len(polls), len(starts)), sums.dtype)
            sums.take(starts + k, axis=2, out=found, mode="clip")
            found -= first[:, :, : len(starts)]
            return found

        return summed

    def _led(
        self, polls: Sequence[Poll], ks: Sequence[int], tally: _Tally, right: Floats, slack: NDArray[Any]
    ) -> Floats:
        """How correct the leaders of the tallies are, mean over orders, [polls]; they are sure by more than `slack`."""
        bits, (n_polls, n_orders) = tally.bits, tally.best.shape
        top = tally.best >> bits
        is_won = (top - (tally.second >> bits) > slack) & (top > slack)
        winners = (tally.best & (2**bits - 1)) + (2**bits * np.arange(n_polls))[:, None]
        n_won = np.bincount(winners[is_won], minlength=n_polls << bits).reshape(n_polls, -1)[:, : len(right)]
        total = (n_won.T * right).sum(axis=0)
        is_tied = ~is_won & (slack == 0) & (top > 0)
        if is_tied.any():  # nobody votes where the most votes are none
            total += _tied(tally, np.where(is_tied, top, -1), right)
        if polls[0].weight is not None:
            is_unsure = ~is_won & ~is_tied
            for p in np.flatnonzero(is_unsure.any(axis=1)).tolist():
                if n_orders == 1:
                    total[p] = self._counted(np.arange(len(self.starts)), polls[p], ks).mean()
                else:
                    total[p] += self._counted(np.flatnonzero(is_unsure[p]), polls[p], ks).sum()
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
