"""Proofs in Lean 4, checked as those in Coq are: see `mull.verifiers.proof`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mull import sandbox
from mull.errors import UsageError
from mull.sandbox import Command, LevelName
from mull.types import Calls, Cost, Problem, Sample, Score
from mull.verifiers.proof import failure, limits_of, names_of, said, score_proofs

# A file that imports another takes its syntax along. So what changes the language, or runs code in the checker, is
# refused wherever it stands, comments included. `sorry`, axioms and `native_decide` are counted by Lean itself.
_HATCHES = re.compile(
    r"#eval!?|\b(?:macro(?:_rules)?|syntax|elab(?:_rules)?|by_elab|run_cmd|run_elab|run_meta|run_tac|declare_syntax_cat|"
    r"(?:builtin_)?initialize|notation3?|infix[lr]?|prefix|postfix|unsafe|implemented_by|extern|export_name|csimp|"
    r"native_decide|reduceBool|reduceNat|ofReduceBool|trustCompiler|skipKernelTC|simproc(?:_decl)?|Environment|addDecl|"
    r"mull_statement|mull_final)\b|debug\.|import\s+Lean\b|open\s+Lean\b|\bLean\."
)
_IMPORT = re.compile(r"^[ \t]*(?:public[ \t]+)?import[ \t]+([\w.]+)[ \t]*$", re.MULTILINE)
_NAME = r"\b(?:theorem|lemma|def|abbrev)\s+{}\b"
STANDARD = "propext+Classical.choice+Quot.sound"


@dataclass(frozen=True)
class LeanProof:
    """Scores 1 for a proof of the theorem that the problem gives, by Lean 4, and 0 for any other, with the reason.

    `given["theorem"]` is the statement, a closed proposition such as `∀ n : Nat, n + 0 = n`; `given["preamble"]` holds
    its imports and definitions, and `given["name"]` what the proof is to be called (`goal`). A reply is a file that
    proves a theorem of that name, or the tactics alone; the last fenced block counts.

    `axioms` are those that a proof may use, joined by `+`: `sorry` is one that it may not, and `native_decide` brings
    another. What extends the syntax or runs code in the checker is refused. `toolchain` is the folder of Lean, as
    `~/.elan/toolchains/NAME` in full, empty for `/usr`; `libraries` are folders of compiled modules, joined by `:`.
    `seconds` caps each of the three steps. Raises `NoSandboxError` below `isolation`, `UsageError` without Lean.
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
    def identity(self) -> str:
        """The name and the options: a proof holds or it does not."""
        return f"lean:axioms={self.axioms},seconds={self.seconds},toolchain={self.toolchain},libraries={self.libraries}"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """Nothing that is priced."""
        return Cost()

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

    async def check(self, box: sandbox.Sandbox, problem: Problem, given: Mapping[str, bytes], text: str) -> str:
        """What is wrong with a proof; nothing where it holds."""
        if hatch := _HATCHES.search(text):
            return f"it holds {hatch[0]!r}, a way past the checker"
        name, _ = names_of(problem)
        statement = problem.given["theorem"]
        candidate = await self._compiled(box, "Candidate", candidate_source(statement, name, text), given)
        if isinstance(candidate, str):
            return candidate
        check = f"""import Given
import Candidate
theorem mull_final : _root_.mull_statement := @_root_.{name}
#print axioms _root_.mull_statement
#print axioms _root_.mull_final
"""
        result = await box.run(self._lean("Check", {**given, **candidate, "Check.lean": check.encode()}))
        if why := failure("it does not prove the statement", result):
            return why
        return foreign_axioms(said(result), set(self.axioms.split("+")))

    async def _compiled(
        self, box: sandbox.Sandbox, name: str, source: str, files: Mapping[str, bytes]
    ) -> dict[str, bytes] | str:
        result = await box.run(self._lean(name, {**files, f"{name}.lean": source.encode("utf-8", "replace")}))
        if why := failure("Lean does not accept it", result):
            return why
        return {**files, **result.files} if result.files else "Lean left nothing to check"

    def _lean(self, name: str, files: dict[str, bytes]) -> Command:
        path = ":".join(part for part in (".", self.libraries) if part)
        program = f"{self.toolchain or '/usr'}/bin/lean"
        limits = replace(limits_of(self.seconds), memory_bytes=32 << 30)  # Lean maps its libraries into memory
        argv = (program, "-o", f"{name}.olean", f"{name}.lean")
        return Command(argv, files, env={"LEAN_PATH": path}, collect=(f"{name}.olean",), limits=limits)


def candidate_source(statement: str, name: str, text: str) -> str:
    """A whole file for a candidate: its imports, and the theorem around it where it is tactics alone."""
    imports = "\n".join(f"import {module}" for module in dict.fromkeys(["Given", *_IMPORT.findall(text)]))
    text = _IMPORT.sub("", text)
    if not re.search(_NAME.format(re.escape(name)), text):
        body = re.sub(r"\A\s*(?::=\s*)?by\b", "", text)
        text = f"theorem {name} : ({statement}) := by\n" + "\n".join(f"  {line}" for line in body.splitlines())
    return f"{imports}\n\n{text}\n"


def foreign_axioms(text: str, allowed: set[str]) -> str:
    """The axioms of a proof that its statement does not need and nobody allowed; nothing where there are none."""
    told = re.findall(r"'(\S+)' (?:does not depend on any axioms|depends on axioms: \[([^\]]*)\])", text)
    if [name for name, _ in told] != ["mull_statement", "mull_final"]:
        return f"its axioms cannot be told: {text[-300:]}"
    of_statement, of_proof = ({axiom.strip() for axiom in axioms.split(",") if axiom.strip()} for _, axioms in told)
    foreign = sorted(of_proof - of_statement - allowed)
    return f"it rests on {', '.join(foreign)}" if foreign else ""
