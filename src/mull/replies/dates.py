"""Dates as people write them, in one form: `July 4, 1776`, `4 July 1776` and `1776-07-04` are one answer."""

from __future__ import annotations

import re

from mull.equal.patterns import regex

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = (
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sept sep oct nov dec"
).split()
_DAYS = "|".join(f"{day}day" for day in ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun"))
_MONTH = rf"(?P<month>{'|'.join(_NAMES)})\b\.?"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_FORMS = tuple(
    regex(rf"(?:\b(?:{_DAYS}),?\s)?(?:the\s)?(?<![\w/.-]){form}(?![\w/-])", re.IGNORECASE)
    for form in (
        rf"{_MONTH}\s{{1,2}}{_DAY}(?:,\s?|\s(?:of\s)?){_YEAR}",
        rf"{_DAY}\s(?:of\s)?{_MONTH},?\s{{1,2}}{_YEAR}",
        r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])",
    )
)


def date(text: str) -> str | None:
    """The ISO form of a text that is one whole date and nothing else; `None` for any other.

    A date in figures with slashes or full stops stays text: which of them is the month cannot be told.
    """
    text = text.strip(" .,;:!\"'*_`()")
    if len(text) > 60 or not any(map(str.isdigit, text)):
        return None
    return next((_iso(found) for form in _FORMS if (found := form.fullmatch(text)) is not None), None)


def only_date(text: str) -> str | None:
    """The ISO form of the only date in a text; `None` where there is none or more than one."""
    if not any(map(str.isdigit, text)):
        return None
    found = {_iso(match) for form in _FORMS for match in form.finditer(text)}
    return found.pop() if len(found) == 1 else None


def has_month(text: str) -> bool:
    """Whether the name of a month is among the words of a text."""
    return any(word.strip(".,").lower() in _NAMES for word in text.split())


def _iso(match: re.Match[str]) -> str:
    month = match["month"].lower()
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
    return f"{match['year']}-{number:02}-{int(match['day']):02}"
