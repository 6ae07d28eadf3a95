"""Extraction, as text, of tests and inputs from replies and problem statements."""

from __future__ import annotations

import re
from itertools import islice

from mull.equal.patterns import regex
from mull.replies.blocks import blocks

MAX_STARTS, MAX_LENGTH, MAX_DEPTH = 200, 2000, 100
"""Most places of a reply that may start a test, greatest length of a test, and deepest nesting of its brackets."""

_OPENING = {")": "(", "]": "[", "}": "{"}
_MARK = regex(r"[()\[\]{}#\n]|\\\n|\"\"\"|'''|\"|'")
_STRING = {
    '"': regex(r"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"", re.DOTALL),
    "'": regex(r"[^'\\\n]*(?:\\.[^'\\\n]*)*'", re.DOTALL),
    '"""': regex(r"[^\"\\]*(?:(?:\\.|\"(?!\"\"))[^\"\\]*)*\"\"\"", re.DOTALL),
    "'''": regex(r"[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''", re.DOTALL),
}
"""The rest of a string after each kind of opening quotes."""


def assertions_of(text: str, entry_point: str = "", most: int | None = None) -> list[str]:
    """The distinct assertions about `entry_point` in a reply, in order, at most `most` of them.

    An assertion begins a line and extends until its brackets are closed.
    """
    found: list[str] = []
    for start in islice(re.finditer(r"^[ \t]*(assert\b)", text, re.MULTILINE), MAX_STARTS):
        statement = _statement(text, start.start(1))
        if statement and (not entry_point or re.search(rf"\b{re.escape(entry_point)}\s*\(", statement)):
            found.append(statement)
    return list(dict.fromkeys(found))[:most]


def calls_of(text: str, entry_point: str, most: int | None = None) -> list[str]:
    """The distinct calls of `entry_point` in a reply, in order, both in assertions and on their own."""
    found: list[str] = []
    for start in islice(re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\s*\(", text), MAX_STARTS):
        if _is_defined_at(text, start.start()):
            continue
        end = _closing(text, start.end() - 1)
        if end is not None:
            found.append(text[start.start() : end + 1])
    return list(dict.fromkeys(found))[:most]


def _is_defined_at(text: str, start: int) -> bool:
    return text[max(0, start - 20) : start].rstrip().endswith("def")


def pairs_of(text: str) -> list[tuple[str, str]]:
    """The inputs and expected outputs in a reply: each fence marked `input`, with the fence marked `output` after it.

    The output of an input without one is "".
    """
    found: list[tuple[str, str]] = []
    for block in blocks(text):
        if block.language == "input":
            found.append((block.code, ""))
        elif block.language == "output" and found and not found[-1][1]:
            found[-1] = (found[-1][0], block.code)
    return list(dict.fromkeys(found))


def _end(text: str, start: int, is_statement: bool) -> int | None:
    """The end of the statement or bracket that begins at `start`; `None` if it is never closed."""
    brackets, at, stop = "", start, min(len(text), start + MAX_LENGTH)
    while (mark := _MARK.search(text, at, stop)) is not None:
        sign, at = mark[0], mark.end()
        if sign in _STRING:
            string = _STRING[sign].match(text, at, stop)
            if string is None:
                return None
            at = string.end()
        elif sign in "([{":
            brackets += sign
            if len(brackets) > MAX_DEPTH:
                return None
        elif sign in ")]}":
            if brackets[-1:] != _OPENING[sign]:
                return None
            brackets = brackets[:-1]
            if not brackets and not is_statement:
                return mark.start()
        elif sign in "#\n" and is_statement and not brackets:
            return mark.start()
        elif sign == "#" and is_statement:
            line_end = text.find("\n", at, stop)
            at = stop if line_end < 0 else line_end
    return stop if is_statement and not brackets and stop == len(text) else None


def _statement(text: str, start: int) -> str:
    """The statement that begins at `start`, up to the end of the line or until its brackets and strings close."""
    end = _end(text, start, True)
    return "" if end is None else text[start:end].rstrip()


def _closing(text: str, start: int) -> int | None:
    """The place of the bracket that closes the one at `start`; `None` if it is never closed."""
    return _end(text, start, False)


_EXAMPLE = regex(r"^[ \t]*>>>[ \t]*(.+)\n[ \t]*(?!>>>)(\S.*)", re.MULTILINE)
_EQUALS = regex(r"[ \t]*(?:#[ \t]*)?(?:==>|==|=>|➞|->|(?:should )?returns?|=)[ \t]*(.+)")
_PLAIN = regex(r"-?\d+(?:\.\d+)?(?:e-?\d+)?|True\b|False\b|None\b|true\b|false\b")


def examples_of(header: str, entry_point: str) -> list[str]:
    """The examples of a docstring as assertions: `>>> f(x)` followed by a value, and `f(x) == y` in its text.

    `=>`, `==>`, `➞`, `->`, `=`, `returns` and `should return` are read as `==`. Examples with variables or without a
    literal value are left out.
    """
    found: list[str] = []
    for match in _EXAMPLE.finditer(header):
        expression, value = _statement(match[1], 0), _value(match[2].strip())
        if value and calls_of(expression, entry_point) and _is_constant(expression, entry_point):
            found.append(f"assert {expression} == {value}")
    for start in re.finditer(rf"(?<![\w.>]){re.escape(entry_point)}\s*\(", header):
        end = _closing(header, start.end() - 1)
        if end is None or _is_defined_at(header, start.start()):
            continue
        call = header[start.start() : end + 1]
        equals = _EQUALS.match(header, end + 1)
        value = _value(equals[1].strip()) if equals else ""
        if value and _is_constant(call, entry_point):
            found.append(f"assert {call} == {value}")
    return list(dict.fromkeys(found))


def _value(text: str) -> str:
    """The literal at the start of a line, if at most a comment or remark follows."""
    stop: int | None = None
    if text[:1] in tuple("([{"):
        end = _closing(text, 0)
        stop = None if end is None else end + 1
    elif text[:1] in ("'", '"'):
        quote = text[:3] if text[:3] in _STRING else text[0]
        string = _STRING[quote].match(text, len(quote))
        stop = string.end() if string else None
    elif word := _PLAIN.match(text):
        stop = word.end()
    if stop is None or not re.match(r"\s*(?:$|#|\.\s|\.$|,\s|;|\(|since\b|because\b|for\b)", text[stop:]):
        return ""
    return {"true": "True", "false": "False"}.get(text[:stop], text[:stop])


def _is_constant(expression: str, entry_point: str) -> bool:
    """Whether an expression holds no names except the functions it calls, keywords and constants."""
    bare = re.sub(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"", "''", expression)
    names = re.findall(r"(?<![\w.])[A-Za-z_]\w*(?!\w)(?!\s*[(=])", bare)
    return not set(names) - {"True", "False", "None", entry_point}
