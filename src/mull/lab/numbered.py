"""The graded draws of a problem as numbers, from which votes, choices by score and their faults are counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mull.files.recording import Recording
from mull.lab.windows import Floats, Ints, Poll


class NumberedDraws:
    """The answers of n draws as classes, whether each draw is correct, and its score.

    `answers` and `scores` may be empty: they are unknown. Each is made a number when it is first needed.
    """

    def __init__(
        self,
        answers: Sequence[str | None],
        correct: Sequence[bool],
        scores: Sequence[float | None] = (),
    ) -> None:
        self.n = len(correct)
        self._answers, self._correct, self._scores = answers, correct, scores

    @classmethod
    def of(cls, one: Recording) -> NumberedDraws:
        """The draws of a recording."""
        return cls(one.answers, one.correct, one.scores)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether each draw is correct, [n]."""
        return np.array(self._correct, dtype=np.bool_)

    @cached_property
    def names(self) -> list[str]:
        """The different answers."""
        return [answer for answer in dict.fromkeys(self._answers) if answer is not None]

    @cached_property
    def ids(self) -> Ints:
        """The place of each draw's answer among the names, [n]; their number for a draw without an answer."""
        places: dict[str | None, int] = {name: i for i, name in enumerate(self.names)}
        places[None] = len(places)
        answers = self._answers or (None,) * self.n
        return np.fromiter(map(places.__getitem__, answers), dtype=np.int64, count=self.n)

    @cached_property
    def sizes(self) -> Ints:
        """How many draws gave each answer, [names]."""
        return np.bincount(self.ids, minlength=len(self.names))[: len(self.names)]

    @cached_property
    def n_right(self) -> Ints:
        """How many of these are correct, [names]."""
        return np.bincount(self.ids[self.right], minlength=len(self.names))[: len(self.names)]

    @cached_property
    def scores(self) -> Floats:
        """The score of each draw, [n]; NaN: it has none."""
        return np.array(self._scores or (None,) * self.n, dtype=np.float64)

    @cached_property
    def ranked(self) -> Ints:
        """The places of scored draws, from the lowest score to the highest."""
        order = np.argsort(self.scores, kind="stable")  # NaN comes last
        return order[: self.n - int(np.isnan(self.scores).sum())]

    def poll(self) -> Poll:
        """The draws as votes for their answers, in an order that does not depend on that of the draws."""
        order = np.lexsort((self.n_right, self.sizes))
        sizes = self.sizes[order]
        n_silent = self.n - int(sizes.sum())
        return Poll(np.repeat(np.arange(len(sizes) + 1), [*sizes, n_silent]), self.n_right[order] / sizes)

    def weighted_poll(self) -> Poll:
        """`poll`, each vote with its score as a weight; draws without a score do not vote."""
        voting = self.ranked[self.ids[self.ranked] < len(self.names)]
        voting = voting[np.argsort(self.ids[voting], kind="stable")]  # by answer, and then by weight
        ids, weights, right = self.ids[voting], self.scores[voting], self.right[voting]
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        ends = np.append(starts, len(ids))[1:]
        n_right = np.add.reduceat(right, starts, dtype=np.int64) if len(ids) else np.zeros(0, dtype=np.int64)
        parts = list(zip(starts.tolist(), ends.tolist(), n_right.tolist(), strict=True))
        listed = weights.tolist()
        parts.sort(key=lambda part: (listed[part[0] : part[1]], part[2]))
        n_silent = self.n - len(voting)
        sizes = [end - start for start, end, _ in parts]
        each = [weights[start:end] for start, end, _ in parts]
        return Poll(
            np.repeat(np.arange(len(parts) + 1), [*sizes, n_silent]),
            np.array([right / size for (_, _, right), size in zip(parts, sizes, strict=True)], dtype=np.float64),
            np.concatenate([*each, np.zeros(n_silent)]),
        )
