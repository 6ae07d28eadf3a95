"""Satisfiability modulo theories: a model is put into the formula, and a solver in a box evaluates it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull import sandbox
from mull.errors import UsageError
from mull.sandbox import Command, Level, LevelName, Status
from mull.types import Calls, Cost, Problem, Sample, Score
from mull.verifiers.proof import limits_of, proof_text

_CLAIM = re.compile(r"^\s*(unsat|sat)\s*$", re.MULTILINE)
_TOKEN = re.compile(r"""\s+|;[^\n]*|([()])|"(?:[^"]|"")*"|\|[^|]*\||[^\s()";|]+""")
_SYMBOL = re.compile(r"[A-Za-z~!@$%^&*_+=<>.?/-][A-Za-z0-9~!@$%^&*_+=<>.?/-]*|\|[^|\\]*\|")
_LITERAL = re.compile(r"[0-9]+(?:\.[0-9]+)?|#x[0-9A-Fa-f]+|#b[01]+|true|false")
_ASKS = re.compile(r"\(\s*(?:check-sat|get-model|get-value|get-unsat-core|exit|push|pop|reset)\b")


@dataclass(frozen=True)
class SmtChecker:
    """Scores 1 for a model that satisfies the problem's formula, and 0 for any other reply, with the reason.

    `given["smtlib"]` is the formula in SMT-LIB 2: declarations and assertions. A reply says `sat` and gives values of
    the constants as `(define-fun x () Int 5)`, which z3 then takes for them. Values are literals, negations and
    fractions: nothing else of a reply reaches the solver. An `unsat` is believed when z3 itself finds it, where
    `trust_solver`; without, it has no score, since solvers of this kind give no certificate that can be checked here.
    `seconds` caps the solver. Raises `NoSandboxError` below the level `isolation`, and `UsageError` without z3.
    """

    seconds: float = 30.0
    trust_solver: bool = False
    isolation: LevelName = "namespaces"

    @property
    def name(self) -> str:
        return "smt"

    @property
    def identity(self) -> str:
        """The name and the options."""
        return f"smt:seconds={self.seconds},trust_solver={self.trust_solver}"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """Nothing that is priced."""
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        formula = problem.given.get("smtlib")
        if not isinstance(formula, str):
            return [Score(None, why="the problem gives no formula in SMT-LIB")] * len(samples)
        if found := _ASKS.search(formula):
            raise UsageError(f"problem {problem.id!r}: its formula is to declare and assert only, not {found[0]!r}")
        solver = _solver()
        folder = str(Path(solver).parent)
        async with sandbox.best(Level[self.isolation.upper()], () if folder.startswith("/usr/") else (folder,)) as box:
            return [await self._score(box, solver, formula, sample.reply) for sample in samples]

    async def _score(self, box: sandbox.Sandbox, solver: str, formula: str, reply: str) -> Score:
        claims = list(_CLAIM.finditer(reply))
        if not claims:
            return Score(0.0, why="it claims neither sat nor unsat")
        if claims[-1][1] == "unsat":
            if not self.trust_solver:
                return Score(None, why="an unsat has no certificate here, and the solver is not to be trusted alone")
            said = await self._ask(box, solver, f"{formula}\n(check-sat)\n")
            return _verdict(said, "unsat", "z3 finds it satisfiable")
        try:
            values = list(_values(proof_text(reply[claims[-1].end() :])))
        except ValueError as error:
            return Score(0.0, why=str(error))
        if not values:
            return Score(0.0, why="it claims sat and gives no values")
        equal = "".join(f"(assert (= {name} {value}))\n" for name, value in values)
        return _verdict(
            await self._ask(box, solver, f"{formula}\n{equal}(check-sat)\n"), "sat", "not a model of the formula"
        )

    async def _ask(self, box: sandbox.Sandbox, solver: str, text: str) -> str:
        result = await box.run(Command((solver, "-in"), stdin=text.encode(), limits=limits_of(self.seconds)))
        if result.status not in (Status.OK, Status.FAILED):
            return str(result.status)
        return result.stdout.decode("utf-8", "replace").strip()


def _solver() -> str:
    """Where z3 is. Raises `UsageError` where it is not."""
    found = shutil.which("z3") or shutil.which("z3", path=str(Path(sys.executable).parent))
    if found is None:
        raise UsageError("z3 is not installed: pip install z3-solver, or apt install z3")
    return str(Path(found).resolve())


def _verdict(said: str, wanted: str, otherwise: str) -> Score:
    if said in ("sat", "unsat"):
        return Score(1.0) if said == wanted else Score(0.0, why=otherwise)
    if "error" in said:
        return Score(0.0, why=f"z3 does not accept the values: {said[:300]}")
    return Score(None, why=f"z3 could not tell: {said[:300]}")


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Name and value of each constant that a model defines. Raises `ValueError` for anything that is no literal."""
    for form in _forms(text):
        inner = form[1:] if isinstance(form, list) and form[:1] == ["model"] else [form]
        if isinstance(form, list) and form and all(isinstance(part, list) for part in form):
            inner = form
        for part in inner:
            match part:
                case ["define-fun", str(name), [], _, value] if _SYMBOL.fullmatch(name):
                    yield name, _literal(value)
                case ["define-fun", str(name), *_]:
                    raise ValueError(f"{name[:40]} is not defined as a constant")


def _literal(form: Any) -> str:
    match form:
        case str(text) if _LITERAL.fullmatch(text):
            return text
        case ["-", value]:
            return f"(- {_literal(value)})"
        case ["/", above, below]:
            return f"(/ {_literal(above)} {_literal(below)})"
    raise ValueError(f"a value must be a literal, not {str(form)[:80]}")


def _forms(text: str) -> list[Any]:
    """The expressions of a text, as lists of lists and words; what is not closed is left out."""
    stack: list[list[Any]] = [[]]
    for token in _TOKEN.finditer(text):
        if token[1] == "(":
            if len(stack) > 50:
                raise ValueError("nested too deeply")
            stack.append([])
        elif token[1] == ")":
            if len(stack) > 1:
                stack[-2].append(stack.pop())
        elif token[0].strip() and not token[0].startswith(";"):
            stack[-1].append(token[0])
    return stack[0]
