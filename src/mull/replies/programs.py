"""Extraction of programs from replies. Replies are split as text; nothing in them is run or parsed here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile
from typing import Any

from mull.equal.patterns import regex
from mull.replies import visible
from mull.replies.aside import aside
from mull.replies.blocks import Block, blocks
from mull.types import Finish, Problem, Sample

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n```")
"""Strings that end a completed function body: the five of HumanEval, and a fence."""
_IN_LINE = regex(r"(?<!`)(`{1,2})(?!`)([^`\n]+)\1(?!`)")
_WORD = regex(r"[A-Za-z_]\w*")
_FUTURE = regex(r"^from[ \t]+__future__[ \t]+import[ \t][^\n]*\n", re.MULTILINE)
_DEFINED = regex(
    r"^(?:(?:async[ \t]+)?def[ \t]+(\w+)|class[ \t]+(\w+)|([A-Z][A-Z0-9_]*)[ \t]*=(?!=)|(\w+)[ \t]*=[ \t]*lambda\b"
    r"|(?:import|from)[ \t]+([^\n]*))",
    re.MULTILINE,
)
_READS = regex(r"(?<![\w.])input[ \t]*\(|\bstdin\b|(?<![\w.])open[ \t]*\([ \t]*0|\bfileinput\b|/dev/stdin")
_PRINTS = regex(r"(?<![\w.])print[ \t]*\(|\bstdout\b")
MAX_SIGNATURE = 2000
"""Characters after a name that are searched for a function body."""


@dataclass(frozen=True, slots=True)
class ProgramAsked:
    """The program that a problem asks for, and the public checks on it: `Problem.given`, parsed.

    `entry_point` is the name of the tested function or method; without it the program reads standard input.
    `header` is the code that a reply completes. `setup` runs after the program and before the tests. `tests` are
    public assertions, `pairs` public inputs and outputs.
    """

    entry_point: str = ""
    header: str = ""
    setup: str = ""
    tests: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def prelude(self) -> str:
        """The header up to the function to write, or up to the class of the method: imports and helpers."""
        found = _definition(self.entry_point).search(self.header) if self.entry_point else None
        if found is None and self.entry_point and _method(self.entry_point).search(self.header):
            found = re.search(r"^class\b", self.header, re.MULTILINE)
        return self.header[: found.start()] if found else ""


def asked(given: Mapping[str, Any]) -> ProgramAsked:
    """Parses the entries of `Problem.given` that concern programs."""
    return ProgramAsked(
        given.get("entry_point", ""),
        given.get("header", ""),
        given.get("setup", ""),
        tuple(given.get("tests", ())),
        tuple((source, target) for source, target in given.get("pairs", ())),
    )


def program_of(problem: Problem, sample: Sample) -> str | None:
    """The complete, runnable program in a sample; `None` if there is none.

    A program for a function is the last piece of code that defines it: in a fence, else bare in prose, else inline.
    Pieces that define what it calls are added, and the imports of the header go before it. A reply without a definition
    is taken as the function's body, which continues the header and ends at one of `STOPS`.

    A program that reads standard input is the last piece that reads and prints, else the last that prints; without any
    piece of code, the whole reply.
    """
    if sample.finish is Finish.ERROR:
        return None
    spoken = visible.spoken(sample.reply)
    if spoken is None or not spoken.strip():
        return None
    return _program(asked(problem.given), spoken)


async def programs_of(problem: Problem, samples: Sequence[Sample]) -> list[str | None]:
    """`program_of` each sample; long replies are read in a thread, so that the event loop is not blocked."""
    size = sum(len(sample.reply) for sample in samples)
    return await aside(lambda: [program_of(problem, sample) for sample in samples], size)


@lru_cache(maxsize=512)
def _program(what: ProgramAsked, spoken: str) -> str | None:
    found = [block for block in blocks(spoken) if block.code.strip()]
    if not what.entry_point:
        return _reader(found) or spoken
    goes_on = bool(what.header) and _goes_on(spoken)
    found = [_at_margin(block, what.entry_point) for block in found]
    place = _defining(found, what.entry_point, only_fenced=goes_on)
    if place is not None:
        return _whole(what.prelude, _with_helpers(found, place, what.entry_point))
    named = None if goes_on else _in_line(spoken, what.entry_point)
    if named is not None:
        return _whole(what.prelude, named)
    fenced = [block.code for block in found if block.is_fenced and block.is_python]
    if what.header:
        is_bare = goes_on or not fenced
        return what.header + _body(spoken if is_bare else max(fenced, key=len), is_bare)
    return max(fenced or (block.code for block in found), key=len, default=None)


def _goes_on(text: str) -> bool:
    """Whether a reply begins with an indented line of code."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    is_indented = line.startswith(("  ", "\t"))
    return is_indented and not line.lstrip().startswith(("```", "~~~", "def ", "async def ", "class ", "@", ">"))


def _at_margin(block: Block, name: str) -> Block:
    """A piece of code without the indentation that its first line and its definition of a function share."""
    first = re.search(r"^([ \t]*)\S", block.code, re.MULTILINE)
    if first is None or not first[1] or not re.search(rf"^{first[1]}(?:async )?def {name}\b", block.code, re.MULTILINE):
        return block
    return replace(block, code="\n".join(line.removeprefix(first[1]) for line in block.code.split("\n")))


def _definition(name: str) -> re.Pattern[str]:
    """The end of a sentence whose full stop is at `end`: after a closing bracket if the sentence opened it."""
    word = re.escape(name)
    return re.compile(
        rf"^(?:(?:async[ \t]+)?def[ \t]+{word}[ \t]*[(\[]|class[ \t]+{word}\b|{word}[ \t]*(?::[^=\n]{{1,200}})?=(?!=))",
        re.MULTILINE,
    )


def _method(name: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]+(?:async[ \t]+)?def[ \t]+{re.escape(name)}[ \t]*\(", re.MULTILINE)


def _defining(found: Sequence[Block], name: str, only_fenced: bool) -> int | None:
    """The index of the last piece that defines a function; definitions with a body take precedence."""
    kept = [i for i, block in enumerate(found) if block.is_fenced or not only_fenced]
    for pattern in (_definition(name), _method(name)):
        places = [i for i in kept if pattern.search(found[i].code)]
        places = [i for i in places if found[i].is_python] or places
        for is_fenced in (True, False):
            some = [i for i in places if found[i].is_fenced is is_fenced]
            whole = [i for i in some if not _is_named_only(found[i].code, pattern)]
            if whole or (some and some == places):
                return (whole or some)[-1]
        if places:
            return places[-1]
    return None


def _is_named_only(code: str, pattern: re.Pattern[str]) -> bool:
    """Whether the last definition in a piece has no body, or only a docstring, `...` or `pass`."""
    *_, last = pattern.finditer(code)
    end = code.find(")", last.end(), last.end() + MAX_SIGNATURE) if last[0].endswith("(") else -1
    if end < 0 or end + MAX_SIGNATURE < len(code):
        return False
    first, *lines = code[end + 1 :].split("\n")
    body = [first.partition(":")[2], *takewhile(lambda line: not line or line[0].isspace(), lines)]
    said = re.sub(r"\"\"\".*?\"\"\"|'''.*?'''|#[^\n]*", "", "\n".join(body), flags=re.DOTALL)
    return said.split() in ([], ["..."], ["pass"])


def _in_line(text: str, name: str) -> str | None:
    """The last definition of a function in inline code."""
    pattern = _definition(name)
    found = [match[2].strip() for match in _IN_LINE.finditer(text)]
    return next((code + "\n" for code in reversed(found) if pattern.match(code)), None)


def _names(code: str) -> set[str]:
    """The names that a piece defines at top level."""
    names: set[str] = set()
    for match in _DEFINED.finditer(code):
        if match[5] is None:
            names.add(match[1] or match[2] or match[3] or match[4])
        else:
            names.update(_WORD.findall(match[5]))
    return names - {"import", "as"}


def _with_helpers(found: Sequence[Block], place: int, name: str) -> str:
    """A piece together with those that define what it uses but does not define, in the order of the reply.

    The last piece that defines a name is used, preferably one that is not an older version of this piece.
    """
    if len(found) == 1:
        return found[place].code
    pattern = _definition(name) if name else None
    sources: dict[str, int] = {}
    defines: dict[int, set[str]] = {}
    ranked = sorted(range(len(found)), key=lambda i: (not (pattern and pattern.search(found[i].code)), i))
    for i in ranked:
        is_later_version = i > place and pattern is not None and pattern.search(found[i].code) is not None
        if found[i].is_python and not is_later_version:
            defines[i] = _names(found[i].code)
            sources.update(dict.fromkeys(defines[i], i))
    taken, waiting, known = {place}, [place], _names(found[place].code)
    while waiting:
        for word in set(_WORD.findall(found[waiting.pop()].code)) & sources.keys() - known:
            i = sources[word]
            known |= defines[i]
            if i not in taken:
                taken.add(i)
                waiting.append(i)
    # A script needs its helpers first; a function is called only after everything is defined.
    order = sorted(taken) if name else [*sorted(taken - {place}), place]
    return "\n".join(found[i].code for i in order)


def _whole(*parts: str) -> str:
    """Joins code, with the lines that must come first at the start."""
    code = "".join(parts)
    first = [match[0] for match in _FUTURE.finditer(code)]
    return "".join(dict.fromkeys(first)) + _FUTURE.sub("", code) if first else code


def _reader(found: Sequence[Block]) -> str | None:
    """The program among pieces of code that reads standard input and prints."""
    pieces = [block for block in found if block.is_fenced] or list(found)
    pieces = [block for block in pieces if block.is_python] or pieces
    if not pieces:
        return None
    reads = [bool(_READS.search(block.code)) for block in pieces]
    prints = [bool(_PRINTS.search(block.code)) for block in pieces]
    both = [i for i in range(len(pieces)) if reads[i] and prints[i]]
    some = both or [i for i in range(len(pieces)) if prints[i]] or [i for i in range(len(pieces)) if reads[i]]
    place = some[-1] if some else max(range(len(pieces)), key=lambda i: len(pieces[i].code))
    return _whole(_with_helpers(pieces, place, ""))


def _body(code: str, is_bare: bool) -> str:
    """A function's body up to the next top-level code, indented if the reply lost its first indentation."""
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
