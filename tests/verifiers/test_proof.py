"""Proofs count when the real Coq accepts them for the problem's own statement, and cheats do not."""

import shutil
import tempfile
from pathlib import Path

import pytest

from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.types import Finish, Problem, Prompt, Sample, Score
from mull.verifiers import lean
from mull.verifiers.contract import check
from mull.verifiers.coq import CoqProof, without_comments
from mull.verifiers.lean import LeanProof, candidate_source, foreign_axioms
from mull.verifiers.proof import proof_text

needs_coq = pytest.mark.skipif(
    shutil.which("bwrap") is None or shutil.which("coqc") is None, reason="bubblewrap or Coq is not installed"
)
PROMPT = Prompt.user("Prove it.")
COMMUTES = {"theorem": "forall n m : nat, n + m = m + n"}
FALSE = {"theorem": "1 = 2"}
DOUBLE = {
    "preamble": "Require Import Arith.\n"
    "Fixpoint double (n : nat) : nat := match n with O => O | S k => S (S (double k)) end.",
    "theorem": "forall n, double n = 2 * n",
}
TRUE_PROOF = "Theorem goal : forall n m : nat, n + m = m + n.\nProof. intros; lia. Qed."
INDUCTION = "induction n as [|n IH]; intro m; simpl; [now rewrite <- plus_n_O | now rewrite IH, plus_n_Sm]."


async def scores(given: dict[str, str], *replies: str, **options: str) -> list[Score]:
    problem = Problem("p", PROMPT, given=given)
    return list(
        await CoqProof(**options).score(problem, [Sample(PROMPT, r, Finish.STOP) for r in replies], MeteredCalls())
    )


@needs_coq
async def test_true_proofs_are_accepted() -> None:
    found = await scores(
        COMMUTES,
        f"Require Import Lia.\n{TRUE_PROOF}",
        f"Here it is:\n```coq\nRequire Import Lia. (* no Admitted. (* or axioms *) here *)\n{TRUE_PROOF}\n```\nDone.",
        INDUCTION,
        f"Proof.\n  {INDUCTION}\nQed.",
        f"Section S. Variable k : nat. Theorem goal : forall n m, n + m = m + n. {INDUCTION} Qed. End S.",
    )
    assert [score.value for score in found] == [1] * 5, [score.why for score in found]
    [defined] = await scores(
        DOUBLE, "induction n as [|n IH]; [reflexivity | simpl; rewrite IH; simpl; auto with arith]."
    )
    assert defined.value == 1, defined.why


CHEATS = {
    "admitted": ("Theorem goal : 1 = 2. Proof. Admitted.", "it depends on Candidate.goal"),
    "admitted in tactics": ("Theorem goal : 1 = 2. Proof. admit. Qed.", "Coq does not accept it"),
    "an axiom": ("Axiom lie : False. Theorem goal : 1 = 2. Proof. destruct lie. Qed.", "it depends on Candidate.lie"),
    "a parameter": ("Parameter lie : 1 = 2. Definition goal := lie.", "it depends on Candidate.lie"),
    "a module's parameter": (
        "Module Type T. Parameter lie : 1 = 2. End T. Declare Module M : T. Theorem goal : 1 = 2. exact M.lie. Qed.",
        "it depends on Candidate.M.lie",
    ),
    "another statement": ("Theorem goal : 1 = 1. Proof. reflexivity. Qed.", "it does not prove the statement"),
    "a shadowed notation": (
        'Notation "a = b" := (a <= b) : type_scope.\nTheorem goal : 1 = 2. Proof. auto. Qed.',
        "it does not prove the statement",
    ),
    "a shadowed type": (
        "Inductive nat := O | S (n : nat). Definition eq (a b : nat) := True.\n"
        "Theorem goal : eq (S O) (S (S O)). Proof. exact I. Qed.",
        "it does not prove the statement",
    ),
    "a redefined statement": (
        "Definition mull_statement := True. Theorem goal : mull_statement. exact I. Qed.",
        "it does not prove the statement",
    ),
    "a notation for the name": ("Notation goal := I. Definition goal := goal.", "Coq does not accept it"),
    "unguarded recursion": (
        "Unset Guard Checking. Fixpoint lie (n : nat) : 1 = 2 := lie n. Theorem goal : 1 = 2. exact (lie 0). Qed.",
        "lie",
    ),
    "a type in itself": (
        "Unset Universe Checking. Definition lie : Type := (fun t : Type => t) Type.\n"
        "Theorem goal : 1 = 1. reflexivity. Qed.",
        "it does not prove the statement",
    ),
    "a plugin": ('Declare (* hush *) ML (* h *) Module "evil".\nTheorem goal : 1 = 2. Admitted.', "it contains 'ML'"),
    "another file": ('Load "Check".', "it contains 'Load'"),
    "writing files": ('Redirect "Check" Print nat. Theorem goal : 1 = 2. Admitted.', "it contains 'Redirect'"),
    "another compiler": ("Theorem goal : 1 = 2. native_compute. Qed.", "it contains 'native_compute'"),
    "a comment to hide in": (
        "(* Theorem goal : 1 = 2. *) Theorem goal : 1 = 2. (* (* *) Qed. *) Admitted.",
        "depends on",
    ),
    "an early end": ("reflexivity. Qed. Theorem other : 1 = 1. reflexivity.", "Coq does not accept it"),
    "no proof": ("I am sure that it holds.", "Coq does not accept it"),
    "nothing": ("", "Coq does not accept it"),
    "a fake report": (
        'Theorem goal : 1 = 2. Proof. idtac "Closed under the global context". Admitted.',
        "it depends on Candidate.goal",
    ),
}


@needs_coq
async def test_cheats_are_refused() -> None:
    found = dict(zip(CHEATS, await scores(FALSE, *[text for text, _ in CHEATS.values()]), strict=True))
    for name, (_, why) in CHEATS.items():
        assert found[name].value == 0, name
        assert why in found[name].why, (name, found[name].why)


@needs_coq
async def test_axioms_that_are_not_used_or_not_allowed() -> None:
    classic = "Require Import Classical. Theorem goal : forall P : Prop, P \\/ ~ P. exact classic. Qed."
    middle = {"theorem": "forall P : Prop, P \\/ ~ P"}
    [refused] = await scores(middle, classic)
    assert (refused.value, refused.why) == (0, "it depends on Classical_Prop.classic")
    [allowed] = await scores(middle, classic, axioms="classic")
    assert allowed.value == 1
    [own] = await scores(middle, classic.replace("Require", "Axiom classic : False. Require"), axioms="classic")
    assert (own.value, own.why) == (0, "it assumes Candidate.classic")
    [needed] = await scores({"preamble": "Axiom f : nat.", "theorem": "f = f"}, "reflexivity.")
    assert needed.value == 1  # the statement itself speaks of it


@needs_coq
async def test_a_check_that_a_limit_ended_gives_no_score() -> None:
    """It might have ended a second later; an error of the candidate beside it still scores 0."""
    endless, wrong = await scores(FALSE, "repeat (assert True by exact I).", "reflexivity.", seconds=2)
    assert endless.value is None
    assert "the check exceeded its" in endless.why
    assert wrong.value == 0


AUTO = "Require Import Arith.\n"


@needs_coq
@pytest.mark.parametrize(
    "reply",
    [
        "Proof with auto with arith.\n  intros n m. rewrite Nat.add_comm...\nQed.",
        "Proof using.\n  intros; apply Nat.add_comm.\nQed.",
        "(* by induction? no need *)\nProof.\n  apply Nat.add_comm. (* Qed. is below *)\nQed. (* done *)",
        "```coq\nTheorem goal : forall n m : nat, n + m = m + n.\nProof. apply Nat.add_comm. Qed.\n```\n\nRun it:\n\n"
        "```bash\ncoqc goal.v\n```\n\nwhich prints\n\n```\ngoal is defined\n```",
        "1. The file:\n\n   ~~~coq\n   Lemma goal n m : n + m = m + n.\n   Proof. apply Nat.add_comm. Qed.\n   ~~~\n",
        "(* Load the library; no Extraction here, nor ML *) apply Nat.add_comm.",
        "```coq\nTheorem goal : forall n m : nat, n + m = m + n.\nProof. apply Nat.add_comm. Qed.",
        '(* "*)" is quoted (* twice *) *) Theorem goal : forall n m, n + m = m + n. exact Nat.add_comm. Qed.',
    ],
)
async def test_proofs_as_models_write_them(reply: str) -> None:
    [score] = await scores({**COMMUTES, "preamble": AUTO}, reply)
    assert (score.value, score.why) == (1, "")


@needs_coq
async def test_the_problems_own_axioms_and_comments() -> None:
    """An axiom of the preamble may be used, one of the candidate's that looks like it may not."""
    given = {
        "preamble": "(* Open Scope nowhere_scope. (* Require Import Nothing. *) *)\nRequire Import List.\n"
        "Import ListNotations.\nParameter T : Set.\nParameter a : T.\nAxiom all_a : forall x : T, x = a. (* one *)",
        "theorem": "forall x y : T, [x] = [y] (* of lists *)",
    }
    own, foreign, restated = await scores(
        given,
        "intros x y. rewrite (all_a x), (all_a y). reflexivity.",
        "Module Given. Axiom fake : forall x y : T, x = y. End Given.\n"
        "Theorem goal : forall x y : T, [x] = [y]. intros x y. rewrite (Given.fake x y). reflexivity. Qed.",
        "Axiom all_a : forall x : T, x = a. Theorem goal : forall x y : T, [x] = [y]. "
        "intros x y. rewrite (all_a x), (all_a y). reflexivity. Qed.",
    )
    assert (own.value, own.why) == (1, "")
    assert (foreign.value, foreign.why) == (0, "it depends on Candidate.Given.fake")
    assert (restated.value, restated.why) == (0, "it depends on Candidate.all_a")


@needs_coq
async def test_it_knows_right_from_wrong() -> None:
    assert (await check(CoqProof())).is_right is True


def test_comments_of_coq() -> None:
    assert without_comments("a (* b (* c *) d *) e") == "a   e"
    assert without_comments('a (* "*)" *) "(* kept *)" b') == 'a   "(* kept *)" b'
    assert without_comments("a (* open (* b *)") == "a (* open (* b *)"
    assert without_comments("a *) b") == "a *) b"


@needs_coq
async def test_a_broken_statement_is_the_problems_fault() -> None:
    with pytest.raises(UsageError, match=r"problem 'p': Coq does not accept the theorem"):
        await scores({"theorem": "forall n, n ="}, TRUE_PROOF)
    with pytest.raises(UsageError, match="must be one word, not 'a b'"):
        await scores({**FALSE, "name": "a b"}, TRUE_PROOF)
    [score] = await CoqProof().score(Problem("q", PROMPT), [Sample(PROMPT, TRUE_PROOF, Finish.STOP)], MeteredCalls())
    assert score.value is None


def test_the_last_block_counts() -> None:
    assert proof_text("a\n```coq\nx.\n```\nb\n```\ny.\nz.\n```\n") == "y.\nz.\n"
    assert proof_text("x.") == "x."
    assert proof_text("a\n```coq\nx.\n```\n```sh\ncoqc x.v\n```\n") == "x.\n"
    assert proof_text("x.\n```sh\ncoqc x.v\n```\n") == "x.\n"
    assert proof_text("````coq\nx.\n```\ny.\n````\n") == "x.\n```\ny.\n"
    assert proof_text("- so:\n\n  ```coq\n  x.\n    y.\n  ```\n") == "x.\n  y.\n"
    assert proof_text("```coq\r\nx.\r\n```\r\n") == "x.\r\n"
    assert proof_text("```coq\nx.\n```coq\ny.\n") == "y.\n"


@pytest.mark.parametrize(
    "cheat",
    [
        'macro "theorem" : command => `(#print Nat)',
        'notation "1" => 2',
        "#eval IO.println \"'mull_final' does not depend on any axioms\"",
        "theorem goal : 2^64 > 0 := by native_decide",
        "set_option debug.skipKernelTC true",
        "import Lean\nopen Lean Elab",
        "@[implemented_by lie] def truth := 1",
        "namespace X def mull_statement := True end X export X (mull_statement)",
    ],
)
async def test_what_changes_the_language_of_lean_is_refused(cheat: str) -> None:
    problem = Problem("p", PROMPT, given={"theorem": "1 = 2"})
    verdict = await LeanProof().check(None, problem, {}, cheat)  # type: ignore[arg-type]  # refused before any box
    assert not verdict.holds
    assert "bypass the checker" in verdict.why


def test_words_in_comments_of_lean_are_no_way_past_anything() -> None:
    problem = Problem("p", PROMPT, given={"theorem": "1 = 1"})
    text = LeanProof().text_of(problem, "/- no macro /- or syntax -/ here -/\nby -- a notation\n  rfl")
    assert lean._HATCHES.search(text) is None
    assert text.split() == ["by", "rfl"]
    assert lean.without_comments('"-- kept" \'"\' -- gone') == '"-- kept" \'"\'  '
    assert lean.without_comments('"a \\" /- b" /- c -/ d') == '"a \\" /- b"   d'
    assert lean.without_comments("a /- open /- b -/") == "a /- open /- b -/"
    assert lean.without_comments("macro /- x -/ foo").split() == ["macro", "foo"]


AXIOMS = "'mull_statement' does not depend on any axioms\n'mull_final' {}\n"
NONE = AXIOMS.format("depends on axioms: []")


def toolchain(folder: Path, checks: str, compares: str) -> Path:
    """Stands in for a toolchain of Lean: `lean` compiles all, `leanchecker` and the comparison end as they are told.

    It shows what is made of the programs' answers, and nothing of Lean.
    """
    (folder / "bin").mkdir(parents=True)
    told = AXIOMS.format("does not depend on any axioms")
    lean = f'case "$1" in -o) echo x > "$2"; printf "{told}";; --run) {compares};; esac'
    for name, program in (("lean", lean), ("leanchecker", checks)):
        if program:
            (folder / "bin" / name).write_text(f"#!/usr/bin/sh\n{program}\n")
            (folder / "bin" / name).chmod(0o755)
    folder.chmod(0o755)
    return folder


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.parametrize(
    ("checks", "compares", "value", "why"),
    [
        ('test "$1" = Candidate -o "$1" = Check', f'printf "{NONE}"', 1, ""),
        ("", f'printf "{NONE}"', 1, "not replayed by the kernel in a fresh process: the toolchain has no leanchecker"),
        ("exit 0", "echo unknown constant; exit 1", 1, "the statement was not compared in a fresh process"),
        ('test "$1" = Check', f'printf "{NONE}"', 0, "the kernel rejects it"),
        ("exit 0", 'echo "mull: another statement"; exit 1', 0, "it does not prove the statement"),
        ("exit 0", f'printf "{AXIOMS.format("depends on axioms: [sorryAx]")}"', 0, "it depends on sorryAx"),
        ("exit 0", "echo all is well", 0, "its axioms cannot be read"),
    ],
)
async def test_what_is_made_of_a_replay(checks: str, compares: str, value: float, why: str) -> None:
    problem = Problem("p", PROMPT, given={"theorem": "1 = 1"})
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        place = toolchain(Path(folder) / "lean", checks, compares)
        prover = LeanProof(toolchain=str(place))
        [score] = await prover.score(problem, [Sample(PROMPT, "by rfl", Finish.STOP)], MeteredCalls())
    assert score.value == value, score.why
    assert why in score.why
    assert bool(why) == bool(score.why)


def test_leans_report_of_axioms_is_read_whole() -> None:
    """In the words of Lean 4's `#print axioms`."""
    standard = {"propext", "Classical.choice", "Quot.sound"}
    none = "'mull_statement' does not depend on any axioms\n"
    assert foreign_axioms(none + "'mull_final' does not depend on any axioms\n", standard) == ""
    assert foreign_axioms(none + "'mull_final' depends on axioms: [propext,\n Quot.sound]\n", standard) == ""
    assert (
        foreign_axioms(none + "'mull_final' depends on axioms: [propext, sorryAx]", standard) == "it depends on sorryAx"
    )
    assert "cannot be read" in foreign_axioms(none, standard)
    assert "cannot be read" in foreign_axioms(none + none + "'mull_final' does not depend on any axioms", standard)


def test_tactics_alone_become_a_theorem_of_lean() -> None:
    assert (
        candidate_source("1 = 1", "goal", "by\n  rfl") == "import Given\n\ntheorem goal : (1 = 1) := by\n  \n    rfl\n"
    )
    whole = candidate_source("1 = 1", "goal", "import Mathlib\n\ntheorem goal : 1 = 1 := rfl")
    assert whole.startswith("import Given\nimport Mathlib\n")
    assert whole.count("theorem goal") == 1


async def test_without_lean_it_says_so() -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    if shutil.which("lean", path="/usr/bin") is not None:
        pytest.skip("Lean is installed")
    problem = Problem("p", PROMPT, given={"theorem": "1 = 1"})
    with pytest.raises(UsageError, match="the box cannot run /usr/bin/lean"):
        await LeanProof().score(problem, [Sample(PROMPT, "by rfl", Finish.STOP)], MeteredCalls())
