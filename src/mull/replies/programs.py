"""Reading programs, tests and inputs out of replies. What a model wrote is cut up as text, not run and not parsed."""

from __future__ import annotations

import hashlib
import io
import re
import token
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mull.replies import thinking
from mull.types import Finish, Problem, Sample

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n```")
"""Where the body of a function that a model was to complete has ended: the five of HumanEval, and a fence."""

MAX_STARTS, MAX_LENGTH = 200, 2000
"""How many places of a reply are looked at for a test, and how long one may be: a hostile reply costs no more."""
_OPENING = {")": "(", "]": "[", "}": "{"}

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_LAYOUT = {token.NEWLINE, token.INDENT, token.DEDENT}


@dataclass(frozen=True, slots=True)
class Asked:
    """What kind of program a problem asks for, and what may be checked at run time: `Problem.given`, read.

    `entry_point` names the function that is tested; without it the program reads standard input. `header` is the
    code that a reply completes. `setup` runs after the program and before the tests. `tests` are assertions,
    `pairs` inputs and outputs: the public ones.
    """

    entry_point: str = ""
    header: str = ""
    setup: str = ""
    tests: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def prelude(self) -> str:
        """What the header says before the function to be written: imports and helpers."""
        found = _definition(self.entry_point).search(self.header) if self.entry_point else None
        return self.header[: found.start()] if found else ""


def asked(given: Mapping[str, Any]) -> Asked:
    """The parts of `Problem.given` that are about programs."""
    return Asked(
        given.get("entry_point", ""),
        given.get("header", ""),
        given.get("setup", ""),
        tuple(given.get("tests", ())),
        tuple((source, target) for source, target in given.get("pairs", ())),
    )


def program_of(problem: Problem, sample: Sample) -> str | None:
    """The program that a sample gives, whole and ready to run; `None` where there is none in it.

    A reply in fences gives what stands in the last fence that defines the function asked for, else in the longest; one
    that begins with an indented line goes on with the header instead.
    What defines the function is a program of its own, behind the header's imports; anything else is the function's
    body, which continues the header and ends where `STOPS` say.
    """
    if sample.finish is Finish.ERROR:
        return None
    what = asked(problem.given)
    spoken = thinking.spoken(sample.reply)
    if spoken is None:
        return None
    code = fenced(spoken, what.entry_point)
    if code is not None and what.header and _goes_on(spoken) and not _definition(what.entry_point).search(code):
        code = None  # the fence closes the body rather than opens a program
    is_bare = code is None
    code = spoken if code is None else code
    if not code.strip():
        return None
    if not what.entry_point:
        return code
    if _definition(what.entry_point).search(code):
        return what.prelude + code
    if not what.header:
        return code
    return what.header + _body(code, is_bare)


def _goes_on(text: str) -> bool:
    """Whether a reply begins with an indented line of code."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    return line[:1].isspace() and not line.lstrip().startswith("```")


def fenced(text: str, entry_point: str = "") -> str | None:
    """What stands in the fence that counts: the last that defines `entry_point`, else the longest; `None` without any.

    A fence that was never closed reaches to the end.
    """
    blocks = [match[2] for match in _FENCE.finditer(text)]
    if not blocks:
        return None
    if entry_point:
        defining = [block for block in blocks if _definition(entry_point).search(block)]
        if defining:
            return defining[-1]
    return max(blocks, key=len)


def _definition(name: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(name)}[ \t]*\(", re.MULTILINE)


def _body(code: str, is_bare: bool) -> str:
    """A function's body up to where something else begins, indented where the reply lost its first indent."""
    ends = [at for stop in STOPS if (at := code.find(stop)) > 0]
    code = code[: min(ends)] + "\n" if ends else code
    lines = code.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines[first][:1].isspace() or lines[first].startswith("#"):
        return code
    if any(line[:1].isspace() for line in lines[first + 1 :] if line.strip()) and is_bare:
        lines[first] = "    " + lines[first]
        return "\n".join(lines)
    return "\n".join("    " + line if line.strip() else line for line in lines)


def fingerprint(program: str) -> str:
    """The same for programs that differ only in comments, blank lines and layout."""
    try:
        parts = [
            (token.tok_name[one.type], "" if one.type in _LAYOUT else one.string)
            for one in tokenize.generate_tokens(io.StringIO(program).readline)
            if one.type not in (token.COMMENT, token.NL)
        ]
    except (tokenize.TokenError, SyntaxError, ValueError):
        parts = [("text", line.rstrip()) for line in program.split("\n")]
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


def assertions_of(text: str, entry_point: str = "", most: int | None = None) -> list[str]:
    """The assertions about `entry_point` in a reply, in order, each once; `most` of them at most.

    An assertion begins a line and reaches as far as its brackets do.
    """
    found: list[str] = []
    for start in islice(re.finditer(r"^[ \t]*(assert\b)", text, re.MULTILINE), MAX_STARTS):
        statement = _statement(text, start.start(1))
        if statement and (not entry_point or re.search(rf"\b{re.escape(entry_point)}\s*\(", statement)):
            found.append(statement)
    return list(dict.fromkeys(found))[:most]


def calls_of(text: str, entry_point: str, most: int | None = None) -> list[str]:
    """The calls of `entry_point` in a reply, in order, each once: those that assertions make, and bare ones."""
    found: list[str] = []
    for start in islice(re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\s*\(", text), MAX_STARTS):
        if text[: start.start()].rstrip().endswith("def"):
            continue
        end = _closing(text, start.end() - 1)
        if end is not None:
            found.append(text[start.start() : end + 1])
    return list(dict.fromkeys(found))[:most]


def pairs_of(text: str) -> list[tuple[str, str]]:
    """The inputs in a reply and the outputs that it expects: fences marked `input`, each with the `output` after it.

    An input without an output has the output "".
    """
    found: list[tuple[str, str]] = []
    for match in _FENCE.finditer(text):
        if match[1].lower() == "input":
            found.append((match[2], ""))
        elif match[1].lower() == "output" and found and not found[-1][1]:
            found[-1] = (found[-1][0], match[2])
    return list(dict.fromkeys(found))


def _statement(text: str, start: int) -> str:
    """The statement that begins at `start`: up to the end of the line, or to where its brackets and strings close."""
    brackets, at, stop = "", start, min(len(text), start + MAX_LENGTH)
    while at < stop:
        character = text[at]
        if character in "\"'":
            end = _string_end(text, at)
            if end is None:
                return ""
            at = end
            continue
        if character == "#":
            line_end = text.find("\n", at)
            if not brackets:
                return text[start:at].rstrip()
            at = len(text) if line_end < 0 else line_end
            continue
        if character in "([{":
            brackets += character
        elif character in ")]}":
            if brackets[-1:] != _OPENING[character]:
                return ""
            brackets = brackets[:-1]
        elif character == "\\" and text[at + 1 : at + 2] == "\n":
            at += 1
        elif character == "\n" and not brackets:
            break
        at += 1
    return text[start:at].rstrip() if not brackets and (at < stop or at == len(text)) else ""


def _closing(text: str, start: int) -> int | None:
    """The place of the bracket that closes the one at `start`; `None` where none does."""
    brackets, at = "", start
    while at < min(len(text), start + MAX_LENGTH):
        character = text[at]
        if character in "\"'":
            end = _string_end(text, at)
            if end is None:
                return None
            at = end
            continue
        if character in "([{":
            brackets += character
        elif character in ")]}":
            if brackets[-1:] != _OPENING[character]:
                return None
            brackets = brackets[:-1]
            if not brackets:
                return at
        at += 1
    return None


def _string_end(text: str, start: int) -> int | None:
    """The place behind the string literal that begins at `start`; `None` where it does not end."""
    quote = text[start : start + 3] if text[start : start + 3] in ('"""', "'''") else text[start]
    at = start + len(quote)
    while at < min(len(text), start + MAX_LENGTH):
        if text[at] == "\\":
            at += 2
        elif text.startswith(quote, at):
            return at + len(quote)
        elif text[at] == "\n" and len(quote) == 1:
            return None
        else:
            at += 1
    return None


_EXAMPLE = re.compile(r"^[ \t]*>>>[ \t]*(.+)\n[ \t]*(?!>>>)(\S.*)", re.MULTILINE)
_EQUALS = re.compile(r"[ \t]*(?:#[ \t]*)?(?:==>|==|=>|➞|->|(?:should )?returns?|=)[ \t]*(.+)")
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?|True\b|False\b|None\b|true\b|false\b")


def examples_of(header: str, entry_point: str) -> list[str]:
    """The examples of a docstring as assertions: `>>> f(x)` with its value below, and `f(x) == y` in its text.

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
        if end is None or header[: start.start()].rstrip().endswith("def"):
            continue
        call = header[start.start() : end + 1]
        told = _EQUALS.match(header, end + 1)
        value = _value(told[1].strip()) if told else ""
        if value and _is_constant(call, entry_point):
            found.append(f"assert {call} == {value}")
    return list(dict.fromkeys(found))


def _value(text: str) -> str:
    """The literal that a line gives, if nothing but a remark comes after it."""
    if text[:1] in tuple("([{"):
        end = _closing(text, 0)
        stop = None if end is None else end + 1
    elif text[:1] in ("'", '"'):
        stop = _string_end(text, 0)
    else:
        word = _PLAIN.match(text)
        stop = word.end() if word else None
    if stop is None or not re.match(r"\s*(?:$|#|\.\s|\.$|,\s|;|\(|since\b|because\b|for\b)", text[stop:]):
        return ""
    return {"true": "True", "false": "False"}.get(text[:stop], text[:stop])


def _is_constant(expression: str, entry_point: str) -> bool:
    """Whether an expression names nothing but functions that it calls, keywords and constants."""
    bare = re.sub(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"", "''", expression)
    names = re.findall(r"(?<![\w.])[A-Za-z_]\w*(?!\w)(?!\s*[(=])", bare)
    return not set(names) - {"True", "False", "None", entry_point}
