"""The tokens of an answer: numbers, commands, words and signs."""

from __future__ import annotations

import re
from typing import NamedTuple

from mull.equal.patterns import regex
from mull.equal.polynomial import Unreadable

MAX_TOKENS = 400


class Token(NamedTuple):
    """`kind` is number, repeating, numeral, command, word, text (a word of a `\\text{}`), bold or sign.

    `spaced`: whether a space precedes it. The text of a `repeating` decimal is `0.1|6`, that of a `numeral` `FF_16`.
    """

    kind: str
    text: str
    spaced: bool = False


_STYLES = (
    r"text|mathrm|mbox|hbox|textbf|mathbf|textit|mathit|operatorname|textnormal|textrm|mathsf|textsf|boldsymbol|bm"
)
_SUFFIX = r"(?:st|nd|rd|th)"
_TOKEN = regex(
    r"(?P<space>\s*)(?:"
    rf"(?P<ordinal>\d+)(?:{_SUFFIX}|\s*\^\s*(?:\\(?:{_STYLES})\s*\{{\s*{_SUFFIX}\s*\}}"
    rf"|\{{\s*(?:\\(?:{_STYLES})\s*\{{)?\s*{_SUFFIX}\s*\}}{{1,2}}))(?![A-Za-z])"
    r"|(?P<repeating>\d*\.\d*(?:\\(?:overline|bar|dot)\s*(?:\{\s*\d+\s*\}|\d)|\(\d+\)|\d(?:\.\.\.|\\[lc]?dots(?![a-z])))"
    r"(?:\d*\\dot\s*(?:\{\s*\d\s*\}|\d))?)"
    r"|(?P<continental>\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d,]))"
    r"|(?P<thousands>[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d{1,3}(?:'\d{3})+(?!\d)(?:\.\d+)?)"
    r"|(?P<spaces>[1-9]\d{0,2}(?: \d{3})++(?:\.\d+)?(?![\d.,/]| \d))"
    r"|(?P<numeral>0[xX][0-9A-Fa-f]+(?!\w)|(?:\d[0-9A-F]*[A-F][0-9A-F]*|[A-F][0-9A-F]+)(?=_\{?(?:1[1-6])\b)"
    r"|(?:\d[0-9a-f]*[a-f][0-9a-f]*|[a-f][0-9a-f]+)(?=_\{?16\b)"
    r"|\d[0-9ab]*[ab][0-9ab]*(?=_\{?12\b))"
    r"|(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,4}(?![\d.]))?)"
    rf"|\\(?P<style>{_STYLES})\s*\{{(?P<text>(?:[^{{}}]|\{{[^{{}}]*\}})*)\}}"
    r"|\\(?P<command>[a-zA-Z]+|[{}%$\\|])"
    r"|(?P<word>(?:sq|cu|ft|in|yd|mi|hrs?|mins?|secs?|lbs?|oz|gal|cm|mm|km|kg|pt|qt|Rs)(?=\.)|[A-Za-z]+)"
    r"|(?P<sign>\*\*|<=|>=|!=|[-+*/^_=<>(){}\[\]|!,;:%&$'])"
    r")"
)
_REPEATING = regex(
    r"(\d*)\.(\d*?)(?:\\(?:overline|bar)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\)|\\dot\s*\{?\s*(\d)\s*\}?(?:(\d*)\\dot\s*\{?\s*(\d)\s*\}?)?)"
)
_TAIL = regex(r"(\d{1,12}?)\1+$")
OPEN, CLOSE = ("(", "["), (")", "]")


def tokens(text: str, in_text: bool = False) -> list[Token]:
    """The tokens of a text, or of the content of a `\\text{}`. Raises `Unreadable` for an unknown sign."""
    found: list[Token] = []
    place, depth = 0, 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            if not text[place:].strip():
                break
            raise Unreadable(f"unknown sign {text[place:].strip()[0]!r}")
        kind = match.lastgroup or ""
        token, end, is_spaced = match[kind], match.end(), bool(match["space"])
        if kind == "text":
            _add_text(found, match["style"], token, is_spaced)
            place = end
            continue
        if kind not in ("command", "sign", "word", "number"):
            kind, token, end = _number(kind, match, bool(depth), end)
        elif kind == "word":
            if text[end : end + 1] == "." and token.islower() and match.end("word") - match.start("word") > 1:
                end += _is_abbreviated(text, token, end)
            kind = "text" if in_text else kind
        depth += (token in OPEN or (kind == "command" and token == "{")) - (
            token in CLOSE or (kind == "command" and token == "}")
        )
        found.append(Token(kind, token, is_spaced))
        place = end
        if len(found) > MAX_TOKENS:
            raise Unreadable("too long")
    return found


def _is_abbreviated(text: str, word: str, end: int) -> bool:
    """Whether the full stop after a word belongs to it, as in `sq. ft`, and does not end a sentence."""
    return bool(_SHORT.fullmatch(word)) and not text[end + 1 : end + 2].isalnum()


_SHORT = regex(r"sq|cu|ft|in|yd|mi|hrs?|mins?|secs?|lbs?|oz|gal|cm|mm|km|kg|pt|qt|rs")


def _add_text(found: list[Token], style: str, content: str, is_spaced: bool) -> None:
    """Adds the tokens of a `\\text{}`, words marked as text; dollar signs in it only delimit mathematics."""
    if style in ("mathbf", "boldsymbol", "bm", "textbf") and len(content.strip()) == 1 and content.strip().isalpha():
        found.append(Token("bold", content.strip(), is_spaced))
        return
    if content.rstrip().endswith(".") and content.count(".") == 1 and not content.strip(" .").isdigit():  # a full stop
        content = content.rstrip()[:-1]
    inner = tokens(content.replace("$", " ") if content.count("$") % 2 == 0 else content, in_text=True)
    if inner:
        found.append(inner[0]._replace(spaced=is_spaced or inner[0].spaced))
        found.extend(inner[1:])


def _number(kind: str, match: re.Match[str], is_nested: bool, end: int) -> tuple[str, str, int]:
    """Kind, text and end of a number written with more than digits and a point."""
    token = match[kind]
    if kind == "ordinal":
        return "number", token, end
    if kind == "repeating":
        return "repeating", repeating(token), end
    if kind == "numeral":
        return "numeral", token, end
    if kind == "spaces":
        return "number", token.replace(" ", ""), end
    if is_nested and "," in token:  # inside brackets a comma separates items
        first = token.partition(",")[0]
        return "number", first, match.start(kind) + len(first)
    if kind == "continental":
        return "number", token.replace(".", "").replace(",", "."), end
    return "number", token.replace(",", "").replace("'", ""), end


def repeating(token: str) -> str:
    """A repeating decimal as `0.1|6`. Raises `Unreadable` if the dots leave open which digits repeat."""
    match = _REPEATING.match(token)
    if match is not None and match.end() == len(token):
        whole, before, *groups = match.groups()
        if groups[3] is not None and groups[5] is not None:
            block = groups[3] + groups[4] + groups[5]
        else:
            block = next(x for x in groups if x)
        return f"{whole or 0}.{before}|{block}"
    digits = re.match(r"(\d*)\.(\d+)", token)
    tail = _TAIL.search(digits[2]) if digits else None
    if digits is None or tail is None or len(tail[0]) < 3 or len(tail[0]) < 2 * len(tail[1]):
        raise Unreadable("dots after digits that do not repeat")
    return f"{digits[1] or 0}.{digits[2][: tail.start()]}|{tail[1]}"
