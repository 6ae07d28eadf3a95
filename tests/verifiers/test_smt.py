"""Models are put into the formula and evaluated by the real solver; nothing else of a reply reaches it."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.types import Finish, Problem, Prompt, Sample, Score
from mull.verifiers.contract import check
from mull.verifiers.smt import SmtChecker, _solver
from mull.verifiers.smtlib import formula_of

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None or importlib.util.find_spec("z3") is None, reason="bubblewrap or z3 is not installed"
)
PROMPT = Prompt.user("Is it satisfiable?")
FORMULA = """(declare-const x Int)
(declare-const y Int)
(declare-const b Bool)
(assert (and (> x 2) (= (* x y) (- 12)) (= b (> y 0))))
"""


async def verdicts(replies: list[str], formula: str = FORMULA, **options: Any) -> list[Score]:
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
            "sat\n(define-fun x () Int 12) (define-fun y () Int (- 1)) (define-fun b () Bool false)",
            "sat\n(define-fun x () Int 12) (define-fun y () Int (- 1))",  # only one value of b would do
            model("3", "(- 4)", "true"),
            model("2", "(- 6)", "false"),
        ]
    )
    assert [score.value for score in scores] == [1, 1, 0, 0, 0]
    assert scores[2].why == "no value for b: not a model of the formula"
    assert scores[3].why == "not a model of the formula"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("sat", "gives no values"),
        ("surely", "claims neither"),
        (model("2)) (reset) (assert (= 1 1", "1", "false"), "not a model"),
        (model("(ite true 3 4)", "(- 4)", "false"), "must be a literal"),
        ("sat\n(define-fun |x| ((z Int)) Int 3)", "takes 0 arguments"),
        ("sat\n(define-fun |x|)(reset)(declare-const x| () Int 3)", "not defined as a constant"),
        ("sat\n(define-fun |x| () Int) (reset)", "not defined as a constant"),
        ("sat\n(define-fun nowhere () Int 1)", "gives no values"),
        ("sat\n((x 5) (x 6))", "two values for x"),
        ("sat\n((x y))", "must be a literal"),
        ("sat\n((x (let ((z 3)) z)) (y (- 4)) (b (exists ((z Int)) (= z 1))))", "must be a literal"),
        ("sat\n((x (/ 6 0)))", "divide only by a number other than 0"),
        ("sat\n((x (_ as-array k)))", "must be a literal"),
        ("sat\n((x true) (y (- 4)) (b false))", "z3 does not accept"),
        ("sat\n((x 3.5) (y (- 4)) (b false))", "z3 does not accept"),
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


async def test_a_second_solver_agrees_or_there_is_no_score() -> None:
    pytest.importorskip("cvc5")
    impossible = FORMULA + "(assert (= x 5))"
    [agreed] = await verdicts(["unsat"], impossible, second="cvc5")
    assert (agreed.value, agreed.why) == (1, "z3 and cvc5 agree that it is unsatisfiable, which is no proof")
    [denied] = await verdicts(["unsat"], second="cvc5")
    assert (denied.value, denied.why) == (0, "z3 and cvc5 agree that it is satisfiable")
    cubes = "(declare-const x Int)(declare-const y Int)(declare-const z Int)(assert (> x y 0))(assert (> z 0))"
    [unknown] = await verdicts(
        ["unsat"], f"{cubes}(assert (= (+ (* x x x) (* y y y)) (* z z z)))", second="cvc5", seconds=1
    )
    assert unknown.value is None
    assert "do not agree" in unknown.why


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ("(declare-const x Int)(push 1)(assert (> x 1))(check-sat)", "only declarations.*push"),
        ("(declare-const x Int)(check-sat)(assert (> x 1))(check-sat)", "follows the query"),
        ("(declare-const x Int)(minimize x)(check-sat)", "optimisation"),
        ("(declare-const x Int)(assert (> x 1)", "a bracket is not closed"),
        ("(declare-const x Int))(assert (> x 1))", "a closing bracket has no opening one"),
        ("p cnf 1 1\n1 0\n", "p is not a command"),
        ("(declare-const x Int)(assert (> y 4))", "z3 does not accept its formula.*y"),
        ("(declare-const x Int)(assert (+ x 4))", "z3 does not accept its formula"),
    ],
)
async def test_a_broken_formula_is_the_problems_fault(formula: str, why: str) -> None:
    with pytest.raises(UsageError, match=rf"(?s)'p'.*{why}"):
        await verdicts(["sat\n((x 5))"], formula)


CASES = Path(__file__).parents[3] / "shared" / "cases" / "formal.jsonl"


@pytest.mark.skipif(not CASES.is_file(), reason=f"no cases in {CASES}")
async def test_shared_cases() -> None:
    for line in CASES.read_text().splitlines():
        row = json.loads(line)
        if row["verifier"] == "smt":
            try:
                [score] = await verdicts([row["reply"]], row["formula"])
                value: float | str | None = score.value
            except UsageError:
                value = "error"
            assert value == row["score"], row["why"]


KINDS = {
    "integers": "(declare-const x Int)(declare-const y Int)(assert (= (* x y) (- 12)))",
    "fractions": "(declare-const r Real)(assert (= r (/ (- 1.0) 3.0)))",
    "roots": "(declare-const r Real)(declare-const q Real)(assert (= (* r r) 2.0))(assert (> q 0.0 r))",
    "strings": r'(declare-const s String)(assert (= (str.len s) 3))(assert (str.contains s "\u{e9}"""))',
    "bits": "(declare-const b (_ BitVec 12))(declare-const c (_ BitVec 7))"
    "(assert (= b #xabc))(assert (bvugt c #b0000001))",
    "open sorts": "(declare-sort U 0)(declare-const u U)(declare-const v U)(declare-fun g (U) U)(assert (distinct u v))"
    "(assert (forall ((x U)) (distinct (g x) x)))",
    "trees": "(declare-datatypes ((T 0)) (((leaf) (node (val Int) (l T) (r T)))))(declare-const t T)"
    "(assert (= (val t) 4))(assert ((_ is node) t))(assert (= (l t) leaf))",
    "pairs": "(declare-datatypes ((Pair 2)) ((par (A B) ((mk (fst A) (snd B))))))(declare-const p (Pair Int Bool))"
    "(assert (= (fst p) 3))",
    "colours": "(declare-datatypes () ((Color red green blue)))(declare-const c Color)(assert (distinct c red green))",
    "sequences": "(declare-const q (Seq Int))(declare-const e (Seq Bool))"
    "(assert (= (seq.len q) 2))"
    "(assert (= (seq.nth q 1) 7))(assert (= e (as seq.empty (Seq Bool))))",
    "arrays": "(declare-const a (Array Int Int))(declare-const m (Array Int (Array Int Bool)))"
    "(assert (= (select a 1) 5))(assert (select (select m 1) 3))(assert (not (select (select m 1) 4)))",
    "arrays as functions": "(declare-const a (Array Int Int))(assert (= a (lambda ((x Int)) (ite (> x 3) x 2))))",
    "functions": "(declare-fun f (Int Int) Int)(declare-fun g (Bool) (_ BitVec 3))(assert (= (f 1 2) 5))"
    "(assert (= (f 2 3) 6))(assert (distinct (g true) (g false)))",
    "functions of arrays": "(declare-fun f ((Array Int Int) Int) Int)(declare-const a (Array Int Int))"
    "(assert (= (f a 1) (+ 1 (select a 0))))(assert (= (f (store a 0 5) 1) 9))",
    "floats": "(declare-const a Float32)(declare-const b Float32)(declare-const c Float64)(declare-const d Float16)"
    "(declare-const m RoundingMode)(assert (fp.gt a ((_ to_fp 8 24) RNE 1.5)))(assert (fp.isNaN b))"
    "(assert (fp.isInfinite c))(assert (fp.isZero d))(assert (distinct m RNE))",
    "division by zero": "(declare-const r Real)(declare-const i Int)(assert (> (/ r 0.0) 3.0))(assert (= (div i 0) 3))"
    "(assert (= (mod i 0) 7))",
    "quantifiers": "(declare-fun f (Int) Int)(assert (forall ((x Int)) (> (f x) 3)))(assert (= (f 2) 7))",
    "characters": "(declare-const s String)(declare-const n Int)(assert (= s (str.from_code n)))(assert (> n 900))",
    "a published file": "(set-logic QF_UFLIA)(set-info :status sat)(declare-fun f (Int) Int)(declare-fun |a b| () Int)"
    "(assert (! (= (f |a b|) 2) :named one))(check-sat)(exit)",
    "definitions": "(define-sort W () (_ BitVec 8))(define-fun sq ((x W)) W (bvmul x x))(declare-const x W)"
    "(assert (= (sq x) #x31))",
}


def said(formula: str, question: str) -> str:
    """What z3 itself answers."""
    text = formula.replace("(check-sat)", "").replace("(exit)", "") + question
    return subprocess.run([_solver(), "-in", "-T:20"], input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("kind", KINDS)
async def test_every_model_that_z3_prints_is_read(kind: str) -> None:
    """And is refused for a formula that it does not satisfy: the same one, negated."""
    formula = KINDS[kind]
    free = formula_of(formula).free
    names = " ".join(f"|{name}|" for name, signature in free.items() if not signature.takes)
    replies = [said(formula, "(check-sat)(get-model)")]
    if not any(signature.takes for signature in free.values()) and kind != "division by zero":
        replies.append(said(formula, f"(check-sat)(get-value ({names}))"))
    assert all(reply.startswith("sat\n") for reply in replies)
    assert [(score.value, score.why) for score in await verdicts(replies, formula)] == [(1, "")] * len(replies)
    start = formula.index("(assert")
    asserted = formula[start:].replace("(check-sat)(exit)", "").replace("(assert", "(define-fun _ () Bool")
    parts = [part for part in asserted.split("(define-fun _ () Bool") if part]
    negated = f"{formula[:start]}(assert (not (and {' '.join(part.rstrip()[:-1] for part in parts)})))"
    assert [score.value for score in await verdicts(replies, negated)] == [0] * len(replies)


async def test_models_of_another_solver_are_read() -> None:
    """cvc5 writes elements of open sorts, values of functions and negative numbers in ways of its own."""
    cvc5 = pytest.importorskip("cvc5")
    for kind in ("integers", "fractions", "strings", "bits", "trees", "pairs", "sequences", "arrays", "functions"):
        formula = KINDS[kind]
        solver = cvc5.Solver(cvc5.TermManager())
        solver.setOption("produce-models", "true")
        parser = cvc5.InputParser(solver)
        text = f"(set-logic ALL){formula}(check-sat)(get-model)"
        parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "formula")
        reply = ""
        while not (command := parser.nextCommand()).isNull():
            reply += command.invoke(solver, parser.getSymbolManager())
        [score] = await verdicts([reply], formula)
        assert (score.value, score.why) == (1, ""), (kind, reply)
    elements = "sat\n; cardinality of U is 2\n((u (as @U_0 U)) (v (as @U_1 U)) "
    swap = elements + "(g (lambda ((x U)) (ite (= (as @U_0 U) x) (as @U_1 U) (as @U_0 U)))))"
    stay = elements + "(g (lambda ((x U)) x)))"
    assert [score.value for score in await verdicts([swap, stay], KINDS["open sorts"])] == [1, 0]


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (
            "**SAT**\n```\n(model (define-fun x () Int 3) (define-fun y () Int -4) (define-fun b () Bool false))\n```",
            1,
        ),
        ("The formula is satisfiable.\n\n- x = 3\n- y = −4\n- b = false", 1),
        ("s SATISFIABLE\n[y = -4, x = 3, b = False]", 1),
        ("sat (for example: x := 3, y := -4, b := False)", 1),
        ("```\nsat\n((x 3) (y (- 4)) (b false))\n```\nSo the answer is sat.", 1),
        ("((x 3) (y (- 4)) (b false))\n\nHence it is satisfiable.", 1),
        ("sat :( I only found ((x 3) (y (- 4)) (b false))", 1),
        ("sat\nx = 3, y = -4 + 0, b = false", 0),
        ("sat\n((x 2) (y (- 6)) (b false))", 0),
        ("unknown", 0),
        ("sat\n((x 3) (y (- 4)) (b false))\nWait:\nunsat", None),
    ],
)
async def test_replies_as_models_write_them(reply: str, value: float | None) -> None:
    [score] = await verdicts([reply])
    assert score.value == value, score.why


@pytest.mark.parametrize(
    ("formula", "reply", "value"),
    [
        ("(declare-const x Int)(declare-const y Int)(assert (> x 2))", "sat\n((x 5))", 1),  # z3 leaves y out too
        ("(declare-const a Bool)(declare-const b Bool)(assert (or a b))", "sat\n((a true))", 1),
        ("(declare-const a Bool)(declare-const b Bool)(assert (or a b))", "sat\n((a false))", 0),
        ("(declare-const a Bool)(assert (or a (not a)))", "sat", 0),  # it names no value of what it was asked about
        ("(assert (> 2 1))", "sat", 1),
        ("(assert (> 1 2))", "sat", 0),
        ("(declare-fun f (Int) Int)(assert (= (f 1) 2))", "sat\n(((f 1) 2))", 1),
        ("(declare-fun f (Int) Int)(assert (= (f 1) (f 2)))", "sat\n(((f 1) 2))", 0),
        ("(declare-fun f (Int) Int)(assert (= (f 1) (+ 1 (f 2))))", "sat\n(((f 1) 2) ((f 1) 3) ((f 2) 1))", 0),
        ("(declare-fun f (Int) Int)(assert (= (f 3) 4))", "sat\n(define-fun f ((n Int)) Int (+ n 1))", 1),
        ("(declare-fun f (Int) Int)(assert (= (f 3) 4))", "sat\n(define-fun f ((n Int)) Int (f n))", 0),
        ("(declare-const r Real)(assert (> (/ 1.0 r) 0.0))", "sat\n((r 0.0))", 0),
        ("(declare-const r Real)(assert (= r 0.5))", "sat\nr = 1/2", 1),
        ("(declare-const b (_ BitVec 8))(assert (= b #xff))", "sat\nb = 255", 1),
        ("(declare-const b (_ BitVec 8))(assert (= b #xff))", "sat\n((b #b11111111))", 1),
        ("(declare-const b (_ BitVec 8))(assert (= b #xff))", "sat\n((b #xf))", 0),
        ('(declare-const s String)(assert (= s "é"))'.replace("é", r"\u{e9}"), 'sat\n((s "é"))', 1),
    ],
)
async def test_values_alone_must_make_the_formula_true(formula: str, reply: str, value: float) -> None:
    [score] = await verdicts([reply], formula)
    assert score.value == value, score.why


async def test_it_knows_right_from_wrong() -> None:
    assert (await check(SmtChecker())).is_right is True
