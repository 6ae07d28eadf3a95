"""Reading the answer out of a reply, and when two answers are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from mull import equal
from mull.equal import Answers
from mull.replies import thinking
from mull.replies.programs import program_of
from mull.types import AnswerKind, Finish, Problem, Sample

_MARKED = re.compile(r"(?:####|\b(?:final\s+)?answer\s*(?:is\s*:?|:|=))\s*(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|/\d+)?")
_NUMBERS = re.compile(r"[-+]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")
_CHOICE = re.compile(r"\(?\b([A-Z])\b\)?")
_IN_DOLLARS = re.compile(r"\$([^$]+)\$")
_LATEX = re.compile(r"\\[a-zA-Z]{2}|\\[{$%]|\^")
MAX_WORDS = 6
"""A last line of more words than that is no mathematical answer."""
MAX_DIGITS = 400
"""Longer numbers are compared as text: exact arithmetic on them costs more than it tells."""


def answer_of(problem: Problem, sample: Sample) -> str | None:
    """The canonical answer of a sample, or `None` where it gives none and so must not vote."""
    if sample.finish is Finish.ERROR:
        return None
    if problem.kind is AnswerKind.CODE:
        return program_of(problem, sample)
    if sample.answer is not None:
        return canonical(sample.answer, problem.kind)
    return extract(sample.reply, problem.kind, is_whole=sample.finish is Finish.STOP)


async def classes(problem: Problem, samples: Sequence[Sample]) -> Answers:
    """The answer of each sample as what a vote counts: equal answers have one name, `None` does not vote.

    Mathematical answers are classed by `mull.equal`, any others by their canonical form.
    """
    answers = [answer_of(problem, sample) for sample in samples]
    return await equal.classes(answers) if problem.kind is AnswerKind.MATH else Answers(answers)


def classes_now(problem: Problem, samples: Sequence[Sample]) -> Answers:
    """`classes` for where nothing else waits."""
    answers = [answer_of(problem, sample) for sample in samples]
    return equal.classes_now(answers) if problem.kind is AnswerKind.MATH else Answers(answers)


def is_latex(text: str) -> bool:
    """Whether an answer is written in LaTeX, and so is one of mathematics."""
    return _LATEX.search(text) is not None


def extract(reply: str, kind: AnswerKind = AnswerKind.TEXT, *, is_whole: bool = True) -> str | None:
    r"""The canonical answer that a reply gives: the last `\boxed{}`, else the last `answer: ...`, else its end.

    What stands inside a thought is not the answer, and a thought that never ended has none. Only a whole
    reply is read to its end: one that was cut off answers nothing unless it says so.
    """
    spoken = thinking.spoken(reply)
    if spoken is None:
        return None
    boxed = _last_boxed(spoken)
    if boxed is not None:
        return canonical(boxed, kind)
    marked = _MARKED.findall(spoken)
    if marked:
        return canonical(_in_dollars(marked[-1]) if kind is AnswerKind.MATH else marked[-1], kind)
    if not is_whole:
        return None
    if kind is AnswerKind.NUMBER:
        numbers = _NUMBERS.findall(spoken)
        return canonical(numbers[-1], kind) if numbers else None
    if kind is AnswerKind.CHOICE:
        letters = _CHOICE.findall(spoken)
        return letters[-1] if letters else None
    lines = spoken.strip().splitlines()
    if kind is AnswerKind.MATH and lines:
        last = _in_dollars(lines[-1])
        return canonical(last, kind) if len(last.split()) <= MAX_WORDS or "\\" in last else None
    return canonical(lines[-1], kind) if lines else None


def _in_dollars(line: str) -> str:
    """What a line has last between dollar signs; the whole line where it has nothing there."""
    found = _IN_DOLLARS.findall(line)
    return found[-1] if found else line


def canonical(text: str, kind: AnswerKind = AnswerKind.TEXT) -> str | None:
    """The form in which two answers are the same if and only if they are equal; `None` for no answer at all."""
    if kind is AnswerKind.MATH:
        return equal.canonical(text)
    text = text.strip().strip("*`").strip()
    if kind is AnswerKind.EXPRESSION:
        return re.sub(r"\s+", "", text).rstrip(".") or None
    if kind is AnswerKind.CHOICE:
        letter = re.fullmatch(r"\(?([A-Za-z])\)?[.:)]?(?:\s.*)?", text, re.DOTALL)
        return letter[1].upper() if letter else None
    number = _number(text)
    if number is not None:
        return number
    if kind is AnswerKind.NUMBER:
        numbers = _NUMBERS.findall(text)
        return _number(numbers[0]) if numbers else None
    return re.sub(r"\s+", " ", text).rstrip(".").strip().casefold() or None


def _number(text: str) -> str | None:
    """An exact number as a reduced fraction, or `None` if the text is not just a number."""
    plain = text.rstrip(".").replace("$", "").replace(",", "").strip()
    if not plain or len(plain) > MAX_DIGITS or not plain.isascii() or not _NUMBER.fullmatch(plain):
        return None
    try:
        return str(Fraction(plain))
    except (ValueError, ZeroDivisionError):
        return None


def _last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` that is closed."""
    start = text.rfind("\\boxed{")
    while start >= 0:
        depth = 0
        for i in range(start + 6, len(text)):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if depth == 0:
                return text[start + 7 : i]
        start = text.rfind("\\boxed{", 0, start)
    return None
