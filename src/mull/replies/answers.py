"""Reading the answer out of a reply, and when two answers are the same.

One reader for all kinds: `regions` says where a reply gives its answer, and the whole of what stands there is read as
a value of the kind. A part of it never stands for it: what cannot be read so is no answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from enum import Enum
from typing import Literal

from mull import equal
from mull.equal import Answers
from mull.equal.patterns import regex
from mull.replies import choices, numbers, regions, thinking
from mull.replies.marks import Region
from mull.replies.programs import program_of
from mull.replies.text import (
    HTML,
    MAX_REGION,
    bare,
    clause,
    flat,
    is_refusal,
    is_unknowable,
    sentences_backwards,
    signs,
    without_reason,
    worded,
)
from mull.types import AnswerKind, Finish, Problem, Sample

ANSWER_PATTERN = "answer_pattern"
"""What a problem has `given` where a regular expression says which part of a reply is the answer."""
AT_ONCE = 200_000
"""Characters of replies that are read before other work has its turn: some milliseconds of it."""
MAX_WORDS = 6
"""A line of more words than that is no mathematical answer."""
_LATEX = regex(r"\\[a-zA-Z]{2}|\\[{$%]|\^")


class _Other(Enum):
    """What stands in a region is of another kind than was asked for, so that the region is passed over."""

    OTHER = 0


OTHER: Literal[_Other.OTHER] = _Other.OTHER
Reading = str | None | Literal[_Other.OTHER]


def answer_of(problem: Problem, sample: Sample) -> str | None:
    """The canonical answer of a sample, or `None` where it gives none and so must not vote."""
    if sample.finish is Finish.ERROR:
        return None
    if not isinstance(problem.kind, AnswerKind):
        return problem.kind.read(sample) if sample.answer is None else problem.kind.canonical(sample.answer)
    if problem.kind is AnswerKind.CODE:
        return program_of(problem, sample)
    pattern = problem.given.get(ANSWER_PATTERN)
    if pattern is not None and sample.answer != sample.text:
        found = _matched(pattern, sample.reply)
        return None if found is None else canonical(found, problem.kind)
    if sample.answer is not None:
        return canonical(sample.answer, problem.kind)
    return extract(sample.reply, problem.kind, is_whole=sample.finish is Finish.STOP)


def _matched(pattern: str, reply: str) -> str | None:
    """What the last match of a pattern says: its first group, or the whole of it without one."""
    last = None
    for match in re.finditer(pattern, reply):
        last = match
    if last is None:
        return None
    return last[1] if last.re.groups else last[0]


async def classes(problem: Problem, samples: Sequence[Sample]) -> Answers:
    """The answer of each sample as what a vote counts: equal answers have one name, `None` does not vote.

    Mathematical answers are classed by `mull.equal`, any others by their canonical form. Reading many long replies lets
    other work go on in between.
    """
    answers, size = [], 0
    for sample in samples:
        answers.append(answer_of(problem, sample))
        size += len(sample.text)
        if size > AT_ONCE:
            size = 0
            await asyncio.sleep(0)
    return await equal.classes(answers) if problem.kind is AnswerKind.MATH else Answers(answers)


def classes_now(problem: Problem, samples: Sequence[Sample]) -> Answers:
    """`classes` for where nothing else waits."""
    answers = [answer_of(problem, sample) for sample in samples]
    return equal.classes_now(answers) if problem.kind is AnswerKind.MATH else Answers(answers)


def is_latex(text: str) -> bool:
    """Whether an answer is written in LaTeX, and so is one of mathematics."""
    return _LATEX.search(text) is not None


def extract(reply: str, kind: AnswerKind = AnswerKind.TEXT, *, is_whole: bool = True) -> str | None:
    r"""The canonical answer that a reply gives, `None` where it gives none.

    It stands in the last box, answer tags or answer line outside the thought, else in the last phrase that says what
    the answer is, else at the reply's end. Only a whole reply is read to its end: one that was cut off answers nothing
    unless it says so.
    """
    said = thinking.said(reply)
    if said is None:
        return None
    return _read(regions.own(said.text), kind, is_whole=is_whole and not said.is_open)


def solution_answer(text: str) -> str | None:
    """The answer as it stands in a whole solution, after its last `####` or in its last box; `None` without these."""
    for region in regions.regions(text):
        if region.sort in ("box", "heading"):
            return ", ".join(region.parts) or region.text.strip() or None
    return None


def _read(text: str, kind: AnswerKind, *, is_whole: bool) -> str | None:
    has_end = is_whole
    for region in regions.regions(text):
        after = text[region.end : region.end + regions.REACH]
        read = _region(region, kind, after)
        if read is OTHER:
            has_end = has_end and bool(region.text.strip()) and not _is_mark(region)
            continue
        at = regions.taken_back(text, region.end)
        return read if at is None else _read(text[at:], kind, is_whole=is_whole)
    if kind is AnswerKind.CHOICE:
        return choices.stated(text) if is_whole else None
    return _end(text, kind) if has_end else None


def _is_mark(region: Region) -> bool:
    """Whether a region of another kind shows that nothing else is the answer: a box does, a label of prose does not."""
    return region.sort in ("box", "tag") or (region.sort == "line" and len(region.text.split()) <= MAX_WORDS)


def _region(region: Region, kind: AnswerKind, after: str) -> Reading:
    """What a region says, read whole; `after` is what the reply goes on with."""
    text = region.text
    if region.parts:
        return _parts(region.parts, kind)
    if not text.strip():
        return None if region.sort == "box" else OTHER
    if len(text) >= MAX_REGION and region.sort != "tag":
        return None  # longer than any answer: what was looked at is a part of it
    if region.sort == "tag":
        return _tag(text, kind)
    is_last = not after.strip(" \t\r\n.*`")
    match kind:
        case AnswerKind.NUMBER:
            is_derivation = region.sort == "line" and _DERIVATION.match(text) is not None and numbers.has_number(after)
            return OTHER if is_derivation else _number(region)
        case AnswerKind.CHOICE:
            return _choice(text)
        case AnswerKind.MATH if region.sort != "box":
            read = mathematics(text)
            return OTHER if region.sort == "heading" and not is_last and _is_prose(read) else read
        case AnswerKind.EXPRESSION:
            return _expression(text)
        case AnswerKind.TEXT if region.sort != "box":
            is_remark = (region.sort == "phrase" and _REMARK.fullmatch(text) is not None) or (
                region.sort == "heading" and not is_last
            )
            said = _affirmed(text) if region.sort == "phrase" else text
            return OTHER if is_remark else None if is_refusal(text) else canonical(said, kind)
        case _:
            return canonical(text, kind)


_REMARK = regex(
    r"\W*(?:indeed\s|in\s|also\s)?(?:correct|right|wrong|incorrect|as follows|below|above|found|given)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_DERIVATION = regex(r"\W*(?:[^\W\d_][^\s=]*\s+){3}|[^=]{0,200}=(?!\s*$)", re.DOTALL)
_VALUE_FIRST = regex(
    r"\W*(?:(?:about|approximately|roughly|exactly|only|just|around|[A-Za-z]|not|at (?:least|most)|either|both|between"
    r"|from|over|under|up to|one of|(?:more|less|greater|fewer) than|USD|a total of|half(?: of)?|twice|double|triple"
    r"|(?:the )?(?:square |cube )?root of|a (?:third|quarter) of)\b\W*)*\d",
    re.IGNORECASE,
)


def _number(region: Region) -> Reading:
    text = region.text
    value = numbers.number(text, is_continental=region.is_continental)
    if value is not None:
        return value
    if not numbers.has_number(text):
        return None if is_unknowable(text) else OTHER
    return None if _is_mark(region) or _VALUE_FIRST.match(text) or is_unknowable(text) else OTHER


def _choice(text: str) -> Reading:
    letter = choices.choice(text)
    if letter is not None:
        return letter
    return None if is_unknowable(text) or choices.speaks_of_letters(text) else OTHER


def _parts(parts: Sequence[str], kind: AnswerKind) -> Reading:
    """Several boxes that are one answer: for one that is a single value they must all say the same."""
    values = list(dict.fromkeys(canonical(part, kind) for part in parts))
    if len(values) == 1:
        return OTHER if values[0] is None and kind is AnswerKind.CHOICE else values[0]
    return canonical(", ".join(parts), kind) if kind in (AnswerKind.MATH, AnswerKind.TEXT) else None


def _tag(text: str, kind: AnswerKind) -> Reading:
    """What stands between answer tags: an answer, or a text that says one."""
    if next(regions.regions(text), None) is not None:
        return _read(text, kind, is_whole=True)
    if len(text) > MAX_REGION:
        return None  # longer than any answer
    match kind:
        case AnswerKind.NUMBER:
            value = numbers.number(text)
            return value if value is not None or numbers.has_number(text) else OTHER
        case AnswerKind.CHOICE:
            return _choice(text)
        case AnswerKind.MATH:
            return mathematics(text)
        case AnswerKind.EXPRESSION:
            return _expression(text)
        case _:
            return None if is_refusal(text) else canonical(text, kind)


_SPAN = regex(
    r"\$\$(?P<a>[^$]{1,900})\$\$|\$(?![\s$])(?P<b>[^$\n]{1,400}?)(?<![\s\\])\$(?!\d)|\\\((?P<c>.{1,600}?)\\\)|\\\[(?P<d>.{1,900}?)\\\]",
    re.DOTALL,
)
_UNIT = regex(r"[A-Za-z][A-Za-z /]*")
_BETWEEN = regex(r"\s*(?:,|;|,?\s*\b(?:and|or|und|oder|et|ou|y|o)\b|和|或)\s*")
_SAYS = regex(r"(?:\b(?:is|are|equals|ist|est|es|be|to|get|obtain|have|answer)|[=:：是为])\W*$")
_COPULA = regex(r"(?:\b(?:is|are|equals|ist|est|es|be)\s|=|是|为)")


_NOT_THAT = regex(r",?\s(?:and\s)?(?:not|rather than|instead of)\s[^,;]{1,80}$", re.IGNORECASE)
_NOT_BUT = regex(r"^\W{0,3}not\s.{1,80}?,?\sbut\s(?:rather\s)?", re.IGNORECASE)


def _affirmed(text: str) -> str:
    """A sentence without what it denies and without its reasons, where something is left."""
    said = _NOT_THAT.sub("", _NOT_BUT.sub("", without_reason(text)))
    return said if said.strip() else text


def mathematics(text: str) -> Reading:
    """The mathematics that a sentence gives as its answer: all that its signs mark as such, or the whole of it."""
    if is_unknowable(text):
        return None
    text = _affirmed(text)
    spans = list(_SPAN.finditer(text))
    if spans:
        return _in_spans(text, spans)
    main = clause(text) if "\\begin" not in text else text
    if not _is_prose(read := equal.canonical(main)):
        return read
    copula = list(_COPULA.finditer(main))
    if copula and not _is_prose(told := equal.canonical(main[copula[-1].end() :])):
        return told
    if (value := numbers.number(main)) is not None:
        return equal.canonical(value)
    return read if len(main.split()) <= MAX_WORDS or "\\" in main else OTHER


def _in_spans(text: str, spans: list[re.Match[str]]) -> Reading:
    """Mathematics between its signs, with the unit after it; several of them where they are one list."""
    last = next((i for i, span in enumerate(spans) if not _goes_on(text, span, spans[i + 1 : i + 2])), 0)
    inner = ", ".join(next(group for group in span.groups() if group is not None) for span in spans[: last + 1])
    rest = clause(text[spans[last].end() :])
    if numbers.has_number(text[: spans[0].start()]) or _SPAN.search(rest) or re.search(r"\d", rest):
        return OTHER
    unit = rest.strip(" .,;:!?*")
    if not last and 1 <= len(unit.split()) <= 3 and rest[:1] == " " and _UNIT.fullmatch(unit):
        form = equal.read(f"{inner} \\text{{{unit}}}")
        if form is not None and form.kind == "quantity":
            return form.key
    return equal.canonical(inner)


def _goes_on(text: str, span: re.Match[str], following: list[re.Match[str]]) -> bool:
    """Whether a list goes on from one span of mathematics to the next."""
    return bool(following) and _BETWEEN.fullmatch(text, span.end(), following[0].start()) is not None


def _is_prose(read: Reading) -> bool:
    """Whether mathematics was read as words, or not at all."""
    form = equal.read(read) if isinstance(read, str) else None
    return form is None or form.kind in ("text", "hard")


_SIGNS_OF = str.maketrans({"·": "*"})
_LATEX_SIGNS = regex(r"\\(times|cdot|div)(?![a-z])\s?")
_FRAC = regex(r"\\[dt]?frac\{([^{}]{1,100})\}\{([^{}]{1,100})\}")
_ARITHMETIC = regex(r"[\d+\-*/().=]{1,400}")
_RUN = regex(r"[(\d][\d+\-*/().= ]{1,400}[\d)]")


def _expression(text: str) -> Reading:
    """Arithmetic, compared as it is written."""
    found = canonical(clause(text), AnswerKind.EXPRESSION)
    return found if found is not None and _ARITHMETIC.fullmatch(found) and re.search(r"\d", found) else OTHER


def _arithmetic(text: str) -> str:
    """Arithmetic in plain signs and without spaces."""
    text = signs(text).translate(_SIGNS_OF)
    if "\\" in text:
        text = _FRAC.sub(r"((\1)/(\2))", text)
        text = _LATEX_SIGNS.sub(lambda m: "/" if m[1] == "div" else "*", text)
        text = flat(text)
    return re.sub(r"\s+", "", bare(text.strip().strip("$"))).rstrip(".")


N_SENTENCES = 12
"""So many of the last sentences of a reply are looked at for its answer."""


def _end(text: str, kind: AnswerKind) -> str | None:
    """The answer that a reply ends with where nothing marks it."""
    if kind is AnswerKind.NUMBER:
        return _last_number(text)
    line = text.strip().rpartition("\n")[2]
    if len(line) > MAX_REGION and kind is not AnswerKind.MATH:
        return None
    if not line or is_refusal(next(sentences_backwards(line), "")):
        return None
    if kind is AnswerKind.MATH:
        shown = text.rstrip(" \r\n.*`")[-MAX_REGION:]
        display = shown.rfind("$$", 0, -2) if shown.endswith("$$") else shown.rfind("\\[")
        return _last_mathematics(shown[display:] if display >= 0 and shown.endswith(("$$", "\\]")) else line)
    if kind is AnswerKind.EXPRESSION:
        whole = _expression(line)
        runs = [run[0] for run in _RUN.finditer(signs(line)) if re.search(r"[+\-*/]", run[0])]
        return whole if whole is not OTHER else canonical(runs[0], kind) if len(runs) == 1 else None
    return canonical(_IT_IS.sub("", line), kind)


_IT_IS = regex(
    r"^\W{0,4}(?:(?:so|thus|therefore|hence),?\s)?(?:it|this|that)(?:\s(?:is|was)|['’]s)\s(?!not\b)", re.IGNORECASE
)


_OPENING = regex(r"[^\w\s]{0,6}\d\S*(?:\s[^\W\d]\S*){0,2}\W*$")


def _last_number(text: str) -> str | None:
    """The number that a reply begins with on a line of its own, or that its last sentence with one comes to."""
    if not numbers.has_number(text):
        return None
    first, _, rest = text.strip().partition("\n")
    if rest and _OPENING.match(first) and (value := numbers.number(first)) is not None:
        return value
    for i, sentence in enumerate(sentences_backwards(text)):
        if is_unknowable(sentence) or i >= N_SENTENCES:
            return None
        if sentence.rstrip().endswith(("?", "？")):
            continue
        if re.search(r"\d", signs(sentence)):
            return numbers.last_number(sentence)
        if i < 2 and (value := numbers.number(sentence)) is not None:
            return value
    return None


def _last_mathematics(line: str) -> str | None:
    """The mathematics that the last line of a reply comes to."""
    line = line[-4 * MAX_REGION :]
    spans = list(_SPAN.finditer(line))
    if spans:
        first = len(spans) - 1
        while first and _goes_on(line, spans[first - 1], spans[first : first + 1]):
            first -= 1
        before = line[: spans[first].start()].rstrip(" *_")
        if first and not _SAYS.search(before):
            return None
        read = _in_spans(line[spans[first].start() :], list(_SPAN.finditer(line[spans[first].start() :])))
    else:
        read = mathematics(line)
    return None if read is OTHER else read


def canonical(text: str, kind: AnswerKind = AnswerKind.TEXT) -> str | None:
    """The form in which two answers are the same if and only if they are equal; `None` for no answer at all."""
    match kind:
        case AnswerKind.MATH:
            return equal.canonical(text)
        case AnswerKind.EXPRESSION:
            return _arithmetic(text) or None
        case AnswerKind.CHOICE:
            return choices.choice(text)
        case AnswerKind.NUMBER:
            return numbers.number(text)
    before, text = "", re.sub(r"\s+", " ", text).casefold()
    while before != text:
        before, text = text, bare(worded(HTML.sub("", text))).rstrip(".").strip()
    return numbers.plain(text) or text or None
