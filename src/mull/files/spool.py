"""Recordings that may be more than memory holds: few are kept as they are, many lie packed in a temporary file."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from mull.errors import OutputError
from mull.files.recording import DrawCounts, Recording, Samples, Settings

MOST_BYTES = 16 << 20
"""Items that take about so much memory are kept in it."""
BYTES_PER_DRAW = 300
"""What a draw takes besides its text, about."""
T = TypeVar("T")


class Lazy(Sequence[T]):
    """A sequence whose items are each made anew when they are asked for."""

    def _make(self, place: int) -> T:
        """The item at a place from 0."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[T]:
        return map(self._make, range(len(self)))

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        places = range(len(self))[place]
        return self._make(places) if isinstance(places, int) else [self._make(each) for each in places]


class Packed(Lazy[T]):
    """A sequence that takes about as much memory whether it holds thousands of draws or millions.

    Once the items are large they are packed into a nameless file in the folder for temporary files (`TMPDIR`), and each
    is unpacked anew when it is asked for, so that a loop over them holds one at a time. Raises `OutputError` if that
    file cannot be written.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._n_items = 0
        self._kept: list[T] = []
        self._n_bytes = 0
        self._file: int | None = None
        self._starts = array("Q", [0])
        self._shared: list[Any] = []
        """Values that many recordings have in common, and where each is if it has a hash."""
        self._places: dict[Any, int] = {}
        for one in items:
            self.append(one)

    def __len__(self) -> int:
        return self._n_items

    def _recordings(self, one: T) -> Iterable[Recording]:
        """The recordings that an item consists of."""
        raise NotImplementedError

    def _packed(self, one: T) -> Any:
        """An item as plain values."""
        raise NotImplementedError

    def _unpacked(self, packed: Any) -> T:
        raise NotImplementedError

    def append(self, one: T) -> None:
        self._n_items += 1
        if self._file is not None:
            self._write(one)
            return
        self._kept.append(one)
        for each in self._recordings(one):
            self._n_bytes += BYTES_PER_DRAW * (1 + len(each.samples))
            self._n_bytes += sum(map(len, each.column("text")))
            self._n_bytes += sum(map(len, filter(None, each.column("reasoning"))))
            turns = (turn for run in filter(None, each.column("run")) for turn in run.turns)
            self._n_bytes += sum(BYTES_PER_DRAW + len(turn.text) for turn in turns)
        if self._n_bytes > MOST_BYTES:
            self._file = _temporary()
            weakref.finalize(self, os.close, self._file)
            for kept in self._kept:
                self._write(kept)
            self._kept = []

    def done(self) -> Sequence[T]:
        """The items as a list if memory holds them, else this sequence."""
        return self._kept if self._file is None else self

    def _write(self, one: T) -> None:
        assert self._file is not None
        data = pickle.dumps(self._packed(one), pickle.HIGHEST_PROTOCOL)
        start = self._starts[-1]
        self._starts.append(start + len(data))
        try:
            while data:
                n = os.pwrite(self._file, data, start)
                data, start = data[n:], start + n
        except OSError as error:
            what = f"draws that memory does not hold cannot be written to {tempfile.gettempdir()} ({error.strerror})"
            raise OutputError(f"{what}: name a folder with more room in TMPDIR") from error

    def _make(self, place: int) -> T:
        if self._file is None:
            return self._kept[place]
        start, end = self._starts[place], self._starts[place + 1]
        data = b""
        while len(data) < end - start:
            part = os.pread(self._file, end - start - len(data), start + len(data))
            if not part:
                raise OutputError(f"draws that were written to {tempfile.gettempdir()} are no longer there")
            data += part
        return self._unpacked(pickle.loads(data))  # written by this process, into a file that has no name

    def _pack(self, one: Recording) -> tuple[Any, ...]:
        settings = None if one.settings == Settings() else one.settings
        places = [self._place(value) for value in (one.kind, one.sweep, one.group, one.strategy)]
        own = (one.results, one.counts, one.line, one.about, one.messages, one.n_right)
        samples = Samples.of(one.samples)
        return one.id, one.prompt, one.gold, len(samples), samples.packed(), one.answers, settings, places, own

    def _place(self, value: Any) -> int:
        """The place of a value among those in common."""
        try:
            place = self._places.get((type(value), value))
        except TypeError:  # a dictionary has no hash
            place = next((i for i, known in enumerate(self._shared) if known is value or known == value), None)
        else:
            self._places.setdefault((type(value), value), len(self._shared))
        if place is None:
            place = len(self._shared)
            self._shared.append(value)
        return place

    def _unpack(self, packed: tuple[Any, ...]) -> Recording:
        id, prompt, gold, n, columns, answers, settings, places, own = packed
        kind, sweep, group, strategy = (self._shared[place] for place in places)
        results, counts, line, about, messages, n_right = own
        return Recording(
            id,
            prompt,
            gold,
            Samples(n, packed=columns),
            answers,
            kind,
            results,
            counts,
            group,
            strategy,
            line,
            about,
            sweep,
            messages,
            settings or Settings(),
            n_right,
        )


class Spool(Packed[Recording]):
    """A `Packed` sequence of recordings, which knows the counts of their draws."""

    def __init__(self, items: Iterable[Recording] = ()) -> None:
        self._n, self._n_correct = array("q"), array("q")
        super().__init__(items)

    @property
    def counts(self) -> list[DrawCounts]:
        """The numbers of draws and of correct draws of each recording."""
        return list(map(DrawCounts, self._n, self._n_correct))

    def append(self, one: Recording) -> None:
        super().append(one)
        self._n.append(one.n)
        self._n_correct.append(one.n_correct)

    def _recordings(self, one: Recording) -> Iterable[Recording]:
        return (one,)

    def _packed(self, one: Recording) -> Any:
        return self._pack(one)

    def _unpacked(self, packed: Any) -> Recording:
        return self._unpack(packed)


class RowSpool(Packed[Mapping[str, Recording]]):
    """A `Packed` sequence of problems, each by strategy; what strategies have in common is packed once."""

    def _recordings(self, one: Mapping[str, Recording]) -> Iterable[Recording]:
        return one.values()

    def _packed(self, one: Mapping[str, Recording]) -> Any:
        return {name: self._pack(each) for name, each in one.items()}

    def _unpacked(self, packed: Any) -> Mapping[str, Recording]:
        return {name: self._unpack(each) for name, each in packed.items()}


def _temporary() -> int:
    """A new file without a name, for reading and writing."""
    try:
        file, name = tempfile.mkstemp(prefix="mull-")
        Path(name).unlink()
    except OSError as error:
        what = f"there is no room for draws that memory does not hold in {tempfile.gettempdir()} ({error.strerror})"
        raise OutputError(f"{what}: name another folder in TMPDIR") from error
    return file


def draw_counts(recordings: Sequence[Recording]) -> list[DrawCounts]:
    """The numbers of draws and of correct draws of each recording; a spool has them without reading its file."""
    if isinstance(recordings, Spool):
        return recordings.counts
    return [DrawCounts(one.n, one.n_correct) for one in recordings]
