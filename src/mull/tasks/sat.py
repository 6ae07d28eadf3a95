"""Random 3-SAT, through the phase transition: satisfiable formulas ask for an assignment, the others for a word."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import Any

from mull.equal.patterns import regex
from mull.errors import UsageError
from mull.replies.stated import plain, stated
from mull.tasks.endless import STEPS, Ask, Endless, check_between
from mull.tasks.synthetic import Split
from mull.types import Sample

UNSATISFIABLE = "unsatisfiable"
MIN_VARS, MAX_VARS = 5, 40

_UNSATISFIABLE = regex(
    r"(?:the formula |it )?(?:is )?(?:un-?sat(?:isfiable)?|not satisfiable)"
    r"|(?:there is )?no (?:satisfying |such |valid )?(?:assignment|solution)(?: exists)?"
)
_BEFORE = regex(r"\s?(?:sat(?:isfiable)?|assignment)\s?[:,.]?\s?(?=.)")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉~⊤⊥", "0123456789∼tf")
"""LaTeX writes a space as a tilde, and others a negation: it is kept as a sign of its own."""
_LAYOUT = regex(r"\\(?:begin|end)\s?\{[a-z*]{1,12}\}|&(?=\s?=)")
_NAMES = regex(r"(?:x\s?_?\s?[0-9]{1,3}[\s,;]*)+")
_LITERAL = regex(
    r"(?:(?P<not>not\b|\\l?neg(?![a-z])|[¬!∼-])\s?)?\bx\s?_?\s?(?P<name>[0-9]{1,3})(?![0-9])"
    r"(?:\s?(?:=|:=?|==|->|→|←|↦|is|\\(?:to|rightarrow|gets|leftarrow|mapsto)(?![a-z]))\s?(?P<value>true|false|[tf10])\b)?"
)
_BETWEEN = regex(r"(?:[\s,;∧&.]|\band\b|\\(?:land|wedge|\\)(?![a-z]))*")
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


@dataclass(frozen=True)
class AssignmentAnswer:
    """Values of the variables `x1`, `x2` and so on, or that there are none.

    Read are `x1=true`, `x2: F`, `x3 = 1` and literals such as `not x4` or `¬x4` in any order, or all their truth
    values in order. A variable with two values is no answer.
    """

    @property
    def value(self) -> str:
        return "assignment"

    def read(self, sample: Sample) -> str | None:
        return stated(sample, self.canonical)

    def canonical(self, text: str) -> str | None:
        """`x1=true, x2=false` in the order of the variables, or `unsatisfiable`; `None` if the text is neither."""
        text = plain(text.replace("\\top", "t").replace("\\bot", "f").translate(_SUBSCRIPTS))
        if _UNSATISFIABLE.fullmatch(text):
            return UNSATISFIABLE
        text = " ".join(_LAYOUT.sub(" ", text).translate({ord(sign): " " for sign in "{}()[]\"'"}).split())
        text = _BEFORE.sub("", text, count=1) if _BEFORE.match(text) else text
        named, _, listed = text.rpartition("=")
        truths = [_TRUTHS.get(word) for word in listed.replace(",", " ").split()]
        if len(truths) > 1 and None not in truths and (not named or _NAMES.fullmatch(named)):
            names = list(map(int, re.findall(r"x\s?_?\s?([0-9]+)", named))) or range(1, len(truths) + 1)
            pairs = zip(names, truths, strict=True) if len(names) == len(truths) == len(set(names)) else ()
            return _written({name: value is True for name, value in pairs}) or None
        values = _values(text)
        return _written(values) if values else None


def _values(text: str) -> dict[int, bool] | None:
    """The values that a list of literals gives; `None` if it is no such list, or gives one variable two values."""
    values: dict[int, bool] = {}
    at = _skip(text, 0)
    while at < len(text):
        literal = _LITERAL.match(text, at)
        if literal is None:
            return None
        if literal["value"] is None:
            value = literal["not"] is None
        elif literal["not"] in (None, "-", "∼"):  # a bullet or a space before the name
            value = _TRUTHS[literal["value"]]
        else:
            return None
        if values.setdefault(int(literal["name"]), value) != value:
            return None
        at = _skip(text, literal.end())
    return values


def _skip(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return at if between is None else between.end()


def _written(values: Mapping[int, bool]) -> str:
    return ", ".join(f"x{name}={str(values[name]).lower()}" for name in sorted(values))


Clause3 = tuple[int, int, int]
"""Three literals by the numbers of their variables; a negative one is negated."""


@dataclass(frozen=True)
class Cnf:
    """Clauses of three literals over the variables 1 to `variables`."""

    variables: int
    clauses: tuple[Clause3, ...]

    @property
    def text(self) -> str:
        told = "\n".join(map(_told, self.clauses))
        return (
            f"The variables x1 to x{self.variables} are true or false. Each of these lines is a condition:\n\n"
            f"{told}\n\nFind values of the variables that satisfy all conditions, or find out that there are none. "
            f"{STEPS} values of all variables in a box, as in "
            rf"\boxed{{x1=true, x2=false, ...}}, or \boxed{{{UNSATISFIABLE}}} if no values satisfy all conditions."
        )

    @property
    def kind(self) -> AssignmentAnswer:
        return AssignmentAnswer()

    @property
    def given(self) -> Mapping[str, Any]:
        return {"variables": self.variables, "clauses": self.clauses}

    @property
    def content(self) -> str:
        """The formula regardless of its order, of names of variables, and of which of their literals is negated.

        Each literal is known by how often its variable occurs as itself and negated.
        """
        counts = Counter(literal for clause in self.clauses for literal in clause)
        known = {literal: sorted((counts[literal], counts[-literal])) for literal in counts}
        clauses = sorted(sorted(known[literal] for literal in clause) for clause in self.clauses)
        return f"3sat {clauses}"

    @cached_property
    def is_satisfiable(self) -> bool:
        return solve(self.clauses) is not None

    def misses(self, answer: str) -> str:
        if answer == UNSATISFIABLE:
            return "the formula is satisfiable" if self.is_satisfiable else ""
        values = _values(answer) or {}
        if max(values) > self.variables:
            return f"there is no x{max(values)}"
        if len(values) < self.variables:
            return f"no value for x{min(set(range(1, self.variables + 1)) - set(values))}"
        for clause in self.clauses:
            if not any(values.get(abs(literal)) is (literal > 0) for literal in clause):
                return f"not satisfied: {_told(clause)}"
        return ""


def _told(clause: Clause3) -> str:
    return " or ".join(f"x{literal}" if literal > 0 else f"not x{-literal}" for literal in clause)


def solve(clauses: Sequence[Sequence[int]]) -> dict[int, bool] | None:
    """A satisfying assignment of the variables that matter; `None` if there is none.

    Davis, Logemann and Loveland 1962 (10.1145/368273.368557): unit propagation, and a split on the literal that occurs
    most in the shortest clauses.
    """
    values: dict[int, bool] = {}
    left = [tuple(clause) for clause in clauses]
    while unit := next((clause[0] for clause in left if len(clause) == 1), 0):
        values[abs(unit)] = unit > 0
        left = _after(left, unit)
        if () in left:
            return None
    if not left:
        return values
    least = min(map(len, left))
    counts: dict[int, int] = {}
    for clause in left:
        if len(clause) == least:
            for literal in clause:
                counts[literal] = counts.get(literal, 0) + 1
    chosen = max(counts, key=lambda literal: (counts[literal] + counts.get(-literal, 0), counts[literal], literal))
    for literal in (chosen, -chosen):
        rest = solve([*_after(left, literal)])
        if rest is not None:
            return {**values, abs(literal): literal > 0, **rest}
    return None


def _after(clauses: Sequence[tuple[int, ...]], literal: int) -> list[tuple[int, ...]]:
    """The clauses that a true literal leaves open, without its negation."""
    return [
        tuple(other for other in clause if other != -literal) if -literal in clause else clause
        for clause in clauses
        if literal not in clause
    ]


@dataclass(frozen=True)
class SatTask(Endless[Cnf]):
    """Random 3-SAT: values that satisfy all clauses, or that there are none; `vars` and `ratio` are the difficulty.

    A formula has `ratio` different clauses of three variables for each of its variables. Nearly all are satisfiable
    well below the phase transition at 4.27 and nearly none well above it (Mitchell, Selman and Levesque 1992); in small
    formulas the transition is wide. Every assignment that satisfies all clauses is right.
    """

    called = "3sat"
    domain = "logic"

    vars: int = 8
    ratio: float = 4.27
    seed: int = 0
    split: Split = "test"
    ask: Ask = "steps"

    def __post_init__(self) -> None:
        check_between(MIN_VARS, MAX_VARS, vars=self.vars)
        check_between(1, 10, ratio=self.ratio)
        if 2 * self._clauses > len(self._possible):
            most = len(self._possible) // 2 / self.vars
            raise UsageError(f"ratio must be at most {most:g} where vars={self.vars}, not {self.ratio:g}")

    @property
    def level(self) -> str:
        return f"vars={self.vars},ratio={self.ratio:g}"

    @property
    def _clauses(self) -> int:
        return round(self.vars * self.ratio)

    @cached_property
    def _possible(self) -> list[Clause3]:
        names = combinations(range(1, self.vars + 1), 3)
        return [(a * x, b * y, c * z) for x, y, z in names for a, b, c in product((1, -1), repeat=3)]

    def draw(self, rng: random.Random) -> Cnf:
        return Cnf(self.vars, tuple(rng.sample(self._possible, self._clauses)))
