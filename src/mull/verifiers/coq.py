"""Proofs in Coq; see `mull.verifiers.proof`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

# These bypass the kernel: they load code into the checker, write files beside it, or call another compiler. They are
# rejected anywhere in the compiled text, strings included: a candidate is compiled without its comments, so that no
# quirk of a lexer can hide one.
_COQ_HATCHES = re.compile(
    r"\b(?:ML|LoadPath|Extraction|Redirect|Load|Cd|Drop|native_compute|native_cast_no_check|bypass_check)\b"
)
_NAMED = (
    r"\b(?:Theorem|Lemma|Fact|Remark|Corollary|Proposition|Property|Definition|Example|Fixpoint|Let|Instance)\s+{}\b"
)
_OPENS = re.compile(r"Proof\s*\.|Proof\s+(?:with|using)\b")
_ENDS = re.compile(r"\b(?:Qed|Defined|Admitted|Abort)\s*\.")
_SCOPE = re.compile(r"^[ \t]*(?:Local\s+|Global\s+)?Open\s+Scope\s+\w+\s*\.", re.MULTILINE)
_MARKS = re.compile(r'\(\*|\*\)|"')
_FINDLIB = Path("/etc/ocamlfind.conf")
"""Where Debian's Coq looks for its libraries; a sandbox has no `/etc`, so this is passed as a file."""
_COQ = ("coqc", "-q", "-w", "none", "-Q", ".", "")


@dataclass(frozen=True)
class CoqProof:
    """Checks a Coq proof of the problem's theorem: 1 if it holds, else 0, with the reason.

    `given["theorem"]` is the statement, a closed proposition such as `forall n : nat, n + 0 = n`; `given["preamble"]`
    holds its imports and definitions, and `given["name"]` the required name of the theorem (default `goal`). A reply is
    a file that proves a theorem of that name, or the tactics alone; the last fenced block counts.

    The candidate is compiled separately, its proof is used for the problem's own statement, and coqchk rechecks the
    result. `axioms` lists the axioms that a proof may use, by their last name; those that the statement needs and those
    of the preamble are allowed too. A proof with an `Admitted`, an axiom of its own, a disabled check or a plugin
    scores 0. `seconds` limits each step; a step that exceeds it gives no score. Raises
    `NoSandboxError` below the level `isolation`, and `UsageError` without coqc.
    """

    axioms: str = ""
    seconds: float = 60.0
    isolation: LevelName = "namespaces"

    @property
    def name(self) -> str:
        return "coq"

    @property
    def contract(self) -> Contract:
        """A theorem with a right and a wrong proof."""
        problem = Problem("coq", Prompt.user("Prove it."), given={"theorem": "forall n : nat, n = n"})
        return Contract(problem, "reflexivity.", "intros n. discriminate.")

    @property
    def identity(self) -> str:
        """The name and the axioms; results depend on nothing else."""
        return f"coq:axioms={self.axioms},seconds={self.seconds}"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No priced cost."""
        return Cost()

    def lacks(self, problem: Problem) -> str:
        """What this verifier needs and the problem does not give; empty if it can be scored."""
        return lacks_theorem(problem)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        return await score_proofs(self, problem, samples, ())

    async def prepare(self, box: sandbox.Sandbox, problem: Problem) -> Mapping[str, bytes]:
        """The compiled statement; see `ProofChecker`."""
        _, preamble = names_of(problem)
        given = await _compiled(box, "Given", _coq_given(problem.given["theorem"], preamble), {}, self.seconds)
        if isinstance(given, str):
            raise UsageError(f"problem {problem.id!r}: Coq does not accept the theorem or its preamble: {given}")
        return given

    async def check(
        self, box: sandbox.Sandbox, problem: Problem, given: Mapping[str, bytes], text: str
    ) -> ProofVerdict:
        """Whether a proof holds; see `ProofChecker`."""
        why = await self._fault(box, problem, given, text)
        return ProofVerdict(not why, why)

    def text_of(self, problem: Problem, reply: str) -> str:
        """The proof in a reply, without comments."""
        name, _ = names_of(problem)
        return without_comments(proof_text(reply, re.compile(_NAMED.format(re.escape(name)))))

    async def _fault(self, box: sandbox.Sandbox, problem: Problem, given: Mapping[str, bytes], text: str) -> str:
        """Why a proof fails; empty if it holds."""
        if hatch := _COQ_HATCHES.search(text):
            return f"it contains {hatch[0]!r}, which could bypass the checker"
        name, preamble = names_of(problem)
        source = _coq_candidate(problem.given["theorem"], preamble, name, text)
        candidate = await _compiled(box, "Candidate", source, given, self.seconds)
        if isinstance(candidate, str):
            return candidate
        files = {**given, **candidate, "Check.v": _coq_check(name).encode()}
        checked = await box.run(_coq("Check", files, self.seconds))
        if why := failure("it does not prove the statement", checked):
            return why
        allowed = {axiom for axiom in re.split(r"[ +]+", self.axioms) if axiom}
        if why := _foreign_axioms(said(checked), allowed):
            return why
        files = {**given, **candidate, **checked.files}
        argv = ("coqchk", "-silent", "-o", "-Q", ".", "", "-norec", "Given", "-norec", "Candidate", "-norec", "Check")
        rechecked = await box.run(Command(argv, files, limits=limits_of(self.seconds)))
        return failure("coqchk rejects it", rechecked) or _unsafe(said(rechecked))


def without_comments(text: str) -> str:
    """Coq text with each comment, nested or not, replaced by a space. An unclosed one stays, for Coq to reject."""
    kept: list[str] = []
    depth = begun = done = 0
    is_string = False
    for match in _MARKS.finditer(text):
        if match[0] == '"':
            is_string = not is_string  # also inside comments: a quoted delimiter does not close one
        elif is_string:
            continue
        elif match[0] == "(*":
            if depth == 0:
                begun = match.start()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                kept += [text[done:begun], " "]
                done = match.end()
    return "".join([*kept, text[done:]])


def _coq_given(theorem: str, preamble: str) -> str:
    exported = re.sub(r"\bRequire\s+Import\b", "Require Export", without_comments(preamble))
    exported = re.sub(r"(^|\.\s)([ \t]*)Import\b", r"\1\2Export", exported, flags=re.MULTILINE)
    return f"{exported}\nDefinition mull_statement : Prop := (\n{without_comments(theorem)}\n).\n"


def _coq_candidate(theorem: str, preamble: str, name: str, text: str) -> str:
    scopes = "\n".join(_SCOPE.findall(without_comments(preamble)))
    if not re.search(_NAMED.format(re.escape(name)), text):
        body = text.strip()
        if not _OPENS.match(body) and not body.startswith("Proof"):
            body = f"Proof.\n{body}"
        end = "" if _ENDS.search(body) else "\nQed."
        text = f"Theorem {name} : (\n{without_comments(theorem)}\n).\n{body}{end}"
    return f"Require Import Given.\n{scopes}\n{text}\n"


def _coq_check(name: str) -> str:
    return f"""Require Given.
Require Candidate.
Theorem mull_final : Given.mull_statement. Proof. exact (@Candidate.{name}). Qed.
Print Assumptions Given.mull_statement.
Print Assumptions mull_final.
"""


def _coq(name: str, files: Mapping[str, bytes], seconds: float) -> Command:
    """The job that compiles one of the files."""
    env = {"OCAMLFIND_CONF": "findlib.conf"} if _FINDLIB.exists() else {}
    files = {**files, "findlib.conf": _FINDLIB.read_bytes()} if env else files
    return Command((*_COQ, f"{name}.v"), files, env=env, collect=(f"{name}.vo",), limits=limits_of(seconds))


async def _compiled(
    box: sandbox.Sandbox, name: str, source: str, files: Mapping[str, bytes], seconds: float
) -> dict[str, bytes] | str:
    """The compiled file by name, or why compilation failed."""
    result = await box.run(_coq(name, {**files, f"{name}.v": source.encode("utf-8", "replace")}, seconds))
    if why := failure("Coq does not accept it", result):
        return why
    return dict(result.files) or "Coq wrote no compiled file"


_CLOSED = "Closed under the global context"


def _foreign_axioms(said: str, allowed: set[str]) -> str:
    """The axioms, in words, that a proof uses and neither its statement uses nor `allowed` contains; empty if none."""
    parts = [p for p in re.split(rf"^(?={_CLOSED}$|Axioms:$)", said, flags=re.MULTILINE) if p.strip()]
    if len(parts) != 2:
        return f"its assumptions cannot be read: {said[-300:]}"
    of_statement, of_proof = ({line.split()[0] for line in re.findall(r"^(\S.*)$", p, re.MULTILINE)[1:]} for p in parts)
    own = {axiom for axiom in of_proof if axiom.startswith("Given.")}  # axioms of the problem, not of libraries
    foreign = sorted(a for a in of_proof - of_statement - own if a.rpartition(".")[2] not in allowed)
    return f"it depends on {', '.join(foreign)}" if foreign else ""


def _unsafe(summary: str) -> str:
    """What the candidate assumes or leaves unchecked, according to coqchk; empty if nothing."""
    found = re.findall(r"^\* ([^:\n]*):(.*?)(?=^\*|\Z)", summary, re.DOTALL | re.MULTILINE)
    told = {title.strip(): body.strip() for title, body in found}
    if len(told) < 5:
        return f"coqchk's summary cannot be read: {summary[-300:]}"
    for title, body in told.items():
        if title == "Axioms":
            own = [axiom for axiom in body.split() if axiom.startswith("Candidate.")]
            if own:
                return f"it assumes {', '.join(own)}"
        elif title != "Theory" and body != "<none>":
            return f"{title.lower()}: {body}"
    return ""
