"""Files of recordings, graded: problems by group, as curves, reports, policies and advice use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.columns import Layout
from mull.files.recording import ABOUT, SHOWN, RecordedSample, Recording
from mull.files.records import COUNTED, PLAIN, read
from mull.files.tables import is_export, read_rows
from mull.models.recorded import sample_of
from mull.replies.answers import answer_of, classes_now
from mull.shown import html_table
from mull.tasks.golds import check_golds, gold_of, included, is_right, kind_for, notes_on, problem_of
from mull.types import AnswerKind, Kind

MANY = 0.25
"""The share of replies without a readable answer from which on a note says so."""


@dataclass(frozen=True, slots=True)
class Group:
    """Graded recordings of one model on one task; `task` is `None` where the file does not say.

    `about` has what the file states about the origin of problems and draws, under the names of `ABOUT`.
    """

    name: str
    recordings: list[Recording]
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
    """Recordings by group, graded. Raises `FileFormatError` naming the line."""
    source = Source(path, {}, notes=list(notes))
    for recording in recordings:
        name = recording.group or path.name
        group = source.groups.setdefault(name, Group(name, [], recording.sweep.get("task"), recording.about))
        if recording.about != group.about:
            raise FileFormatError(path, recording.line, f"{', '.join(ABOUT)} must be the same on all rows of {name!r}")
        group.recordings.append(recording)
        if recording.sweep and recording.sweep not in source.sweeps:
            source.sweeps.append(recording.sweep)
    source.notes.extend(notes_on(path, recordings))
    for group in source.groups.values():
        check_golds(path, group.recordings, layout)
        group.recordings[:] = _gradable(group.recordings)
        source.faults.extend(f"{path.name}: {fault}" for fault in _empty(group.recordings))
        graded = [_graded(path, one, layout) for one in group.recordings]
        source.faults.extend(f"{path.name}: {fault}" for fault in _unread(group.recordings, graded))
        source.notes.extend(
            f"{path.name}: {note}" for note in (*_never_right(graded), *_many_unread(group.recordings, graded))
        )
        group.recordings[:] = map(_voted, graded) if any(one.answers for one in graded) else graded
    return source


def faults_of(path: Path, recordings: Sequence[Recording], layout: Layout = PLAIN) -> list[str]:
    """The faults of recordings that are not graded: replies that are empty or hold no answer, problem by problem."""
    groups: dict[str, list[Recording]] = {}
    for one in recordings:
        groups.setdefault(one.group or path.name, []).append(one)
    faults = [fault for group in groups.values() for fault in (*_empty(group), *_unread(group, _read(group, layout)))]
    return [f"{path.name}: {fault}" for fault in faults]


def _read(recordings: Sequence[Recording], layout: Layout) -> list[Recording]:
    """The recordings with their samples' answers, up to the first that has one, or whose kind nothing tells."""
    found: list[Recording] = []
    for one in recordings:
        kind = kind_for(one, layout)
        if kind is None:
            return []
        problem = problem_of(one, kind, layout.pattern)
        answers = tuple(answer_of(problem, sample_of(problem.prompt, sample)) for sample in one.samples)
        found.append(replace(one, answers=answers, kind=kind))
        if any(answer is not None for answer in answers):
            break
    return found


def _voted(recording: Recording) -> Recording:
    """The recording with no answer for each draw, where the file has none and all draws are wrong: no vote is right."""
    is_wrong = bool(recording.samples) and all(sample.correct is False for sample in recording.samples)
    return replace(recording, answers=(None,) * recording.n) if is_wrong and not recording.answers else recording


def answered(recordings: Sequence[Recording], layout: Layout = PLAIN) -> list[Recording]:
    """The recordings of one group with the class of each sample's answer; labels are not read."""
    return [_answered(one, layout, kind_for(one, layout)) for one in recordings]


def _gradable(recordings: Sequence[Recording]) -> list[Recording]:
    """The problems on which a draw is known to be right or wrong, or all if there are none."""
    return [
        one
        for one in recordings
        if one.gold is not None or not one.samples or all(sample.correct is not None for sample in one.samples)
    ] or list(recordings)


def _answered(recording: Recording, layout: Layout, kind: AnswerKind | Kind | None) -> Recording:
    if kind is None or not recording.samples:
        return recording
    problem = problem_of(recording, kind, layout.pattern)
    # Each reply is read once, however often it was drawn.
    keys = [(one.text, one.answer, one.finish, one.reasoning) for one in recording.samples]
    distinct = dict(zip(keys, recording.samples, strict=True))
    read = {key: sample_of(problem.prompt, one) for key, one in distinct.items()}
    return replace(recording, answers=tuple(classes_now(problem, [read[key] for key in keys])), kind=kind)


def _graded(path: Path, recording: Recording, layout: Layout) -> Recording:
    """The recording with the class of each sample's answer, and a verdict on each sample.

    Raises `FileFormatError` if nothing says whether a sample is right.
    """
    kind = kind_for(recording, layout)
    answered = _answered(recording, layout, kind)
    if kind is None or all(sample.correct is not None for sample in recording.samples):
        if any(sample.correct is None for sample in recording.samples):
            raise _unlabelled(path, recording)
        return answered
    gold = gold_of(path, recording, kind)
    if gold is None:
        raise _unlabelled(path, recording)
    samples: list[RecordedSample] = []
    for sample, answer in zip(answered.samples, answered.answers, strict=True):
        is_in = included(recording, layout, sample.text)
        verdict = is_right(kind, gold, answer) if is_in is None else is_in
        samples.append(sample._replace(correct=verdict) if sample.correct is None else sample)
    return replace(answered, samples=tuple(samples))


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
    if first.gold is None and any(sample.correct is None for sample in first.samples):
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


def _empty(recordings: Sequence[Recording]) -> list[str]:
    """The fault that all replies to some problem are empty."""
    empty = [one for one in recordings if one.samples and not any(s.text.strip() for s in one.samples)]
    if not empty:
        return []
    more = f", and so are those of {len(empty) - 1:,} more problems" if len(empty) > 1 else ""
    return [f"all {empty[0].n} replies to problem {empty[0].id!r} (line {empty[0].line}) are empty{more}"]


def _unread(before: Sequence[Recording], graded: Sequence[Recording]) -> list[str]:
    """The fault that draws are graded by their answers, and no draw has one."""
    samples = [sample for one in before for sample in one.samples]
    is_answered = any(answer is not None for one in graded for answer in one.answers)
    needs_answers = any(sample.correct is None for sample in samples) and any(s.text.strip() for s in samples)
    if is_answered or not needs_answers or not graded:
        return []
    gold = next((one.gold for one in before if one.gold is not None), None)
    return [
        f"no draw has an answer that can be read as {graded[0].kind.value}, as the gold answer {gold!r} is; the first "
        f"ends {samples[0].text.strip()[-SHOWN:]!r}: name the column of answers with --answer, or give the pattern of "
        "the answer within a reply with --match regex:PATTERN"
    ]


def _many_unread(before: Sequence[Recording], graded: Sequence[Recording]) -> list[str]:
    """The note on replies that are graded by their answers, if many of them have none."""
    unread = [
        (one, sample)
        for one, after in zip(before, graded, strict=True)
        for sample, answer in zip(one.samples, after.answers, strict=False)
        if answer is None and sample.correct is None and sample.text.strip()
    ]
    n = sum(one.n for one in graded)
    if not unread or len(unread) < MANY * n or len(unread) == n:
        return []
    one, sample = unread[0]
    what = f"{len(unread):,} of {n:,} replies have no answer that can be read; the first, to {one.id!r}, ends"
    return [f"{what} {sample.text.strip()[-SHOWN:]!r}; --match or --kind say how replies are to be read"]


def _never_right(graded: Sequence[Recording]) -> list[str]:
    """A note if draws have answers and none is right: the golds may be written differently."""
    if any(one.n_correct for one in graded):
        return []
    for one in graded:
        answer = next((answer for answer in one.answers if answer is not None), None)
        if answer is not None and one.gold is not None:
            of = "" if one.group is None else f" of {one.group}"
            said = f"for problem {one.id!r} the gold answer is {one.gold!r} and a draw says {answer!r}"
            return [f"no draw{of} is right: {said}"]
    return []
