"""Logs of other tools, graded: their own verdicts where a log has them, and otherwise the answers in the replies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mull.errors import FileFormatError
from mull.files.logs.base import CONVERT, Log
from mull.files.recording import DrawCounts, Recording
from mull.lab.recorded import Group, Source, source_of
from mull.lab.run_summary import own_tests
from mull.replies.answers import extract


def with_answers(recording: Recording) -> Recording:
    """The recording with an answer for every sample: the recorded one, or else the one in its text."""
    samples = (s._replace(answer=extract(s.text) or "") if s.answer is None else s for s in recording.samples)
    return replace(recording, samples=tuple(samples))


def _without_answers(recording: Recording) -> Recording:
    """The recording with empty answers, for replies that have none to compare."""
    return replace(recording, samples=tuple(sample._replace(answer="") for sample in recording.samples))


def source_of_log(path: Path, log: Log) -> Source:
    """A tool's log by group, graded. Raises `FileFormatError` if nothing says which draws are right.

    Replies without a verdict are compared with the target. If that gives another number of right replies than the log
    states, the log's number is used alone; the group then has no answers, and no vote is measured.
    """
    recordings, notes = _runs_graded(path, log)
    recordings, told = _tests_scored(path, recordings)
    notes += told
    n_ungraded = 0
    for one in recordings:
        ungraded = sum(sample.correct is None for sample in one.samples)
        n_ungraded += ungraded
        if ungraded and one.gold is None:
            what = f"this log of {log.tool} has neither verdicts nor right answers; {log.ungraded}"
            raise FileFormatError(path, one.line, what)
    if n_ungraded:
        what = "replies have no verdict: each was compared with its target"
        notes.append(f"{path.name}: {n_ungraded} {what}")
    source = source_of(path, list(map(with_answers if log.votes else _without_answers, recordings)))
    for name, group in source.groups.items():
        notes += _disagreement(path, log, group)
        counted = [_counted(one) for one in group.recordings]
        if n := sum(one.counts is not None for one in counted):
            notes.append(
                f"{path.name}: for {n} problems the log states how many replies are right but not which, and the "
                "targets do not decide it either: no vote is measured"
            )
        elif not any(answer for one in counted for answer in one.answers):
            notes.append(f"{path.name}: no reply has an answer that could be compared: no vote is measured")
        else:
            continue
        source.groups[name] = replace(group, recordings=[replace(one, answers=()) for one in counted])
    return replace(source, notes=notes)


def _runs_graded(path: Path, log: Log) -> tuple[list[Recording], list[str]]:
    """The recordings of a log without the agents' runs that nobody graded, if others are graded; and the notes."""
    samples = [sample for one in log.recordings for sample in one.samples]
    lacking = [sample for sample in samples if sample.run is not None and sample.correct is None]
    if not lacking or all(sample.correct is None for sample in samples):
        return log.recordings, list(log.notes)
    found = []
    for one in log.recordings:
        kept = tuple(sample for sample in one.samples if sample.run is None or sample.correct is not None)
        found += [replace(one, samples=kept)] if kept else []
    return found, [*log.notes, f"{path.name}: {len(lacking)} runs have no verdict and are left out"]


def _tests_scored(path: Path, recordings: list[Recording]) -> tuple[list[Recording], list[str]]:
    """The recordings with the verdicts of agents' own tests as scores, where runs have some; and a note on it."""
    found, n, n_told = [], 0, 0
    for one in recordings:
        tests = [None if sample.run is None else own_tests(sample.run) for sample in one.samples]
        scores = [
            sample.score if own is None else float(own.passed) for sample, own in zip(one.samples, tests, strict=True)
        ]
        found.append(one.with_column("score", tuple(scores)) if any(tests) else one)
        n += sum(sample.run is not None for sample in one.samples)
        n_told += sum(own is not None for own in tests)
    told = f"{path.name}: the scores are the verdicts of the runs' own tests, which {n_told} of {n} runs have"
    return found, [told] if n_told else []


def _disagreement(path: Path, log: Log, group: Group) -> list[str]:
    """Notes on a log in which the tool judged only the first replies, and its verdicts differ from the comparison's.

    Raises `FileFormatError` if the comparison accepts none of the replies that the tool accepts: then only the tool can
    interpret the target.
    """
    firsts = [(one, log.firsts[group.name, one.id]) for one in group.recordings if (group.name, one.id) in log.firsts]
    right = [one for one, is_right in firsts if is_right]
    if right and not any(one.correct[0] for one in right):
        what = f"the log counts the first reply to {right[0].id!r} as right, but it does not equal the target"
        raise FileFormatError(path, right[0].line, f"{what}: which others are right cannot be told; {CONVERT}")
    n = sum(one.correct[0] is not is_right for one, is_right in firsts)
    if not n:
        return []
    return [
        f"{path.name}: the log judged {len(firsts)} first replies; comparison with the target differs on {n} of them"
    ]


def _counted(recording: Recording) -> Recording:
    """The recording, reduced to counts if the log's number of right draws differs from that of its samples."""
    if recording.n_right is None or recording.n_right == recording.n_correct:
        return recording
    counts = DrawCounts(recording.n, recording.n_right)
    return replace(recording, samples=(), answers=(), counts=counts)
