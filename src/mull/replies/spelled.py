"""Numbers in English words: `one hundred and five apples`."""

from __future__ import annotations

from fractions import Fraction

from mull.equal.patterns import regex
from mull.equal.words import ORDINALS, SMALL
from mull.equal.words import spelled as in_words

_LETTERS = regex(r"[a-z]+")
SCALES = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "dozens": 12,
    "hundreds": 100,
    "thousands": 1000,
    "millions": 10**6,
    "mio": 10**6,
    "millionen": 10**6,
    "mille": 1000,
    "mil": 1000,
    "millones": 10**6,
    "tausend": 1000,
}

_BESIDE = set(
    "a an about exactly only just approximately total of there are is it she he they has have the number and".split()
)
_PARTS = {
    "half": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
}
_PARTS |= {"hundredth": 100, "thousandth": 1000, "millionth": 10**6}
_PARTS |= {"halves": 2} | {f"{name}s": n for name, n in _PARTS.items()}
_UNIT_ORDINALS = {word: n for word, n in ORDINALS.items() if n < 10}
_NO_REST = {"or", "half", "third", "quarter", "thirds", "quarters", "and", "of"}
MAX_WORDS = 8


def words(text: str) -> list[str]:
    """The words of ASCII letters in a text, in lower case."""
    return _LETTERS.findall(text.lower())


def _part_alone(read: list[str]) -> str | None:
    """The number that words begin with if that is a half or a quarter, also of a scale: `a half`, `half a million`."""
    start = next((i for i, word in enumerate(read) if word not in _BESIDE - {"a", "an"}), len(read))
    told = read[start:]
    if not {"half", "quarter"} & set(told[:2]) or not set(told[:1]) <= {"half", "a", "an", "quarter"}:
        return None
    found = in_words(told)
    rest = told[found[1] :] if found is not None else told
    if found is None or found[1] < 2 or len(rest) > 3 or set(rest) & _NO_REST:
        return None
    return str(Fraction(found[0]))


def _is_part(after: list[str]) -> bool:
    """Whether words begin with a part of one: `a half`, `three quarters`."""
    return len(after) > 1 and (after[0] in SMALL or after[0] in ("a", "an")) and after[1] in _PARTS


def spelled(side: str) -> str | None:
    """The number that a side states in English words, followed by at most a few words for what is counted."""
    read = words(side)
    if len(read) > 2 * MAX_WORDS or any(c in side for c in "\\^_"):
        return None
    if read[:1] in (["a"], ["an"]) and read[1:2] and read[1] in SCALES:
        read[0] = "one"
    start = next((i for i, word in enumerate(read) if word in SMALL), None)
    if start is None:
        return _part_alone(read)
    if not set(read[:start]) <= _BESIDE | {"negative", "minus"}:
        return None
    total, part, at = 0, 0, start
    while at < len(read) and (read[at] in SMALL or read[at] in SCALES or read[at] == "and"):
        word = read[at]
        if word == "and" and (read[at + 1 : at + 2] == [] or read[at + 1] not in SMALL or _is_part(read[at + 1 :])):
            break
        if word in SMALL:
            part += SMALL[word]
        elif word != "and":
            scale = SCALES[word]
            total, part = (
                (total + part * scale, 0) if scale >= 1000 or word.startswith("dozen") else (total, part * scale)
            )
        at += 1
    rest = read[at:]
    is_negative = bool({"negative", "minus"} & set(read[:start]))
    if rest[:1] == ["and"] and _is_part(rest[1:]):  # two and a half, two and a half million
        value = total + part + Fraction(SMALL.get(rest[1], 1), _PARTS[rest[2]])
        scale, rest = (SCALES[rest[3]], rest[4:]) if rest[3:] and rest[3] in SCALES else (1, rest[3:])
        is_whole = len(rest) < 4 and not set(rest) & (SMALL.keys() | _NO_REST)
        return str(-value * scale if is_negative else value * scale) if is_whole else None
    if rest and rest[0] in _UNIT_ORDINALS and part >= 20 and part % 10 == 0:
        part, rest = part + _UNIT_ORDINALS[rest[0]], rest[1:]
    elif rest and rest[0] in _PARTS:
        is_fraction = (total + part == 1) is not rest[0].endswith(("s", "ves"))
        is_whole = len(rest) < 4 and not set(rest[1:]) & (SMALL.keys() | _NO_REST)
        value = Fraction(-(total + part) if is_negative else total + part, _PARTS[rest[0]])
        return str(value) if is_fraction and is_whole else None
    if rest and rest[0] in _UNIT_ORDINALS:
        return None
    if len(rest) > 4 or any(word in SMALL or word in _NO_REST for word in rest):
        return None
    return str(-(total + part) if is_negative else total + part)
