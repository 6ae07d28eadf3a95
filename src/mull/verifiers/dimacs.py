"""Parses DIMACS formulas, and the assignments and refutations in replies.

A formula comes from the problem and is parsed strictly: another format or a truncated file raises an error. A reply is
parsed leniently: a line counts if it has only numbers, besides markup, bullets and remarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mull.verifiers.claims import Claimed, lines

Clause = tuple[int, ...]
_NUMBER = re.compile(r"-?[1-9][0-9]{0,8}|0")
_OTHERS = {
    "wcnf": "weighted clauses (MaxSAT)",
    "cnf+": "cardinality constraints",
    "knf": "cardinality constraints",
    "dnf": "a disjunctive normal form",
    "gcnf": "groups of clauses",
    "sat": "a formula that is not a list of clauses",
    "edge": "a graph",
    "col": "a graph",
}
_LINES = {
    "a": "a quantifier (QDIMACS)",
    "e": "a quantifier (QDIMACS)",
    "d": "a quantifier (DQDIMACS)",
    "r": "a random quantifier (SDIMACS)",
    "x": "an exclusive or",
    "h": "a hard clause (MaxSAT)",
    "k": "a cardinality constraint",
    "b": "an xor or pseudo-Boolean line",
    "w": "a weight",
    "aag": "a circuit (AIGER)",
    "aig": "a circuit (AIGER)",
    "*": "a pseudo-Boolean formula (OPB)",
}


def dimacs(text: str) -> list[Clause]:
    """The clauses of a formula: `p cnf VARIABLES CLAUSES`, then that many clauses, each ended by 0.

    Raises `ValueError` with the line number for another format, a missing header, a literal beyond the variables, or
    another number of clauses than the header says.
    """
    clauses: list[Clause] = []
    literals: list[int] = []
    header: tuple[int, int] | None = None
    is_over = False
    for number, line in enumerate(lines(text.removeprefix("\ufeff")), 1):
        words = line.split()
        if not words or (words[0].startswith("c") and not words[0].startswith("cnf")):
            continue
        if is_over:
            if words != ["0"]:
                raise ValueError(f"line {number}: text follows the end marker %")
        elif words == ["%"] and header:
            is_over = True  # the end marker of old collections
        elif words[0] == "p":
            if header or clauses or literals:
                raise ValueError(f"line {number}: a second header")
            header = _header(number, words)
        else:
            if header is None:
                raise ValueError(f"line {number}: {_unlike(words[0])} comes before the header 'p cnf'")
            _clauses(number, words, header[0], clauses, literals)
    if header is None:
        raise ValueError("it has no header 'p cnf VARIABLES CLAUSES'")
    if literals:
        raise ValueError("the last clause does not end with 0")
    if len(clauses) != header[1]:
        raise ValueError(f"the header declares {header[1]} clauses, but there are {len(clauses)}: was the file cut?")
    return clauses


def _header(number: int, words: list[str]) -> tuple[int, int]:
    if len(words) > 1 and words[1] != "cnf":
        raise ValueError(f"line {number}: 'p {words[1]}' is another format: {_OTHERS.get(words[1], 'not p cnf')}")
    if len(words) != 4 or not all(re.fullmatch(r"[0-9]{1,9}", word) for word in words[2:]):
        raise ValueError(f"line {number}: a header is 'p cnf VARIABLES CLAUSES', not {' '.join(words)[:60]!r}")
    return int(words[2]), int(words[3])


def _unlike(word: str) -> str:
    kind = _LINES.get(word) or (_LINES["x"] if re.fullmatch(r"x-?[0-9]+", word) else "")
    return f"{word[:40]!r}, {kind}," if kind else repr(word[:40])


def _clauses(number: int, words: list[str], variables: int, clauses: list[Clause], literals: list[int]) -> None:
    """Adds the literals of a line to the clauses, and to the unfinished clause."""
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise ValueError(f"line {number}: {_unlike(word)} is not a literal")
        literal = int(word)
        if abs(literal) > variables:
            raise ValueError(f"line {number}: {literal} is beyond the {variables} variables of the header")
        if literal:
            literals.append(literal)
        else:
            clauses.append(tuple(literals))
            literals.clear()


_PLAIN = str.maketrans("−–¬\u2011₀₁₂₃₄₅₆₇₈₉", "----0123456789")
_ENDS = re.compile(r"</?[A-Za-z]{1,20}>|[*`>$|\\\[\]{}()]|\\[a-z]+")
_BULLET = re.compile(r"\s*(?:[-+•–]\s+)?(?:(?:step\s+)?[0-9]+[.):]\s+)?", re.IGNORECASE)
_V_LINE = re.compile(r"v(?:\s*:|(?=[\s,]))([-0-9\s,]*)(.*)", re.IGNORECASE)
_CALLED = re.compile(
    r"^(?:(?:a |the )?satisfying )?(?:assignment|model|solution|literals|values):?\s*[:=]\s*", re.IGNORECASE
)
_HAS_DIGIT = re.compile("[0-9₀-₉]").search
_INTEGER = re.compile(r"-?[0-9]+")
_NAMED = re.compile(
    r"\b(?:x|v|var|variable)[ _]?\{?([0-9]{1,9})\}?[*`$]*\s{0,3}(?::=|=|:|\||→|->|↦|\bis\b|\\to|\\mapsto)[*`$:\s]{0,5}"
    r"(?:\\(?:text|mathrm|mathit)\{)?(?:(true|t|1|⊤)|(false|f|0|⊥))(?!\w|\.[0-9])",
    re.IGNORECASE,
)


def assignment_of(claim: Claimed) -> list[int] | None:
    """The literals of a reply's assignment; `None` if it gives none.

    Reads the last `v` lines up to a 0, else the first lines with only numbers after the claim, else values of named
    variables, as in `x1 = True`.
    """
    for part in [*claim.after, claim.before]:
        literals = _v_lines(part)
        if literals is None and part is not claim.before:
            literals = _bare_lines(part)
        if literals is None:
            literals = [int(n) if yes else -int(n) for n, yes, _ in _NAMED.findall(part.translate(_PLAIN))] or None
        if literals is not None:
            return literals
    return None


def _plain(line: str) -> str:
    return _ENDS.sub(" ", line.translate(_PLAIN)).strip()


def _v_lines(text: str) -> list[int] | None:
    found: list[int] | None = None
    is_open = False
    for line in _full_lines(text):
        plain = _plain(line) if is_open or "v" in line or "V" in line else ""
        match = _V_LINE.fullmatch(_BULLET.sub("", plain, count=1)) if plain else None
        if not match:
            is_open = is_open and (not plain or plain.startswith("c ") or plain in ("c", "~~~"))
            continue
        texts = match[1].replace(",", " ").split()
        if not all(map(_INTEGER.fullmatch, texts)):
            continue
        words = [int(word) for word in texts if len(word) < 11]
        if match[2] and not (0 in words and re.match(r"\W", match[2])):
            continue
        if not is_open or found is None:
            found = []
        is_open = 0 not in words
        found += words if is_open else words[: words.index(0)]
    return found


def _bare_lines(text: str) -> list[int] | None:
    found: list[int] | None = None
    for line in filter(_HAS_DIGIT, _full_lines(text)):
        words = _CALLED.sub("", _plain(line), count=1).rstrip(".").replace(",", " ").split()
        if words and all(map(_INTEGER.fullmatch, words)):
            literals = [int(word) for word in words if len(word) < 11]
            found = [] if found is None else found
            if 0 in literals:
                return found + literals[: literals.index(0)]
            found += literals
    return found


def _full_lines(text: str) -> Iterator[str]:
    """The lines that are not blank."""
    return (line for line in lines(text) if not line.isspace())


_LABELLED = re.compile(r"(?:[A-Za-z][\w ]{0,40}:\s*)?")
_REMARK = re.compile(r"(?<=0)[\s,.;]*(?:(?:c\s|[#;%←=–—✓]|//|--|RUP\b|RAT\b|by\b|from\b).*)?$")
_WORD = re.compile(r"d|-?[0-9]+")


def refutation_of(claim: Claimed) -> list[str]:
    """The words of a reply's refutation: numbers, and `d` before deletions.

    Reads lines with nothing else; line ends do not matter. The last part of the reply with such lines counts.
    """
    for part in [*claim.after, claim.before]:
        words = [word for line in _full_lines(part) for word in _stream(line)]
        if words:
            return words
    return []


def _stream(line: str) -> list[str]:
    if (not _HAS_DIGIT(line) and line.strip() != "d") or line.startswith("c "):
        return []
    plain = _REMARK.sub("", _plain(line.partition(" (")[0]))
    words = _LABELLED.sub("", _BULLET.sub("", plain, count=1), count=1).split()
    return words if all(map(_WORD.fullmatch, words)) else []


def steps_of(words: Iterable[str]) -> Iterator[tuple[bool, Clause]]:
    """The steps of a DRAT refutation: whether the step is a deletion, and the clause.

    Raises `ValueError` for an invalid step.
    """
    literals: list[int] = []
    is_deletion = False
    n = 1
    for word in words:
        if word == "d":
            if literals or is_deletion:
                raise ValueError(f"step {n} of the refutation does not end with 0 before the deletion after it")
            is_deletion = True
        elif not _NUMBER.fullmatch(word):
            raise ValueError(f"step {n} of the refutation: {word[:40]!r} is not a literal")
        elif word == "0":
            yield is_deletion, tuple(literals)
            literals, is_deletion, n = [], False, n + 1
        else:
            literals.append(int(word))
    if literals or is_deletion:
        raise ValueError(f"step {n} of the refutation does not end with 0")


def other_form(claim: Claimed) -> str:
    """The name of an unsupported proof format that a reply uses; empty if it shows none."""
    text = "\n".join([*claim.after, claim.before])
    if re.search(r"^[ \t]*pseudo-Boolean proof version", text, re.MULTILINE):
        return "VeriPB"
    if re.search(r"^[ \t]*[aoflr] +[0-9]+ +-?[0-9 -]*0(?: +l +[0-9 -]+)?[ \t]*$", text, re.MULTILINE):
        return "FRAT"
    return ""
