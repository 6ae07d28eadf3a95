"""Fingerprints of programs, by which a vote counts programs that differ only in layout as one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from mull.equal.patterns import regex

_TOKEN = regex(
    r"#[^\n]*|(?P<line>\n)|\\\n|[^\S\n]+"
    r"|(?P<string>[A-Za-z]{0,2}(?:\"\"\"(?:[^\"\\]|\\.|\"(?!\"\"))*+(?:\"\"\"|\Z)|'''(?:[^'\\]|\\.|'(?!''))*+(?:'''|\Z)"
    r"|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?))|(?P<word>\w+)|(?P<sign>.)",
    re.DOTALL,
)


def fingerprint(program: str) -> str:
    """A fingerprint that is the same for programs that differ only in comments, blank lines and layout."""
    digest = hashlib.blake2b(digest_size=16)
    for part in _tokens(program):
        digest.update(part.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()


def _tokens(program: str) -> Iterator[str]:
    """The tokens of a program, including where its lines and blocks begin and end."""
    depth, indents = 0, [0]
    is_fresh = True
    for match in _TOKEN.finditer(program):
        kind, text = match.lastgroup, match[0]
        if kind == "line":
            is_fresh = is_fresh or not depth
            continue
        if kind is None:
            continue
        if is_fresh:
            # Only relative indentation counts: deeper than the lines before, or equal to which of them.
            column = match.start() - program.rfind("\n", 0, match.start()) - 1
            yield "\n"
            while indents[-1] > column:
                indents.pop()
                yield "<"
            if indents[-1] < column:
                indents.append(column)
                yield ">"
            is_fresh = False
        if text in "([{":
            depth += 1
        elif text in ")]}":
            depth = max(0, depth - 1)
        yield text
