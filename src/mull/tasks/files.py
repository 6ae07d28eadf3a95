"""Problem sets from JSONL files, graded against their `answer` or their recorded verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mull import equal
from mull.errors import FileFormatError, UnknownNameError
from mull.files.recording import Recording
from mull.files.records import read_recordings
from mull.replies.answers import answer_of, canonical, is_latex, solution_answer
from mull.types import AnswerKind, Grade, Problem, Prompt, Sample

KINDS = {
    "auto": None, "exact": AnswerKind.TEXT, "numeric": AnswerKind.NUMBER, "choice": AnswerKind.CHOICE,
    "math": AnswerKind.MATH,
}  # fmt: skip


def kind_of(golds: list[str]) -> AnswerKind:
    """Numbers if all golds are numbers, choices if all are single letters, mathematics if any is LaTeX, else text."""
    if golds and all(len(gold) == 1 and gold.isalpha() for gold in golds):
        return AnswerKind.CHOICE
    if golds and all(canonical(gold, AnswerKind.TEXT) == canonical(gold, AnswerKind.NUMBER) for gold in golds):
        return AnswerKind.NUMBER
    return AnswerKind.MATH if any(map(is_latex, golds)) else AnswerKind.TEXT


@dataclass(frozen=True)
class FileTask:
    """Rows of `prompt` and `answer` in a JSONL file (`.gz` too), in the order of the file.

    `grading` says how answers are compared: `exact`, `numeric`, `choice`, `math`, or `auto`, which looks at the golds.
    A gold that is a whole solution stands for what follows `####` in it, or is in its last box. One that cannot be read
    as what it is compared as raises `FileFormatError` with its line.
    `model` picks the rows of one model in a file of recordings. A sample whose text was recorded with a
    verdict is graded by that verdict.
    """

    path: str
    grading: str = "auto"
    model: str | None = None

    def __post_init__(self) -> None:
        if self.grading not in KINDS:
            raise UnknownNameError("grading", self.grading, KINDS)
        ids = [recording.id for recording in self._recordings]
        if len(set(ids)) < len(ids):
            models = sorted({str(recording.group) for recording in self._recordings})
            raise FileFormatError(
                self.path, None, f"rows of several models: pick one with model=, of {', '.join(models)}"
            )
        for recording in self._recordings:
            gold = self._golds[recording.id]
            if gold is not None and canonical(gold, self._kind) is None:
                raise FileFormatError(self.path, recording.line, _unreadable(gold, self._kind))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was made of the file that its user should know."""
        n = sum(self._golds[recording.id] != recording.gold for recording in self._recordings)
        if not n:
            return ()
        return (f"{self.path}: {n} answers are whole solutions; what follows `####` or is in their last box is taken",)

    @property
    def name(self) -> str:
        return f"file:{self.path}" + (f",model={self.model}" if self.model else "")

    @property
    def data_date(self) -> str | None:
        """When the problems were published, where the rows say so and agree."""
        told = {recording.about.get("data_date") for recording in self._recordings}
        return told.pop() if len(told) == 1 else None

    @cached_property
    def _recordings(self) -> list[Recording]:
        return read_recordings(Path(self.path), self.model)

    @cached_property
    def _by_id(self) -> dict[str, Recording]:
        return {recording.id: recording for recording in self._recordings}

    @cached_property
    def _golds(self) -> dict[str, str | None]:
        """The answers by id; those of whole solutions are read as those of replies are."""
        return {r.id: None if r.gold is None else solution_answer(r.gold) or r.gold for r in self._recordings}

    @cached_property
    def _kind(self) -> AnswerKind:
        return KINDS[self.grading] or kind_of([gold for gold in self._golds.values() if gold is not None])

    def problems(self) -> Iterator[Problem]:
        for recording in self._recordings:
            yield Problem(recording.id, Prompt.user(recording.prompt or ""), self._kind)

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        recording = self._by_id[problem_id]
        for recorded in recording.samples:
            if recorded.correct is not None and recorded.text == sample.text and recorded.answer == sample.answer:
                return Grade(recorded.correct, "as recorded")
        gold = self._golds[problem_id]
        if gold is None:
            return Grade(None, f"line {recording.line} has no answer to compare with")
        problem = Problem(problem_id, sample.prompt, self._kind)
        answer = answer_of(problem, sample)
        if answer is None:
            return Grade(False, "no answer")
        if self._kind is not AnswerKind.MATH:
            return Grade(answer == canonical(gold, self._kind))
        return Grade(*await equal.compare(gold, answer))


_NAMES = {AnswerKind.NUMBER: "a number", AnswerKind.CHOICE: "a letter of a choice", AnswerKind.MATH: "mathematics"}


def _unreadable(gold: str, kind: AnswerKind) -> str:
    """What to say of an answer that no reply could ever equal."""
    if not gold.strip():
        return "the `answer` is empty: leave it out where there is none"
    shown = gold if len(gold) <= 60 else gold[:57] + "..."
    what = f"the answer {shown!r} is not {_NAMES.get(kind, 'text')}"
    return f"{what}: mend it, leave it out, or compare as text (grading=exact)"
