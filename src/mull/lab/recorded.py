"""Files of recordings, graded: problems by group, as curves, reports, policies and advice take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mull import equal
from mull.errors import FileFormatError
from mull.files.recording import ABOUT, Recording
from mull.files.records import read_recordings
from mull.replies.answers import canonical, is_latex, solution_answer
from mull.types import AnswerKind


@dataclass(frozen=True, slots=True)
class Group:
    """Graded recordings of one model on one task; `task` is `None` where the file does not say.

    `about` has what the file says of where the problems and the draws are from, under the names of `ABOUT`.
    """

    name: str
    recordings: list[Recording]
    task: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """All that a file tells: its groups by name, the sweeps that wrote it, and what had to be left out."""

    path: Path
    groups: dict[str, Group]
    sweeps: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_recorded(path: Path) -> Source:
    """A file of recorded samples, a sweep's among them. Raises `FileFormatError` naming the line."""
    return source_of(path, read_recordings(path))


def source_of(path: Path, recordings: Sequence[Recording]) -> Source:
    """Recordings by group, graded. Raises `FileFormatError` naming the line."""
    groups: dict[str, Group] = {}
    sweeps: list[Mapping[str, Any]] = []
    for recording in recordings:
        name = recording.group or path.name
        group = groups.setdefault(name, Group(name, [], recording.sweep.get("task"), recording.about))
        if recording.about != group.about:
            raise FileFormatError(path, recording.line, f"{', '.join(ABOUT)} must be the same on all rows of {name!r}")
        group.recordings.append(graded(path, recording))
        if recording.sweep and recording.sweep not in sweeps:
            sweeps.append(recording.sweep)
    n = sum(_gold(recording) != recording.gold for recording in recordings)
    notes = (
        [f"{path}: {n} answers are whole solutions; what follows `####` or is in their last box is taken"] if n else []
    )
    return Source(path, groups, sweeps, notes)


def answers_of(recording: Recording) -> tuple[AnswerKind, Sequence[str | None]]:
    """The kind of a recording's answers, and the class of each sample's; whether any is right is not looked at."""
    given = [_gold(recording), *(s.answer for s in recording.samples)]
    kind = AnswerKind.MATH if any(text is not None and is_latex(text) for text in given) else AnswerKind.TEXT
    answers: Sequence[str | None] = [None if s.answer is None else canonical(s.answer, kind) for s in recording.samples]
    return kind, equal.classes_now(answers) if kind is AnswerKind.MATH else answers


def _gold(recording: Recording) -> str | None:
    """The gold answer; where that is a whole solution, the answer in it."""
    return None if recording.gold is None else solution_answer(recording.gold) or recording.gold


def graded(path: Path, recording: Recording) -> Recording:
    """The recording with the class of each sample's answer, and a verdict on each sample.

    Raises `FileFormatError` where nothing says whether a sample is right.
    """
    if not recording.samples:
        return recording
    kind, answers = answers_of(recording)
    told = _gold(recording)
    gold = None if told is None else canonical(told, kind)
    if gold is None and any(sample.correct is None for sample in recording.samples):
        if told is not None:
            raise FileFormatError(
                path, recording.line, f"the answer {told[:60]!r} cannot be read: leave it out or mend it"
            )
        raise FileFormatError(
            path,
            recording.line,
            "a sample has no `correct` and the row has no `answer`: no draw is known to be right or wrong, and "
            "nothing can be said of coverage; add the gold answer as `answer`, or `correct` to every sample",
        )
    samples = tuple(
        replace(s, correct=_is_right(kind, answer, gold)) if s.correct is None else s
        for s, answer in zip(recording.samples, answers, strict=True)
    )
    return replace(recording, samples=samples, answers=tuple(answers), kind=kind)


def _is_right(kind: AnswerKind, answer: str | None, gold: str | None) -> bool:
    """Whether an answer is the gold; no answer is not right, nor is what nobody could decide."""
    if answer is None or gold is None:
        return False
    if kind is not AnswerKind.MATH:
        return answer == gold
    return equal.compare_now(gold, answer).is_equal is True
