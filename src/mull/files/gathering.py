"""The problems of a table while its rows are read, and the samples that rows of their own have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mull.errors import FileFormatError
from mull.files.options import AnswerChoice, Chosen, letters
from mull.files.recording import RecordedSample, Recording
from mull.files.spool import Spool

Key = tuple[str, str | None]
"""A problem's id and its group."""
MOST_LOOSE = 50_000
"""Samples of rows of their own that memory holds at once."""


class Gathered:
    """Problems in the order of their first rows.

    `options` are those of questions with choices. Rows of one sample are joined by problem wherever they are in the
    file; the samples of many rows are put into a spool bit by bit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.options: dict[Key, list[AnswerChoice]] = {}
        self._kept, self._bits = Spool(), Spool()
        self._places: dict[Key, list[int]] = {}
        """Where each problem is among the kept: one place, or those of the first row of each of its parts."""
        self._loose: dict[Key, list[RecordedSample]] = {}
        self._n_loose = 0
        self._put_away: dict[Key, list[int]] = {}
        """Where the samples of rows of their own are among the bits."""
        self._latest: tuple[Key, Recording] | None = None

    def __len__(self) -> int:
        return len(self._places)

    def add(self, line: int, one: Recording) -> None:
        """Adds a whole problem, or one whose first sample follows. Raises `FileFormatError` if it is there already."""
        key = one.id, one.group
        if key in self._places:
            was = self._kept[self._places[key][0]].line
            raise FileFormatError(self.path, line, f"problem {one.id!r} was already on line {was}")
        self._places[key] = [len(self._kept)]
        self._kept.append(one)

    def add_sample(self, line: int, one: Recording, sample: RecordedSample) -> None:
        """Adds a row of one sample. Raises `FileFormatError` if its problem is told in another way than before."""
        key = one.id, one.group
        if key in self._put_away:
            self._agrees(line, one, self._first(key))
        else:
            self.add(line, one)
            self._put_away[key] = []
            self._latest = key, one
        self._loose.setdefault(key, []).append(sample)
        self._n_loose += 1
        if self._n_loose > MOST_LOOSE:
            for each, samples in self._loose.items():
                self._put_away[each].append(len(self._bits))
                self._bits.append(Recording("", samples=tuple(samples)))
            self._loose, self._n_loose = {}, 0

    def first(self) -> Recording:
        """The first problem, as far as it is known."""
        return self._whole(next(iter(self._places)))

    def _first(self, key: Key) -> Recording:
        """The first row of a problem; that of the latest problem is at hand."""
        if self._latest is None or self._latest[0] != key:
            self._latest = key, self._kept[self._places[key][0]]
        return self._latest[1]

    def _agrees(self, line: int, one: Recording, first: Recording) -> None:
        for what, own, other in (("prompt", one.prompt, first.prompt), ("gold answer", one.gold, first.gold)):
            if own != other:
                what = f"another {what} than on line {first.line} for problem {one.id!r}"
                raise FileFormatError(self.path, line, what)

    def _whole(self, key: Key) -> Recording:
        """A problem with all its samples."""
        one = self._kept[self._places[key][0]]
        if key not in self._put_away:
            return one
        own = [self._kept[place] for place in self._places[key]]
        samples = [sample for each in own for sample in self._samples((each.id, each.group))]
        return replace(one, samples=tuple(samples))

    def _samples(self, key: Key) -> Iterator[RecordedSample]:
        for place in self._put_away[key]:
            yield from self._bits[place].samples
        yield from self._loose.get(key, ())

    def put_together(self) -> bool:
        """Joins rows by prompt if each row of one sample has its own id and prompts repeat; whether it was so."""
        if any(len(self._put_away[key]) + len(self._loose.get(key, ())) > 1 for key in self._put_away):
            return False
        by_prompt: dict[tuple[str | None, str | None], list[Key]] = {}
        for key in self._put_away:
            one = self._kept[self._places[key][0]]
            by_prompt.setdefault((one.prompt, one.group), []).append(key)
        if len(by_prompt) == len(self._put_away):
            return False
        for first, *others in by_prompt.values():
            for key in others:
                one = self._kept[self._places[key][0]]
                self._agrees(one.line or 0, one, self._first(first))
                self._places[first] += self._places.pop(key)
        return True

    def done(self, group: str | None) -> tuple[Sequence[Recording], list[str]]:
        """The problems of a group, or all, and notes on their choices. Raises `FileFormatError` if it has none."""
        golds, notes = self._lettered()
        if group is None and not golds and not self._put_away:
            return self._kept.done(), notes
        found = Spool()
        for key in self._places:
            if group is None or key[1] == group:
                one = self._whole(key)
                found.append(replace(one, gold=golds[key]) if key in golds else one)
        if group is not None and not len(found):
            groups = sorted({name for _, name in self._places if name is not None})
            what = f"no row has the model {group!r}; it has {', '.join(groups) or 'none'}"
            raise FileFormatError(self.path, None, what)
        return found.done(), notes

    def _lettered(self) -> tuple[dict[Key, str], list[str]]:
        """The gold answers of questions with choices as letters, and notes on how they were read."""
        keys, chosen = [], []
        for key in (key for key in self._places if key in self.options):
            one = self._kept[self._places[key][0]]
            if one.gold is not None:
                keys.append(key)
                chosen.append(Chosen(one.line, one.gold, self.options[key]))
        found, notes = letters(self.path, chosen)
        return dict(zip(keys, found, strict=True)), notes
