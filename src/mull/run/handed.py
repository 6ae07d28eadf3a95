"""The draws that a run has given to strategies, and those handed back for reuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mull.types import Sample


class Given:
    """The draws that a run has given to strategies, and those of them handed back for reuse.

    Draws are compared by object identity, so a reply that a strategy composed from draws does not count.
    """

    def __init__(self) -> None:
        self._out: dict[int, tuple[str, Sample]] = {}  # keeps the samples alive, so that no id is reused
        self._back: defaultdict[str, dict[int, Sample]] = defaultdict(dict)

    @property
    def n_back(self) -> int:
        """The number of draws handed back and not taken again."""
        return sum(map(len, self._back.values()))

    def give(self, key: str, sample: Sample) -> None:
        """Records that a draw of the question with this key was given to a strategy."""
        self._out[id(sample)] = key, sample

    def has(self, sample: Sample) -> bool:
        """Whether the sample is a draw that this run has given out."""
        return self._out.get(id(sample), ("", None))[1] is sample

    def hand_back(self, samples: Iterable[Sample]) -> int:
        """Takes back the samples that are draws of this run; returns how many they are."""
        n = 0
        for sample in samples:
            if self.has(sample):
                self._back[self._out[id(sample)][0]][sample.draw] = sample
                n += 1
        return n

    def withdraw(self, samples: Iterable[Sample]) -> None:
        """Undoes `hand_back` for draws that were not taken."""
        for sample in samples:
            key, _ = self._out.get(id(sample), ("", None))
            if self._back[key].get(sample.draw) is sample:
                del self._back[key][sample.draw]

    def again(self, key: str) -> Sample | None:
        """Takes the first handed-back draw of a question; `None`: there is none."""
        back = self._back.get(key)
        return back.pop(min(back)) if back else None
