"""Parsing an answer, LaTeX or plain text, into a `Form`; nothing a model wrote is evaluated."""

from __future__ import annotations

import re
from fractions import Fraction

from mull.equal.expressions import GREEK, STARTS
from mull.equal.forms import Form, number_form
from mull.equal.functions import FUNCTIONS
from mull.equal.grammar import Reader
from mull.equal.lexer import Token, tokens
from mull.equal.meaning import as_set, meet
from mull.equal.patterns import regex
from mull.equal.polynomial import Unreadable, poly
from mull.equal.tidying import tidy, words_of
from mull.equal.words import NOTHING, said

MAX_LENGTH = 1000
"""Longer texts are not answers."""
_PLAIN = regex(r"[-+]?(?:\d{1,400}|[1-9]\d{0,2}(?:,\d{3}){1,100})(?:\.\d{0,300})?|[-+]?\.\d{1,300}")
_FRACTION = regex(r"(-?)\\[dt]?frac\{(\d{1,300})\}\{(\d{1,300})\}|([-+]?\d{1,300})/(\d{1,300})")
_NAMED = regex(r"([a-df-hj-zA-Z]) ?= ?(?=[-+.\\\d])")
_COMMAND = regex(r"\\([a-zA-Z]+)")
_CALCULATION = regex(r"[\w\\{}()\[\]^+\-*/.|! ]+", re.ASCII)
_CALCULATED = {
    *FUNCTIONS,
    *GREEK,
    *STARTS,
    "sum",
    "prod",
    "int",
    "iint",
    "lim",
    "to",
    "cdot",
    "times",
    "mathrm",
    "operatorname",
}
_FROM = regex(r"_\s*\{\s*[A-Za-z]\s*=")
_WORD = regex(r"(?<![\\A-Za-z])[A-Za-z]{3,}")

_known: dict[str, Form | None] = {}
MAX_KNOWN = 65536


def read(text: str) -> Form | None:
    """The form of an answer; `None` if the text is empty or too long to be one."""
    if text in _known:
        return _known[text]
    if len(text) > 4 * MAX_LENGTH:
        return None
    if len(_known) >= MAX_KNOWN:
        forget()
    form = _plain(text.strip())
    if form is None:
        tidied = tidy(text)
        form = _read(tidied) if tidied else None
        if form is not None and form.is_plain:
            _known.setdefault(form.key, form)
    _known[text] = form
    return form


def forget() -> None:
    """Empties the cache of parsed answers, which exists because a vote holds the same answers repeatedly."""
    _known.clear()


def canonical(text: str) -> str | None:
    """The canonical text of an answer; `None` if the text is not one."""
    form = read(text)
    return None if form is None else form.key


def _plain(text: str) -> Form | None:
    """Parses whole numbers, decimals and simple fractions, alone or after a name: most answers are one of these."""
    if (named := _NAMED.match(text)) is not None:
        inner = _plain(text[named.end() :])
        return None if inner is None else Form("named", named[1], (inner,))
    if _PLAIN.fullmatch(text) and text.isascii():
        plain = text.replace(",", "")
        return number_form(poly(Fraction(plain) if "." in plain else int(plain)))
    match = _FRACTION.fullmatch(text) if text.isascii() else None
    if match is None:
        return None
    sign, n, d, m, e = match.groups()
    if not int(d or e):
        return None
    return number_form(poly(Fraction(int(n if m is None else m), int(d or e)) * (-1 if sign else 1)))


def _read(text: str) -> Form | None:
    if len(text) > MAX_LENGTH:
        return None
    if _DNE.fullmatch(text):
        return Form("text", "does not exist")
    try:
        form = _parsed(text)
    except Unreadable:
        form = None
    if form is not None and (form.is_plain or _is_settled(form)) and len(form.key) <= MAX_LENGTH:
        return form
    if _is_calculation(text):
        return Form("hard", text)
    return _text(text)


_DNE = regex(
    r"(?:\\(?:text|mathrm|mathbf) ?\{ ?)?(?:DNE|(?i:(?:(?:the )?limit )?does(?: not|n['’]t) exist))\.? ?\}?\.?"
)


def _is_settled(form: Form) -> bool:
    """Whether the canonical text of a form reads back as that form."""
    try:
        again: Form | None = _parsed(form.key)
    except Unreadable:
        again = _text(form.key) if form.kind == "text" else None
    return again is not None and again.key == form.key


def _parsed(text: str) -> Form:
    found = tokens(said(text))
    if any(token.text in ("pm", "mp") and token.kind == "command" for token in found):
        return _both(found)
    return Reader(found).answer()


def _both(found: list[Token]) -> Form:
    """A plus-minus as the set of both answers; after an unequal sign, as the exclusion of both."""
    plus, minus = (Reader(found, turn).answer() for turn in (1, -1))
    if plus.kind != "named" or minus.kind != "named" or plus.head != minus.head:
        return as_set((plus, minus))
    inner = (plus.parts[0], minus.parts[0])
    is_unequal = any(token.text in ("ne", "neq", "!=") for token in found)
    return Form("named", plus.head, (meet(inner) if is_unequal else as_set(inner),))


def _is_calculation(text: str) -> bool:
    """Whether a text is a sum, an integral or the like, and holds nothing but mathematics."""
    if (
        not _CALCULATION.fullmatch(_FROM.sub("_{", text))
        or not ("\\" in text or "^" in text)
        or text.count("{") != text.count("}")
    ):
        return False
    names = set(_COMMAND.findall(text))
    if not names <= _CALCULATED or ("to" in names and "lim" not in names):
        return False
    return all(word in FUNCTIONS or word == "sqrt" for word in _WORD.findall(text))


def _text(text: str) -> Form | None:
    """An answer that is not mathematics, compared as text; `None` for truncated LaTeX."""
    if "\\" in text and text.count("{") != text.count("}"):
        return None
    words, before = text, ""
    while words != before:
        before, words = words, tidy(words_of(words))
    if not any(x.isalnum() for x in words):
        return None
    if NOTHING.fullmatch(words):
        return Form("set")
    if words != text:
        try:
            _parsed(words)
        except Unreadable:
            return Form("text", words)
        return Form("text", text)
    return Form("text", words)
