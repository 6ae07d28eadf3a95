"""Words that are numbers, scale numbers, or state a relation: `two dozen`, `half a million`, `x is at least 5`."""

from __future__ import annotations

import re
from fractions import Fraction

from mull.equal.patterns import regex
from mull.equal.units import Number

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL: dict[str, int] = {
    **{word: n for n, word in enumerate(f"{_ONES} eighteen nineteen".split())},
    **{word: 10 * n for n, word in enumerate(_TENS.split(), start=2)},
}
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
ORDINALS: dict[str, int] = {word: n for n, word in enumerate(_ORDINALS.split(), start=1)} | {"twentieth": 20}
MULTIPLIERS: dict[str, Number] = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
    "quintillion": 10**18,
    "dozen": 12,
    "gross": 144,
    "lakh": 10**5,
    "crore": 10**7,
    "mn": 10**6,
    "bn": 10**9,
    "halves": Fraction(1, 2),
    "thirds": Fraction(1, 3),
    "fifths": Fraction(1, 5),
    "sixths": Fraction(1, 6),
    "eighths": Fraction(1, 8),
    "tenths": Fraction(1, 10),
    "hundredths": Fraction(1, 100),
    "thousandths": Fraction(1, 1000),
    "millionths": Fraction(1, 10**6),
}
"""Words that multiply the number before them."""
PLURALS = {
    f"{word}s": word for word in ("hundred", "thousand", "million", "billion", "trillion", "dozen", "lakh", "crore")
}
ADVERBS = {"annually": "year", "yearly": "year", "monthly": "month", "weekly": "week", "daily": "day", "hourly": "hour"}
"""Words that name the period of a rate."""
NO_UNIT = {
    "is",
    "are",
    "was",
    "were",
    "not",
    "no",
    "than",
    "when",
    "if",
    "but",
    "because",
    "does",
    "be",
    "to",
    "from",
    "with",
    "which",
    "that",
    "so",
    "then",
    "as",
    "at",
    "out",
    "point",
    "for",
    "more",
    "less",
    "fewer",
    "only",
    *SMALL,
}
"""Words that, after a number, show that the text is more than a number with a unit."""
FRACTIONS: dict[str, Fraction] = {
    "half": Fraction(1, 2),
    "halves": Fraction(1, 2),
    "quarter": Fraction(1, 4),
    "quarters": Fraction(1, 4),
    **{word + s: Fraction(1, n) for word, n in ORDINALS.items() if n > 2 for s in ("", "s")},
}
"""Words that, after a number, are a fraction of one."""


def multiplier(word: str) -> Number | None:
    """The factor by which a word multiplies the number before it; `None` for any other word."""
    lower = word.casefold()
    return MULTIPLIERS.get(PLURALS.get(lower, lower))


def starts_number(word: str) -> bool:
    """Whether a number in words may begin with this word."""
    lower = word.casefold()
    return lower in SMALL or lower in FRACTIONS or lower in ORDINALS or lower in ("a", "an", "dozen", "hundred")


def spelled(words: list[str]) -> tuple[Number, int] | None:
    """The number at the start of a list of words, and how many words it spans; `None` if there is none."""
    total: Number = 0
    current: Number | None = None
    best: tuple[Number, int] | None = None
    for at, raw in enumerate(words):
        word, before = raw.casefold(), words[at - 1].casefold() if at else ""
        if word in ("a", "an", "of"):
            if before not in (("of", *FRACTIONS) if at else ("",)) or (word == "of" and before == "of"):
                break
            current = 1 if current is None else current
            continue
        if word == "point" and best is not None and best[0].denominator == 1:
            digits = [SMALL.get(x.casefold(), 10) for x in words[at + 1 :]]
            digits = digits[: next((i for i, n in enumerate(digits) if n > 9), len(digits))]
            return best[0] + sum(Fraction(n, 10**i) for i, n in enumerate(digits, start=1)), at + 1 + len(digits)
        if word in ("and", "-") and at and best is not None and before not in ("and", "-"):
            if word == "and" and best[0].denominator == 1 and (part := _part(words[at + 1 :])) is not None:
                end = at + 1 + part[1]  # two and a half, two and a half million
                factor = multiplier(words[end]) if end < len(words) else None
                return (best[0] + part[0]) * (factor or 1), end + (factor is not None)
            continue
        factor = multiplier(word)
        if word in SMALL:
            if current is not None and not _has_room(SMALL[word], words[:at]):
                break
            current = (current or 0) + SMALL[word]
        elif factor is not None:
            current = (1 if current is None else current) * factor
            if factor >= 1000:
                total, current = total + current, None
        elif word in FRACTIONS and (before or FRACTIONS[word] in (Fraction(1, 2), Fraction(1, 4))):
            if total:
                break
            current = (1 if current is None else current) * FRACTIONS[word]
        elif word in ORDINALS and not at:
            current = ORDINALS[word]
        else:
            break
        best = (total + (current or 0), at + 1)
    return best


def _part(words: list[str]) -> tuple[Number, int] | None:
    """The part of one that begins a list of words, as in `a half million`, and how many words it spans."""
    found = (spelled(words[:n]) for n in range(1, min(3, len(words)) + 1))
    return next((part for part in found if part is not None and 0 < part[0] < 1), None)


def _has_room(n: int, words: list[str]) -> bool:
    """Whether a small number may follow: after a ten (`twenty-five`) or a hundred (`two hundred and fifty`)."""
    last = next((w.casefold() for w in reversed(words) if w.casefold() not in ("and", "-")), "")
    return last == "hundred" or (SMALL.get(last, 0) >= 20 and 0 < n < 10)


_ANY = regex(r"(?<=[A-Za-z] )(?:is|can be|may be) (?:any|a|all) real(?: numbers?)?(?= ?$)", re.IGNORECASE)
_RELATIONS: tuple[tuple[str, str], ...] = (
    (
        r"(?:is |are |must be )?(?:strictly )?(?:greater|more|larger) than or equal to|(?:is |be )?at least"
        r"|(?:is )?(?:no|not) (?:less|fewer|smaller) than",
        r"\\ge ",
    ),
    (
        r"(?:is |are |must be )?(?:strictly )?(?:less|fewer|smaller) than or equal to|(?:is |be )?at most"
        r"|(?:is )?(?:no|not) (?:more|greater|larger) than",
        r"\\le ",
    ),
    (r"(?:is |are |must be )?(?:strictly )?(?:greater|more|larger) than", r"\\gt "),
    (r"(?:is |are |must be )?(?:strictly )?(?:less|fewer|smaller) than", r"\\lt "),
    (r"(?:is )?(?:not equal to|different from)|does not equal|cannot be", r"\\ne "),
    (r"(?:is )?equal to|equals", "="),
    (r"(?:is |are )?(?:about|approximately|approx\.|approx|roughly|around|circa)", r"\\approx "),
)
_SAID = [(regex(rf"(?<![\\\w])(?:{said})(?!\w)", re.IGNORECASE), sign) for said, sign in _RELATIONS]
_REALS = regex(
    r"(?<![\\\w])(?:the set of )?(?:all|any) reals?(?: numbers?| values?)?(?: (?:of )?[a-z](?= ?$))?"
    r"(?= ?$| ?(?:except|other|but)\b)",
    re.IGNORECASE,
)
_NUMBERS_THAT = regex(
    r"^(?:the set of )?(?:all |any )?(?:the )?(?:real )?numbers (?:that are |which are )?"
    r"(?=(?:strictly )?(?:greater|more|larger|less|smaller|at least|at most|not |no ))",
    re.IGNORECASE,
)
_SUCH_THAT = regex(
    r"^(?P<name>[A-Za-z])(?: \\in \\mathbb ?\{?R\}?)? ?(?:such that|with|where|satisfying|:) ?(?=(?P=name)\b)"
)
_QUANTIFIER = regex(
    r"^(?:for )?(?:all|every|any|each) (?:reals? )?(?:numbers? |values? of )?"
    r"(?=\\?[A-Za-z] ?(?:[<>=!\\]|(?:such|with|where|is|are|at (?:least|most)|(?:strictly )?(?:greater|more|larger|less"
    r"|smaller) than|not equal to|different from)\b))",
    re.IGNORECASE,
)
_EXACTLY = regex(r"^(?:exactly|the) (?=[\\\d])", re.IGNORECASE)
_HAS_WORDS = regex(
    r"(?<![\\A-Za-z])(?:all|any|every|each|for|than|at (?:least|most)|equals?|about|approx|roughly|around|circa|cannot"
    r"|such that|different from|real|exactly|the) ?|approximately|(?:greater|less|more|fewer) than|equal to",
    re.IGNORECASE,
)
_TEXT = regex(
    r"\\(?:text|mathrm|mbox|textrm|textnormal)\s*\{\s*([A-Za-z ]*(?:than|equal to|equals|about|least|most|approximately"
    r"|roughly|around|all|every|any|such that|with|where|from|be|except|real numbers?|reals?)[A-Za-z ]*)\}"
)
NOTHING = regex(
    r"(?:there (?:is|are) |it has |has )?no (?:(?:real|integer|such|positive|valid|possible|real-valued) )*"
    r"(?:solutions?|roots?|values?(?: of [a-z])?|[a-z])(?: exists?| at all)?|(?:the )?empty set|none(?: exists?)?"
)
"""Phrases stating that a problem has no solution."""


def said(text: str) -> str:
    """The text with relations and sets in words replaced by signs: `x is at least 5` becomes `x \\ge 5`."""
    if not _HAS_WORDS.search(text):
        return text
    text = re.sub(r" {2,}", " ", _TEXT.sub(r" \1 ", text)).strip()
    text = _REALS.sub(r"\\mathbb{R}", _ANY.sub(r"\\in \\mathbb{R}", text))
    text = _SUCH_THAT.sub("", _QUANTIFIER.sub("", _NUMBERS_THAT.sub("", text)))
    for pattern, sign in _SAID:
        text = pattern.sub(sign, text)
    return _EXACTLY.sub("", text)
