"""The draws that a run has given out, and those that were handed back for another use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mull.types import Sample


class Given:
    """The draws that a run has given out, and those of them that were handed back for another use.

    Draws are told apart by identity, so that a reply that was put together from draws is none.
    """

    def __init__(self) -> None:
        self._out: dict[int, tuple[str, Sample]] = {}  # the samples are held, so that no identity is used twice
        self._back: defaultdict[str, dict[int, Sample]] = defaultdict(dict)

    @property
    def n_back(self) -> int:
        """How many were handed back and not given out again."""
        return sum(map(len, self._back.values()))

    def give(self, key: str, sample: Sample) -> None:
        """A draw of the question with this key was handed to the strategy."""
        self._out[id(sample)] = key, sample

    def has(self, sample: Sample) -> bool:
        """Whether it is a draw that was given out."""
        return self._out.get(id(sample), ("", None))[1] is sample

    def hand_back(self, samples: Iterable[Sample]) -> int:
        """Takes those back that were given out; returns how many that are."""
        n = 0
        for sample in samples:
            if self.has(sample):
                self._back[self._out[id(sample)][0]][sample.draw] = sample
                n += 1
        return n

    def withdraw(self, samples: Iterable[Sample]) -> None:
        """Those of them that were handed back and not given out again are no longer to be had."""
        for sample in samples:
            key, _ = self._out.get(id(sample), ("", None))
            if self._back[key].get(sample.draw) is sample:
                del self._back[key][sample.draw]

    def again(self, key: str) -> Sample | None:
        """The first draw of a question that was handed back, which is then given out again; `None`: there is none."""
        back = self._back.get(key)
        return back.pop(min(back)) if back else None
