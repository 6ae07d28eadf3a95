"""Problem sets from tables, graded against their gold answers or their recorded verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mull import equal
from mull.errors import FileFormatError, UnknownNameError
from mull.files.columns import Layout
from mull.files.recording import Recording
from mull.files.records import read_recordings
from mull.replies.answers import ANSWER_PATTERN, answers_of, canonical, extract, is_latex, solution_answer
from mull.types import AnswerKind, Grade, Kind, Problem, Prompt, Sample

KINDS = {
    "auto": None,
    "exact": AnswerKind.TEXT,
    "numeric": AnswerKind.NUMBER,
    "choice": AnswerKind.CHOICE,
    "math": AnswerKind.MATH,
}


def kind_of(golds: Sequence[str]) -> AnswerKind:
    """Numbers if all golds are numbers, choices if all are single letters, mathematics if any is LaTeX, else text."""
    if golds and all(len(gold) == 1 and gold.isalpha() for gold in golds):
        return AnswerKind.CHOICE
    if golds and all(canonical(gold, AnswerKind.TEXT) == canonical(gold, AnswerKind.NUMBER) for gold in golds):
        return AnswerKind.NUMBER
    return AnswerKind.MATH if any(map(is_latex, golds)) else AnswerKind.TEXT


def kind_among(recordings: Sequence[Recording]) -> AnswerKind | None:
    """The kind of a file's answers, from its golds, or from recorded answers if verdicts replace golds.

    `None`: the file has neither golds nor recorded answers, so no part of a reply is known to be the answer.
    """
    samples = [sample for one in recordings for sample in one.samples]
    recorded = [sample.answer for sample in samples if sample.answer]
    golds = [gold for one in recordings if (gold := told_gold(one)) is not None]
    if recorded and (not golds or all(sample.correct is not None for sample in samples)):
        return kind_of(recorded)
    if golds:
        return kind_of(golds)
    said = [answer for s in samples if (answer := extract(s.text, is_whole=False)) is not None]
    return kind_of(said) if said and 2 * len(said) >= len(samples) else None


def problem_of(recording: Recording, kind: AnswerKind | Kind, pattern: str | None = None) -> Problem:
    """The problem of a recording, without its gold answer."""
    given = {} if pattern is None else {ANSWER_PATTERN: pattern}
    return Problem(recording.id, Prompt.user(recording.prompt or recording.id), kind, given)


def told_gold(recording: Recording) -> str | None:
    """The gold answer, or the answer in it if it is a whole solution."""
    return None if recording.gold is None else solution_answer(recording.gold) or recording.gold


def gold_of(path: Path, recording: Recording, kind: AnswerKind) -> str | None:
    """The gold answer in the normal form of its kind. Raises `FileFormatError` if it cannot be read as one."""
    told = told_gold(recording)
    gold = None if told is None else canonical(told, kind)
    if told is not None and gold is None:
        raise FileFormatError(path, recording.line, _unreadable(told, kind))
    return gold


_NAMES = {AnswerKind.NUMBER: "a number", AnswerKind.CHOICE: "a letter of a choice", AnswerKind.MATH: "mathematics"}


def _unreadable(gold: str, kind: AnswerKind) -> str:
    """The error message for a gold answer that no reply could equal."""
    if not gold.strip():
        return "the `answer` is empty: leave it out where there is none"
    shown = gold if len(gold) <= 60 else gold[:57] + "..."
    what = f"the answer {shown!r} is not {_NAMES.get(kind, 'text')}"
    return f"{what}: mend it, leave it out, or compare as text (grading=exact)"


def solution_note(path: Path, recordings: Sequence[Recording]) -> list[str]:
    """The note about golds that are whole solutions."""
    n = sum(told_gold(recording) != recording.gold for recording in recordings)
    what = f"{path}: {n} answers are whole solutions; what follows `####` or is in their last box is taken"
    return [what] if n else []


@dataclass(frozen=True)
class FileTask:
    """Problems with gold answers from JSONL, a JSON list, CSV, TSV (`.gz` too) or Parquet, in file order.

    `grading` is the comparison of answers: `exact`, `numeric`, `choice`, `math`, or `auto`, which infers it from the
    golds. If a gold is a whole solution, the answer is the text after `####` in it or in its last box. A gold that
    cannot be read for its comparison raises `FileFormatError` with its line. `model` selects the rows of one model in a
    file of recordings. A recorded sample with a verdict is graded by that verdict. `id`, `prompt`, `samples`, `gold`,
    `correct`, `answer` and `score` name columns with unusual names; `score_range` is the range of scores (`LOW,HIGH`);
    `answer_pattern` is a regular expression whose last match in a reply is the answer.
    """

    domain = None
    step_truth = False

    path: str
    grading: str = "auto"
    model: str | None = None
    id: str | None = None
    prompt: str | None = None
    samples: str | None = None
    gold: str | None = None
    correct: str | None = None
    answer: str | None = None
    score: str | None = None
    score_range: str | None = None
    answer_pattern: str | None = None

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
            gold_of(Path(self.path), recording, self._kind)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on how the file was read."""
        return tuple(solution_note(Path(self.path), self._recordings))

    @property
    def name(self) -> str:
        return f"file:{self.path}" + (f",model={self.model}" if self.model else "")

    @property
    def size(self) -> int:
        return len(self._recordings)

    @property
    def date(self) -> str | None:
        """The problems' publication date, if the rows state one and agree."""
        told = {recording.about.get("data_date") for recording in self._recordings}
        return told.pop() if len(told) == 1 else None

    @cached_property
    def _recordings(self) -> list[Recording]:
        return read_recordings(Path(self.path), self.model, Layout.of(self))

    @cached_property
    def _by_id(self) -> dict[str, Recording]:
        return {recording.id: recording for recording in self._recordings}

    @cached_property
    def _kind(self) -> AnswerKind:
        return KINDS[self.grading] or kind_among(self._recordings) or AnswerKind.TEXT

    def problems(self) -> Iterator[Problem]:
        for recording in self._recordings:
            yield problem_of(recording, self._kind, self.answer_pattern)

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        recording = self._by_id[problem_id]
        for recorded in recording.samples:
            if recorded.correct is not None and recorded.text == sample.text and recorded.answer == sample.answer:
                return Grade(recorded.correct, "as recorded")
        gold = gold_of(Path(self.path), recording, self._kind)
        if gold is None:
            return Grade(None, f"line {recording.line} has no answer to compare with")
        (answer,) = await answers_of(problem_of(recording, self._kind, self.answer_pattern), [sample])
        if answer is None:
            return Grade(False, "no answer")
        if self._kind is not AnswerKind.MATH:
            return Grade(answer == gold)
        return Grade(*await equal.compare(gold, answer))
