"""Proofs in Lean 4, checked in the same way as those in Coq; see `mull.verifiers.proof`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mull import sandbox
from mull.errors import UsageError
from mull.sandbox import Command, LevelName
from mull.types import Calls, Cost, Problem, Prompt, Sample, Score
from mull.verifiers.contract import Contract
from mull.verifiers.proof import (
    ProofVerdict,
    failure,
    lacks_theorem,
    limits_of,
    names_of,
    proof_text,
    said,
    score_proofs,
)

# Importing a file also imports its syntax. So anything that changes the language or runs code in the checker is
# rejected wherever it occurs in the compiled text. A word list is not a guard by itself: the kernel finds what it
# misses, in a process that runs none of the candidate's code. Lean reports `sorry`, axioms and `native_decide`.
_HATCHES = re.compile(
    r"#eval!?|\b(?:macro(?:_rules)?|syntax|elab(?:_rules)?|by_elab|run_cmd|run_elab|run_meta|run_tac|declare_syntax_cat|"
    r"(?:builtin_)?initialize|notation3?|infix[lr]?|prefix|postfix|unsafe|implemented_by|extern|export_name|csimp|"
    r"native_decide|reduceBool|reduceNat|ofReduceBool|trustCompiler|skipKernelTC|simproc(?:_decl)?|Environment|addDecl|"
    r"mull_statement|mull_final)\b|debug\.|import\s+Lean\b|open\s+Lean\b|\bLean\."
)
_IMPORT = re.compile(r"^[ \t]*(?:public[ \t]+)?import[ \t]+([\w.]+)[ \t]*$", re.MULTILINE)
_NAME = r"\b(?:theorem|lemma|def|abbrev)\s+{}\b"
_OPENED = re.compile(r"^[ \t]*(?:open|universe)\b(?!.*\bin[ \t]*$).*$", re.MULTILINE)
_STARTS = re.compile(r'"(?:[^"\\]|\\.)*"?|\'(?:[^\'\\\n]|\\.)\'|--[^\n]*|/-', re.DOTALL)
_BLOCK = re.compile(r"/-|-/")
_NOT_REPLAYED = "Lean accepts it; it was not replayed by the kernel in a fresh process: "

# Loads the compiled modules as data, without running their initializers, and reports whether the type of our own
# file's theorem is the problem's statement, and the axioms of both, in the format of `#print axioms`.
_COMPARE = """import Lean
open Lean

partial def axiomsOf (env : Environment) (todo : List Name) (seen : NameSet) (found : Array Name) : Array Name :=
  match todo with
  | [] => found
  | name :: rest =>
    if seen.contains name then axiomsOf env rest seen found else
    let seen := seen.insert name
    match env.find? name with
    | none => axiomsOf env rest seen (found.push name)
    | some (.axiomInfo a) => axiomsOf env (a.type.getUsedConstants.toList ++ rest) seen (found.push name)
    | some (.defnInfo d) =>
      axiomsOf env (d.type.getUsedConstants.toList ++ d.value.getUsedConstants.toList ++ rest) seen found
    | some (.thmInfo t) =>
      axiomsOf env (t.type.getUsedConstants.toList ++ t.value.getUsedConstants.toList ++ rest) seen found
    | some (.opaqueInfo o) =>
      axiomsOf env (o.type.getUsedConstants.toList ++ o.value.getUsedConstants.toList ++ rest) seen found
    | some (.inductInfo i) => axiomsOf env (i.type.getUsedConstants.toList ++ i.ctors ++ rest) seen found
    | some info => axiomsOf env (info.type.getUsedConstants.toList ++ rest) seen found

def main : IO UInt32 := do
  initSearchPath (← findSysroot)
  let env ← importModules #[{ module := `Check }] {}
  let home (name : Name) := (env.getModuleIdxFor? name).bind fun place => env.header.moduleNames[place.toNat]?
  let holds := match env.find? `mull_final with
    | some (.thmInfo final) => final.type.isConstOf `mull_statement
    | _ => false
  unless holds && home `mull_final == some `Check && home `mull_statement == some `Given do
    IO.println "mull: another statement"
    return 1
  for name in [`mull_statement, `mull_final] do
    IO.println s!"'{name}' depends on axioms: {(axiomsOf env [name] {} #[]).toList}"
  return 0
"""
STANDARD = "propext+Classical.choice+Quot.sound"


@dataclass(frozen=True)
class LeanProof:
    """Checks a Lean 4 proof of the problem's theorem: 1 if it holds, else 0, with the reason.

    `given["theorem"]` is the statement, a closed proposition such as `∀ n : Nat, n + 0 = n`; `given["preamble"]` holds
    its imports and definitions, and `given["name"]` the required name of the theorem (default `goal`). A reply is a
    file that proves a theorem of that name, or the tactics alone; the last fenced block counts.

    `axioms` lists the allowed axioms, joined by `+`; the default excludes `sorry` and the axiom of `native_decide`.
    Text that extends the syntax or runs code in the checker scores 0. The kernel replays the compiled proof in a fresh
    process, by the toolchain's `leanchecker` (Lean 4.28 and later); another process loads it as data, compares the
    statement and lists the axioms. A verdict without a replay says so.

    `toolchain` is the full path of Lean's folder, such as that of `~/.elan/toolchains/NAME`, empty for `/usr`;
    `libraries` are folders of compiled modules, joined by `:`. `seconds` limits each step; a step that exceeds it gives
    no score. Raises `NoSandboxError` below the level `isolation`, and `UsageError` without Lean.
    """

    axioms: str = STANDARD
    seconds: float = 120.0
    toolchain: str = ""
    libraries: str = ""
    isolation: LevelName = "namespaces"

    @property
    def name(self) -> str:
        return "lean"

    @property
    def contract(self) -> Contract:
        """A theorem with a right and a wrong proof."""
        problem = Problem("lean", Prompt.user("Prove it."), given={"theorem": "∀ n : Nat, n = n"})
        return Contract(problem, "by intro n; rfl", "by intro n; contradiction")

    @property
    def identity(self) -> str:
        """The name and the options; results depend on nothing else."""
        return f"lean:axioms={self.axioms},seconds={self.seconds},toolchain={self.toolchain},libraries={self.libraries}"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No priced cost."""
        return Cost()

    def lacks(self, problem: Problem) -> str:
        """What this verifier needs and the problem does not give; empty if it can be scored."""
        return lacks_theorem(problem)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        readable = tuple(folder for folder in (self.toolchain, *self.libraries.split(":")) if folder)
        return await score_proofs(self, problem, samples, readable)

    async def prepare(self, box: sandbox.Sandbox, problem: Problem) -> Mapping[str, bytes]:
        """The compiled statement; see `ProofChecker`."""
        _, preamble = names_of(problem)
        source = f"{preamble}\n\ndef mull_statement : Prop :=\n  ({problem.given['theorem']})\n"
        given = await self._compiled(box, "Given", source, {})
        if isinstance(given, str):
            raise UsageError(f"problem {problem.id!r}: Lean does not accept the theorem or its preamble: {given}")
        return given

    async def check(
        self, box: sandbox.Sandbox, problem: Problem, given: Mapping[str, bytes], text: str
    ) -> ProofVerdict:
        """Whether a proof holds; see `ProofChecker`."""
        if hatch := _HATCHES.search(text):
            return ProofVerdict(False, f"it contains {hatch[0]!r}, which could bypass the checker")
        name, preamble = names_of(problem)
        statement = without_comments(problem.given["theorem"])
        opened = "\n".join(_OPENED.findall(without_comments(preamble)))
        candidate = await self._compiled(box, "Candidate", candidate_source(statement, name, text, opened), given)
        if isinstance(candidate, str):
            return ProofVerdict(False, candidate)
        check = f"""import Given
import Candidate
theorem mull_final : _root_.mull_statement := @_root_.{name}
#print axioms _root_.mull_statement
#print axioms _root_.mull_final
"""
        files = {**given, **candidate, "Check.lean": check.encode()}
        result = await box.run(self._lean("Check", files))
        why = failure("it does not prove the statement", result)
        why = why or foreign_axioms(said(result), set(self.axioms.split("+")))
        return ProofVerdict(False, why) if why else await self._replayed(box, {**files, **result.files})

    def text_of(self, problem: Problem, reply: str) -> str:
        """The proof in a reply, without comments."""
        name, _ = names_of(problem)
        return without_comments(proof_text(reply, re.compile(_NAME.format(re.escape(name)))))

    async def _replayed(self, box: sandbox.Sandbox, files: Mapping[str, bytes]) -> ProofVerdict:
        """Whether the kernel accepts what was compiled, and our theorem there has the problem's statement."""
        checker = f"{self.toolchain or '/usr'}/bin/leanchecker"
        if not await asyncio.to_thread(Path(checker).is_file):
            return ProofVerdict(True, f"{_NOT_REPLAYED}the toolchain has no leanchecker")
        for module in ("Candidate", "Check"):
            result = await box.run(self._command((checker, module), files))
            if why := failure("the kernel rejects it", result):
                return ProofVerdict(False, why)
        argv = (f"{self.toolchain or '/usr'}/bin/lean", "--run", "Compare.lean")
        result = await box.run(self._command(argv, {**files, "Compare.lean": _COMPARE.encode()}))
        told = result.stdout.decode("utf-8", "replace")
        if told.startswith("mull: another statement"):
            return ProofVerdict(False, "it does not prove the statement")
        if failed := failure("", result):
            return ProofVerdict(
                True, f"Lean's kernel accepts it; the statement was not compared in a fresh process{failed}"
            )
        why = foreign_axioms(told, set(self.axioms.split("+")))
        return ProofVerdict(not why, why)

    async def _compiled(
        self, box: sandbox.Sandbox, name: str, source: str, files: Mapping[str, bytes]
    ) -> dict[str, bytes] | str:
        result = await box.run(self._lean(name, {**files, f"{name}.lean": source.encode("utf-8", "replace")}))
        if why := failure("Lean does not accept it", result):
            return why
        return {**files, **result.files} if result.files else "Lean wrote no compiled file"

    def _lean(self, name: str, files: Mapping[str, bytes]) -> Command:
        program = f"{self.toolchain or '/usr'}/bin/lean"
        return self._command((program, "-o", f"{name}.olean", f"{name}.lean"), files, (f"{name}.olean",))

    def _command(self, argv: tuple[str, ...], files: Mapping[str, bytes], collect: tuple[str, ...] = ()) -> Command:
        path = ":".join(part for part in (".", self.libraries) if part)
        env = {"LEAN_PATH": path, "PATH": f"{self.toolchain or '/usr'}/bin:/usr/bin"}
        limits = replace(limits_of(self.seconds), memory_bytes=32 << 30)  # Lean maps its libraries into memory
        return Command(argv, files, env=env, collect=collect, limits=limits)


def without_comments(text: str) -> str:
    """Lean text with each comment, nested or not, replaced by a space. An unclosed one stays, for Lean to reject."""
    kept: list[str] = []
    place = 0
    while match := _STARTS.search(text, place):
        end = match.end()
        if match[0] == "/-":
            depth = 1
            while depth and (mark := _BLOCK.search(text, end)):
                depth += 1 if mark[0] == "/-" else -1
                end = mark.end()
            if depth:
                break
        is_comment = match[0] == "/-" or match[0].startswith("--")
        kept.append(text[place : match.start()] + " " if is_comment else text[place:end])
        place = end
    return "".join([*kept, text[place:]])


def candidate_source(statement: str, name: str, text: str, opened: str = "") -> str:
    """A complete file for a candidate: its imports, and the theorem around it if it has only tactics.

    `opened` has the namespaces and universes of the problem's preamble, which apply only within their own file.
    """
    imports = "\n".join(f"import {module}" for module in dict.fromkeys(["Given", *_IMPORT.findall(text)]))
    text = _IMPORT.sub("", text)
    opened = f"{opened}\n" if opened else ""
    if not re.search(_NAME.format(re.escape(name)), text):
        body = re.sub(r"\A\s*(?::=\s*)?by\b", "", text)
        text = f"theorem {name} : ({statement}) := by\n" + "\n".join(f"  {line}" for line in body.splitlines())
    return f"{imports}\n\n{opened}{text}\n"


def foreign_axioms(text: str, allowed: set[str]) -> str:
    """The axioms, in words, that a proof uses and neither its statement uses nor `allowed` contains; empty if none."""
    told = re.findall(r"'(\S+)' (?:does not depend on any axioms|depends on axioms: \[([^\]]*)\])", text)
    if [name for name, _ in told] != ["mull_statement", "mull_final"]:
        return f"its axioms cannot be read: {text[-300:]}"
    of_statement, of_proof = ({axiom.strip() for axiom in axioms.split(",") if axiom.strip()} for _, axioms in told)
    foreign = sorted(of_proof - of_statement - allowed)
    return f"it depends on {', '.join(foreign)}" if foreign else ""
