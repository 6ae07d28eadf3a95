"""Files of recordings, graded: problems by group, as curves, reports, policies and advice use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.columns import Layout
from mull.files.recording import ABOUT, RecordedSample, Recording
from mull.files.records import COUNTED, PLAIN, read
from mull.files.spool import Spool
from mull.files.tables import is_export, read_rows
from mull.lab.replies_read import RepliesRead
from mull.models.recorded import sample_of
from mull.replies.answers import classes_now
from mull.shown import html_table
from mull.tasks.golds import GoldCheck, GoldNotes, gold_of, included, is_right, kind_for, problem_of
from mull.types import AnswerKind, Kind


@dataclass(frozen=True, slots=True)
class Group:
    """Graded recordings of one model on one task; `task` is `None` where the file does not say.

    `about` has what the file states about the origin of problems and draws, under the names of `ABOUT`.
    """

    name: str
    recordings: Sequence[Recording]
    task: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """The content of a file: its groups by name, the sweeps that wrote it, and how it was read.

    `notes` say what was assumed or left out. `faults` say why figures would be meaningless, such as unreadable answers.
    """

    path: Path
    groups: dict[str, Group]
    sweeps: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        """The groups as a notebook shows them, with the notes on how they were read."""
        rows = ((name, len(g.recordings), sum(one.n for one in g.recordings)) for name, g in self.groups.items())
        return html_table(("group", "problems", "draws"), rows, "; ".join([*self.faults, *self.notes]))


def read_recorded(path: Path, layout: Layout = PLAIN) -> Source:
    """A table of recorded samples, a sweep's output among them. Raises `FileFormatError` naming the line."""
    found = read(path, None, layout, check=lambda first: _check_drawn(path, first))
    return source_of(path, found.recordings, layout, found.notes)


def source_of(path: Path, recordings: Sequence[Recording], layout: Layout = PLAIN, notes: Sequence[str] = ()) -> Source:
    """Recordings by group, graded one after another. Raises `FileFormatError` naming the line."""
    source, grading = Source(path, {}, notes=list(notes)), dict[str, _Grading]()
    golds = GoldNotes()
    for recording in recordings:
        name = recording.group or path.name
        group = source.groups.setdefault(name, Group(name, [], recording.sweep.get("task"), recording.about))
        if recording.about != group.about:
            raise FileFormatError(path, recording.line, f"{', '.join(ABOUT)} must be the same on all rows of {name!r}")
        if recording.sweep and recording.sweep not in source.sweeps:
            source.sweeps.append(recording.sweep)
        golds.add(recording)
        grading.setdefault(name, _Grading(path, layout)).look_at(recording)
    source.notes.extend(golds.told(path))
    for recording in recordings:
        grading[recording.group or path.name].add(recording)
    for name, found in grading.items():
        source.faults.extend(f"{path.name}: {fault}" for fault in found.reading.faults())
        source.notes.extend(f"{path.name}: {note}" for note in found.reading.notes())
        source.groups[name] = replace(source.groups[name], recordings=found.done())
    return source


class _Grading:
    """One group of a file while it is graded: all its rows are looked at first, and then added."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout, self.reading = path, layout, RepliesRead()
        self._golds, self._graded = GoldCheck(path, layout), Spool()
        self._is_any_gradable = self._is_any_answered = self._is_any_voted = False

    def look_at(self, one: Recording) -> None:
        """Raises `FileFormatError` for a gold answer that cannot be read, or contradicts another."""
        self._golds.add(one)
        self._is_any_gradable = self._is_any_gradable or _is_gradable(one)

    def add(self, one: Recording) -> None:
        """Grades a problem on which a draw is known to be right or wrong, or any if there are none."""
        if not _is_gradable(one) and self._is_any_gradable:
            return
        graded = _graded(self.path, one, self.layout)
        self.reading.add(one, graded)
        self._is_any_answered = self._is_any_answered or bool(graded.answers)
        self._is_any_voted = self._is_any_voted or _voted(graded) is not graded
        self._graded.append(graded)

    def done(self) -> Sequence[Recording]:
        lacks = self._is_any_answered and self._is_any_voted
        return Spool(map(_voted, self._graded)).done() if lacks else self._graded.done()


def faults_of(path: Path, recordings: Iterable[Recording], layout: Layout = PLAIN) -> list[str]:
    """The faults of recordings that are not graded: replies that are empty or hold no answer, problem by problem.

    Answers are read up to the first that a group has, or up to a problem whose kind nothing tells.
    """
    groups: dict[str, RepliesRead] = {}
    is_read = set[str]()
    for one in recordings:
        name = one.group or path.name
        found, after = groups.setdefault(name, RepliesRead()), None
        if name not in is_read:
            kind = kind_for(one, layout)
            found.needs_no_answers = kind is None
            after = _answered(one, layout, kind)
            if kind is None or any(answer is not None for answer in after.answers):
                is_read.add(name)
        found.add(one, after)
    return [f"{path.name}: {fault}" for found in groups.values() for fault in found.faults()]


def _voted(recording: Recording) -> Recording:
    """The recording with no answer for each draw, where the file has none and all draws are wrong: no vote is right."""
    if recording.answers or set(recording.verdicts) != {False}:
        return recording
    return replace(recording, answers=(None,) * recording.n)


def answered(recordings: Sequence[Recording], layout: Layout = PLAIN) -> list[Recording]:
    """The recordings of one group with the class of each sample's answer; labels are not read."""
    return [_answered(one, layout, kind_for(one, layout)) for one in recordings]


def _is_gradable(one: Recording) -> bool:
    """Whether draws of the problem are known to be right or wrong."""
    return one.gold is not None or not one.samples or None not in one.verdicts


def _answered(recording: Recording, layout: Layout, kind: AnswerKind | Kind | None) -> Recording:
    if kind is None or not recording.samples:
        return recording
    problem = problem_of(recording, kind, layout.pattern)
    # Each reply is read once, however often it was drawn.
    keys = list(zip(*map(recording.column, ("text", "answer", "finish", "reasoning")), strict=True))
    read = {}
    for key, run in dict(zip(keys, recording.column("run"), strict=True)).items():
        text, answer, finish, reasoning = key
        said = RecordedSample(text, answer, finish=finish, reasoning=reasoning, run=run)
        read[key] = sample_of(problem.prompt, said)
    return replace(recording, answers=tuple(classes_now(problem, list(map(read.__getitem__, keys)))), kind=kind)


def _graded(path: Path, recording: Recording, layout: Layout) -> Recording:
    """The recording with the class of each sample's answer, and a verdict on each sample.

    Raises `FileFormatError` if nothing says whether a sample is right.
    """
    kind = kind_for(recording, layout)
    answered = _answered(recording, layout, kind)
    if None not in recording.verdicts:
        return answered
    if kind is None:
        raise _unlabelled(path, recording)
    gold = gold_of(path, recording, kind)
    if gold is None:
        raise _unlabelled(path, recording)
    verdicts = list(recording.verdicts)
    for place, (text, answer) in enumerate(zip(recording.column("text"), answered.answers, strict=True)):
        if verdicts[place] is None:
            is_in = included(recording, layout, text)
            verdicts[place] = is_right(kind, gold, answer) if is_in is None else is_in
    return answered.with_column("correct", tuple(verdicts))


def no_draws(path: Path, recording: Recording) -> FileFormatError:
    """The error for a problem without samples, which says what would be read."""
    has = next((", ".join(row) for _, row in read_rows(path) if set(row) != {"sweep"}), "nothing")
    what = (
        f"no draws: it has {has}. Replies are read from `samples` (a list) or `response` (one a row), counts from "
        f"{COUNTED}; questions without replies are a task, file:{path}"
    )
    return FileFormatError(path, recording.line, what)


def _check_drawn(path: Path, first: Recording) -> None:
    """Raises `FileFormatError` for a problem without samples, counts and results, and for a sample without a grade."""
    if not first.n and not first.results:
        raise no_draws(path, first)
    if first.gold is None and None in first.verdicts:
        raise _unlabelled(path, first)


def _unlabelled(path: Path, recording: Recording) -> FileFormatError:
    if is_export(path):
        what = "this is the export of a bank, which holds draws and no gold answers; `mull curves BANK.db --task TASK` "
        more = f"grades what a bank holds, and `mull bank import {path} --bank BANK.db` makes one of the export"
        return FileFormatError(path, recording.line, what + more)
    return FileFormatError(
        path,
        recording.line,
        "a sample has no `correct` and the row has no `answer`, so nothing says which draws are right and there is no "
        "coverage to measure; add the gold answer as `answer`, or `correct` to every sample, or name their columns "
        "with --gold or --correct",
    )
