"""Satisfiability: an assignment is checked by evaluation, a claim that there is none by its certificate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mull.errors import UsageError
from mull.types import Cost, Problem, Prompt, Sample, Score
from mull.verifiers.contract import Contract

Clause = tuple[int, ...]
_CLAIM = re.compile(r"^\s*(?:s\s+)?(UN)?SAT(?:ISFIABLE)?\s*$", re.MULTILINE)
_LITERALS = re.compile(r"\s*(?:v\s+)?((?:-?[0-9]{1,9}\s+)*-?[0-9]{1,9})\s*")
_STEP = re.compile(r"\s*(d\s+)?((?:-?[0-9]{1,9}\s+)*)0\s*")


@dataclass(frozen=True)
class SatChecker:
    """Scores 1 for a reply that settles a formula and shows it, and 0 for any other, with the reason.

    `given["cnf"]` is the formula in DIMACS. A reply claims `s SATISFIABLE` with the literals of an assignment on
    `v` lines, every clause of which is then evaluated; or `s UNSATISFIABLE` with a refutation in DRAT after it, one
    clause a line (Wetzler et al. 2014), every step of which is checked by unit propagation. The last claim counts, and
    a claim that shows nothing scores 0. A refutation that takes more than `steps` propagations has no score.
    """

    steps: int = 2_000_000

    @property
    def name(self) -> str:
        return "sat"

    @property
    def contract(self) -> Contract:
        """A formula that it must know right from wrong in."""
        problem = Problem("sat", Prompt.user("Is it satisfiable?"), given={"cnf": "p cnf 2 2\n1 2 0\n-1 2 0\n"})
        return Contract(problem, "s SATISFIABLE\nv 2 0", "s SATISFIABLE\nv 1 0")

    @property
    def identity(self) -> None:
        """Not banked: an assignment is checked faster than it is looked up."""
        return None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """Nothing that is priced."""
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample]) -> Sequence[Score]:
        if not isinstance(problem.given.get("cnf"), str):
            return [Score(None, why="the problem gives no formula in DIMACS")] * len(samples)
        try:
            clauses = dimacs(problem.given["cnf"])
        except ValueError as error:
            raise UsageError(f"problem {problem.id!r}: its formula is not DIMACS: {error}") from None
        return [self._score(clauses, sample.reply) for sample in samples]

    def _score(self, clauses: list[Clause], reply: str) -> Score:
        claims = list(_CLAIM.finditer(reply))
        if not claims:
            return Score(0.0, why="it claims neither SATISFIABLE nor UNSATISFIABLE")
        lines = reply[claims[-1].end() :].splitlines()
        try:
            why = refutes(clauses, _proof(lines), self.steps) if claims[-1][1] else falsifies(clauses, _model(lines))
        except TimeoutError:
            return Score(None, why=f"its refutation takes more than {self.steps} propagations to check")
        return Score(0.0 if why else 1.0, why=why)


def dimacs(text: str) -> list[Clause]:
    """The clauses of a formula. Raises `ValueError` with the line that is wrong."""
    clauses: list[Clause] = []
    literals: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0] in ("c", "p"):
            continue
        if words[0] == "%":
            break  # the end, in old collections
        for word in words:
            if not re.fullmatch(r"-?[0-9]{1,9}", word):
                raise ValueError(f"line {number}: {word!r} is not a literal")
            if int(word) == 0:
                clauses.append(tuple(literals))
                literals = []
            else:
                literals.append(int(word))
    if literals:
        raise ValueError("the last clause does not end with 0")
    return clauses


def falsifies(clauses: Iterable[Clause], literals: Iterable[int]) -> str:
    """Why literals are not an assignment that satisfies every clause; nothing where they are."""
    true = set(literals)
    if not true:
        return "it claims satisfiability and gives no assignment"
    both = next((literal for literal in sorted(true) if literal > 0 and -literal in true), None)
    if both is not None:
        return f"variable {both} is both true and false"
    for number, clause in enumerate(clauses, 1):
        if not any(literal in true for literal in clause):
            return f"clause {number} is not satisfied: {' '.join(map(str, clause))}"
    return ""


def refutes(clauses: Iterable[Clause], proof: Iterable[tuple[bool, Clause]], steps: int) -> str:
    """Why a DRAT proof does not derive the empty clause; nothing where it does.

    Each clause must follow by unit propagation (RUP), or be a resolution asymmetric tautology on its first literal.
    As in drat-trim, deleting a unit clause is passed over. Raises `TimeoutError` after so many propagations.
    """
    database = _Database(steps)
    for clause in clauses:
        database.add(clause)
    if database.is_refuted:
        return ""
    n = 0
    for n, (is_deletion, clause) in enumerate(proof, 1):
        if is_deletion:
            database.delete(clause)
            continue
        if not database.implies(clause) and not database.is_tautology_on_first(clause):
            return f"step {n} of the refutation does not follow: {' '.join(map(str, clause)) or 'the empty clause'}"
        database.add(clause)
        if database.is_refuted:
            return ""
    return (
        "it claims unsatisfiability and gives no refutation" if n == 0 else "its refutation does not end in a conflict"
    )


class _Database:
    """Clauses with two watched literals each, and what follows from them at once."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.watched: dict[int, list[list[int]]] = {}
        self.by_literals: dict[frozenset[int], list[list[int]]] = {}
        self.true: dict[int, bool] = {}
        self.trail: list[int] = []
        self.is_refuted = False

    def add(self, clause: Clause) -> None:
        literals = list(dict.fromkeys(clause))
        self.by_literals.setdefault(frozenset(literals), []).append(literals)
        free = [literal for literal in literals if -literal not in self.true]
        literals.sort(key=lambda literal: -literal in self.true)
        for literal in literals[:2]:
            self.watched.setdefault(literal, []).append(literals)
        if not free or (len(free) == 1 and free[0] not in self.true and not self._assign([free[0]])):
            self.is_refuted = True

    def delete(self, clause: Clause) -> None:
        found = self.by_literals.get(frozenset(clause))
        if found and len(found[-1]) > 1 and not any(self._is_reason(found[-1], literal) for literal in clause):
            gone = found.pop()
            for literal in gone[:2]:
                self.watched[literal] = [c for c in self.watched[literal] if c is not gone]

    def implies(self, clause: Iterable[int]) -> bool:
        """Whether the clause follows by unit propagation from its negation."""
        before = len(self.trail)
        literals = list(clause)
        holds = any(literal in self.true for literal in literals) or not self._assign(
            [-literal for literal in literals if -literal not in self.true]
        )
        for literal in self.trail[before:]:
            del self.true[literal]
        del self.trail[before:]
        return holds

    def is_tautology_on_first(self, clause: Clause) -> bool:
        if not clause:
            return False
        pivot = clause[0]
        others = [c for copies in list(self.by_literals.values()) for c in copies if -pivot in c]
        return all(self.implies([*clause, *(literal for literal in c if literal != -pivot)]) for c in others)

    def _is_reason(self, literals: list[int], literal: int) -> bool:
        return literal in self.true and all(-other in self.true for other in literals if other != literal)

    def _assign(self, units: list[int]) -> bool:
        """Make literals true and all that follows; false where that is a conflict."""
        start = len(self.trail)
        for literal in units:
            if -literal in self.true:
                return False
            if literal not in self.true:
                self.true[literal] = True
                self.trail.append(literal)
        while start < len(self.trail):
            false = -self.trail[start]
            start += 1
            kept = []
            watching = self.watched.get(false, [])
            for place, literals in enumerate(watching):
                self.left -= 1
                if self.left < 0:
                    raise TimeoutError
                if literals[0] == false and len(literals) > 1:
                    literals[0], literals[1] = literals[1], literals[0]
                if literals[0] in self.true and literals[0] != false:
                    kept.append(literals)
                    continue
                for i in range(2, len(literals)):
                    if -literals[i] not in self.true:
                        literals[1], literals[i] = literals[i], literals[1]
                        self.watched.setdefault(literals[1], []).append(literals)
                        break
                else:
                    kept.append(literals)
                    if -literals[0] in self.true:
                        self.watched[false] = kept + watching[place + 1 :]
                        return False
                    self.true[literals[0]] = True
                    self.trail.append(literals[0])
            self.watched[false] = kept
        return True


def _model(lines: Iterable[str]) -> Iterator[int]:
    """The literals of an assignment: those of the lines that hold nothing else, up to a 0."""
    for line in lines:
        if match := _LITERALS.fullmatch(line):
            for word in match[1].split():
                if int(word) == 0:
                    return
                yield int(word)


def _proof(lines: Iterable[str]) -> Iterator[tuple[bool, Clause]]:
    """The steps of a refutation: those of the lines that hold nothing else."""
    for line in lines:
        if match := _STEP.fullmatch(line):
            yield bool(match[1]), tuple(map(int, match[2].split()))
