"""Removes an API key from everything that a server sends."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cached_property

HIDDEN = b"***"
SHORTEST = 8
"""Shortest run of base64 digits that is treated as part of an encoded key; shorter ones may be coincidence."""
_NAMES = {'"': "quot", "&": "amp", "'": "apos", "<": "lt", ">": "gt"}
_ESCAPED = re.compile(rb"\\(?:u00|x)[3-7]|%(?:25)*[3-7][0-9a-fA-F]|&(?:amp;)*#")
"""An escaped letter or digit. It always contains one of `_MARKS`, which are faster to search for."""
_MARKS = (b"\\u00", b"\\x", b"%", b"&")


class Secret:
    """Hides an API key in every form in which a server may repeat it.

    These are the key itself; the key with characters escaped as in JSON (once or several times), URLs or HTML; and
    base64 of a text that contains it. `None`: there is no key to hide.
    """

    def __init__(self, key: str | None) -> None:
        self._plain = _Form(key, _character) if key else None
        self._encoded = _encodings(key) if key else []

    def scrub(self, raw: bytes) -> bytes:
        """The bytes that a server sent, without the key."""
        if self._plain is None:
            return raw
        if self._plain.sign in raw or (any(mark in raw for mark in _MARKS) and _ESCAPED.search(raw)):
            raw = self._plain.pattern.sub(HIDDEN, raw)
        for form in self._encoded:
            if form.sign in raw:
                raw = form.pattern.sub(HIDDEN, raw)
        return raw

    def scrub_text(self, text: str) -> str:
        """`scrub` for a string."""
        return text if self._plain is None else self.scrub(text.encode(errors="surrogatepass")).decode(errors="replace")


class _Form:
    """One form of a key: `pattern` finds it; a text in which no letter of it is escaped contains `sign`."""

    def __init__(self, text: str, written: Callable[[str], str]) -> None:
        self.sign = max(re.findall("[0-9A-Za-z]*", text), key=len).encode()
        self._text, self._written = text, written

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        return re.compile("".join(map(self._written, self._text)).encode())  # slow and rarely needed


def _encodings(key: str) -> list[_Form]:
    """Base64 of the key after 0, 1 and 2 other bytes, without the digits that depend on the surrounding bytes."""
    found = []
    for before in range(3):
        digits = base64.b64encode(b"\0" * before + key.encode()).decode()
        digits = digits[(0, 2, 3)[before] : (before + len(key)) * 8 // 6]
        if len(digits) >= SHORTEST:
            found.append(_Form(digits, _digit))
    return found


def _character(c: str) -> str:
    """A regular expression that matches one character in all its escaped forms."""
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
    """A regular expression that matches one base64 digit, also in the URL-safe alphabet."""
    if c not in "+/":
        return c
    return "(?:" + "|".join(map(_character, "+-" if c == "+" else "/_")) + ")"
