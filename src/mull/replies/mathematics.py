r"""Mathematics in sentences: the part between LaTeX delimiters, or the part that the sentence states."""

from __future__ import annotations

import re

from mull import equal
from mull.equal.patterns import regex
from mull.replies import numbers
from mull.replies.marks import OTHER, Reading
from mull.replies.text import MAX_REGION, clause, is_unknowable, sentences_backwards, without_reason

MAX_WORDS = 6
"""A line with more words than this is not a mathematical answer."""
_SPAN = regex(
    r"\$\$(?P<a>[^$]{1,900})\$\$|\$(?![\s$])(?P<b>[^$\n]{1,400}?)(?<![\s\\])\$(?!\d)"
    r"|(?<!\S)\$ (?P<e>\\(?:begin|left|d?frac|sqrt)(?![a-z])[^$\n]{1,900}?) \$(?!\d)"
    r"|\\\((?P<c>.{1,600}?)\\\)|\\\[(?P<d>.{1,900}?)\\\]",
    re.DOTALL,
)
_UNIT = regex(r"[A-Za-z][A-Za-z /]*")
_BETWEEN = regex(r"\s*(?:,|;|,?\s*\b(?:and|or|und|oder|et|ou|y|o)\b|和|或)\s*")
_SAYS = regex(r"(?:\b(?:is|are|equals|ist|est|es|be|to|get|obtain|have|answer)|[=:：是为])\W*$")
_COPULA = regex(r"(?:\b(?:is|are|equals|ist|est|es|be)\s|=|是|为)")


_NOT_THAT = regex(r",?\s(?:and\s)?(?:not|rather than|instead of)\s[^,;]{1,80}$", re.IGNORECASE)
_NOT_BUT = regex(r"^\W{0,3}not\s.{1,80}?,?\sbut\s(?:rather\s)?", re.IGNORECASE)


def affirmed(text: str) -> str:
    """A sentence without the parts it denies and without its reasons, unless nothing would remain."""
    said = _NOT_THAT.sub("", _NOT_BUT.sub("", without_reason(text)))
    return said if said.strip() else text


def mathematics(text: str) -> Reading:
    """The mathematics that a sentence gives as its answer: all of it between delimiters, or the whole sentence."""
    if is_unknowable(text):
        return None
    text = affirmed(text)
    spans = list(_SPAN.finditer(text))
    if spans:
        read = _in_spans(text, spans)
        return _stated_after(text, spans) if read is OTHER else read
    main = clause(text) if "\\begin" not in text else text
    if not is_prose(read := equal.canonical(main)):
        return read
    copula = list(_COPULA.finditer(main))
    if copula and not is_prose(stated := equal.canonical(main[copula[-1].end() :])):
        return stated
    if (value := numbers.number(main)) is not None:
        return equal.canonical(value)
    return read if len(main.split()) <= MAX_WORDS or "\\" in main else OTHER


def _in_spans(text: str, spans: list[re.Match[str]]) -> Reading:
    """Delimited mathematics, with the unit after it; several pieces if they form one list."""
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


_TELLS = regex(r"[^\d=.;:]{0,80}\b(?:is|are|equals|ist|est|es)\s", re.IGNORECASE)


def _stated_after(text: str, spans: list[re.Match[str]]) -> Reading:
    """The number, with its unit, that a sentence states about the mathematics before it: `the largest $n$ is 34`."""
    tells = _TELLS.match(text, spans[-1].end())
    if tells is None or numbers.has_number(_SPAN.sub(" ", text[: spans[-1].end()])):
        return OTHER
    rest = clause(text[tells.end() :]).strip()
    if _VALUE.match(rest) is None:
        return OTHER
    if not is_prose(read := equal.canonical(rest)):
        return read
    value = numbers.number(rest)
    return OTHER if value is None else equal.canonical(value)


_VALUE = regex(r"[-+−(\\]{0,2}\d")


def _goes_on(text: str, span: re.Match[str], following: list[re.Match[str]]) -> bool:
    """Whether the next piece of mathematics continues a list."""
    return bool(following) and _BETWEEN.fullmatch(text, span.end(), following[0].start()) is not None


def is_prose(read: Reading) -> bool:
    """Whether mathematics was read as words, or not at all."""
    form = equal.read(read) if isinstance(read, str) else None
    return form is None or form.kind in ("text", "hard")


_WORDS = regex(r"[A-Za-z\s,;:.!?'’\-]+")
_CASE = regex(r"\W*(?:if|when|suppose|assume|for)\b", re.IGNORECASE)
"""Words that introduce a special case."""


def last_mathematics(line: str) -> str | None:
    """The final value in the last line of a reply."""
    line = line[-4 * MAX_REGION :]
    spans = list(_SPAN.finditer(line))
    if spans:
        first = len(spans) - 1
        while first and _goes_on(line, spans[first - 1], spans[first : first + 1]):
            first -= 1
        before = line[: spans[first].start()].rstrip(" *_")
        read: Reading = OTHER
        if not first or _SAYS.search(before):
            read = _in_spans(line[spans[first].start() :], list(_SPAN.finditer(line[spans[first].start() :])))
        if read is OTHER:
            sentence = next(sentences_backwards(line), line).strip()
            found = mathematics(sentence)
            read = OTHER if is_prose(found) or _CASE.match(sentence) else found
    else:
        sentence = next(sentences_backwards(line), line).strip()
        is_words = len(sentence.split()) > 3 and _WORDS.fullmatch(sentence) is not None
        read = OTHER if is_words and is_prose(equal.canonical(sentence)) else mathematics(sentence)
    return None if read is OTHER else read
