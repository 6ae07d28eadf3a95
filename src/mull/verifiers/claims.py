"""Extracts a reply's claim that a formula is satisfiable or not: from a line of its own, else from a sentence.

It reads line by line, each line in one pass: time is linear in the reply's length, also for repetitive replies.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from mull.replies import visible

Kind = Literal["sat", "unsat", "unknown"]

_MARKUP = re.compile(
    r"\\(?:boxed|text(?:bf|tt|sf|rm)?|math(?:bf|tt|rm|sf))\b|</?[A-Za-z]{1,20}>|[*_`#>$\\|~\"“”‘’{}\[\]]"
)
_LABEL = (
    r"(?:(?:so|thus|therefore|hence|the|my|our|final|overall|conclusion|answer|result|status|verdict|claim|decision|"
    r"output|response|solution|solver|formula|problem|instance|cnf|given|it|this|is|says?)[ ,]*(?:[:=–—-]+ ?)?){0,8}"
)
_LINE = re.compile(
    rf"[-•+ ]*(?:[0-9]{{1,2}}[.)] )?{_LABEL}(?:s )?(?P<not>not )?"
    r"(?:(?P<un>un-?)?sat(?:isfiable)?|(?P<unknown>unknown|indeterminate))"
    r"(?P<rest> *(?:[.!,;:=(–—✓✔✅].*|- .*|\? ?(?:yes|no)\b.*|v:? ?-?[0-9].*|-?[0-9].*|"
    r"(?:with|because|since|as|by|under|via)\b.*)?)",
    re.IGNORECASE,
)
_ANSWERED = re.compile(r" ?[:=?] ?(?P<no>no|false)\b", re.IGNORECASE)
_SENTENCE = re.compile(
    r"\b(?:is|are|be|remains?|as)(?P<how>(?: (?:indeed|clearly|therefore|thus|hence|surely|also|certainly|definitely|"
    r"provably|obviously|trivially|in|fact|not|actually|still)){0,6}) (?P<un>un-?)?sat(?:isfiable)?\b"
    r"|\b(?P<none>no (?:satisfying |such |valid )?(?:assignment|model|valuation|interpretation)s? (?:exists?|can)"
    r"|no (?:satisfying|such|valid) (?:assignment|model|valuation|interpretation)"
    r"|(?:cannot|can not|can't|can never) (?:all )?be (?:simultaneously )?satisfied)\b"
    r"|\b(?P<some>satisfying (?:assignment|model|valuation|interpretation))\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:if|whether|suppose|assum\w+|would|could|might|may|to be|when|unless|unclear|not sure|"
    r"(?<!all )(?<!the )clauses?(?: [0-9]+)?$|"
    r"(?:to|must|us|now|will|we) (?:check|determine|decide|show|prove|find)|(?:find|search|look|try)\b.*)",
    re.IGNORECASE,
)


class _Claim(NamedTuple):
    """A claim, the start and end of its line in the text, and the rest of the line after it."""

    kind: Kind
    start: int
    end: int
    rest: str


class Claimed(NamedTuple):
    """The claim that counts, the parts of the reply after it that may prove it (last first), and the claim before it.

    Consecutive claims of one kind are one claim, with a part after each.
    """

    kind: Kind
    after: list[str]
    before: str


def claimed(text: str) -> Claimed | None:
    """The last claim of a reply outside its thought; `None` if it makes none."""
    text = visible.spoken(text) or ""
    found = list(_claims(text, _of_line)) or list(_claims(text, _of_sentence))
    if not found:
        return None
    kind = found[-1].kind
    first = len(found) - 1
    while first and found[first - 1].kind == kind:
        first -= 1
    ends = [*(claim.start for claim in found[first + 1 :]), len(text)]
    after = [f"{claim.rest}\n{text[claim.end : end]}" for claim, end in zip(found[first:], ends, strict=True)]
    return Claimed(kind, after[::-1], text[found[first - 1].end if first else 0 : found[first].start])


def lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends, one at a time: a list of all lines would not fit the processor's cache."""
    return io.StringIO(text, newline="")


def _claims(text: str, read: Callable[[str], tuple[Kind, str] | None]) -> Iterator[_Claim]:
    end = 0
    for line in lines(text):
        start, end = end, end + len(line)
        if len(line) < 3:
            continue
        if "sat" in (lower := line.lower()) or "unknown" in lower or "indeterminate" in lower or "no " in lower:
            found = read(" ".join(_MARKUP.sub("", line).split()))
            if found:
                yield _Claim(found[0], start, end, found[1])


def _of_line(line: str) -> tuple[Kind, str] | None:
    """The claim that a line starts with."""
    match = _LINE.fullmatch(line)
    if not match:
        return None
    if match["unknown"]:
        return "unknown", match["rest"]
    answered = _ANSWERED.match(match["rest"])
    return _kind(bool(match["not"]), bool(match["un"]), bool(answered)), match["rest"]


def _of_sentence(line: str) -> tuple[Kind, str] | None:
    """The claim of the last sentence in a line that makes one."""
    found: tuple[Kind, str] | None = None
    for sentence in re.split(r"(?<=[.!?]) ", line):
        for match in _SENTENCE.finditer(sentence):
            if _DOUBT.search(sentence[: match.start()].rstrip()[-200:]) or sentence.endswith("?"):
                continue
            rest = sentence[match.end() :]
            if match["none"] or match["some"]:
                found = "unsat" if match["none"] else "sat", rest
            else:
                found = _kind(" not" in match["how"].lower(), bool(match["un"])), rest
    return found


def _kind(*turns: bool) -> Kind:
    """Satisfiable or unsatisfiable, by the parity of the negations."""
    return "unsat" if sum(turns) % 2 else "sat"
