"""Extraction of the answer from a reply, and comparison of answers.

One procedure serves all kinds of answers: `regions` finds where a reply gives its answer, and the whole text there is
parsed as a value of the kind. Part of that text never counts: if the whole cannot be parsed, there is no answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain

from mull import equal
from mull.equal import Answers
from mull.equal.patterns import regex
from mull.replies import choices, dates, numbers, options, regions, sentences, visible, yes_no
from mull.replies.aside import aside
from mull.replies.asking import unasked
from mull.replies.endings import last_number, spelled
from mull.replies.marks import OTHER, Reading, Region
from mull.replies.mathematics import MAX_WORDS, affirmed, is_prose, last_mathematics, mathematics
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
    worded,
)
from mull.types import AnswerKind, Finish, Problem, Sample

ANSWER_PATTERN = "answer_pattern"
"""Key of `Problem.given` for a regular expression that locates the answer in a reply."""
AT_ONCE = 200_000
"""Most characters of replies read in one thread call."""
N_KEPT, MOST_KEPT = 8192, 1000
"""Replies whose answers are kept, and the most characters that one of them has."""
_LATEX = regex(r"\\[a-zA-Z]{2}|\\[{$%]|\^")


def answer_of(problem: Problem, sample: Sample) -> str | None:
    """The canonical answer of a sample; `None` if it has none and so must not vote."""
    if sample.finish is Finish.ERROR:
        return None
    if not isinstance(problem.kind, AnswerKind):
        return problem.kind.read(sample) if sample.answer is None else problem.kind.canonical(sample.answer)
    if problem.kind is AnswerKind.CODE:
        from mull.replies.programs import program_of

        return program_of(problem, sample)
    pattern = problem.given.get(ANSWER_PATTERN)
    question = unasked(problem.prompt.question)
    if pattern is not None and sample.answer != sample.text:
        found = _matched(pattern, sample.reply)
        return None if found is None else of_question(found, problem.kind, question)
    if sample.answer is not None:
        return of_question(sample.answer, problem.kind, question)
    is_whole, is_cut = sample.finish is Finish.STOP, sample.finish is Finish.LENGTH
    return extract(sample.reply, problem.kind, is_whole=is_whole, is_cut=is_cut, question=question)


def of_question(text: str, kind: AnswerKind, question: str) -> str | None:
    """The canonical form of an answer to a question: a letter for the text of a choice, no words that were asked with.

    Asked for an ocean, `Pacific` and `the Pacific Ocean` are one answer.
    """
    read = canonical(text, kind)
    if kind is AnswerKind.CHOICE and read is None:
        return _option(canonical(text), question)
    return sentences.reduced(read, question) if kind is AnswerKind.TEXT and read is not None else read


def _option(text: str | None, question: str) -> str | None:
    """The letter of the only choice of a question that has this text."""
    stem, texts = options.options_of(question)
    if text is None or not texts:
        return None
    told = [
        letter
        for letter, option in texts.items()
        if of_question(option, AnswerKind.TEXT, stem) in (text, sentences.reduced(text, stem))
    ]
    return told[0] if len(told) == 1 else None


def _matched(pattern: str, reply: str) -> str | None:
    """The last match of a pattern: its first group, or the whole match if the pattern has no group."""
    last = None
    for match in re.finditer(pattern, reply):
        last = match
    if last is None:
        return None
    return last[1] if last.re.groups else last[0]


async def classes(problem: Problem, samples: Sequence[Sample]) -> Answers:
    """The answer of each sample as a vote counts it: equal answers have one name, `None` does not vote.

    `mull.equal` groups mathematical answers; other answers are equal if their canonical forms are.
    """
    answers = await answers_of(problem, samples)
    return await equal.classes(answers) if problem.kind is AnswerKind.MATH else Answers(answers)


async def answers_of(problem: Problem, samples: Sequence[Sample]) -> list[str | None]:
    """`answer_of` each sample; long replies are read in a thread, so that the event loop is not blocked.

    So are all of a kind that says `is_slow`.
    """
    is_slow = bool(getattr(problem.kind, "is_slow", False))
    answers: list[str | None] = []
    batch: list[Sample] = []
    size = 0
    for i, sample in enumerate(samples, 1):
        batch.append(sample)
        size += len(sample.text) + len(sample.reasoning or "")
        if size > AT_ONCE or i == len(samples):
            work = partial(_answers, problem, batch)
            answers += await (asyncio.to_thread(work) if is_slow else aside(work, size))
            batch, size = [], 0
    return answers


def _answers(problem: Problem, samples: Sequence[Sample]) -> list[str | None]:
    places = list(map(id, samples))
    read = {place: answer_of(problem, sample) for place, sample in dict(zip(places, samples, strict=True)).items()}
    return list(map(read.__getitem__, places))


def classes_now(problem: Problem, samples: Sequence[Sample]) -> Answers:
    """`classes` for callers outside an event loop."""
    answers = _answers(problem, samples)
    return equal.classes_now(answers) if problem.kind is AnswerKind.MATH else Answers(answers)


def is_latex(text: str) -> bool:
    """Whether an answer contains LaTeX, and so is compared as mathematics."""
    return _LATEX.search(text) is not None


def extract(
    reply: str, kind: AnswerKind = AnswerKind.TEXT, *, is_whole: bool = True, is_cut: bool = False, question: str = ""
) -> str | None:
    r"""The canonical answer in a reply; `None` if there is none.

    It is taken from the last box, answer tags or answer line outside the thought, else from the last phrase that states
    the answer, else from the end of the reply. The end counts only if `is_whole`: a reply that was cut off must mark
    its answer. `is_cut`: the reply ended because its tokens ran out, so that an unclosed answer at its very end may be
    incomplete (`12` of `120`) and does not count; the letter of a choice does. `question` is what was
    asked: it tells which part of a sentence is the answer if that is a name or a short text.
    """
    read = _extract_kept if len(reply) <= MOST_KEPT else _extract
    return read(reply, kind, is_whole, is_cut, question)


def _extract(reply: str, kind: AnswerKind, is_whole: bool, is_cut: bool, question: str) -> str | None:
    said = visible.said(reply)
    if said is None:
        return None
    text = regions.own(said.text)
    is_cut = is_cut and said.text.endswith(text) and reply.endswith(text[-MAX_REGION:])
    found = regions.regions(text)
    if is_cut and kind is not AnswerKind.CHOICE:
        last = next(found, None)
        if last is not None and _ends_open(text, last):
            return None
        found = chain([] if last is None else [last], found)
    is_whole = is_whole and not said.is_open
    read = _read(text, kind, found, is_whole=is_whole, question=question)
    if kind is AnswerKind.CHOICE and read is None and (stem := options.options_of(question)[0]) != question:
        again = regions.regions(text)
        return _option(_read(text, AnswerKind.TEXT, again, is_whole=is_whole, question=stem), question)
    return sentences.reduced(read, question) if kind is AnswerKind.TEXT and read is not None else read


_extract_kept = lru_cache(maxsize=N_KEPT)(_extract)
"""A reply is read when it votes, when it is graded and when it is recorded, and short ones are drawn more than once."""


def _ends_open(text: str, last: Region) -> bool:
    """Whether the last answer that a text states extends to the very end with nothing that closes it."""
    if last.sort == "box" or not last.text.strip():
        return False
    return not text[last.end :].strip(".,") and not text.endswith((">", "]", "$", "\\)", "*", "}", "\n", " "))


def solution_answer(text: str) -> str | None:
    """The answer in a complete solution, after its last `####` or in its last box; `None` without either."""
    for region in regions.regions(text):
        if region.sort in ("box", "heading"):
            return ", ".join(region.parts) or region.text.strip() or None
    return None


def _read(text: str, kind: AnswerKind, found: Iterator[Region], *, is_whole: bool, question: str = "") -> str | None:
    """The canonical answer in a text with these regions."""
    has_end = is_whole
    for region in found:
        after = text[region.end : region.end + regions.REACH]
        read = _region(region, kind, after, question)
        if read is OTHER:
            has_end = has_end and bool(region.text.strip()) and not _is_mark(region)
            continue
        if read is None and after.strip(" \t\r\n.*`") and _DENIAL.match(region.text) is not None:
            rest = text[region.end :]  # `The answer is not A. It is B.`
            return _read(rest, kind, regions.regions(rest), is_whole=is_whole)
        retracted = regions.taken_back(text, region.end)
        if retracted is None:
            return read
        at, holds = retracted
        rest = text[at:]
        other = _read(rest, kind, regions.regions(rest), is_whole=is_whole, question=question)
        return read if other is None and not holds else other
    if kind is AnswerKind.CHOICE:
        return choices.stated(text) if is_whole else None
    if kind is AnswerKind.YES_NO:
        return yes_no.stated(text) if is_whole else None
    return _end(text, kind, question) if has_end else None


def _is_mark(region: Region) -> bool:
    """Whether a region that holds another kind rules out earlier answers: a box does, a label in prose does not."""
    return region.sort in ("box", "tag") or (region.sort == "line" and len(region.text.split()) <= MAX_WORDS)


def _region(region: Region, kind: AnswerKind, after: str, question: str) -> Reading:
    """The answer in the whole of a region; `after` is the text of the reply that follows it."""
    text = region.text
    if region.parts:
        return _parts(region.parts, kind)
    if not text.strip():
        return None if region.sort == "box" else OTHER
    if len(text) >= MAX_REGION and region.sort != "tag":
        return None  # longer than any answer: the region was truncated
    if region.sort == "tag":
        return _tag(text, kind, question)
    is_last = not after.strip(" \t\r\n.*`")
    match kind:
        case AnswerKind.NUMBER:
            is_derivation = region.sort == "line" and _DERIVATION.match(text) is not None and numbers.has_number(after)
            return OTHER if is_derivation else _number(region)
        case AnswerKind.CHOICE:
            return _choice(text)
        case AnswerKind.MATH if region.sort != "box":
            read = mathematics(text)
            return OTHER if region.sort == "heading" and not is_last and is_prose(read) else read
        case AnswerKind.EXPRESSION:
            return _expression(text)
        case AnswerKind.TEXT if region.sort != "box":
            is_remark = (region.sort == "phrase" and _REMARK.fullmatch(text) is not None) or (
                region.sort == "heading" and not is_last
            )
            if is_remark or is_refusal(text):
                return OTHER if is_remark else None
            said = affirmed(text) if region.sort == "phrase" else text
            return canonical(sentences.short_answer(said, question) or said, kind)
        case AnswerKind.YES_NO:
            told = canonical(text, kind)
            return OTHER if told is None and region.sort == "phrase" else told
        case _:
            return canonical(text, kind)


_DENIAL = regex(r"\W*(?:(?:definitely|certainly|actually|clearly) )?(?:not|nicht|pas|不是)\b", re.IGNORECASE)
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
    """Several boxes that form one answer: for a kind with a single value they must all agree."""
    values = list(dict.fromkeys(canonical(part, kind) for part in parts))
    if len(values) == 1:
        return OTHER if values[0] is None and kind is AnswerKind.CHOICE else values[0]
    return canonical(", ".join(parts), kind) if kind in (AnswerKind.MATH, AnswerKind.TEXT) else None


def _tag(text: str, kind: AnswerKind, question: str) -> Reading:
    """The content of answer tags: an answer, or a text that states one."""
    found = regions.regions(text)
    if (last := next(found, None)) is not None:
        return _read(text, kind, chain([last], found), is_whole=True, question=question)
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
        case AnswerKind.TEXT if not is_refusal(text):
            return canonical(sentences.short_answer(text, question) or text, kind)
        case _:
            return None if is_refusal(text) else canonical(text, kind)


_SIGNS_OF = str.maketrans({"·": "*"})
_LATEX_SIGNS = regex(r"\\(times|cdot|div)(?![a-z])\s?")
_FRAC = regex(r"\\[dt]?frac\{([^{}]{1,100})\}\{([^{}]{1,100})\}")
_ARITHMETIC = regex(r"[\d+\-*/().=]{1,400}")
_RUN = regex(r"[(\d][\d+\-*/().= ]{1,400}[\d)]")


def _expression(text: str) -> Reading:
    """An arithmetic expression, compared as it is written."""
    found = canonical(clause(text), AnswerKind.EXPRESSION)
    return found if found is not None and _ARITHMETIC.fullmatch(found) and re.search(r"\d", found) else OTHER


def _arithmetic(text: str) -> str:
    """An arithmetic expression with plain signs and no spaces."""
    text = signs(text).translate(_SIGNS_OF)
    if "\\" in text:
        text = _FRAC.sub(r"((\1)/(\2))", text)
        text = _LATEX_SIGNS.sub(lambda m: "/" if m[1] == "div" else "*", text)
        text = flat(text)
    return re.sub(r"\s+", "", bare(text.strip().strip("$"))).rstrip(".")


def _end(text: str, kind: AnswerKind, question: str) -> str | None:
    """The answer at the end of a reply that does not mark its answer."""
    if kind is AnswerKind.NUMBER:
        return last_number(text) or spelled(text, question)
    line = text.strip().rpartition("\n")[2]
    if len(line) > MAX_REGION and kind is not AnswerKind.MATH:
        return None
    if not line or is_refusal(next(sentences_backwards(line), "")):
        return None
    if kind is AnswerKind.MATH:
        shown = text.rstrip(" \r\n.*`")[-MAX_REGION:]
        display = shown.rfind("$$", 0, -2) if shown.endswith("$$") else shown.rfind("\\[")
        return last_mathematics(shown[display:] if display >= 0 and shown.endswith(("$$", "\\]")) else line)
    if kind is AnswerKind.EXPRESSION:
        whole = _expression(line)
        runs = [run[0] for run in _RUN.finditer(signs(line)) if re.search(r"[+\-*/]", run[0])]
        return whole if whole is not OTHER else canonical(runs[0], kind) if len(runs) == 1 else None
    return canonical(sentences.short_answer(text, question) or sentences.plain(line), kind)


def canonical(text: str, kind: AnswerKind = AnswerKind.TEXT) -> str | None:
    """The canonical form: two answers are equal if and only if theirs are; `None` if the text is not an answer."""
    match kind:
        case AnswerKind.MATH:
            return equal.canonical(text)
        case AnswerKind.EXPRESSION:
            return _arithmetic(text) or None
        case AnswerKind.CHOICE:
            return choices.choice(text)
        case AnswerKind.NUMBER:
            return numbers.number(text)
        case AnswerKind.YES_NO:
            return yes_no.yes_no(text)
    before, text = "", re.sub(r"\s+", " ", text).casefold()
    while before != text:
        before, text = text, bare(worded(HTML.sub("", text)), ".!")
    text = _ARTICLE.sub("", text)
    return numbers.plain(text) or dates.date(text) or text or None


_ARTICLE = regex(r"^(?:the|an?)\s(?=\w)")
