"""The words of an answer: numbers, commands, letters and signs."""

from __future__ import annotations

import re
from typing import NamedTuple

from mull.equal.polynomial import Unreadable

MAX_TOKENS = 400


class Token(NamedTuple):
    """`kind` is number, command, word, text (the content of a `\\text{}`) or sign; `spaced`: a space stood before."""

    kind: str
    text: str
    spaced: bool = False


_TOKEN = re.compile(
    r"(?P<space>\s*)(?:"
    r"(?P<thousands>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?)"
    r"|(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,4}(?![\d.]))?)"
    r"|\\(?:text|mathrm|mbox|textbf|mathbf|textit|operatorname)\s*\{(?P<text>[^{}]*)\}"
    r"|\\(?P<command>[a-zA-Z]+|[{}%$\\|])"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<sign>\*\*|<=|>=|!=|[-+*/^_=<>(){}\[\]|!,;:%&$'])"
    r")"
)
OPEN, CLOSE = ("(", "["), (")", "]")


def tokens(text: str) -> list[Token]:
    """The tokens of a text. Raises `Unreadable` for a sign that means nothing here."""
    found: list[Token] = []
    place, depth = 0, 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            if not text[place:].strip():
                break
            raise Unreadable(f"unknown sign {text[place:].strip()[0]!r}")
        kind = match.lastgroup or ""
        token = match[kind]
        end = match.end()
        if kind == "thousands":
            kind = "number"
            if depth:  # in brackets a comma parts items
                token = token.partition(",")[0]
                end = match.start("thousands") + len(token)
            token = token.replace(",", "")
        depth += (token in OPEN or (kind == "command" and token == "{")) - (
            token in CLOSE or (kind == "command" and token == "}")
        )
        found.append(Token(kind, token, bool(match["space"])))
        place = end
        if len(found) > MAX_TOKENS:
            raise Unreadable("too long")
    return found
