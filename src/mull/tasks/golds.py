"""How the rows of a file are read and graded: one way for tasks and for recorded draws."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mull import equal
from mull.equal.patterns import regex
from mull.errors import FileFormatError
from mull.files.columns import EXACT, INCLUDES, Layout
from mull.files.recording import Recording
from mull.replies import asking, visible
from mull.replies.answers import ANSWER_PATTERN, of_question
from mull.replies.kinds import ExactAnswer
from mull.tasks.kinds import kind_in, kind_of, told_gold
from mull.types import AnswerKind, Grade, Kind, Problem, Prompt


def kind_for(recording: Recording, layout: Layout) -> AnswerKind | Kind | None:
    """The kind of a row's answers: the one that is asked for, or the row's own."""
    if layout.match == EXACT:
        return ExactAnswer()
    return kind_in(recording) if layout.kind is None else AnswerKind(layout.kind)


def problem_of(
    recording: Recording, kind: AnswerKind | Kind, pattern: str | None = None, ask: str | None = "none"
) -> Problem:
    """The problem of a recording, without its gold answer; `ask` is the form of answer that its prompt asks for."""
    return prompted(recording.id, recording.prompt or recording.id, kind, pattern, ask)


def prompted(id: str, question: str, kind: AnswerKind | Kind, pattern: str | None, ask: str | None) -> Problem:
    """A problem of one question, with the form of answer that is asked for."""
    given = {} if pattern is None else {ANSWER_PATTERN: pattern}
    return Problem(id, Prompt.user(asking.asked(question, plain_kind(kind), ask)), kind, given)


def plain_kind(kind: AnswerKind | Kind) -> AnswerKind:
    """The kind by which a form of answer is asked for; what is no `AnswerKind` is a text."""
    return kind if isinstance(kind, AnswerKind) else AnswerKind.TEXT


def gold_of(path: Path, recording: Recording, kind: AnswerKind | Kind) -> str | None:
    """The gold answer in the normal form of its kind. Raises `FileFormatError` if it cannot be read as one."""
    told = told_gold(recording)
    if told is None:
        return None
    gold = of_question(told, kind, recording.prompt or "") if isinstance(kind, AnswerKind) else kind.canonical(told)
    if gold is None:
        raise FileFormatError(path, recording.line, _unreadable(told, kind))
    return gold


_NAMES = {
    AnswerKind.NUMBER: "a number",
    AnswerKind.CHOICE: "a letter of a choice",
    AnswerKind.YES_NO: "yes or no",
    AnswerKind.MATH: "mathematics",
}


def _unreadable(gold: str, kind: AnswerKind | Kind) -> str:
    """The error message for a gold answer that no reply could equal."""
    if not gold.strip():
        return "the `answer` is empty: leave it out where there is none"
    shown = gold if len(gold) <= 60 else gold[:57] + "..."
    what = f"the answer {shown!r} is not {_NAMES.get(plain_kind(kind), 'text')}"
    return f"{what}: mend it, leave it out, or leave out --kind, and each row is read as its own answer is"


def includes(gold: str, reply: str) -> bool:
    """Whether a reply has a gold answer in it, as whole words, outside its thought and whatever its case and spaces."""
    said, wanted = (" ".join(text.split()).casefold() for text in (visible.spoken(reply) or "", gold))
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", said) is not None


def included(recording: Recording, layout: Layout, reply: str) -> bool | None:
    """Whether a reply has the gold answer in it; `None` where that is not how it is graded."""
    if layout.match != INCLUDES or (told := told_gold(recording)) is None:
        return None
    return includes(told, reply)


async def grade(kind: AnswerKind | Kind, gold: str, answer: str | None) -> Grade:
    """The grade of an answer against a gold answer in normal form; no answer is never right."""
    if answer is None:
        return Grade(False, "no answer")
    if kind is not AnswerKind.MATH:
        return Grade(answer == gold)
    return Grade(*await equal.compare(gold, answer))


def is_right(kind: AnswerKind | Kind, gold: str, answer: str | None) -> bool:
    """`grade` for where nothing else waits; what nobody could decide is not right."""
    if answer is None or kind is not AnswerKind.MATH:
        return answer == gold
    return equal.compare_now(gold, answer).is_equal is True


class GoldCheck:
    """Raises `FileFormatError` for a gold answer that cannot be read, and for one question with two gold answers."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._first: dict[bytes, tuple[int | None, str | None, AnswerKind | Kind, str]] = {}
        """By a digest of the question: the line that asks it first, and its gold answer as told and as read."""

    def add(self, one: Recording) -> None:
        kind = kind_for(one, self.layout) or AnswerKind.TEXT
        gold = gold_of(self.path, one, kind)
        question = " ".join((one.prompt or "").split()).casefold()
        if gold is None or not question or one.prompt == one.id:
            return
        key = hashlib.blake2b(question.encode(errors="surrogatepass"), digest_size=16).digest()
        line, told, its_kind, its_gold = self._first.setdefault(key, (one.line, one.gold, kind, gold))
        if not (its_kind == kind and (its_gold == gold or is_right(kind, its_gold, gold))):
            what = f"asks the same as line {line} with another answer: {one.gold!r} here, {told!r} there"
            raise FileFormatError(self.path, one.line, f"{what}; mend one of them, or leave it out")


def check_golds(path: Path, recordings: Iterable[Recording], layout: Layout) -> None:
    """Raises `FileFormatError` for a gold answer that cannot be read, and for one question with two gold answers."""
    check = GoldCheck(path, layout)
    for one in recordings:
        check.add(one)


EXACT_KINDS = (AnswerKind.NUMBER, AnswerKind.MATH)
_PLACEHOLDER = regex(
    r"\s*(?:n\.?/?a\.?|none|null|nan|nil|unknown|missing|not\s(?:available|known)|tb[ad]|[-–—?_.]{1,5})\s*",
    re.IGNORECASE,
)
"""What tables have where there is no answer."""
MOST_NAMED = 5
"""Lines of placeholders that a note names."""


class GoldNotes:
    """Notes on golds that are whole solutions, on placeholders among golds, and on rows without any."""

    def __init__(self) -> None:
        self._n = self._n_solutions = self._n_without = self._n_unknown = 0
        self._unknown: list[tuple[int | None, str]] = []
        self._is_exact = False

    def add(self, one: Recording) -> None:
        self._n += 1
        told = told_gold(one)
        self._n_solutions += told != one.gold
        self._n_without += one.gold is None and not _is_graded(one)
        self._is_exact = self._is_exact or (told is not None and kind_of(told) in EXACT_KINDS)
        if one.gold is not None and _PLACEHOLDER.fullmatch(one.gold):
            self._n_unknown += 1
            self._unknown += [(one.line, one.gold)] if self._n_unknown <= MOST_NAMED else []

    def told(self, path: Path) -> list[str]:
        notes = []
        if self._n_unknown and self._is_exact:
            lines = ", ".join(str(line) for line, _ in self._unknown) + (
                ", ..." if self._n_unknown > MOST_NAMED else ""
            )
            said = ", ".join(dict.fromkeys(repr(gold) for _, gold in self._unknown))
            many = "s" * (self._n_unknown > 1)
            what = f"line{many} {lines}: {said} beside answers that are numbers or mathematics is text"
            notes.append(f"{path}: {what}; leave out an answer that is not known")
        if self._n_solutions:
            what = "answers are whole solutions; what follows `####` or is in their last box is taken"
            notes.append(f"{path}: {self._n_solutions} {what}")
        if self._n_without:
            notes.append(f"{path}: {self._n_without} of {self._n} rows have no gold answer: votes only, not graded")
        return notes


def notes_on(path: Path, recordings: Iterable[Recording]) -> list[str]:
    """The `GoldNotes` of these rows."""
    notes = GoldNotes()
    for one in recordings:
        notes.add(one)
    return notes.told(path)


def _is_graded(recording: Recording) -> bool:
    """Whether a row needs no gold answer, since its samples have verdicts or are only counted."""
    return recording.counts is not None or (bool(recording.samples) and None not in recording.verdicts)


def forms_of(problems: Sequence[Problem]) -> Mapping[str, int]:
    """How many problems ask for a form of answer, by its name."""
    found: dict[str, int] = {}
    for problem in problems:
        question = problem.prompt.question
        sentence = question.removeprefix(asking.unasked(question)).strip()
        if sentence:
            name = asking.name_of(sentence)
            found[name] = found.get(name, 0) + 1
    return found
