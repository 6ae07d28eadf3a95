"""Satisfiability modulo theories: substitutes a reply's values into the formula; a sandboxed solver evaluates it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mull import sandbox
from mull.errors import UsageError
from mull.sandbox import Command, JobLimits, Level, LevelName, Script, Status
from mull.types import Calls, Cost, Problem, Prompt, Sample, Score
from mull.verifiers.claims import Claimed, claimed
from mull.verifiers.contract import Contract
from mull.verifiers.failed import but_failed
from mull.verifiers.proof import limits_of
from mull.verifiers.smtlib import Formula, formula_of
from mull.verifiers.substitute import SmtQuestion, with_values
from mull.verifiers.values import Values, values_of

_CVC5 = """
import sys
sys.path.insert(0, {folder!r})
import cvc5
solver = cvc5.Solver(cvc5.TermManager())
parser = cvc5.InputParser(solver)
parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, sys.stdin.read(), "formula")
while not (command := parser.nextCommand()).isNull():
    print(command.invoke(solver, parser.getSymbolManager()), end="")
"""


NO_FORMULA = "the problem gives no formula in SMT-LIB: a task of your own puts it in Problem.given"


@dataclass(frozen=True)
class SmtChecker:
    """Checks a model of the problem's SMT-LIB formula: 1 if its values satisfy the formula, else 0, with the reason.

    `given["smtlib"]` is the formula in SMT-LIB 2: declarations and assertions, or a benchmark file with one query. A
    reply says `sat` and gives values as `get-model` or `get-value` prints them. mull parses them, prints them again and
    substitutes them for the declarations, and z3 evaluates the formula: it must be true with these values alone, so a
    missing value fails unless the formula is true with any. Nothing but values reaches the solver.

    An `unsat` claim has no certificate that mull can check, and no score. With `trust_solver` it scores 1 if z3 also
    finds it, with `second=cvc5` if z3 and cvc5 both do: agreement, not a proof. `seconds` limits each run of a solver.
    Raises `NoSandboxError` below the level `isolation`, and `UsageError` without the solvers and for an unreadable
    formula.
    """

    seconds: float = 30.0
    trust_solver: bool = False
    second: Literal["", "cvc5"] = ""
    isolation: LevelName = "namespaces"

    @property
    def name(self) -> str:
        return "smt"

    @property
    def identity(self) -> str:
        """The name and the options."""
        return f"smt:seconds={self.seconds},trust_solver={self.trust_solver},second={self.second}"

    @property
    def contract(self) -> Contract:
        """A formula with a right and a wrong reply."""
        formula = "(declare-const x Int)\n(assert (> (* x x) 20))\n"
        return Contract(
            Problem("smt", Prompt.user("Is it satisfiable?"), given={"smtlib": formula}), "sat\n((x 5))", "sat\n((x 4))"
        )

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No priced cost."""
        return Cost()

    def lacks(self, problem: Problem) -> str:
        """What this verifier needs and the problem does not give; empty if it can be scored."""
        return "" if isinstance(problem.given.get("smtlib"), str) else NO_FORMULA

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        text = problem.given.get("smtlib")
        if not isinstance(text, str):
            return [Score(None, why=NO_FORMULA)] * len(samples)
        try:
            formula = await asyncio.to_thread(formula_of, text)
        except ValueError as error:
            raise UsageError(f"problem {problem.id!r}: its formula cannot be read: {error}") from None
        solver = _solver()
        folders = (str(Path(solver).parent), *(_folders_of_cvc5() if self.second else ()))
        readable = tuple(folder for folder in folders if not folder.startswith("/usr/"))
        async with sandbox.best(Level[self.isolation.upper()], readable) as box:
            run = _Scoring(self, box, solver, formula)
            said = await run.z3(formula.text)
            if said:
                raise UsageError(f"problem {problem.id!r}: z3 does not accept its formula: {said[:300]}")
            replies = list(dict.fromkeys(sample.reply for sample in samples))
            found = await asyncio.gather(*[run.score(reply) for reply in replies])
        verdicts = dict(zip(replies, found, strict=True))
        return but_failed(samples, [verdicts[sample.reply] for sample in samples])


@dataclass(frozen=True)
class _Scoring:
    """Replies to one formula, scored in one sandbox."""

    checker: SmtChecker
    box: sandbox.Sandbox
    solver: str
    formula: Formula

    async def score(self, reply: str) -> Score:
        claim = await asyncio.to_thread(claimed, reply)
        if claim is None or claim.kind == "unknown":
            return Score(0.0, why="it claims neither sat nor unsat")
        if claim.kind == "unsat":
            return await self._unsat()
        try:
            values = await asyncio.to_thread(_values_of, claim, self.formula)
            if self.formula.free and not (values.definitions.keys() & self.formula.free or values.points):
                return Score(0.0, why="it claims sat but gives no values")
            question = await asyncio.to_thread(with_values, self.formula, values)
        except ValueError as error:
            return Score(0.0, why=str(error))
        return await self._evaluated(question, bool(values.points))

    async def _evaluated(self, question: SmtQuestion, has_points: bool) -> Score:
        """Whether the formula is true with the values: its negation is then unsatisfiable for any missing values."""
        limit = f"(set-option :timeout {max(1, int(self.checker.seconds * 800))})\n"
        first = "(check-sat)\n" if has_points else ""
        said = await self.z3(f"{limit}{question.text}{first}(assert (not mull!formula))\n(check-sat)\n")
        if "(error" in said:
            return Score(0.0, why=f"z3 does not accept the values: {said[:300]}")
        lines = said.splitlines()
        if has_points and lines[:1] == ["unsat"]:
            return Score(0.0, why="no function has these values")
        if lines == ["sat", "unsat"][not has_points :]:
            return Score(1.0)
        if lines[-1:] == ["sat"]:
            lacks = f"no value for {', '.join(question.missing)[:200]}: " if question.missing else ""
            return Score(0.0, why=f"{lacks}not a model of the formula")
        if question.is_total:
            said = await self.z3(f"{limit}{question.text}(assert mull!formula)\n(check-sat)\n")
            if said in ("sat", "unsat"):
                return Score(1.0) if said == "sat" else Score(0.0, why="not a model of the formula")
        return Score(None, why=f"z3 did not decide: {said[:300]}")

    async def _unsat(self) -> Score:
        if not self.checker.trust_solver and not self.checker.second:
            return Score(None, why="unsat has no certificate that mull can check, and trust_solver is off")
        question = f"{self.formula.text}(check-sat)\n"
        said = await self.z3(question)
        if not self.checker.second:
            if said == "unsat":
                return Score(1.0, why="z3 finds it unsatisfiable too, which is no proof")
            if said == "sat":
                return Score(0.0, why="z3 finds it satisfiable")
            return Score(None, why=f"z3 did not decide: {said[:300]}")
        other = await self._cvc5(question if self.formula.logic else f"(set-logic ALL)\n{question}")
        if said == other == "unsat":
            return Score(1.0, why="z3 and cvc5 agree that it is unsatisfiable, which is no proof")
        if said == other == "sat":
            return Score(0.0, why="z3 and cvc5 agree that it is satisfiable")
        return Score(None, why=f"z3 and cvc5 do not agree: z3 says {said[:120]}, cvc5 says {other[:120]}")

    async def z3(self, text: str) -> str:
        """The output of z3, or how it ended."""
        return await self._said(Command((self.solver, "-in"), stdin=text.encode(), limits=self._limits))

    async def _cvc5(self, text: str) -> str:
        source = _CVC5.format(folder=str(Path(_folders_of_cvc5()[0]).parent))
        return await self._said(Script(source, stdin=text.encode(), limits=self._limits))

    @property
    def _limits(self) -> JobLimits:
        return limits_of(self.checker.seconds)

    async def _said(self, job: Command | Script) -> str:
        result = await self.box.run(job)
        if result.status not in (Status.OK, Status.FAILED):
            return str(result.status)
        said = result.stdout.decode("utf-8", "replace").strip()
        return said or result.stderr.decode("utf-8", "replace").strip()[-300:]


def _solver() -> str:
    """The path of z3: on PATH, beside this Python, or in its package. Raises `UsageError` if it is not installed."""
    found = shutil.which("z3") or shutil.which("z3", path=str(Path(sys.executable).parent))
    if found is None:
        try:
            files = importlib.metadata.files("z3-solver") or []
        except importlib.metadata.PackageNotFoundError:
            files = []
        places = [Path(str(file.locate())) for file in files if file.name == "z3" and file.parent.name == "bin"]
        found = next((str(place) for place in places if place.is_file()), None)
    if found is None:
        raise UsageError("z3 is not installed: pip install z3-solver, or apt install z3")
    return str(Path(found).resolve())


def _folders_of_cvc5() -> tuple[str, ...]:
    """The folders of cvc5's package, its own first. Raises `UsageError` if it is not installed."""
    found = importlib.util.find_spec("cvc5")
    if found is None or found.origin is None:
        raise UsageError("cvc5 is not installed: pip install cvc5")
    package = Path(found.origin).resolve().parent
    libraries = package.with_name("cvc5.libs")
    return (str(package), *([str(libraries)] if libraries.is_dir() else []))


def _values_of(claim: Claimed, formula: Formula) -> Values:
    """The values of the last part of a reply that gives any."""
    values = Values()
    for part in [*claim.after, claim.before]:
        values = values_of(part, formula)
        if values.definitions or values.points:
            break
    return values
