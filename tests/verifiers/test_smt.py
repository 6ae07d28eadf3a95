"""Models are put into the formula and evaluated by the real solver; nothing else of a reply reaches it."""

import importlib.util
import shutil

import pytest

from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.types import Finish, Problem, Prompt, Sample, Score
from mull.verifiers.smt import SmtChecker

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None or importlib.util.find_spec("z3") is None, reason="bubblewrap or z3 is not installed"
)
PROMPT = Prompt.user("Is it satisfiable?")
FORMULA = """(declare-const x Int)
(declare-const y Int)
(declare-const b Bool)
(assert (and (> x 2) (= (* x y) (- 12)) (= b (> y 0))))
"""


async def verdicts(replies: list[str], formula: str = FORMULA, **options: bool) -> list[Score]:
    problem = Problem("p", PROMPT, given={"smtlib": formula})
    samples = [Sample(PROMPT, reply, Finish.STOP) for reply in replies]
    return list(await SmtChecker(**options).score(problem, samples, MeteredCalls()))


def model(x: str, y: str, b: str) -> str:
    values = (("x", "Int", x), ("y", "Int", y), ("b", "Bool", b))
    return "sat\n(\n" + "\n".join(f"  (define-fun {name} () {sort}\n {value})" for name, sort, value in values) + "\n)"


async def test_models_are_evaluated() -> None:
    scores = await verdicts(
        [
            model("3", "(- 4)", "false"),
            "sat\n(define-fun x () Int 12) (define-fun y () Int (- 1))",  # b is free, and there is a value for it
            model("3", "(- 4)", "true"),
            model("2", "(- 6)", "false"),
        ]
    )
    assert [score.value for score in scores] == [1, 1, 0, 0]
    assert scores[2].why == "not a model of the formula"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("sat", "gives no values"),
        ("surely", "claims neither"),
        (model("2)) (reset) (assert (= 1 1", "1", "false"), "not a model"),
        (model("(ite true 3 4)", "(- 4)", "false"), "must be a literal"),
        ("sat\n(define-fun |x| ((z Int)) Int 3)", "not defined as a constant"),
        ("sat\n(define-fun |x)(reset)(declare-const x| () Int 3)", "z3 does not accept"),
        ("sat\n(define-fun nowhere () Int 1)", "z3 does not accept"),
        ("sat\n" + "(" * 100_000, "nested too deeply"),
    ],
)
async def test_nothing_but_values_reaches_the_solver(reply: str, why: str) -> None:
    [score] = await verdicts([reply])
    assert score.value == 0
    assert why in score.why


async def test_an_unsat_needs_a_trusted_solver() -> None:
    impossible = FORMULA + "(assert (= x 5))"
    assert [s.value for s in await verdicts(["unsat"], impossible)] == [None]
    assert [s.value for s in await verdicts(["unsat"], impossible, trust_solver=True)] == [1]
    assert [s.value for s in await verdicts(["unsat"], trust_solver=True)] == [0]


async def test_a_formula_that_asks_is_the_problems_fault() -> None:
    with pytest.raises(UsageError, match=r"'p'.*declare and assert only.*check-sat"):
        await verdicts(["sat"], FORMULA + "(check-sat)")
