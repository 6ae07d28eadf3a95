"""Checks refutations of a CNF formula in DRAT (Wetzler et al. 2014) or LRAT (Cruz-Filipe et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mull.verifiers.dimacs import Clause


class StepLimit:
    """Limits how many literals and clauses a check visits; `spend` raises `TimeoutError` beyond it."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TimeoutError


def refutes(clauses: Iterable[Clause], proof: Iterable[tuple[bool, Clause]], steps: int) -> str:
    """Why a DRAT proof does not derive the empty clause; empty if it does.

    Each clause must follow by unit propagation (RUP), or be a resolution asymmetric tautology (RAT) on its first
    literal. As in drat-trim, deletions of unit clauses are ignored. Raises `TimeoutError` beyond `steps` visited
    literals and clauses, and whatever iterating `proof` raises.
    """
    database = _Database(StepLimit(steps))
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
        "it claims unsatisfiability but gives no refutation" if n == 0 else "its refutation does not end in a conflict"
    )


class _Database:
    """Clauses with two watched literals each, and their unit consequences. A deleted clause is an empty list."""

    def __init__(self, budget: StepLimit) -> None:
        self.budget = budget
        self.watched: dict[int, list[list[int]]] = {}
        self.by_literals: dict[frozenset[int], list[list[int]]] = {}
        self.true: dict[int, bool] = {}
        self.trail: list[int] = []
        self.is_refuted = False

    def add(self, clause: Clause) -> None:
        self.budget.spend(1 + len(clause))
        literals = list(dict.fromkeys(clause))
        self.by_literals.setdefault(frozenset(literals), []).append(literals)
        free = [literal for literal in literals if -literal not in self.true]
        literals.sort(key=lambda literal: -literal in self.true)
        for literal in literals[:2]:
            self.watched.setdefault(literal, []).append(literals)
        if not free or (len(free) == 1 and free[0] not in self.true and not self._assign([free[0]])):
            self.is_refuted = True

    def delete(self, clause: Clause) -> None:
        self.budget.spend(1 + len(clause))
        found = self.by_literals.get(frozenset(clause))
        if found and len(found[-1]) > 1 and not self._is_reason(found[-1]):
            found.pop().clear()

    def implies(self, clause: Iterable[int]) -> bool:
        """Whether the clause follows by unit propagation from its negation."""
        before = len(self.trail)
        literals = list(clause)
        self.budget.spend(1 + len(literals))
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
        others = []
        for literals, copies in self.by_literals.items():
            self.budget.spend(1)
            if -pivot in literals and copies:
                others.append(literals)
        return all(self.implies([*clause, *(literal for literal in c if literal != -pivot)]) for c in others)

    def _is_reason(self, literals: list[int]) -> bool:
        """Whether the clause is the reason for the assignment of one of its literals."""
        free = [literal for literal in literals if -literal not in self.true]
        return len(free) == 1 and free[0] in self.true

    def _assign(self, units: list[int]) -> bool:
        """Assigns literals and propagates; false on a conflict."""
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
                self.budget.spend(1)
                if not literals:
                    continue
                if literals[0] == false and len(literals) > 1:
                    literals[0], literals[1] = literals[1], literals[0]
                if literals[0] in self.true and literals[0] != false:
                    kept.append(literals)
                    continue
                for i in range(2, len(literals)):
                    if -literals[i] not in self.true:
                        self.budget.spend(i)
                        literals[1], literals[i] = literals[i], literals[1]
                        self.watched.setdefault(literals[1], []).append(literals)
                        break
                else:
                    self.budget.spend(len(literals))
                    kept.append(literals)
                    if -literals[0] in self.true:
                        self.watched[false] = kept + watching[place + 1 :]
                        return False
                    self.true[literals[0]] = True
                    self.trail.append(literals[0])
            self.watched[false] = kept
        return True


class Hinted(NamedTuple):
    """A step in LRAT: a numbered clause with its hints, the numbers of the clauses it follows from; or a deletion."""

    number: int
    clause: Clause
    hints: tuple[int, ...]
    is_deletion: bool = False


def hinted(words: Sequence[str], n_clauses: int) -> list[Hinted] | None:
    """The steps of an LRAT refutation of a formula with `n_clauses` clauses; `None` if the words are not LRAT.

    In LRAT each step begins with a number greater than all before it, and refers only to earlier clauses.
    """
    steps: list[Hinted] = []
    last = n_clauses
    group: list[str] = []
    step: list[str] | None = None
    for word in words:
        if (word == "d" and (len(group) != 1 or step is not None)) or len(word) > 10:
            return None
        if word != "0":
            group.append(word)
            continue
        if step is None and not (group and group[0] != "d" and int(group[0]) >= last + (group[1:2] != ["d"])):
            return None
        if step is None and group[1:2] == ["d"]:
            last = int(group[0])
            steps.append(Hinted(last, (), tuple(map(int, group[2:])), True))
        elif step is None:
            step = group
        else:
            last, hints = int(step[0]), tuple(map(int, group))
            if any(abs(hint) >= last for hint in hints):
                return None
            steps.append(Hinted(last, tuple(map(int, step[1:])), hints))
            step = None
        group = []
    return None if group or step else steps


def refutes_hinted(clauses: Iterable[Clause], proof: Iterable[Hinted], steps: int) -> str:
    """Why an LRAT proof does not derive the empty clause from its hints alone; empty if it does.

    Raises `TimeoutError` as `refutes` does.
    """
    budget = StepLimit(steps)
    known = dict(enumerate(clauses, 1))
    for step in proof:
        if step.is_deletion:
            budget.spend(1 + len(step.hints))
            for hint in step.hints:
                known.pop(hint, None)
            continue
        if why := _unhinted(known, step, budget):
            return f"step {step.number} of the refutation does not follow: {why}"
        if not step.clause:
            return ""
        known[step.number] = step.clause
    return "its refutation does not derive the empty clause"


def _unhinted(known: dict[int, Clause], step: Hinted, budget: StepLimit) -> str:
    """Why a step does not follow from its hints; empty if it does."""
    true = {-literal for literal in step.clause}
    if any(-literal in true for literal in true):
        return ""
    cut = next((i for i, hint in enumerate(step.hints) if hint < 0), len(step.hints))
    found = _propagates(known, step.hints[:cut], true, budget)
    if found is True:
        return ""
    if found or cut == len(step.hints) or not step.clause:
        return found or "its hints do not lead to a conflict"
    groups: dict[int, list[int]] = {}
    for hint in step.hints[cut:]:
        if hint < 0:
            groups[-hint] = group = []
        else:
            group.append(hint)
    pivot = step.clause[0]
    for number, clause in known.items():
        budget.spend(1 + len(clause))
        if -pivot not in clause or any(literal in true and literal != -pivot for literal in clause):
            continue
        if number not in groups:
            return f"clause {number} is not resolved"
        others = true | {-literal for literal in clause if literal != -pivot}
        found = _propagates(known, groups[number], others, budget)
        if found is not True:
            return found or f"the hints for clause {number} do not lead to a conflict"
    return ""


def _propagates(known: dict[int, Clause], hints: Iterable[int], true: set[int], budget: StepLimit) -> bool | str:
    """Whether unit propagation over the hints, in order, reaches a conflict; or, in words, which hint is not unit."""
    for hint in hints:
        clause = known.get(hint)
        if clause is None:
            return f"there is no clause {hint}"
        budget.spend(1 + len(clause))
        free = {literal for literal in clause if -literal not in true}
        if not free:
            return True
        if len(free) > 1:
            return f"clause {hint} is not unit"
        true |= free
    return False
