"""Reading an answer: LaTeX or plain text to a `Form`, by a parser of our own that evaluates nothing a model wrote."""

from __future__ import annotations

import re
from fractions import Fraction

from mull.equal.forms import Form, number_form
from mull.equal.grammar import Reader
from mull.equal.lexer import tokens
from mull.equal.meaning import as_set
from mull.equal.polynomial import Unreadable, poly

MAX_LENGTH = 1000
"""Longer texts are no answers."""
_PLAIN = re.compile(r"[-+]?(?:\d{1,400}|\d{1,3}(?:,\d{3}){1,100})(?:\.\d{0,300})?|[-+]?\.\d{1,300}")
_FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d{1,300})\}\{(\d{1,300})\}|([-+]?\d{1,300})/(\d{1,300})")
_SPACES = re.compile(r"\s+")
_NOISE = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])|\\(?:displaystyle|textstyle|limits)(?![a-zA-Z])|(?<!\\)\\[!,;: ]|~"
    r"|\\q?quad(?![a-zA-Z])"
)
_THOUSANDS = re.compile(r"(?<=\d)(?:,\s*\\!\s*|\{,\}\s*)(?=\d{3})")
_WRAPPED = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_SIGNS = str.maketrans(
    {
        "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "π": r"\pi ",
        "∞": r"\infty ",
        "°": r"^\circ ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∈": r"\in ", "±": r"\pm ",
        "√": r"\sqrt ", "²": "^2", "³": "^3", "½": r"\frac12 ", "∅": r"\emptyset ", "≈": r"\approx ", "θ": r"\theta ",
        "\u00a0": " ", "\u2009": " ", "“": '"', "”": '"', "’": "'",
    }
)  # fmt: skip
_COMMAND = re.compile(r"\\(?!text|mathrm|mbox|textbf|mathbf)[a-zA-Z]+|[\^_{}]")
_PROSE = re.compile(r"[^\w\s:/'+&()-]+")


_known: dict[str, Form | None] = {}
MAX_KNOWN = 65536


def read(text: str) -> Form | None:
    """The answer that a text gives; `None` where it gives none: empty, or longer than any answer."""
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
    """Forgets what was read: answers are remembered, for a vote holds the same ones again and again."""
    _known.clear()


def canonical(text: str) -> str | None:
    """The canonical form of an answer, as text; `None` where the text gives no answer."""
    form = read(text)
    return None if form is None else form.key


def _plain(text: str) -> Form | None:
    """Whole numbers, decimals and simple fractions, which most answers are."""
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


def tidy(text: str) -> str:
    """The text without what only its looks need: spacing, sizes, dollar signs around it, a full stop."""
    before = ""
    while text != before:
        before = text
        if not text.isascii():
            text = text.translate(_SIGNS)
        if "\\" in text or "{," in text:
            text = _NOISE.sub(" ", _THOUSANDS.sub("", text))
        text = _SPACES.sub(" ", text).strip(" *`")
        if text.endswith((".", ",", ";")):
            text = text[:-1]
        for left, right in _WRAPPED:
            inner = text[len(left) : -len(right)]
            is_wrapped = text.startswith(left) and text.endswith(right) and len(text) > len(left) + len(right)
            if is_wrapped and left not in inner:
                text = inner
        if text.startswith(r"\boxed{") and text.endswith("}") and text.count("{") == text.count("}"):
            text = text[7:-1]
    return text


def _read(text: str) -> Form | None:
    if len(text) > MAX_LENGTH:
        return None
    try:
        form = _parsed(text)
    except Unreadable:
        form = None
    if form is not None and (form.is_plain or _is_settled(form)) and len(form.key) <= MAX_LENGTH:
        return form
    if _COMMAND.search(text):
        return Form("hard", text) if text.count("{") == text.count("}") else None
    return _prose(text)


def _is_settled(form: Form) -> bool:
    """Whether what is written is read as what was read."""
    try:
        again: Form | None = _parsed(form.key)
    except Unreadable:
        again = _prose(form.key) if form.kind == "text" else None
    return again is not None and again.key == form.key


def _parsed(text: str) -> Form:
    found = tokens(text)
    if any(token.text in ("pm", "mp") and token.kind == "command" for token in found):
        plus, minus = (Reader(found, turn, read).answer() for turn in (1, -1))
        if plus.kind == minus.kind == "named" and plus.head == minus.head:
            return Form("named", plus.head, (as_set((plus.parts[0], minus.parts[0])),))
        return as_set((plus, minus))
    return Reader(found, 1, read).answer()


def _prose(text: str) -> Form | None:
    """Words, compared without regard to case and punctuation."""
    words = re.sub(r"\\(?:text|mathrm|mbox|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    words = _SPACES.sub(" ", _PROSE.sub("", words)).strip().casefold()
    if not words:
        return None
    try:
        form = _parsed(words)
    except Unreadable:
        return Form("text", words)
    return form if form.is_plain or _is_settled(form) else Form("text", words)
