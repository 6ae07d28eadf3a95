"""Recordings that may be more than memory holds: few are kept as they are, many lie packed in a temporary file."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from mull.errors import OutputError
from mull.files.recording import DrawCounts, RecordedSample, Recording, Settings

MOST_BYTES = 16 << 20
"""Recordings that take about so much memory are kept in it."""
BYTES_PER_DRAW = 300
"""What a draw takes besides its text, about."""


class Spool(Sequence[Recording]):
    """A sequence of recordings that takes about as much memory whether it holds thousands of draws or millions.

    Once they are large the recordings are packed into a nameless file in the folder for temporary files (`TMPDIR`), and
    each is unpacked anew when it is asked for, so that a loop over them holds one at a time. Raises `OutputError` if
    that file cannot be written.
    """

    def __init__(self, recordings: Iterable[Recording] = ()) -> None:
        self._kept: list[Recording] = []
        self._n_bytes = 0
        self._file: int | None = None
        self._starts = array("Q", [0])
        self._n, self._n_correct = array("q"), array("q")
        self._shared: list[Any] = []
        """Values that many recordings have in common."""
        for one in recordings:
            self.append(one)

    @property
    def counts(self) -> list[DrawCounts]:
        """The numbers of draws and of correct draws of each recording."""
        return list(map(DrawCounts, self._n, self._n_correct))

    def append(self, one: Recording) -> None:
        self._n.append(one.n)
        self._n_correct.append(one.n_correct)
        if self._file is not None:
            self._write(one)
            return
        self._kept.append(one)
        self._n_bytes += BYTES_PER_DRAW * (1 + len(one.samples))
        self._n_bytes += sum(len(sample.text) + len(sample.reasoning or "") for sample in one.samples)
        if self._n_bytes > MOST_BYTES:
            self._file = _temporary()
            weakref.finalize(self, os.close, self._file)
            for each in self._kept:
                self._write(each)
            self._kept = []

    def done(self) -> Sequence[Recording]:
        """The recordings as a list if memory holds them, else this spool."""
        return self._kept if self._file is None else self

    def __len__(self) -> int:
        return len(self._n)

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._kept) if self._file is None else map(self._read, range(len(self)))

    @overload
    def __getitem__(self, place: int) -> Recording: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Recording]: ...
    def __getitem__(self, place: int | slice) -> Recording | Sequence[Recording]:
        if self._file is None:
            return self._kept[place]
        places = range(len(self))[place]
        return self._read(places) if isinstance(places, int) else [self._read(each) for each in places]

    def _write(self, one: Recording) -> None:
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

    def _read(self, place: int) -> Recording:
        assert self._file is not None
        start, end = self._starts[place], self._starts[place + 1]
        data = b""
        while len(data) < end - start:
            part = os.pread(self._file, end - start - len(data), start + len(data))
            if not part:
                raise OutputError(f"draws that were written to {tempfile.gettempdir()} are no longer there")
            data += part
        return self._unpacked(pickle.loads(data))  # written by this process, into a file that has no name

    def _packed(self, one: Recording) -> tuple[Any, ...]:
        columns = [None if all(v is None for v in column) else column for column in zip(*one.samples, strict=True)]
        settings = None if one.settings == Settings() else one.settings
        places = [self._place(value) for value in (one.kind, one.sweep, one.group, one.strategy)]
        own = (one.results, one.counts, one.line, one.about, one.messages, one.n_right)
        return one.id, one.prompt, one.gold, len(one.samples), columns, one.answers, settings, places, own

    def _place(self, value: Any) -> int:
        """The place of a value among those in common: the latest are looked at, since neighbours are alike."""
        for place in range(len(self._shared) - 1, max(-1, len(self._shared) - 9), -1):
            known = self._shared[place]
            if known is value or (type(known) is type(value) and known == value):
                return place
        self._shared.append(value)
        return len(self._shared) - 1

    def _unpacked(self, packed: tuple[Any, ...]) -> Recording:
        id, prompt, gold, n, columns, answers, settings, places, own = packed
        none = (None,) * n
        samples = tuple(map(RecordedSample, *(none if column is None else column for column in columns))) if n else ()
        kind, sweep, group, strategy = (self._shared[place] for place in places)
        results, counts, line, about, messages, n_right = own
        return Recording(
            id,
            prompt,
            gold,
            samples,
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
