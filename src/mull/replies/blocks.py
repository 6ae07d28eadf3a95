"""Locates code in a reply: in fences of any form, between tags, or bare in prose. Code is cut out, never parsed.

One pass over the lines does all of it, so that the cost is linear in the length of the reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mull.equal.patterns import regex

PYTHON = frozenset({"", "python", "python3", "py", "py3", "python2", "pypy", "pypy3", "ipython", "sage", "code"})
"""Languages of a fence that may hold a Python program; the empty string is a fence without a language."""
_WRAPPERS = frozenset({"markdown", "md"})

MAX_LINE, MAX_INFO = 2000, 100
"""Longest part of a line, and of the text after an opening bar, that is examined."""

_RUN = regex(r"`{3,}|~{3,}")
_LEAD = regex(r"[ \t>]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?\Z")
"""What may precede a fence on its line: spaces, quotation marks of Markdown, one list marker."""
_INFO = regex(r"\{?\.?([A-Za-z][\w+#.-]*)?\}?(?:[ \t]+[\w-]+=\S+)*\Z")
"""The language after a bar: `python`, `{.python}`, `python title="a.py"`."""
_LANGUAGE_FIRST = regex(r"[ \t]*(?:python3?|py)[ \t]+(?=\S)", re.IGNORECASE)
_QUOTES = ("'''python", '"""python', "'''py", '"""py')
_TEXT = regex(r"\"\"\"|'''|#.*|\"[^\"\\]*(?:\\.[^\"\\]*)*\"?|'[^'\\]*(?:\\.[^'\\]*)*'?")
"""Delimiters of multi-line strings, comments, and single-line strings."""
_TAG = regex(
    r"(?<![\"'])</?(?:code|answer|python|solution|program|response|final_answer|final|pre|execute|result)\b"
    r"[^<>\n\"']{0,80}(?:\"[^\"\n]{0,80}\")?>(?![\"'])"
    r"|\[/?(?:PYTHON|CODE|ANSWER|SOLUTION|BEGIN|DONE|END)\]"
    r"|<\|[\w ]{1,40}\|>|</?s>|<(?:eos|(?:start|end)_of_turn)>"
    r"|\\(?:begin|end)\{(?:lstlisting|verbatim|minted|python|code)\}(?:\[[^\]\n]{0,80}\])?(?:\{python\})?",
    re.IGNORECASE,
)

_TARGET = r"[A-Za-z_]\w*(?:\.\w+|\[[^\]\n]{1,80}\])*"
_TYPE = (
    r"(?:int|str|float|bool|bytes|object|Any|[Ll]ist|[Dd]ict|[Ss]et|[Tt]uple|Optional|Callable|Final)\b[\w.\[\], |]*"
)
_STATEMENT = (
    r"(?:async[ \t]+)?def[ \t]+\w+[ \t]*[(\[]|class[ \t]+\w+[ \t]*[(:\[]|@[A-Za-z_][\w.]*(?:\(.*)?[ \t]*\Z"
    r"|import[ \t]+[\w.]+(?:[ \t]+as[ \t]+\w+)?(?:[ \t]*,[ \t]*[\w.]+(?:[ \t]+as[ \t]+\w+)?)*[ \t]*(?:[;#].*)?\Z"
    r"|from[ \t]+[\w.]+[ \t]+import[ \t]+[(*\w]"
    rf"|\*?{_TARGET}(?:[ \t]*,[ \t]*\*?{_TARGET})*[ \t]*(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)[ \t]*\S"
    rf"|{_TARGET}[ \t]*:[ \t]*{_TYPE}=[ \t]*\S"
    r"|(?:async[ \t]+)?for[ \t]+[\w(][\w(), \t]{0,80}[ \t]in[ \t].*:[ \t]*(?:#.*|[^\s:].*)?\Z"
    r"|(?:if|while|with)[ \t(].*:[ \t]*(?:#.*)?\Z|if[ \t]+__name__[ \t]*==|try[ \t]*:[ \t]*\Z"
    r"|#!|\"\"\"|'''"
)
_BEGINS = regex(rf"{_STATEMENT}|(?:print|main|solve|run|input|exec|sys(?:\.\w+)+)\(")
"""A line that may start a program and rarely occurs in prose."""
_GOES_ON = regex(
    rf"[ \t#)\]}}]|{_STATEMENT}|(?:else|finally)[ \t]*:|(?:elif|except)\b.*:|(?:raise|assert|del|global)\b"
    rf"|(?:if|while|with|for)\b.*:|\[.*\bfor\b.*\]|(?:pass|break|continue)[ \t]*(?:#.*)?\Z|\.\.\.|[rbfu]{{0,2}}[\"']"
    rf"|(?:await[ \t]+)?{_TARGET}\((?:.*[)\],(\[{{\\])?[ \t]*(?:[;#].*)?\Z"
)
"""A line that may continue a program."""
_COMMANDS = regex(r"\A(?:\n*[%!][^\n]*\n)+")
_BRACKETS = regex(r"[()\[\]{}]")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a reply that may be code. `language` is the one its fence names, in lower case."""

    code: str
    language: str = ""
    is_fenced: bool = True

    @property
    def is_python(self) -> bool:
        return self.language in PYTHON


@dataclass(slots=True)
class _Fence:
    """An open fence: its bar, the text before it, its lines, and the quotes of a multi-line string open in it."""

    bar: str
    language: str
    lead: str
    lines: list[str]
    quote: str = ""

    def block(self) -> Block:
        """The content of the fence, without the indentation and list or quotation marks that its bar has."""
        lines, n = self.lines, 0
        if ">" in self.lead:
            lines = [re.sub(r"[ \t]*> ?", "", line, count=1) for line in lines]
        else:
            n = min([len(self.lead), *(_indent(line) for line in lines if line.strip())])
        return Block("\n".join(line[n:] for line in lines).rstrip("\n") + "\n", self.language)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def blocks(text: str, inside: bool = False) -> list[Block]:
    """All possible code in a reply, in order: the content of fences, and bare code between them.

    A fence that is never closed extends as far as its code does. A bar with the name of a language opens a fence even
    inside another. Bars inside a multi-line string are part of that string. A fence around fences (unless `inside`
    another) is replaced by those fences.
    """
    found: list[Block] = []
    loose: list[str] = []
    fence: _Fence | None = None
    text = text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")
    last = {quote: text.rfind(quote) for quote in ('"""', "'''")}
    at = 0
    for line in text.split("\n"):
        start, at = at, at + len(line) + 1
        if fence is None:
            fence = _outside(line, loose, found)
            continue
        is_quoted = bool(fence.quote) and last[fence.quote] >= start
        ends = None if is_quoted or fence.bar not in line else _closing(line, fence)
        if ends is None:
            fence.lines.append(line)
            if '"""' in line or "'''" in line:
                fence.quote = _quote_after(line, fence.quote) if fence.language in PYTHON else ""
            continue
        if ends[0].strip():
            fence.lines.append(ends[0])
        found += _held(fence.block(), inside)
        fence = _outside(ends[1], loose, found)
    found += bare(loose)
    return found if fence is None else [*found, _begun(fence.block())]


def _held(block: Block, inside: bool) -> list[Block]:
    """The blocks of a closed fence: fences inside it, or its code without notebook prompts and commands."""
    begins = block.code.lstrip()
    if not inside and _RUN.match(begins):
        return blocks(block.code, inside=True)
    if block.is_python and begins.startswith(">>>"):
        lines = [line for line in block.code.split("\n") if line.startswith((">>>", "..."))]
        return [Block("\n".join(line[3:].removeprefix(" ") for line in lines) + "\n", block.language)]
    return [Block(_COMMANDS.sub("", block.code, count=1), block.language)] if block.is_python else [block]


def _begun(block: Block) -> Block:
    """The code in a fence that was never closed, without the prose after it."""
    inner = list(bare(block.code.split("\n"))) if block.is_python else []
    is_code_first = len(inner) == 1 and block.code.lstrip("\n").startswith(inner[0].code.rstrip())
    return Block(inner[0].code, block.language) if is_code_first else block


def _outside(line: str, loose: list[str], found: list[Block]) -> _Fence | None:
    """Reads a line outside any fence: collects prose and one-line fences, and returns the fence that it opens."""
    if line.strip().lower() in _QUOTES:
        found += _taken(loose, "")
        return _Fence(line.strip()[:3], "python", "", [])
    at = 0
    while (run := _RUN.search(line, at)) is not None:
        lead = line[at : run.start()]
        begins = at == 0 and _LEAD.match(lead) is not None
        if run[0][0] == "~" and not begins:
            break
        end = line.find(run[0], run.end())
        if end >= 0:
            found += _taken(loose, lead)
            found.append(Block(_LANGUAGE_FIRST.sub("", line[run.end() : end], count=1).strip() + "\n"))
            at = end + len(run[0])
            continue
        rest = line[run.end() :].strip()
        info = _INFO.match(rest) if len(rest) <= MAX_INFO else None
        code = "" if info else _LANGUAGE_FIRST.sub("", rest, count=1)
        if info is None and not _BEGINS.match(code, 0, MAX_LINE):
            if not begins:
                break
            code = ""  # a title of several words
        found += _taken(loose, "" if begins else lead)
        language = (info[1] or "").lower() if info else ""
        return None if language in _WRAPPERS else _Fence(run[0], language, lead if begins else "", [code] * bool(code))
    loose.append(line[at:])
    return None


def _taken(loose: list[str], lead: str) -> list[Block]:
    """The code in the prose collected so far; clears the collection."""
    found = list(bare([*loose, lead]))
    loose.clear()
    return found


def _closing(line: str, fence: _Fence) -> tuple[str, str] | None:
    """The texts before and after the bar that closes a fence; `None` if this line does not close it."""
    start = line.lstrip(" \t>")
    if start.startswith(fence.bar):
        rest = start.lstrip(fence.bar[0]).strip()
        if not rest:
            return "", ""
        if fence.bar in rest:
            return None
        info = _INFO.match(rest) if len(rest) <= MAX_INFO else None
        return ("", line) if info and info[1] else ("", rest)
    code = line.rstrip().removesuffix(fence.bar)
    if len(code) == len(line.rstrip()) or fence.bar in code or fence.bar[0] != "`":
        return None
    is_text = fence.language in PYTHON and (_quote_after(code, "") or any(m[0][0] == "#" for m in _TEXT.finditer(code)))
    return None if is_text else (code, "")


def _quote_after(line: str, quote: str) -> str:
    """The quotes of the multi-line string open after a line, given those open before it."""
    at = 0
    while True:
        if quote:
            end = line.find(quote, at)
            if end < 0:
                return quote
            at = end + 3
        opening = next((m for m in _TEXT.finditer(line, at) if m[0] in ('"""', "'''") or m[0][0] == "#"), None)
        if opening is None or opening[0][0] == "#":
            return ""
        at, quote = opening.end(), opening[0]


def bare(lines: Sequence[str]) -> Iterator[Block]:
    """Bare code in prose: from a line that starts a program to the first line that does not continue it.

    Indentation of the whole block is removed.
    """
    run: list[str] = []
    indent = depth = 0
    quote = ""
    for line in _TAG.sub("\n\f.\n", "\n".join(lines)).split("\n"):  # a line that no code continues
        own = _indent(line)
        is_empty = own == len(line)
        if run and not is_empty and not quote and not depth:
            is_on = own >= indent if indent else _GOES_ON.match(line, 0, MAX_LINE) is not None
            if not is_on:
                yield _run(run, indent)
                run = []
        if not run:
            if is_empty or not _BEGINS.match(line, own, own + MAX_LINE):
                continue
            indent, depth, quote = own, 0, ""
        run.append(line)
        if not quote and _BRACKETS.search(line):
            depth = max(0, depth + _opened(line))
        if '"""' in line or "'''" in line:
            quote = _quote_after(line, quote)
    if run:
        yield _run(run, indent)


def _run(lines: Sequence[str], indent: int) -> Block:
    return Block("\n".join(line[indent:] for line in lines).rstrip() + "\n", "", False)


def _opened(line: str) -> int:
    """The number of brackets a line opens minus those it closes, outside strings and comments."""
    marks = _BRACKETS.findall(_TEXT.sub("", line))
    return sum(1 if mark in "([{" else -1 for mark in marks)
