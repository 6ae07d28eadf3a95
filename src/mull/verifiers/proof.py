"""Proofs: a checker of the machine decides, in a box, and the statement it checks is never the candidate's.

A candidate is compiled first, in a box of its own. Then a file that the candidate has no part in states the theorem,
loads the compiled candidate and takes its proof for exactly that statement. So a candidate may redefine, shadow and
comment as it likes: what counts is the exit status of a checker on a file of ours, and the axioms that it counts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mull import sandbox
from mull.errors import UsageError
from mull.sandbox import Command, Level, LevelName, Limits, Result, Status
from mull.types import Calls, Cost, Problem, Sample, Score

_FENCE = re.compile(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)


def proof_text(reply: str) -> str:
    """The last fenced block of a reply; all of it where there is none."""
    blocks: list[str] = _FENCE.findall(reply)
    return blocks[-1] if blocks else reply


class ProofChecker(Protocol):
    """What `score_proofs` needs: the statement is prepared once, each text is checked against it."""

    @property
    def isolation(self) -> LevelName: ...

    async def prepare(self, box: sandbox.Sandbox, problem: Problem) -> Mapping[str, bytes]:
        """The compiled statement. Raises `UsageError` where the problem's own text is wrong."""
        ...

    async def check(self, box: sandbox.Sandbox, problem: Problem, given: Mapping[str, bytes], text: str) -> str:
        """What is wrong with a proof; nothing where it holds."""
        ...


async def score_proofs(
    checker: ProofChecker, problem: Problem, samples: Sequence[Sample], readable: tuple[str, ...]
) -> list[Score]:
    """A score for each sample; equal texts are checked once."""
    if not isinstance(problem.given.get("theorem"), str):
        return [Score(None, why="the problem gives no theorem to prove")] * len(samples)
    texts = list(dict.fromkeys(proof_text(sample.reply) for sample in samples))
    async with sandbox.best(Level[checker.isolation.upper()], readable) as box:
        given = await checker.prepare(box, problem)
        found = await asyncio.gather(*[checker.check(box, problem, given, text) for text in texts])
    whys = dict(zip(texts, found, strict=True))
    verdicts = [whys[proof_text(sample.reply)] for sample in samples]
    return [Score(0.0 if why else 1.0, why=why) for why in verdicts]


def limits_of(seconds: float) -> Limits:
    """What a checker may use."""
    return Limits(
        cpu_seconds=seconds,
        wall_seconds=2 * seconds,
        memory_bytes=4 << 30,
        disk_bytes=256 << 20,
        processes=64,
        open_files=1024,
    )


def failure(what: str, result: Result) -> str:
    """In words, why a step did not succeed; nothing where it did."""
    if result.status is Status.OK:
        return ""
    if result.status is not Status.FAILED:
        return f"{what}: {result.status}"
    said = (result.stderr or result.stdout).decode("utf-8", "replace").strip()
    return f"{what}: {said[-500:] or f'exit status {result.exit_code}'}"


def said(result: Result) -> str:
    return (result.stdout + result.stderr).decode("utf-8", "replace")


# These reach past the kernel: they load code into the checker, write files beside it, or call another compiler. They
# are refused wherever they stand, comments and strings included, so that no quirk of a lexer can hide one.
_COQ_HATCHES = re.compile(
    r"\b(?:ML|LoadPath|Extraction|Redirect|Load|Cd|Drop|native_compute|native_cast_no_check|bypass_check)\b"
)
_COQ_NAME = r"\b(?:Theorem|Lemma|Fact|Remark|Corollary|Proposition|Property|Definition|Example|Fixpoint|Let)\s+{}\b"
_COQ_BRACKETS = re.compile(r"^\s*Proof\b[^.]*\.|\b(?:Qed|Defined)\s*\.\s*$")
_FINDLIB = Path("/etc/ocamlfind.conf")
"""Where Debian's Coq looks for its own parts; a box has no `/etc`, so this comes along as a file."""
_COQ = ("coqc", "-q", "-w", "none", "-Q", ".", "")


@dataclass(frozen=True)
class CoqProof:
    """Scores 1 for a proof of the theorem that the problem gives, by Coq, and 0 for any other, with the reason.

    `given["theorem"]` is the statement, a closed proposition such as `forall n : nat, n + 0 = n`; `given["preamble"]`
    holds what it needs (imports, definitions), and `given["name"]` what the proof is to be called (`goal`). A reply is
    a file that proves a theorem of that name, or the tactics alone; the last fenced block counts.

    The candidate is compiled apart, its proof taken for the statement as the problem has it, and the result rechecked
    by coqchk. `axioms` names those that a proof may use, by their last name; those that the statement itself needs are
    allowed. An `Admitted`, an axiom of the candidate's own, a disabled check or a plugin is a refusal. `seconds` caps
    each of the three steps. Raises `NoSandboxError` below the level `isolation`, and `UsageError` without coqc.
    """

    axioms: str = ""
    seconds: float = 60.0
    isolation: LevelName = "namespaces"

    @property
    def name(self) -> str:
        return "coq"

    @property
    def identity(self) -> str:
        """The name and the axioms: a proof holds or it does not."""
        return f"coq:axioms={self.axioms},seconds={self.seconds}"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """Nothing that is priced."""
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        return await score_proofs(self, problem, samples, ())

    async def prepare(self, box: sandbox.Sandbox, problem: Problem) -> Mapping[str, bytes]:
        """The compiled statement; see `ProofChecker`."""
        _, preamble = names_of(problem)
        given = await _compiled(box, "Given", _coq_given(problem.given["theorem"], preamble), {}, self.seconds)
        if isinstance(given, str):
            raise UsageError(f"problem {problem.id!r}: Coq does not accept the theorem or its preamble: {given}")
        return given

    async def check(self, box: sandbox.Sandbox, problem: Problem, given: Mapping[str, bytes], text: str) -> str:
        """What is wrong with a proof; nothing where it holds."""
        if hatch := _COQ_HATCHES.search(text):
            return f"it holds {hatch[0]!r}, a way past the checker"
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
        return failure("coqchk refuses it", rechecked) or _unsafe(said(rechecked))


def names_of(problem: Problem) -> tuple[str, str]:
    """What the proof is to be called, and what stands before it."""
    name = problem.given.get("name", "goal")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise UsageError(f"problem {problem.id!r}: the name of a theorem must be one word, not {name!r}")
    return name, str(problem.given.get("preamble", ""))


def _coq_given(theorem: str, preamble: str) -> str:
    exported = re.sub(r"\bRequire\s+Import\b", "Require Export", preamble)
    return f"{exported}\nDefinition mull_statement : Prop := (\n{theorem}\n).\n"


def _coq_candidate(theorem: str, preamble: str, name: str, text: str) -> str:
    scopes = "\n".join(re.findall(r"^[ \t]*(?:Local\s+|Global\s+)?Open\s+Scope\s+\w+\s*\.", preamble, re.MULTILINE))
    if not re.search(_COQ_NAME.format(re.escape(name)), text):
        body = _COQ_BRACKETS.sub("", _COQ_BRACKETS.sub("", text.strip()))
        text = f"Theorem {name} : (\n{theorem}\n).\nProof.\n{body}\nQed."
    return f"Require Import Given.\n{scopes}\n{text}\n"


def _coq_check(name: str) -> str:
    return f"""Require Given.
Require Candidate.
Theorem mull_final : Given.mull_statement. Proof. exact (@Candidate.{name}). Qed.
Print Assumptions Given.mull_statement.
Print Assumptions mull_final.
"""


def _coq(name: str, files: Mapping[str, bytes], seconds: float) -> Command:
    """Compile one of the files."""
    env = {"OCAMLFIND_CONF": "findlib.conf"} if _FINDLIB.exists() else {}
    files = {**files, "findlib.conf": _FINDLIB.read_bytes()} if env else files
    return Command((*_COQ, f"{name}.v"), files, env=env, collect=(f"{name}.vo",), limits=limits_of(seconds))


async def _compiled(
    box: sandbox.Sandbox, name: str, source: str, files: Mapping[str, bytes], seconds: float
) -> dict[str, bytes] | str:
    """The compiled file by its name, or why there is none."""
    result = await box.run(_coq(name, {**files, f"{name}.v": source.encode("utf-8", "replace")}, seconds))
    if why := failure("Coq does not accept it", result):
        return why
    return dict(result.files) or "Coq left nothing to check"


_CLOSED = "Closed under the global context"


def _foreign_axioms(said: str, allowed: set[str]) -> str:
    """The axioms of a proof that its statement does not need and nobody allowed; nothing where there are none."""
    parts = [p for p in re.split(rf"^(?={_CLOSED}$|Axioms:$)", said, flags=re.MULTILINE) if p.strip()]
    if len(parts) != 2:
        return f"its assumptions cannot be told: {said[-300:]}"
    of_statement, of_proof = ({line.split()[0] for line in re.findall(r"^(\S.*)$", p, re.MULTILINE)[1:]} for p in parts)
    foreign = sorted(a for a in of_proof - of_statement if a.rpartition(".")[2] not in allowed)
    return f"it rests on {', '.join(foreign)}" if foreign else ""


def _unsafe(summary: str) -> str:
    """What coqchk says was assumed by the candidate or left unchecked."""
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
