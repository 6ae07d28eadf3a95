"""The number at the end of a reply that does not mark its answer."""

from __future__ import annotations

import re

from mull.equal.patterns import regex
from mull.replies import numbers, sentences
from mull.replies.announcing import announces
from mull.replies.text import is_unknowable, sentences_backwards, signs

N_SENTENCES = 12
"""Number of final sentences of a reply that are searched for its answer."""
_OPENING = regex(r"[^\w\s]{0,6}\d(?:\S*[^\s.):])?(?:\s[^\W\d]\S*){0,2}\W*$")


def spelled(text: str, question: str) -> str | None:
    """The number in words that a reply without figures gives as its answer: `A hexagon has six sides.`"""
    if re.search(r"\d", signs(text)) or not numbers.has_number(text):
        return None
    told = sentences.short_answer(text, question)
    return None if told is None or any(map(announces, text.splitlines())) else numbers.number(told)


_BULLET = regex(r"\s{0,8}[-*•+]\s")


def last_number(text: str) -> str | None:
    """The number on a line of its own at the start of a reply, or that the last sentence with a number arrives at."""
    if not numbers.has_number(text):
        return None
    first, _, rest = text.strip().partition("\n")
    if rest and _OPENING.match(first) and (value := numbers.number(first)) is not None:
        return value
    for i, sentence in enumerate(sentences_backwards(text)):
        if is_unknowable(sentence) or i >= N_SENTENCES or announces(sentence):
            return None
        if sentence.rstrip().endswith(("?", "？")):
            continue
        if re.search(r"\d", signs(sentence)):
            return numbers.last_number(sentence)
        if i < 2 and not _BULLET.match(sentence) and (value := numbers.number(sentence)) is not None:
            return value
    return None
