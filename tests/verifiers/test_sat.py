"""Claims about formulas count only with what shows them: an assignment, or a refutation that is checked."""

import itertools
import json
import random
import time
from pathlib import Path

import pytest
from pysat.formula import CNF
from pysat.solvers import Solver

from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.types import Finish, Problem, Prompt, Sample, Score
from mull.verifiers.claims import claimed
from mull.verifiers.dimacs import Clause, dimacs
from mull.verifiers.refutation import hinted, refutes, refutes_hinted
from mull.verifiers.sat import SatChecker

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
    [score] = await SatChecker(steps=steps).score(problem, [Sample(PROMPT, reply, Finish.STOP)], MeteredCalls())
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
        ("It is hard to tell whether it is unsatisfiable.", "claims neither"),
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
    assert "100 steps" in score.why


async def test_a_broken_formula_is_the_problems_fault() -> None:
    problem = Problem("p7", PROMPT, given={"cnf": "p cnf 2 1\n1 x 0\n"})
    with pytest.raises(UsageError, match=r"'p7'.*line 2: 'x', an exclusive or, is not a literal"):
        await SatChecker().score(problem, [], MeteredCalls())
    [score] = await SatChecker().score(
        Problem("q", PROMPT), [Sample(PROMPT, "s SATISFIABLE", Finish.STOP)], MeteredCalls()
    )
    assert score.value is None
    assert dimacs("c old\np cnf 2 2\n1 2 0 -1\n0\n%\n0\n") == [(1, 2), (-1,)]


CASES = Path(__file__).parents[3] / "shared" / "cases" / "formal.jsonl"


@pytest.mark.skipif(not CASES.is_file(), reason=f"no cases in {CASES}")
async def test_shared_cases() -> None:
    for line in CASES.read_text().splitlines():
        row = json.loads(line)
        if row["verifier"] == "sat":
            assert await outcome(row["formula"], row["reply"]) == row["score"], row["why"]


async def outcome(cnf: str, reply: str) -> float | str | None:
    try:
        problem = Problem("p", PROMPT, given={"cnf": cnf})
        [score] = await SatChecker().score(problem, [Sample(PROMPT, reply, Finish.STOP)], MeteredCalls())
    except UsageError:
        return "error"
    return score.value


CHAIN = "p cnf 4 4\n1 2 0\n-2 3 0\n-1 -3 0\n-3 4 0\n"
"""Satisfied by 1 -2 -3 4, among others; not by 1 2 3 4."""


@pytest.mark.parametrize(
    "reply",
    [
        "satisfiable\nv 1 -2 -3 4 0",
        "S Satisfiable\nV 1 -2 -3 4 0",
        "### Answer: **SAT**\n\n`v 1 -2 -3 4 0`",
        "**Result:** SATISFIABLE\n\n```\nv 1 -2\nv -3 4 0\n```",
        "```dimacs\ns SATISFIABLE\nv 1 -2 -3 4 0\n```",
        "$\\boxed{\\text{SATISFIABLE}}$\n\nv 1, -2, -3, 4, 0",
        "The formula is satisfiable. An assignment:\n\n1 -2 -3 4",
        "Result: SAT\nAssignment: 1 -2 -3 4 0",
        "**SAT**\n\nSatisfying assignment: [1, -2, -3, 4]",
        "The formula is **satisfiable**: x1 = True, x2 = False, x3 = False, x4 = True.",
        "SATISFIABLE\n\n| variable | value |\n|---|---|\n| x1 | true |\n| x2 | false |\n| x3 | false |\n| x4 | true |",
        "Is it satisfiable? We try x1.\nSatisfiable: yes\nv 1 −2 −3 4 0",
        "s SATISFIABLE\nc found by hand\nv 1 -2 -3 4 0\nc done",
        "s UNSATISFIABLE\nNo, that is wrong.\ns SATISFIABLE\nv 1 -2 -3 4 0",
        "v 1 -2 -3 4 0\n\nAll clauses hold, so the formula is satisfiable.",
        "s SATISFIABLE\nv 1 2 3 4 0\nThe third clause fails. Corrected:\ns SATISFIABLE\nv 1 -2 -3 4 0",
        "s SATISFIABLE\nv 1 2 3 4 0\nThe third clause fails. Corrected:\nv 1 -2 -3 4 0",
        "<answer>s SATISFIABLE\nv 1 -2 -3 4 0</answer>",
        "s SATISFIABLE\r\nv 1 -2 -3 4 0\r\n",
        "A satisfying assignment is x_1 = 1, x_2 = 0, x_3 = 0, x_4 = 1.",
    ],
)
async def test_claims_as_models_write_them(reply: str) -> None:
    assert await outcome(CHAIN, reply) == 1
    spoiled = reply.replace("-2 -3", "2 3").replace("−2 −3", "2 3").replace("-2\nv -3", "2\nv 3")
    spoiled = spoiled.replace("-2, -3", "2, 3").replace("False", "True").replace("false", "true").replace("= 0", "= 1")
    assert spoiled != reply
    assert await outcome(CHAIN, spoiled) == 0


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The formula is not satisfiable.", "unsat"),
        ("Not satisfiable", "unsat"),
        ("Satisfiable? No.", "unsat"),
        ("There is no satisfying assignment.", "unsat"),
        ("All clauses cannot be simultaneously satisfied.", "unsat"),
        ("Hence, it is therefore UNSAT", "unsat"),
        ("Final answer: s UNSATISFIABLE", "unsat"),
        ("It is not unsatisfiable.", "sat"),
        ("SAT\n\nunknown", "unknown"),
        ("We must determine whether it is satisfiable.", None),
        ("If clause 3 is satisfiable, go on.", None),
        ("A SAT solver would help. Is it satisfiable?", None),
        ("SATISFIABLE or UNSATISFIABLE", None),
        ("Saturday", None),
    ],
)
def test_what_is_a_claim(text: str, kind: str | None) -> None:
    found = claimed(text)
    assert (found and found.kind) == kind


FOUR = "p cnf 2 4\n1 2 0\n-1 2 0\n1 -2 0\n-1 -2 0\n"


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("UNSAT\n2\n0\n0", 1),
        ("s UNSATISFIABLE\n2 0 d 1 2 0 d -1 2 0 0", 1),
        ("s UNSATISFIABLE\n```drat\n2 0\n0\n```\nThis shows that the formula is UNSATISFIABLE.", 1),
        ("**UNSATISFIABLE**\n\n1. 2 0 (from clauses 1 and 2)\n2. 0", 1),
        ("Proof: 2 0 0\nSo the formula is unsatisfiable.", 1),
        ("s UNSATISFIABLE\nc the first two clauses\n2 0\nc and the others\n0", 1),
        ("s UNSATISFIABLE\n5 2 0 1 2 0\n6 0 5 3 4 0", 1),
        ("s UNSATISFIABLE\n5 2 0 1 2 0\n5 d 1 2 0\n6 0 5 3 4 0", 1),
        ("s UNSATISFIABLE\n3 0 0", 0),
        ("s UNSATISFIABLE\nd 1 2 0 2 0 0", 0),
        ("s UNSATISFIABLE\n1 d 2 0 0", 0),
        ("s UNSATISFIABLE\n2 0 12345678901 0 0", 1),  # refuted before the word that is no literal
        ("s UNSATISFIABLE\n12345678901 0 2 0 0", 0),
        ("s UNSATISFIABLE", 0),
    ],
)
async def test_a_refutation_is_a_stream_of_numbers(reply: str, value: float) -> None:
    assert await outcome(FOUR, reply) == value
    satisfiable_now = FOUR.replace("2 4", "2 3").replace("-1 -2 0\n", "")
    assert await outcome(satisfiable_now, reply) == 0


async def test_a_refutation_in_another_form_is_named() -> None:
    score = await verdict(PHP, "s UNSATISFIABLE\npseudo-Boolean proof version 2.0\nf 9\nrup 1 x1 >= 1 ;")
    assert (score.value, "format VeriPB" in score.why) == (0, True)
    score = await verdict(PHP, "s UNSATISFIABLE\no 1 1 2 0\na 10 -1 0 l 1 5 0\nf 10 0 0")
    assert (score.value, "format FRAT" in score.why) == (0, True)


def with_hints(clauses: list[Clause], proof: list[str]) -> list[str]:
    """A refutation in DRAT without deletions, in LRAT: each hint is a clause that was unit, in the order found."""
    known = dict(enumerate(clauses, 1))
    words = []
    for line in proof:
        if line.startswith("d"):
            continue
        clause = tuple(map(int, line.split()))[:-1]
        true, hints, is_done = {-literal for literal in clause}, [], False
        while not is_done:
            for number, other in known.items():
                free = [literal for literal in other if -literal not in true]
                if not free or (len(free) == 1 and free[0] not in true):
                    hints.append(number)
                    true.update(free)
                    is_done = not free
                    break
            else:
                raise AssertionError(f"{clause} does not follow by unit propagation")
        number = len(known) + 1
        known[number] = clause
        words += [str(word) for word in (number, *clause, 0, *hints, 0)]
    return words


async def test_lrat_is_checked_by_its_hints() -> None:
    """Refutations of a real solver; one whose hints are cut, or that belongs to another formula, does not pass."""
    n = 0
    for seed in range(12):
        clauses = formula(12, 80, seed)
        reply = solved(clauses)
        if reply.startswith("s SAT"):
            continue
        n += 1
        words = with_hints(clauses, [*reply.splitlines()[1:], "0"][: reply.count("\n") + 1])
        steps = hinted(words, len(clauses))
        assert steps is not None
        assert refutes_hinted(clauses, steps, 10**6) == ""
        assert refutes_hinted(formula(12, 80, seed + 100), steps, 10**6) != ""
        cut = [step._replace(hints=step.hints[:-1]) for step in steps]
        assert "do not lead to a conflict" in refutes_hinted(clauses, cut, 10**6)
        assert (await verdict(clauses, "s UNSATISFIABLE\n" + " ".join(words))).value == 1
    assert n >= 5


def test_lrat_allows_a_resolution_tautology_with_all_its_hints() -> None:
    """A new variable, by its definition: clause 4 blocks on 3, and is resolved with no other; clause 6 with both."""
    clauses: list[Clause] = [(1, 2), (-3, 1), (-3, 2)]
    right = hinted(["4", "3", "-1", "-2", "0", "-2", "2", "-3", "3", "0"], 3)
    wrong = hinted(["4", "3", "-1", "-2", "0", "-2", "2", "0"], 3)
    assert right is not None
    assert wrong is not None
    assert refutes_hinted(clauses, right, 100) == "its refutation does not derive the empty clause"
    assert "does not follow" in refutes_hinted([*clauses[:2], (-3, 4)], wrong, 100)
    assert "is not resolved" in refutes_hinted([*clauses[:2], (-3, 4)], wrong, 100)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 2 0\n", "before the header"),
        ("", "no header"),
        ("c only a remark\n", "no header"),
        ("p wcnf 2 2 10\n10 1 0\n3 -2 0\n", "weighted"),
        ("h 1 2 0\n3 -1 0\n", "MaxSAT"),
        ("p cnf 2 1\na 1 0\ne 2 0\n1 2 0\n", "QDIMACS"),
        ("p cnf 3 1\nx1 2 -3 0\n", "exclusive or"),
        ("p cnf 3 1\nx 1 2 -3 0\n", "exclusive or"),
        ("p cnf+ 3 1\n1 2 3 >= 2\n", "cardinality"),
        ("p gcnf 2 2 1\n{1} 1 2 0\n", "groups"),
        ("p dnf 2 1\n1 2 0\n", "disjunctive"),
        ("aag 3 2 0 1 1\n2\n4\n6\n6 2 4\n", "AIGER"),
        ("* #variable= 2 #constraint= 1\n+1 x1 +1 x2 >= 1 ;\n", "pseudo-Boolean"),
        ("p cnf 2 3\n1 2 0\n-1 2 0\n", "was the file cut"),
        ("p cnf 2 1\n1 2 0\n-1 2 0\n", "declares 1 clauses, but there are 2"),
        ("p cnf 2 1\n1 3 0\n", "beyond the 2 variables"),
        ("p cnf 2 1\n1 2\n", "does not end with 0"),
        ("p cnf 2\n1 2 0\n", "a header is"),
        ("p cnf 2 1\np cnf 2 1\n1 2 0\n", "a second header"),
        ("p cnf 2 1\n1.5 2 0\n", "'1.5' is not a literal"),
        ("p cnf 2 1\n1 2 0\n%\n0\n1 2 0\n", "follows the end marker"),
    ],
)
def test_what_only_looks_like_a_formula_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        dimacs(text)


async def test_the_empty_formula_is_satisfied_by_the_empty_assignment() -> None:
    assert await outcome("p cnf 0 0\n", "s SATISFIABLE\nv 0") == 1
    assert await outcome("p cnf 1 1\n0\n", "s SATISFIABLE\nv 1 0") == 0


def test_steps_count_what_resolution_tautologies_cost() -> None:
    """A thousand clauses that are looked through a thousand times are a million steps, and none is a propagation."""
    clauses: list[Clause] = [(n, n + 1) for n in range(1, 1001)]
    fresh = [(False, (2000 + n, 1)) for n in range(1000)]
    with pytest.raises(TimeoutError):
        refutes(clauses, fresh, 900_000)
    started = time.process_time()
    with pytest.raises(TimeoutError):
        refutes(clauses, [(False, (10_000 + n, 1)) for n in range(10**6)], 2_000_000)
    assert time.process_time() - started < 20


def test_deletions_are_cheap() -> None:
    """Clauses that all watch one literal are deleted in time that grows with their number."""
    many: list[Clause] = [(1, n) for n in range(2, 40_000)]
    refutes(many, [(True, clause) for clause in many], 10**6)


@pytest.mark.parametrize(
    "thought",
    [
        "<think>s UNSATISFIABLE</think>",
        "<think>\ns UNSATISFIABLE\n0\n</think>\n\n",
        "<|channel|>analysis<|message|>unsat<|end|><|start|>assistant<|channel|>final<|message|>",
        "analysisPerhaps unsat.assistantfinal",
        "[THINK]unsat[/THINK]",
    ],
)
async def test_a_claim_in_a_thought_is_none(thought: str) -> None:
    cnf = "p cnf 2 2\n1 2 0\n-1 2 0\n"
    assert await outcome(cnf, thought + "s SATISFIABLE\nv -1 2 0") == 1.0
    assert await outcome(cnf, thought.partition("</think>")[0] + "s SATISFIABLE\nv 1 -2 0") == 0.0
