"""Input of curves and reports: a sweep's output, recorded samples, counts, logs of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mull.errors import FileFormatError
from mull.files.columns import Layout
from mull.files.logs import formats
from mull.files.recording import Recording
from mull.files.records import PLAIN, read_recordings
from mull.files.spool import draw_counts
from mull.lab.logged import source_of_log, with_answers
from mull.lab.recorded import Source, answered, no_draws, read_recorded


def read_source(path: Path, layout: Layout = PLAIN) -> Source:
    """The content of a file: another tool's log, recorded samples, a sweep's output or a table of counts.

    Raises `FileFormatError`.
    """
    log = None if layout.named else formats.read(path)
    return read_recorded(path, layout) if log is None else source_of_log(path, log)


def read_draws(path: Path, layout: Layout = PLAIN) -> dict[str, Sequence[Recording]]:
    """The graded draws of a file by group. Raises `FileFormatError` if a problem has no samples."""
    return draws(read_source(path, layout))


def read_answers(path: Path, layout: Layout = PLAIN) -> dict[str, list[Sequence[str | None]]]:
    """The answer classes of each problem's draws, by group; labels are not read. Raises `FileFormatError`."""
    log = None if layout.named or path.suffix == ".db" else formats.read(path)
    groups: dict[str, list[Recording]] = {}
    if path.suffix != ".db":
        for recording in read_recordings(path, None, layout) if log is None else map(with_answers, log.recordings):
            groups.setdefault(recording.group or path.name, []).append(recording)
    groups = {name: answered(recordings, layout) for name, recordings in groups.items()}
    found: dict[str, list[Sequence[str | None]]] = {}
    for name, recordings in groups.items():
        if answers := [one.answers for one in recordings if one.answers]:
            found[name] = list(answers)
    if not found:
        raise FileFormatError(path, None, "no answers: recorded samples, a sweep's --out or a log of draws is needed")
    return found


def draws(source: Source) -> dict[str, Sequence[Recording]]:
    """The graded draws of each group. Raises `FileFormatError` if a problem has no samples."""
    for group in source.groups.values():
        for place, (n, _) in enumerate(draw_counts(group.recordings)):
            if not n:
                raise no_draws(source.path, group.recordings[place])
    return {name: group.recordings for name, group in source.groups.items()}
