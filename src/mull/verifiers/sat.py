"""Satisfiability: evaluates an assignment, or checks the certificate of an unsatisfiability claim."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mull.errors import UsageError
from mull.types import Calls, Cost, Problem, Prompt, Sample, Score
from mull.verifiers.claims import Claimed, claimed
from mull.verifiers.contract import Contract
from mull.verifiers.dimacs import Clause, assignment_of, dimacs, other_form, refutation_of, steps_of
from mull.verifiers.failed import but_failed
from mull.verifiers.refutation import hinted, refutes, refutes_hinted

NO_FORMULA = "the problem gives no formula in DIMACS: a task of your own puts it in Problem.given"


@dataclass(frozen=True)
class SatChecker:
    """Checks a claim about a CNF formula and its certificate: 1 if they hold, else 0, with the reason.

    `given["cnf"]` is the formula in DIMACS. A reply claims `s SATISFIABLE` with an assignment on `v` lines, on which
    every clause is evaluated; or `s UNSATISFIABLE` followed by a refutation in DRAT (Wetzler et al. 2014) or LRAT
    (Cruz-Filipe et al. 2017), whose every step is checked. A refutation is a stream of numbers: each clause ends with
    0, and line ends do not matter. Claims are read in any case and markup, also from sentences; the last one counts.
    A claim without an assignment or refutation scores 0. A refutation has no score if checking it visits more than
    `steps` literals and clauses.
    """

    steps: int = 10_000_000

    @property
    def name(self) -> str:
        return "sat"

    @property
    def contract(self) -> Contract:
        """A formula with a right and a wrong reply."""
        problem = Problem("sat", Prompt.user("Is it satisfiable?"), given={"cnf": "p cnf 2 2\n1 2 0\n-1 2 0\n"})
        return Contract(problem, "s SATISFIABLE\nv 2 0", "s SATISFIABLE\nv 1 0")

    @property
    def identity(self) -> None:
        """`None`, not banked: checking an assignment is faster than a lookup."""
        return None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No priced cost."""
        return Cost()

    def lacks(self, problem: Problem) -> str:
        """What this verifier needs and the problem does not give; empty if it can be scored."""
        return "" if isinstance(problem.given.get("cnf"), str) else NO_FORMULA

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        cnf = problem.given.get("cnf")
        if not isinstance(cnf, str):
            return [Score(None, why=NO_FORMULA)] * len(samples)
        try:
            clauses = await asyncio.to_thread(dimacs, cnf)
        except ValueError as error:
            raise UsageError(f"problem {problem.id!r}: its formula is not DIMACS: {error}") from None
        scores = [await asyncio.to_thread(self._score, clauses, sample.reply) for sample in samples]
        return but_failed(samples, scores)

    def _score(self, clauses: list[Clause], reply: str) -> Score:
        claim = claimed(reply)
        if claim is None or claim.kind == "unknown":
            return Score(0.0, why="it claims neither SATISFIABLE nor UNSATISFIABLE")
        try:
            why = falsifies(clauses, assignment_of(claim)) if claim.kind == "sat" else self._unrefuted(clauses, claim)
        except TimeoutError:
            return Score(None, why=f"its refutation takes more than {self.steps} steps to check")
        return Score(0.0 if why else 1.0, why=why)

    def _unrefuted(self, clauses: list[Clause], claim: Claimed) -> str:
        """Why a reply's refutation fails, as LRAT or as DRAT; empty if it holds."""
        words = refutation_of(claim)
        lrat = hinted(words, len(clauses))
        as_lrat = refutes_hinted(clauses, lrat, self.steps) if lrat else "it is not LRAT"
        if not as_lrat:
            return ""
        try:
            as_drat = refutes(clauses, steps_of(words), self.steps)
        except ValueError as error:
            as_drat = str(error)
        if as_drat and (form := other_form(claim)):
            return f"its refutation has the format {form}; only DRAT and LRAT can be checked"
        return f"{as_lrat} (read as LRAT)" if as_drat and lrat else as_drat


def falsifies(clauses: Iterable[Clause], literals: Iterable[int] | None) -> str:
    """Why literals are not a satisfying assignment; empty if they are."""
    if literals is None:
        return "it claims satisfiability but gives no assignment"
    true = set(literals)
    both = next((literal for literal in sorted(true) if literal > 0 and -literal in true), None)
    if both is not None:
        return f"variable {both} is both true and false"
    for number, clause in enumerate(clauses, 1):
        if not any(literal in true for literal in clause):
            return f"clause {number} is not satisfied: {' '.join(map(str, clause))}"
    return ""
