"""Other tools' logs, graded: their verdicts as they stand, and answers read where a log tells none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mull.errors import FileFormatError
from mull.files.logs.base import CONVERT, Log
from mull.files.recording import DrawCounts, Recording
from mull.lab.recorded import Group, Source, source_of
from mull.replies.answers import extract


def with_answers(recording: Recording) -> Recording:
    """The recording with an answer for every sample: the told one, or else the one in its text."""
    samples = (replace(s, answer=extract(s.text) or "") if s.answer is None else s for s in recording.samples)
    return replace(recording, samples=tuple(samples))


def _without_answers(recording: Recording) -> Recording:
    """The recording of replies that have no answers to compare."""
    return replace(recording, samples=tuple(replace(sample, answer="") for sample in recording.samples))


def source_of_log(path: Path, log: Log) -> Source:
    """A tool's log by group, graded. Raises `FileFormatError` where nothing says which draws are right.

    Replies without a verdict of their own are compared with the target. Where that gives another number of right ones
    than the log tells, the log's number stands alone; the group then has no answers, and no vote is measured.
    """
    notes = list(log.notes)
    n_ungraded = 0
    for one in log.recordings:
        ungraded = sum(sample.correct is None for sample in one.samples)
        n_ungraded += ungraded
        if ungraded and one.gold is None:
            raise FileFormatError(
                path,
                one.line,
                f"this log of {log.tool} has neither verdicts nor right answers; `mull bank import` takes its samples "
                "in, and `mull curves BANK.db --task TASK` grades them",
            )
    if n_ungraded:
        what = "replies have no verdict of their own: each was compared with its target"
        notes.append(f"{path.name}: {n_ungraded} {what}")
    source = source_of(path, list(map(with_answers if log.votes else _without_answers, log.recordings)))
    for group in source.groups.values():
        notes += _disagreement(path, log, group)
        counted = [_counted(one) for one in group.recordings]
        if n := sum(one.counts is not None for one in counted):
            notes.append(
                f"{path.name}: for {n} problems the log tells how many replies are right and not which, and "
                "the targets do not tell either: no vote is measured"
            )
        elif not any(answer for one in counted for answer in one.answers):
            notes.append(f"{path.name}: no reply has an answer that could be compared: no vote is measured")
        else:
            continue
        group.recordings[:] = [replace(one, answers=()) for one in counted]
    return replace(source, notes=notes)


def _disagreement(path: Path, log: Log, group: Group) -> list[str]:
    """What is said where the tool judged the first replies alone, and not all as a comparison with the target does.

    Raises `FileFormatError` where the comparison holds none of those right that the tool does: then the target is one
    that only the tool understands.
    """
    firsts = [(one, log.firsts[group.name, one.id]) for one in group.recordings if (group.name, one.id) in log.firsts]
    right = [one for one, is_right in firsts if is_right]
    if right and not any(one.correct[0] for one in right):
        what = f"the log holds the first reply to {right[0].id!r} right, and a comparison with its target does not"
        raise FileFormatError(path, right[0].line, f"{what}: which others are right cannot be told; {CONVERT}")
    n = sum(one.correct[0] is not is_right for one, is_right in firsts)
    if not n:
        return []
    return [
        f"{path.name}: of {len(firsts)} first replies, which the log judged, {n} compare otherwise with their targets"
    ]


def _counted(recording: Recording) -> Recording:
    """The recording as it is, or as counts alone where the log counts other draws as right."""
    if recording.n_right is None or recording.n_right == recording.n_correct:
        return recording
    counts = DrawCounts(recording.n, recording.n_right)
    return replace(recording, samples=(), answers=(), counts=counts)
