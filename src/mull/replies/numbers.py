r"""Rational numbers in answers: the whole of an answer must be one number with its unit.

Supported are signs of every kind, thousands separators (`1,250`, `12 500`, `1{,}250`), money, per cent, fractions,
powers, scientific notation, English number words, and the last side of a chain (`3 * 4 = 12`). An answer with a root,
a letter or a second number is not one number. `mull.equal` computes sums in LaTeX; it evaluates only arithmetic.
"""

from __future__ import annotations

import re
from fractions import Fraction

from mull import equal
from mull.equal.patterns import regex
from mull.equal.words import SMALL, multiplier
from mull.replies.spelled import SCALES, spelled, words
from mull.replies.text import MAX_REGION, bare, clause, flat, signs, without_reason

MAX_DIGITS = 400
"""Numbers with more digits are compared as text, since exact arithmetic on them is slow."""

_WHOLE = regex(r"[-+]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)?(?:\.\d+|/\d+)?")
_SIMPLE = regex(r"-?\d{1,400}(?:\.\d{1,400})?")


def plain(text: str) -> str | None:
    """A text that is only a number, possibly of money, as a reduced fraction; `None` for any other."""
    text = text.rstrip(".").replace("$", "").strip()
    if not text or len(text) > MAX_DIGITS or not text.isascii() or not _WHOLE.fullmatch(text):
        return None
    return _fraction(text.replace(",", ""))


def number(text: str, *, is_continental: bool = False) -> str | None:
    """The value of a whole answer as a reduced fraction; `None` if it is not exactly one rational number.

    `is_continental`: a comma is the decimal point and full stops separate thousands, as in German, French and Spanish.
    Words of those languages in the text imply it.
    """
    text = text.strip()
    if not is_continental and _SIMPLE.fullmatch(text) and text.isascii():
        return _fraction(text)
    if len(text) > MAX_REGION:
        return None
    aside = _OTHERWISE.search(text)
    if aside is not None and number(aside[1]) in (None, number(text[: aside.start()])):
        text = text[: aside.start()]
    text = _normal(text, is_continental)
    main = clause(text)
    return _chain(_affirmed(main if _DIGIT.search(main) else text))


def last_number(sentence: str) -> str | None:
    """The number that a sentence arrives at: the whole of it, or its last number if that is not part of a list.

    For sentences that are not marked as the answer.
    """
    if len(sentence) > MAX_REGION:
        return None
    text = _affirmed(without_reason(_normal(sentence.rstrip(" .!?。！？"))))
    *_, restated = _THAT_IS.split(text)
    text = restated if _DIGIT.search(restated) else text
    value = _chain(text)
    if value is not None:
        return value
    if _REFUSING.search(text):
        return None
    *chained, side = _SPLIT.split(text)
    value = _side(side)
    if value is not None:
        return value
    runs = _runs(side)
    counted = [i for i, (_, run) in enumerate(runs) if _DIGIT.search(run)]
    if not counted:
        return None
    if chained and not runs[counted[0]][0].strip():
        return _value(runs[counted[0]][1])  # the number directly after the last equals sign
    before, run = runs[counted[-1]]
    if _PART.search(before) or (before[-1:].isalpha() and run[:1] in ("{", "[")):
        return None
    joint = f"{runs[counted[-1] - 1][1] if counted[-1] else ''} {before}"
    return None if len(counted) > 1 and _JOINT.search(joint) else _value(run)


_THAT_IS = regex(
    r"[,;(]\s?(?:i\.e\.,?|that\sis,|namely,?|in\sother\swords,?|das\shei(?:ß|ss)t,?|d\.h\.)\s", re.IGNORECASE
)


def has_number(text: str) -> bool:
    """Whether an answer mentions a number at all."""
    return _DIGIT.search(text) is not None or any(word in SMALL or word in SCALES for word in words(text))


def _fraction(text: str) -> str | None:
    try:
        return str(int(text)) if text.isdigit() else str(Fraction(text))
    except (ValueError, ZeroDivisionError):
        return None


_DIGIT = regex(r"[0-9]")
_GROUP = r"(,|\{,\}|\\!,\\!|,\\!|\\[,!:; ] ?|\\thinspace |[ ~'_])"
_GROUPED = regex(
    rf"(?<![\d.,])([1-9]\d{{0,2}})(?:{_GROUP}\d{{3}}(?:\2\d{{3}})*|(?:,\d\d)+,\d{{3}})(?!\d|,\d|\{{?,\}}?\d)"
)
_DOTTED = regex(r"(?<![\d.,])([1-9]\d{0,2}(?:[. ]\d{3})+)(?:,(\d+))?(?![\d.,]*\d)")
_DECIMAL_COMMA = regex(r"(?<![\d.,])(\d+),(\d+)(?![\d.,]*\d)")
_BELOW_ONE = regex(r"(?<![\d.,(\[{])0,(\d{2,400})(?![\d.,]*\d)")
_BOTH = regex(r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+),(\d+)(?![\d.,]*\d)")
_CONTINENTAL = regex(
    r"\b(?:antwort|ergebnis|lösung|das|der|ist|sind|ergibt|beträgt|und|insgesamt|euro|réponse|résultat|la|le|les|est|donc|soit"
    r"|respuesta|resultado|el|es|son|los|entonces|total\sde)\b|€",
    re.IGNORECASE,
)
_MINUS = regex(r"\b(?:minus|negative|moins|menos)\s+(?=[\d$.\\])", re.IGNORECASE)
_MONEY = regex(
    r"[€£¥₹₩₽¢]|\\(?:pounds|euro|yen|textdollar|texteuro|cents?)(?![a-z])\s?|\b(?:US|A|C|NZ|HK)(?=\s?\d|\s\d)|\b(?:USD|EUR|GBP|CNY|INR|Rs\.?)(?=[\s\d])|\bRs(?=\s?\d)"
)
_PERCENT = regex(r"\s?%|\s?\\%|\b(?:percent|per\scent|pct|Prozent|pour\scent|por\sciento)\b", re.IGNORECASE)
_DEGREES = regex(r"\s?(?:\^\s?(?:\{\s?\\circ\s?\}|\\circ(?![a-z]))|\\degree(?![a-z])|°)(?:\s?[CF](?![A-Za-z]))?")
_ASIDE = regex(r"\s*\((?!\s*(?:or|and|oder|ou|o)\b)(?=[^()\\]{0,200}[^\W\d_]|[^()\\]{0,200}=)[^()\\]{1,200}\)")
_OTHERWISE = regex(r"\s\((?:or|i\.e\.,?|equivalently,?|that is,?|=|≈)\s([^()]{1,60})\)")
_POWER_WRITTEN = regex(r"(?<=\d)\s?\*\*\s?(?=[\d{(-])")
_TIMES_TEN = regex(r"(?<=\d)\s?(?:[xX·]|\\times|\\cdot)\s?(?=10\s?\^)")
_LATEX_COMMA = regex(r"(?<![\d,}])(\d+)\{,\}(?=(?:\d{1,2}|\d{4,})(?!\d|\{,))")
_SCALED = regex(
    r"(?P<plain>\d)(?P<small>k|bn|mn)(?![A-Za-z])"
    r"|(?P<money>(?:\\\$|[$€£¥₹])\s?[\d,]{1,40}(?:\.\d{1,40})?)(?P<letter>\s?[KMBT]|[kmb])(?![A-Za-z\d^*/_({])"
    r"|(?P<decimal>\d\.\d{1,40})(?P<large>[KMB])(?![A-Za-z\d^*/_({$]|\s[A-Z][a-z]?[A-Z\d])"
    r"|(?P<count>\d)(?P<big>[KMB])(?=\s(?!(?:and|per|for|the|which|because|solution|acid|kelvin|bytes?)\b)[a-z]{3})"
)
"""Numbers with the letter of a scale: not a unit, since they are money, have decimals, or count what follows."""
_SCALES_OF = {"k": "1000", "m": "1000000", "b": "1000000000", "t": "1000000000000"}
_TIMES = regex(r"(?<=[\d)])\s?·\s?(?=[\d(])")
_BARE_FRACTION = regex(r"(\\[dtc]?frac)\s*(\d)\s*(\d)(?!\d)")
_OVER = regex(r"\{\s*([^{}]{1,100})\s*\\over\s+([^{}]{1,100})\s*\}")


def _normal(text: str, is_continental: bool = False) -> str:
    """The text with plain signs, without thousands separators, and without asides in brackets."""
    text = _POWER_WRITTEN.sub("^", signs(text))
    if "," in text and _BOTH.search(text):
        text = _BOTH.sub(lambda m: m[1].replace(".", "") + "." + m[2], text)
    if ("," in text or "." in text) and (is_continental or _CONTINENTAL.search(text) is not None):
        text = _DOTTED.sub(lambda m: re.sub(r"[. ]", "", m[1]) + (f".{m[2]}" if m[2] else ""), text)
        text = _DECIMAL_COMMA.sub(lambda m: f"{m[1]}.{m[2]}" if len(m[2]) != 3 or m[1] == "0" else m[0], text)
    if "0," in text:
        text = _BELOW_ONE.sub(r"0.\1", text)
    text = _SCALED.sub(_in_full, _LATEX_COMMA.sub(r"\1.", text))
    text = _GROUPED.sub(lambda m: re.sub(r"\D", "", m[0]), text)
    if "\\over" in text:
        text = _OVER.sub(r"\\frac{\1}{\2}", text)
    if "frac" in text:
        text = _BARE_FRACTION.sub(r"\1{\2}{\3}", text)
    text = _TIMES_TEN.sub("*", text)
    text = _MINUS.sub("-", _DEGREES.sub(" ", flat(text)))
    text = _TIMES.sub("*", text)
    return _ASIDE.sub(" ", _PERCENT.sub(" ", _MONEY.sub(" ", text)))


def _in_full(match: re.Match[str]) -> str:
    """A number with the letter of a scale as a product: `2.5*1000000` for `2.5M`."""
    if match[0].startswith("$") and match.string[match.end() :].startswith("$"):  # `$3M$` is a product
        return match[0]
    digits = match["plain"] or match["money"] or match["decimal"] or match["count"]
    letter = (match["small"] or match["letter"] or match["large"] or match["big"]).strip()
    return f"{digits}*{_SCALES_OF[letter[0].lower()]}"


_BUT = regex(
    r"(?:\b(?:not|nicht|pas|no)|n't)\s[^,;]{1,60}?(?:,?\s(?:but|sondern|mais|sino)\s(?:rather\s)?"
    r"|[,;]\s?(?:(?:it|that)(?:\sis|'s)|rather|instead)\s)",
    re.IGNORECASE,
)
_NOT_THAT = regex(
    r",?\s(?:(?:and|und|et|y)\s)?(?:not|nicht|pas|rather\sthan|instead\sof)\s(?!equal)[^,;]{1,60}$", re.IGNORECASE
)
_DENIED = regex(r"\b(?:not|never|neither|nor|cannot|nicht|kein|keine)\b|n't\b|\bno\s(?=\d)|不是", re.IGNORECASE)
_CHINESE_BUT = regex(r"不是[^,，。]{1,40}[,，]?而?是|[,，]?而?不是[^,，。]{1,40}$")


def _affirmed(text: str) -> str:
    """The text without what it denies; empty if nothing remains."""
    if "不是" in text:
        text = _CHINESE_BUT.sub("", text)
    text = _NOT_THAT.sub("", _BUT.sub("", text))
    return "" if _DENIED.search(text) else text


_ABOUT = r"≈|\\approx(?![a-z])|\\simeq(?![a-z])"
_EQUAL = (
    r"=>|->|:?=|→|⇒|\\(?:Rightarrow|rightarrow|implies|iff|equiv|to)(?![a-z])|\bequals\b|\bis\sequal\sto\b|\bergibt\b"
)
_SPLIT = regex(f"(?:{_ABOUT}|{_EQUAL})")
_SIGNED = regex(f"({_ABOUT})|{_EQUAL}")
_COMPARED = regex(
    r"(?<![=-])>|[<≤≥≠±]|\\(?:leq?|geq?|neq?|lt|gt|pm|mp|in|mid|cup|pmod|equiv)(?![a-z])"
    r"|\b(?:at\s(?:least|most)|(?:less|more|greater|fewer|larger|smaller)\sthan|up\sto|between|either)\b",
    re.IGNORECASE,
)
_REFUSING = regex(r"[≠±]|\\(?:neq?|pm|mp)(?![a-z])|\b(?:between|either)\b", re.IGNORECASE)
_NAMED = regex(r"(?:[,;]|\b(?:and|or|und|oder|et|ou|y|o)\b)\s*\\?[a-zA-Z]\w{0,2}\s*$")
_NAME = regex(r"\s*\\?[a-zA-Z]+\s*")


def _chain(text: str) -> str | None:
    """The last side of a chain of equations; the one before it if the last only approximates it."""
    if _COMPARED.search(text):
        return None
    sides: list[str] = []
    approximates: list[bool] = [False]
    at = 0
    for match in _SIGNED.finditer(text):
        sides.append(text[at : match.start()])
        approximates.append(match[1] is not None)
        at = match.end()
    sides.append(text[at:])
    if any(_NAMED.search(side) for side in sides[:-1]):
        return None
    if len(sides) > 1 and _NAME.fullmatch(sides[-1]) and not approximates[-1]:
        sides.pop()
        approximates.pop()
    if approximates[-1]:
        exact = _side(sides[-2])
        if exact is not None:
            return exact
    return _side(sides[-1])


_UNIT = (
    r"(?:mm|cm|dm|km|mg|kg|ml|mL|dl|cl|ft|in|yd|yds|mi|mph|lbs?|oz|hrs?|mins?|secs?|ms|GB|MB|KB|TB|Hz|kHz|MHz|kW|kWh|MW|mW|kJ|eV"
    r"|kN|Pa|kPa|gal|pts?|qts?|am|pm|th|st|nd|rd|units?|rad|mol|sq)"
)
_LETTER_UNIT = r"(?:[msghLlNJWVAKCFtm])"
_UNITS = regex(
    rf"(?<=[\d}})])(?:\s{{0,3}}{_UNIT}|\s{{1,3}}{_LETTER_UNIT}|\s{{0,3}}{_LETTER_UNIT}(?=\s?[/^]))"
    rf"(?:\s?\^\s?\{{?-?\d\}}?)?(?:\s?(?:/|\\cdot|·|\*)\s?(?:{_UNIT}|{_LETTER_UNIT})(?:\s?\^\s?\{{?-?\d\}}?)?)*(?![a-zA-Z])"
)
_WORD = regex(
    r"(?<!\\)(?<![a-zA-Z])(?:[^\W\d_]{2,}(?:['\-][^\W\d_]+)*|(?<![\d}])\b[aAI]\b(?=\s)|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)\.?"
)
_TAIL = regex(r"^[\s\-]*((?:[^\W\d_]|')+)")
_CJK_SCALES = {"百": 100, "千": 1000, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "万亿": 10**12, "百万": 10**6}
_CJK_SCALE = regex(r"^(万亿|百万|[百千万萬亿億])")
_PER = regex(
    r"(?:second|minute|hour|day|week|month|year|night|person|people|student|child|mile|kilometer|meter|foot|inch|pound|gallon"
    r"|liter|litre|ounce|cup|dozen|unit|item|piece|box|bag|page|word|share|serving|page|game|trip)s?\b"
)
"""What a rate is counted by, after a slash."""
_PART = regex(
    r"\b(?:half|twice|double|triple|third|quarter|root|square|cube|hälfte|moitié|mitad)(?:\s(?:of|the|von|de|as|much))*\W*$",
    re.IGNORECASE,
)
"""Words before a number that make it a part of something larger."""
_AND_A_HALF = regex(r"(?<=\d) and a half\b")


def _runs(side: str) -> list[tuple[str, str]]:
    """Splits a side at its words: each run without words, paired with the words just before it."""
    runs = []
    at, before = 0, ""
    for match in _WORD.finditer(side):
        between = side[at : match.start()]
        if between.strip(" .,:;!?-'\"()[]/&+*"):
            runs.append((before, between))
            before = match[0]
        else:
            before = f"{before}{between}{match[0]}"
        at = match.end()
    runs.append((before, side[at:]))
    return runs


def _side(side: str) -> str | None:
    """The number on one side of an equation, with its unit and the words around it."""
    side = bare(side).strip(" ,:;?。；！？#")
    side = side if side.endswith("..") else side.rstrip(".")
    if not side:
        return None
    value = _value(side)
    if value is not None or not any(map(str.isalpha, side)):
        return value
    if not _DIGIT.search(side):
        return spelled(side)
    side = _UNITS.sub(" ", _AND_A_HALF.sub(" 1/2", side))
    runs = _runs(side)
    mathy = [i for i, (_, run) in enumerate(runs) if run.strip(" .,:;!?-'\"()[]/&+*_")]
    if len(mathy) != 1:
        return None
    before, run = runs[mathy[0]]
    if not _DIGIT.search(run) or _PART.search(before):
        return None
    if before and before[-1:].isalpha() and before[-1:].isascii() and (run[:1].isdigit() or run[:1] in ("(", "{", "[")):
        return None  # letters attached to the number make it a name or a function
    after = runs[mathy[0] + 1][0] if mathy[0] + 1 < len(runs) else ""
    value = _value(run[:-1] if run.endswith("/") and _PER.match(after) is not None else run)
    return value if value is None else _scaled(value, run, after)


def _scaled(value: str, run: str, after: str) -> str | None:
    """The number times the word after it: `5 million`; `None` if a letter is attached: `5xy` is a product."""
    told = _TAIL.match(after)
    word = told[1] if told else ""
    if (
        word
        and word.isascii()
        and run[-1:].isdigit()
        and after[:1].isalpha()
        and len(word) < 3
        and word.lower() != "or"
    ):
        return None
    cjk = _CJK_SCALE.match(after.lstrip())
    scale = _CJK_SCALES[cjk[1]] if cjk else SCALES.get(word.lower()) or (word != "gross" and multiplier(word)) or 1
    return str(Fraction(value) * scale)


_ARITHMETIC = regex(
    r"(?:[\d\s.+\-*/^(){}!\[\]]|\\(?:[dtc]?frac|times|cdot|div|sqrt|d?binom)(?![a-z])|(?<=\d)[eE][-+]?\d)+"
)
_RANGE = regex(
    r"\d\s?-\d|\d\s*:\s*\d|\.\.|/[^/]*/|\d\s+\d+(?!\d*\s?/\s?\d)|\d\s+\\[dtc]?frac\s?\D*-|\d\s+\(|[)}]\s+\d|[-+]\s*[-+]|\d\.\d+\."
)
_DIFFERENCE = regex(r"[\d)}]\s-\s?[\d(\\]|[*/+^({]\s?-")
_REPEATING = regex(r"(-?)\s?(\d{0,30})\.(\d{0,30})(?:\\overline\s?\{?(\d{1,30})\}?|\((\d{1,30})\))")
_MIXED = regex(r"(-?)\s?(\d{1,30})\s+(\d{1,30})\s?/\s?(\d{1,30})")
_SIGN = regex(r"^([-+])\s+(?=[\d.\\])")
_SLASHED = regex(r"(-?\d{1,30})\s?/\s?(\d{1,30})")


def _value(run: str) -> str | None:
    """The value of an arithmetic expression that is one rational number."""
    run = _SIGN.sub(r"\1", run.strip(" ,;:?'\"_。；"))
    while run and (run[0] + run[-1]) in ("()", "[]", "{}") and not set("()[]{}") & set(run[1:-1]):
        run = run[1:-1].strip()
    if _SIMPLE.fullmatch(run):
        return _fraction(run)
    if not run or len(run) > MAX_DIGITS or not run.isascii():
        return None
    if repeating := _REPEATING.fullmatch(run):
        return _repeating(repeating)
    if mixed := _MIXED.fullmatch(run):
        whole, part = int(mixed[2]), _fraction(f"{mixed[3]}/{mixed[4]}")
        return None if part is None else str((-1 if mixed[1] else 1) * (whole + Fraction(part)))
    if slashed := _SLASHED.fullmatch(run):
        return _fraction(f"{slashed[1]}/{slashed[2]}")
    if not _ARITHMETIC.fullmatch(run) or _is_more_than_one(run):
        return None
    form = equal.read(run)
    found = form.value.number if form is not None and form.kind == "value" else None
    value = None if found is None else str(Fraction(found))
    return value if value is not None and len(value) <= 2 * MAX_DIGITS else None


def _is_more_than_one(run: str) -> bool:
    """Whether it is a range, a date, a time or several adjacent numbers rather than one number."""
    found = _RANGE.search(run)
    if found is None:
        return False
    is_minus = "-" in found[0] and ":" not in found[0] and "\\" in run
    return not is_minus


def _repeating(match: re.Match[str]) -> str:
    """The value of a repeating decimal."""
    sign, whole, fixed, repeated, bracketed = match.groups()
    period = repeated or bracketed
    value = Fraction(int(whole or 0)) + Fraction(int(fixed or 0), 10 ** len(fixed))
    value += Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
    return str(-value if sign else value)


_JOINT = regex(
    r"(?:\b(?:and|or|of|in|to|than|und|oder|et|ou|y|o|times|von|de)\s*(?:\b(?:the|all|a|its|her|his|these)\s*)?|[,:/x×*-]\s*)$",
    re.IGNORECASE,
)
