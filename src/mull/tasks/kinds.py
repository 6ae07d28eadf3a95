"""What kind of answer a row of a file has, told from its gold answer: each row by itself, never the whole file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mull.equal.patterns import regex
from mull.files.recording import Recording
from mull.replies import dates, numbers
from mull.replies.answers import extract, is_latex, solution_answer
from mull.replies.options import options_of
from mull.replies.spelled import SCALES
from mull.types import AnswerKind

_UNIT = regex(
    r"[\s-]*(?:(?:[a-zà-ÿ%°º'\"²³µ$€£¥]|(?-i:USD|EUR|GBP|CHF|JPY|CNY|INR|US\$|°?[CFK]|[kKMG]?W|[kMG]?Hz|[kMGT]?B|k?Wh"
    r"|N|J|V|A|M|Pa|Celsius|Fahrenheit|Kelvin|Euros?|Dollars?|Pounds?|Yen))[\w/^²³.-]*\s*){0,3}"
)
_FIGURES = regex(
    r"(?:[-+−–±]\s?)?(?:(?:USD|EUR|GBP|CHF|US\$)\s?|[$€£¥]\s?)?(?:[-−]\s?)?(?=[\d.,])[\d.,\s/½⅓⅔¼¾\u2009\u202f]*(?:[eE][-+]?\d+)?"
)
_CLOCK = regex(r".*\d\s?(?:[ap]\.?m\b\.?|o['’]clock|bce?\b|ce\b|ad\b)", re.IGNORECASE)
_NAME_AFTER = regex(r"[A-ZÀ-Þ][a-zà-ÿ]")
_UNITS_NAMED = {"Celsius", "Fahrenheit", "Kelvin", "Euro", "Euros", "Dollars", "Dollar", "Pounds", "Yen"}
_MATH = regex(
    r"[\s\d+\-*/^()\[\]{},.=<>≤≥π√]*"
    r"(?:(?<![a-z])(?:sqrt|pi|sin|cos|tan|log|ln|exp|[abcefiknrtxyz]{1,2})(?![a-z])[\s\d+\-*/^()\[\]{},.=<>≤≥π√]*)*"
)
_OPERATED = regex(
    r"\d\s?(?:[xyzni]\b|[xyz]|pi\b|π|√|sqrt)|[a-z)]\s?\^|√|π|sqrt\s?\(|[a-z]\s?[=<>≤≥+*]\s?[\w(-]|\d\s?[=<>≤≥+*]\s?[a-z]|^[(\[].*,.*[)\]]$|\d\s?/\s?[a-z(]"
)
_CALCULATED = regex(r"[\d)]\s?[=+*]\s?[\d(-]")
"""Arithmetic: mathematics among recorded answers; elsewhere it is compared as it is written."""
_YES_NO = {"yes", "no", "true", "false"}


LONGEST_NUMBER = 60
"""Characters of a gold answer that may be a number."""


def kind_of(gold: str, question: str = "") -> AnswerKind:
    """The kind of one gold answer: yes or no, a choice's letter, a number, mathematics, or else text.

    A letter from A to J is a choice, another one if the question has such a choice. A number may have a sign, money, a
    unit or a per cent sign; a date, a time and a name that begins with a number are text.
    """
    gold = gold.strip()
    kind = _kind_of_short(gold) if len(gold) <= LONGEST_NUMBER else _kind_as_written(gold)
    if kind is None:
        letter = _letter(gold)
        is_choice = letter in options_of(question)[1] or (letter <= "J" and gold not in ("e", "i"))
        return AnswerKind.CHOICE if is_choice else AnswerKind.TEXT
    return kind


def _letter(gold: str) -> str:
    return gold.strip(" .*").strip("()[]").upper()


def _kind_as_written(gold: str) -> AnswerKind | None:
    """`kind_of`; `None` for a letter, whose kind depends on the question."""
    if gold.strip(" .*").casefold() in _YES_NO:
        return AnswerKind.YES_NO
    letter = _letter(gold)
    if len(letter) == 1 and letter.isascii() and letter.isalpha():
        return None
    if is_latex(gold):
        return AnswerKind.MATH
    if _OPERATED.search(gold) is not None and _MATH.fullmatch(gold) is not None:
        return AnswerKind.MATH
    return AnswerKind.NUMBER if _is_number(gold) else AnswerKind.TEXT


_kind_of_short = lru_cache(maxsize=4096)(_kind_as_written)


def _is_number(gold: str) -> bool:
    """Whether a gold answer is one number, with a unit or without."""
    if len(gold) > LONGEST_NUMBER or numbers.number(gold) is None or dates.has_month(gold) or _CLOCK.match(gold):
        return False
    figures = _FIGURES.match(gold)
    if figures is not None:
        rest = gold[figures.end() :]
        names = [word.strip(".,") for word in rest.split() if _NAME_AFTER.match(word)]
        return all(name in _UNITS_NAMED for name in names) and _UNIT.fullmatch(rest) is not None
    words = [word for word in re.split(r"[\s-]+", gold.casefold()) if word != "and"]
    return all(word in SCALES or numbers.number(word) is not None for word in words)


def told_gold(recording: Recording) -> str | None:
    """The gold answer, or the answer in it if it is a whole solution."""
    return None if recording.gold is None else solution_answer(recording.gold) or recording.gold


def kind_in(recording: Recording) -> AnswerKind | None:
    """The kind of a problem's answers: that of its gold, or of its recorded answers if verdicts replace the gold.

    `None`: it has neither, so no part of a reply is known to be the answer.
    """
    recorded = [answer for answer in dict.fromkeys(recording.column("answer")) if answer]
    gold, question = told_gold(recording), recording.prompt or ""
    if recorded and (gold is None or None not in recording.verdicts):
        is_calculated = any(_CALCULATED.search(a) and _MATH.fullmatch(a.strip()) for a in recorded)
        return AnswerKind.MATH if is_calculated else _shared(recorded, question)
    if gold is not None:
        return kind_of(gold, question)
    said = [answer for text in recording.column("text") if (answer := extract(text, is_whole=False)) is not None]
    return _shared(said, question) if said and 2 * len(said) >= len(recording.samples) else None


def _shared(answers: Sequence[str], question: str) -> AnswerKind:
    """The kind of several answers to one question: mathematics if any is, else theirs if it is one, else text."""
    kinds = {kind_of(answer, question) for answer in set(answers)}
    if AnswerKind.MATH in kinds:
        return AnswerKind.MATH
    return kinds.pop() if len(kinds) == 1 else AnswerKind.TEXT
