"""Sentences that count what is going to be worked through, and state no answer: `Let me think about the 3 cases:`."""

from __future__ import annotations

import re

from mull.equal.patterns import regex

_PARTS = (
    r"(?:\d{1,3}|two|three|four|five|six|seven|eight|nine|ten)\s(?:[^\W\d]\S{0,30}\s){0,2}"
    r"(?:(?:sub-?)?(?:case|step|part|way|scenario|possibilit|option|fact|equation|method|approach|condition|situation"
    r"|problem|question|stage|idea|constraint|clue|statement|observation|hint|phase|rule|thing)(?:s|es|ies)|items|points)\b"
)
_PLAN = (
    r"\b(?:let\s(?:me|us)|let['’]s|(?:i|we)(?:['’]ll|\s(?:will|need\sto|must|have\sto|should|can))|i['’]m\sgoing\sto)"
    r"\s(?:\w{1,30}\s){0,2}?"
    r"(?:think|consider|look|check|go|work|walk|break|split|examine|analy[sz]e|divide|handle|list|enumerate)\s"
)
_ANNOUNCING = regex(rf"{_PARTS}[^.!?]{{0,80}}:[\s*_]*$|{_PLAN}[^.!?]{{0,60}}?{_PARTS}", re.IGNORECASE)


def announces(sentence: str) -> bool:
    """Whether a sentence only announces steps or cases, by a colon at its end or by a plan in the first person."""
    return _ANNOUNCING.search(sentence) is not None
