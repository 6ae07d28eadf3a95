"""The one place where an API key is taken out of what a server says."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cached_property

HIDDEN = b"***"
SHORTEST = 8
"""Digits of base64 below which a text that looks like a part of an encoded key is taken for chance."""
_NAMES = {'"': "quot", "&": "amp", "'": "apos", "<": "lt", ">": "gt"}
_ESCAPED = re.compile(rb"\\(?:u00|x)[3-7]|%(?:25)*[3-7][0-9a-fA-F]|&(?:amp;)*#")
"""A letter or digit that is not written as itself. One of `_MARKS` is in it, which is found faster."""
_MARKS = (b"\\u00", b"\\x", b"%", b"&")


class Secret:
    """An API key, and how to hide it in every form in which a server may repeat it.

    These are the key as it is; with characters escaped as JSON (once or several times), URLs or HTML escape them; and
    base64 of a text that contains it. `None`: there is no key to hide.
    """

    def __init__(self, key: str | None) -> None:
        self._plain = _Form(key, _character) if key else None
        self._encoded = _encodings(key) if key else []

    def scrub(self, raw: bytes) -> bytes:
        """What a server said, without the key."""
        if self._plain is None:
            return raw
        if self._plain.sign in raw or (any(mark in raw for mark in _MARKS) and _ESCAPED.search(raw)):
            raw = self._plain.pattern.sub(HIDDEN, raw)
        for form in self._encoded:
            if form.sign in raw:
                raw = form.pattern.sub(HIDDEN, raw)
        return raw

    def scrub_text(self, text: str) -> str:
        """The same of a text."""
        return text if self._plain is None else self.scrub(text.encode(errors="surrogatepass")).decode(errors="replace")


class _Form:
    """One way to write a key: `pattern` finds it, and where no letter is escaped the text has `sign` in it."""

    def __init__(self, text: str, written: Callable[[str], str]) -> None:
        self.sign = max(re.findall("[0-9A-Za-z]*", text), key=len).encode()
        self._text, self._written = text, written

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        return re.compile("".join(map(self._written, self._text)).encode())  # slow, and needed only by a server's fault


def _encodings(key: str) -> list[_Form]:
    """Base64 of the key after 0, 1 and 2 other bytes, without the digits that also depend on what is around it."""
    found = []
    for before in range(3):
        digits = base64.b64encode(b"\0" * before + key.encode()).decode()
        digits = digits[(0, 2, 3)[before] : (before + len(key)) * 8 // 6]
        if len(digits) >= SHORTEST:
            found.append(_Form(digits, _digit))
    return found


def _character(c: str) -> str:
    """A regular expression of one character in all its forms."""
    code = f"{ord(c):02x}"
    digits = "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in code)
    names = f"|{_NAMES[c]}" if c in _NAMES else ""
    return (
        rf"(?:\\{{1,8}}(?:{re.escape(c)}|u00{digits}|x{digits})"
        rf"|{re.escape(c)}"
        rf"|%(?:25){{0,3}}{digits}"
        rf"|&(?:amp;){{0,3}}(?:#0{{0,4}}{ord(c)}|#[xX]0{{0,4}}{digits}{names});)"
    )


def _digit(c: str) -> str:
    """A regular expression of one digit of base64, in the alphabet for URLs as well."""
    if c not in "+/":
        return c
    return "(?:" + "|".join(map(_character, "+-" if c == "+" else "/_")) + ")"
