"""Claims about formulas count only with what shows them: an assignment, or a refutation that is checked."""

import itertools
import random

import pytest
from pysat.formula import CNF
from pysat.solvers import Solver

from mull.errors import UsageError
from mull.types import Finish, Problem, Prompt, Sample, Score
from mull.verifiers.sat import Clause, SatChecker, dimacs, refutes

PROMPT = Prompt.user("Is it satisfiable?")


def formula(variables: int, clauses: int, seed: int) -> list[Clause]:
    rng = random.Random(seed)
    chosen = [rng.sample(range(1, variables + 1), 3) for _ in range(clauses)]
    return [tuple(v * rng.choice((1, -1)) for v in three) for three in chosen]


def solved(clauses: list[Clause]) -> str:
    """What a solver says, with its assignment or its refutation."""
    with Solver("glucose4", bootstrap_with=[list(c) for c in clauses], with_proof=True) as solver:
        if solver.solve():
            return "s SATISFIABLE\nv " + " ".join(map(str, solver.get_model())) + " 0"
        return "s UNSATISFIABLE\n" + "\n".join(solver.get_proof())


def satisfiable(clauses: list[Clause]) -> bool:
    """By trying every assignment."""
    n = max(abs(literal) for clause in clauses for literal in clause)
    return any(
        all(any((literal > 0) == bits[abs(literal) - 1] for literal in clause) for clause in clauses)
        for bits in itertools.product((False, True), repeat=n)
    )


async def verdict(clauses: list[Clause], reply: str, steps: int = 2_000_000) -> Score:
    problem = Problem("p", PROMPT, given={"cnf": CNF(from_clauses=clauses).to_dimacs()})
    [score] = await SatChecker(steps=steps).score(problem, [Sample(PROMPT, reply, Finish.STOP)])
    return score


async def test_a_solvers_own_answers_are_accepted() -> None:
    """Random 3-SAT near the threshold of 4.26 clauses a variable: both kinds of answers come up."""
    kinds = set()
    for seed in range(40):
        clauses = formula(30, 130, seed)
        reply = solved(clauses)
        kinds.add(reply.split()[1])
        assert (await verdict(clauses, reply)).value == 1, reply
    assert kinds == {"SATISFIABLE", "UNSATISFIABLE"}


async def test_no_false_claim_passes() -> None:
    """Against trying every assignment: a refutation of another formula, and assignments with a flipped literal."""
    foreign = solved(formula(8, 80, 1000))
    assert foreign.startswith("s UNSAT")
    for seed in range(60):
        clauses = formula(8, 34, seed)
        score = await verdict(clauses, foreign)
        assert score.value == 0 or not satisfiable(clauses)
        reply = solved(clauses)
        if reply.startswith("s SAT"):
            literals = [int(word) for word in reply.split()[3:-1]]
            for flipped in range(8):
                changed = [-literal if i == flipped else literal for i, literal in enumerate(literals)]
                right = all(any(literal in changed for literal in clause) for clause in clauses)
                given = await verdict(clauses, "s SATISFIABLE\nv " + " ".join(map(str, changed)) + " 0")
                assert given.value == float(right)


PHP: list[Clause] = [(1, 2), (3, 4), (5, 6)] + [
    (-a, -b) for hole in ((1, 3, 5), (2, 4, 6)) for a, b in itertools.combinations(hole, 2)
]
"""Three pigeons in two holes."""


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("UNSATISFIABLE", "gives no refutation"),
        ("s UNSATISFIABLE\n0", "step 1 of the refutation does not follow: the empty clause"),
        ("s UNSATISFIABLE\n1 3 0\n0", "step 2 of the refutation does not follow"),
        ("s UNSATISFIABLE\n1 3 0", "does not end in a conflict"),
        ("s SATISFIABLE", "gives no assignment"),
        ("s SATISFIABLE\nv 1 -1 2 3 4 5 6 0", "both true and false"),
        ("s SATISFIABLE\nv 1 4 0", "clause 3 is not satisfied: 5 6"),
        ("It is surely unsatisfiable.", "claims neither"),
        ("s UNSATISFIABLE\n-1 0\n0\ns SATISFIABLE", "gives no assignment"),
    ],
)
async def test_what_shows_nothing_scores_nothing(reply: str, why: str) -> None:
    score = await verdict(PHP, reply)
    assert score.value == 0
    assert why in score.why


async def test_a_refutation_by_hand() -> None:
    assert (await verdict(PHP, "Pigeons!\n```\ns UNSATISFIABLE\n-1 0\n0\n```")).value == 1


def test_a_clause_that_only_a_resolution_tautology_allows() -> None:
    """Extended resolution: a new variable 7 = 1 and 2, which no unit propagation gives."""
    extension = [(7, -1, -2), (-7, 1), (-7, 2)]
    steps = [(False, clause) for clause in extension]
    assert "does not end in a conflict" in refutes(PHP, steps, 10**6)
    assert "step 1 of the refutation does not follow: -1" in refutes([(1, 2)], [(False, (-1,))], 10**6)
    assert "step 3 of the refutation does not follow" in refutes(PHP[:2], [*steps[:2], (False, (-7, -2))], 10**6)


def test_what_was_deleted_is_not_used() -> None:
    assert refutes(PHP, [(False, (-1,)), (False, ())], 10**6) == ""
    gone = [(True, clause) for clause in PHP if len(clause) == 2 and clause != (1, 2)]
    assert "does not follow" in refutes(PHP, [*gone, (False, (-1,)), (False, ())], 10**6)


async def test_a_refutation_too_long_to_check_has_no_score() -> None:
    clauses = formula(30, 200, 3)
    score = await verdict(clauses, solved(clauses), steps=100)
    assert score.value is None
    assert "100 propagations" in score.why


async def test_a_broken_formula_is_the_problems_fault() -> None:
    problem = Problem("p7", PROMPT, given={"cnf": "p cnf 2 1\n1 x 0\n"})
    with pytest.raises(UsageError, match=r"'p7'.*line 2: 'x' is not a literal"):
        await SatChecker().score(problem, [])
    [score] = await SatChecker().score(Problem("q", PROMPT), [Sample(PROMPT, "s SATISFIABLE", Finish.STOP)])
    assert score.value is None
    assert dimacs("c old\np cnf 2 2\n1 2 0 -1\n0\n%\n0\n") == [(1, 2), (-1,)]
