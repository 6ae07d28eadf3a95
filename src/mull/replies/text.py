"""A reply as plain text: normalised signs, no markup, and the ends of sentences and clauses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mull.equal.patterns import regex

MAX_REGION = 1000
"""Longest text of an answer, and longest part of a sentence that is examined."""

_MEANT = {
    "-": "−‐‑‒–﹣⁃",
    " ": "\u00a0\u2007\u2008\u2009\u200a\u202f\u2002\u2003\u3000",
    "": "\u200b\u200c\u200d\u2060\ufeff\u2061\u2062",
    "*": "×✕∗⋅∙",
    "≈": "≅≃",
    "/": "∕⁄÷",
    '"': "“”„«»「」『』",
    "'": "‘’",
    "[": "【",
    "]": "】",
    ",": "、",
}
_SIGNS = str.maketrans(
    {chr(0xFF01 + i): chr(0x21 + i) for i in range(0x5E)}
    | {sign: plain for plain, signs in _MEANT.items() for sign in signs}
)
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_POWER = regex(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_VULGAR = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅖": "2/5",
    "⅗": "3/5",
    "⅘": "4/5",
    "⅙": "1/6",
    "⅚": "5/6",
    "⅐": "1/7",
    "⅛": "1/8",
    "⅜": "3/8",
    "⅝": "5/8",
    "⅞": "7/8",
    "⅑": "1/9",
    "⅒": "1/10",
}
_FRACTION = regex("[" + "".join(_VULGAR) + "]")
_WORDED = regex(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|boldsymbol|bm|mbox|emph|operatorname|underline|f?boxed|fbox"
    r"|(?:text)?color(?:box)?\s?\{[^{}]*\}|bbox(?:\[[^\[\]]*\])?)\s{0,3}\{([^{}]*)\}"
)
_LOOKS = regex(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits|q?quad|thinspace|hspace\{[^{}]*\}"
    r"|tiny|small|normalsize|[lL]arge|LARGE|[hH]uge|bf|boldmath|color\s?\{[^{}]*\})(?![a-zA-Z])"
    r"|(?<!\\)\\[!,;: ]|~|<<[^<>\n]{0,200}>>"
)
_MATHS = regex(r"\\[()\[\]]|\$\$?")
_ESCAPED = regex(r"\\([%$&#_])")
_BRACED_SIGN = regex(r"\{([-+])\}(?=\s?[\d\\.])")


def signs(text: str) -> str:
    """The text with normalised signs: minus, spaces, full-width letters and digits, powers, fractions."""
    if text.isascii():
        return text
    text = text.translate(_SIGNS)
    text = _POWER.sub(lambda m: "^{" + m[0].translate(_POWERS) + "}", text)
    return _FRACTION.sub(lambda m: f" {_VULGAR[m[0]]} ", text)


HTML = regex(r"</?(?:b|strong|i|em|u|p|br|span|sub|sup)\s?/?>")
"""HTML tags that affect only the appearance."""


def worded(text: str) -> str:
    r"""The text with `\text{}` and similar commands replaced by their content."""
    for _ in range(4):
        if "\\" not in text or (plain := _WORDED.sub(r" \1 ", text)) == text:
            break
        text = plain
    return text


def flat(text: str) -> str:
    """The text without formatting and without the delimiters of mathematics."""
    text = worded(signs(text))
    if "\\" in text or "~" in text or "<<" in text:
        text = _ESCAPED.sub(r" \1" if "\\$" in text else r"\1", _LOOKS.sub(" ", text))
        text = _MATHS.sub(" ", text)
    if "{" in text:
        text = _BRACED_SIGN.sub(r"\1", text)
    if "<" in text:
        text = HTML.sub("", text)
    return text.replace("$", " ").replace("**", "").replace("`", "").replace("__", "")


_EDGES = " \t\r\n*_`\"'"


def bare(text: str, ends: str = "") -> str:
    """The text without surrounding markup, quotes and spaces, and without these signs at its end."""
    return text.strip(_EDGES).rstrip(_EDGES + ends)


_ABBREVIATIONS = set(
    (
        "dr mr mrs ms st jr sr prof vs no nr fig eq ca approx etc e.g i.e mt ft inc co gen sen rep rev hon lt col "
        "capt z.b d.h al"
    ).split()
)
_DOTTED = regex(r"(?:[A-Za-z]\.){1,4}[A-Za-z]|ph\.d", re.IGNORECASE)
_BEGINS = regex(
    r" (?:The|It|This|These|Those|So|Therefore|Thus|Hence|We|I|Then|Because|Since|In|On|At|Note|And|But|He|She|They"
    r"|You|There|Here|If|When|As|For|My|Let|A|An|What|Who|How|Its|His|Her|Their|Our|Both|All|Each|No|Yes|To|By|From"
    r"|With|Option|Answer|Question|Explanation|Reason|Reasoning|Given|Using|Now|First|Finally|However|Although|While|That|Wait|Actually|Hmm|Oops|Sorry)\b"
)
"""Words that begin a sentence, so that a full stop before them ends one."""
_END = regex(
    r"\$\$(?:[^$]|\\\$){0,900}?\$\$|\\\[.{0,900}?\\\]|\\\(.{0,900}?\\\)"
    r"|\$(?![\s$])[^$\n]{0,300}?(?<![\s\\])\$(?!\d)"
    r"|(?P<end>\n|[.!?]+(?=[\s*_)\"'\]}$]|</|$)|[。！？；])",
    re.DOTALL,
)
_FACTORIAL = regex(r"[\w)]!\s?(?:[=+*/^<>≈×·−-]|\\(?!\())")
"""A factorial within a formula, which ends no sentence."""
_NEXT = regex(r"[*_)\"'\]}$\s]*([^\s*_)\"'\]}$]|$)")


def sentence_end(text: str, start: int, stop: int | None = None, *, lines: bool = True) -> int:
    """The end of the sentence that begins at `start`, before its full stop; with `lines`, a line's end also ends it.

    A full stop inside mathematics, a number or an abbreviation does not end it.
    """
    stop = min(len(text), start + MAX_REGION) if stop is None else min(stop, start + MAX_REGION)
    at = start
    while (match := _END.search(text, at, stop)) is not None:
        at = match.end()
        if match["end"] is None or (match["end"] == "\n" and not lines):
            continue
        if match["end"] == "!" and _FACTORIAL.match(text, match.start() - 1, stop) is not None:
            continue
        if match["end"] != "." or _is_stop(text, match.start(), stop):
            return _after_brackets(text, start, match)
    return stop


def _after_brackets(text: str, start: int, end: re.Match[str]) -> int:
    """The end of a sentence whose full stop is at `end`: after a closing bracket if the sentence opened it."""
    closing = text[end.end() : end.end() + 1]
    opening = {")": "(", "]": "["}.get(closing)
    is_open = opening is not None and text.count(opening, start, end.start()) > text.count(closing, start, end.start())
    return end.end() + 1 if is_open else end.start()


def _is_stop(text: str, at: int, stop: int) -> bool:
    """Whether the full stop at this place ends a sentence."""
    word_at = max(text.rfind(" ", 0, at), text.rfind("\n", 0, at), text.rfind("(", max(0, at - 20), at)) + 1
    word = text[max(word_at, at - 12) : at].lower()
    if word == "no":
        return not text[at + 1 : at + 3].strip()[:1].isdigit()
    if (word in _ABBREVIATIONS or _DOTTED.fullmatch(word)) and _BEGINS.match(text, at + 1) is None:
        return not text[at + 1 : stop + 1].strip()
    if len(word) == 1 and word.isalpha() and text[at - 1].isupper() and _initial(text, at):
        return False
    following = _NEXT.match(text, at + 1, min(stop + 1, at + 40))
    if following is None or not following[1]:
        return True
    return not following[1].islower() or (at > 0 and not text[at - 1].isalpha())


def _initial(text: str, at: int) -> bool:
    """Whether a capital with a full stop is an initial: names are next to it, and no sentence begins after it."""
    if _BEGINS.match(text, at + 1) is not None:
        return False
    named = _NAMED.match(text, at + 1)
    if named is None:
        return False
    before = _NAME_BEFORE.search(text, max(0, at - 24), at - 1)
    return (
        named["more"] is not None
        or (before is not None and before[1].lower() not in _NO_NAMES)
        or named["ends"] is not None
    )


_NAMED = regex(
    r" (?P<more>(?:[A-Z]\. ){1,3})?[A-Z][a-zà-ÿ][\w'’-]*"
    r"(?:\s?(?P<ends>(?: [A-Z][\w'’-]+){0,2}[ *_`\"')]*(?:[.,;(\n<]|$)))?"
)
"""Names after an initial; `ends`: only a few names come before the sentence or line ends."""
_NAME_BEFORE = regex(r"\b([A-Z](?:\.|[a-zà-ÿ]+)) $")
_NO_NAMES = {"option", "answer", "choice", "letter", "part", "case", "vitamin", "figure", "plan", "point", "statement"}


def sentences_backwards(text: str) -> Iterator[str]:
    """The sentences of a text, last first; a line's end also ends a sentence."""
    end = len(text)
    while end > 0:
        line_at = text.rfind("\n", 0, end) + 1
        line = text[line_at:end]
        if line.strip():
            line = line[_item(text, line_at, line) :]
            yield from reversed(_sentences(line[-4 * MAX_REGION :]))
        end = line_at - 1


_ITEM = regex(r"[ \t*]{0,8}(\d{1,2})[.)][ \t*]{1,4}(?=\S)")


def _item(text: str, line_at: int, line: str) -> int:
    """The length of the number that begins a line of a list: the first, or one after a line with the number before."""
    match = _ITEM.match(line)
    if match is None:
        return 0
    before = text[max(0, line_at - 2 * MAX_REGION) : line_at]
    n = int(match[1])
    is_next = n == 1 or re.search(rf"^[ \t*]{{0,8}}{n - 1}[.)][ \t*]", before, re.MULTILINE) is not None
    return match.end() if is_next else 0


def _sentences(line: str) -> list[str]:
    found = []
    at = 0
    while at < len(line):
        end = sentence_end(line, at)
        end = end + 1 if end < len(line) else end
        if line[at:end].strip(_EDGES + ".)"):
            found.append(line[at:end])
        at = end
    return found


_REASON = regex(r"(?:,?\s|,)\(?(?:because|since|weil|denn|puisque|car|parce\sque?|porque|ya\sque)\s", re.IGNORECASE)
_CLAUSE = regex(
    r"(?:,?\s|,)\(?(?:(?:which|where|whereas|given|therefore|thus|meaning|as(?!\sfollows)|so|after|when|if|wobei|da)\s"
    r"|i\.e\.|e\.g\.|for\s(?:each|every|the|all)\s)"
    r"|;\s(?:check|to\scheck|verify|verification|proof)\b|,\s(?:found|obtained|computed|calculated|derived|using|by|making|giving|namely|rounded)\s",
    re.IGNORECASE,
)
_OF_THEM = regex(
    r",\s(?:davon|dont|of\swhich|of\swhom|of\sthem|including|de\slos\scuales|de\slas\scuales)\s", re.IGNORECASE
)
_CJK_CLAUSE = regex(r"[,，]?(?:因为|其中|由于)")


def without_reason(text: str) -> str:
    """The text up to the reason it gives."""
    for pattern in (_REASON, _OF_THEM):
        if (match := pattern.search(text)) is not None:
            text = text[: match.start()]
    if not text.isascii() and (match := _CJK_CLAUSE.search(text)) is not None:
        text = text[: match.start()]
    return text


def clause(text: str) -> str:
    """The text up to its reason or next clause."""
    text = without_reason(text)
    match = _CLAUSE.search(text)
    return text if match is None else text[: match.start()]


_UNKNOWING = regex(
    r"\b(?:i|we)(?:\s(?:really|honestly|simply|just))?"
    r"(?:\s(?:do\snot|cannot|can\snot|could\snot|am\snot\sable\sto)|\s?(?:don'?t|can'?t|couldn'?t))\s(?:\w+\s)?"
    r"(?:know|tell|say|determine|answer|decide|solve|be\ssure|be\scertain|provide|give|help|assist|choose|select|find|figure)\b"
    r"|\bi(?:\sam|'m)\s(?:not\s(?:sure|certain|able)|unsure|unable|sorry)\b|\bno\sidea\b"
    r"|\bich\sweiß\s(?:es\s)?nicht\b|\bje\sne\s(?:sais|peux)\spas\b|\bno\s(?:lo\s)?sé\b|不知道|我(?:无法|不能)",
    re.IGNORECASE,
)
_UNKNOWABLE = regex(
    r"\b(?:cannot|can\snot|can'?t|could\snot)\sbe\s(?:determined|known|answered|said|found|computed|calculated)\b"
    r"|\bimpossible\sto\s(?:tell|say|know|determine)\b|\bnot\senough\sinformation\b|无法(?:确定|回答|判断)|不能确定",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether a sentence says that its writer has no answer."""
    return _UNKNOWING.search(text.replace("’", "'")) is not None


def is_unknowable(text: str) -> bool:
    """Whether a sentence says that there is no answer, or that its writer has none."""
    return is_refusal(text) or _UNKNOWABLE.search(text.replace("’", "'")) is not None
