"""A reply that repeats itself is read in time that grows with its length, by every reader of formal replies."""

import gc
import time
from collections.abc import Callable

import pytest

from mull.types import Problem, Prompt
from mull.verifiers import coq, lean
from mull.verifiers.claims import claimed
from mull.verifiers.dimacs import assignment_of, dimacs, other_form, refutation_of, steps_of
from mull.verifiers.refutation import hinted
from mull.verifiers.smtlib import formula_of
from mull.verifiers.values import values_of

FORMULA = formula_of("(declare-const x Int)(declare-fun f (Int) Int)(declare-sort U 0)(declare-const u U)")

SHORT, LONG, MOST = 4_000, 80_000, 25
"""Twenty times the text may take twenty-five times as long."""


def read_sat(text: str) -> None:
    """All that is done with a reply about a formula before anything is checked."""
    claim = claimed(f"s SATISFIABLE\n{text}")
    assert claim is not None
    assignment_of(claim)
    claim = claimed(f"s UNSATISFIABLE\n{text}")
    assert claim is not None
    other_form(claim)
    words = refutation_of(claim)
    hinted(words, 3)
    quietly(lambda words: sum(1 for _ in steps_of(words)), words)


def read_dimacs(text: str) -> None:
    quietly(dimacs, text)
    quietly(dimacs, f"p cnf 1 1\n{text}")


def read_smt(text: str) -> None:
    quietly(formula_of, f"(assert {text}")
    quietly(lambda text: values_of(text, FORMULA), f"((x 1) {text}")


def read_proof(text: str) -> None:
    problem = Problem("p", Prompt.user("Prove it."), given={"theorem": "1 = 1"})
    coq._coq_candidate("1 = 1", "", "goal", coq.CoqProof().text_of(problem, f"```coq\n{text}"))
    lean.candidate_source("1 = 1", "goal", lean.LeanProof().text_of(problem, text))
    coq._COQ_HATCHES.search(text)
    lean._HATCHES.search(text)


def quietly(read: Callable[..., object], given: object) -> None:
    try:
        read(given)
    except ValueError:
        return


FRAGMENTS = """
⏎·  ⏎· ·(·[·{·<·|·"·'·;·\\·$·*·**·`·```·~·```⏎·```coq⏎·~~~⏎·(*·(* *)·*)·/-·/- -/·--·-- ⏎·""·"(·|a·#x·#b·_
sat⏎·unsat⏎·s SATISFIABLE⏎·is not ·is ·if ·find ·no satisfying ·is satisfiable. ·the ·v 1 ·v 1 -2 3 0⏎·1 ·1⏎·0 ·0⏎
d ·d 1 0 ·2 0⏎·5 2 0 1 2 0⏎·1. ·- ·-·x1 = ·x1 = True, ·c ·a 1 ·Step 1: ·A: ·0 c ·pseudo-Boolean ·p cnf 1 1⏎·12345678901
(define-fun x () Int 5)⏎·(define-fun ·((x 5))·(let ((a 1)) ·(ite ·(- ·(model ·x = 5⏎·x = ·\\boxed{·(x 5) ·x ·5
Proof.⏎·Proof ·Qed.⏎·Qed. ·Theorem goal : ·Theorem ·import A⏎·import ·by⏎·by ·:= by ·. ·.·Require Import ·Open Scope
<think>·</think>·<answer>·def ·open Nat⏎·é"""
GENERAL, CLAIMS, NUMBERS, VALUES, PROOFS, MARKS = (
    line.replace("⏎", "\n").split("·") for line in FRAGMENTS.strip("\n").split("\n")
)


def seconds(read: Callable[[str], object], fragment: str, length: int, times: int = 1) -> float:
    """Processor time of readings of a fragment that is repeated up to a length.

    Without the garbage collector: its time grows with what earlier tests have left.
    """
    text = fragment * (length // len(fragment))
    gc.disable()
    try:
        started = time.process_time()
        for _ in range(times):
            read(text)
        return time.process_time() - started
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("read", "fragment"),
    [
        *((read_sat, fragment) for fragment in (*GENERAL, *CLAIMS, *NUMBERS)),
        *((read_dimacs, fragment) for fragment in NUMBERS),
        *((read_smt, fragment) for fragment in (*GENERAL, *VALUES)),
        *((read_proof, fragment) for fragment in (*GENERAL, *PROOFS, *MARKS)),
    ],
)
def test_reading_is_linear(read: Callable[[str], object], fragment: str) -> None:
    """Twenty short texts against one long text of the same length in all: about as long on a busy machine too.

    Times under 13 ms are taken for that: what is quadratic goes from 13 to 260.
    """
    times = LONG // SHORT
    short = [0.0128]
    long = [seconds(read, fragment, LONG)]
    while min(long) > MOST / times * max(short):
        assert len(long) < 5, f"{short} s, {long} s"
        short.append(seconds(read, fragment, SHORT, times))
        long.append(seconds(read, fragment, LONG))
