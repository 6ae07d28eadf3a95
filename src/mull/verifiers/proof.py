"""Formal proofs, checked by a proof assistant in a sandbox against the problem's own statement.

The candidate is first compiled alone in its own sandbox. Then a separate file, without the candidate's text, states the
theorem, imports the compiled candidate and uses its proof for exactly that statement. So it does not matter what a
candidate redefines, shadows or comments out: only the checker's exit status on that file and its list of axioms count.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from mull import sandbox
from mull.errors import UsageError
from mull.replies import visible
from mull.sandbox import JobLimits, JobResult, Level, LevelName, Status
from mull.types import Problem, Sample, Score
from mull.verifiers.failed import but_failed

_FENCE = re.compile(r"[ \t]*(?:(?:[-*+>]|[0-9]{1,3}[.)])[ \t]+)?(`{3,}|~{3,})[ \t]*([^`\s]*)[^`]*")
_NO_PROOFS = {
    *("bash", "sh", "shell", "zsh", "fish", "console", "shell-session", "shellsession", "terminal", "powershell"),
    *("cmd", "output", "json", "yaml", "toml", "makefile", "dockerfile", "diff", "python", "py"),
}
"""Languages of fenced blocks that hold shell commands or outputs, not proofs."""


def proof_text(reply: str, states: re.Pattern[str] | None = None) -> str:
    """The last fenced block of a reply, except shell commands and outputs; the text outside blocks if there is none.

    If any blocks match `states` (they state a theorem), the last of those. An unclosed fence extends to the end.
    """
    blocks, outside = _blocks(reply)
    texts = [text for mark, text in blocks if mark not in _NO_PROOFS]
    if states is not None:
        texts = [text for text in texts if states.search(text)] or texts
    return texts[-1] if texts else outside


def _blocks(reply: str) -> tuple[list[tuple[str, str]], str]:
    """The fenced blocks with their languages, and the text around them; removes a list's indentation from a block."""
    blocks: list[tuple[str, list[str]]] = []
    outside: list[str] = []
    opened, indent = "", 0
    for line in reply.splitlines(keepends=True):
        match = _FENCE.fullmatch(line.rstrip()) if "```" in line or "~~~" in line else None
        closes = bool(match and opened and not match[2] and match[1].startswith(opened))
        if match and not closes and (not opened or match[2]):
            opened, indent = match[1], match.start(1)
            blocks.append((match[2].lower().strip("{}."), []))
        elif closes:
            opened = ""
        elif opened:
            own = len(line) - len(line.lstrip(" \t"))
            blocks[-1][1].append(line[min(indent, own) :])
        else:
            outside.append(line)
    return [(mark, "".join(lines)) for mark, lines in blocks], "".join(outside)


class ProofVerdict(NamedTuple):
    """Whether a proof holds; `why` says why not or, for one that holds, what was not checked."""

    holds: bool
    why: str


class Unfinished(Exception):
    """A checker ran out of time or memory: no verdict."""


class ProofChecker(Protocol):
    """Interface of a proof checker for `score_proofs`: prepares a statement once, checks each text against it."""

    @property
    def isolation(self) -> LevelName: ...

    async def prepare(self, box: sandbox.Sandbox, problem: Problem) -> Mapping[str, bytes]:
        """Compiles the statement. Raises `UsageError` if the problem's own text is invalid."""
        ...

    async def check(
        self, box: sandbox.Sandbox, problem: Problem, given: Mapping[str, bytes], text: str
    ) -> ProofVerdict:
        """Whether a proof holds. Raises `Unfinished` if a limit ended the check."""
        ...

    def text_of(self, problem: Problem, reply: str) -> str:
        """The proof in a reply, without comments."""
        ...


def lacks_theorem(problem: Problem) -> str:
    """Says that a problem gives no theorem; empty if it does."""
    if isinstance(problem.given.get("theorem"), str):
        return ""
    return "the problem gives no theorem to prove: a task of your own puts it in Problem.given"


async def score_proofs(
    checker: ProofChecker, problem: Problem, samples: Sequence[Sample], readable: tuple[str, ...]
) -> list[Score]:
    """A score for each sample; equal texts are checked once."""
    if why := lacks_theorem(problem):
        return [Score(None, why=why)] * len(samples)
    texts = await asyncio.to_thread(
        lambda: [checker.text_of(problem, visible.spoken(sample.reply) or "") for sample in samples]
    )

    async def score(text: str) -> Score:
        try:
            verdict = await checker.check(box, problem, given, text)
        except Unfinished as error:
            return Score(None, why=str(error))
        return Score(float(verdict.holds), why=verdict.why)

    async with sandbox.best(Level[checker.isolation.upper()], readable) as box:
        try:
            given = await checker.prepare(box, problem)
        except Unfinished as error:
            return [Score(None, why=f"the problem's statement: {error}")] * len(samples)
        different = list(dict.fromkeys(texts))
        scores = dict(zip(different, await asyncio.gather(*map(score, different)), strict=True))
    return but_failed(samples, [scores[text] for text in texts])


def limits_of(seconds: float) -> JobLimits:
    """The sandbox limits of a checker."""
    return JobLimits(
        cpu_seconds=seconds,
        wall_seconds=2 * seconds,
        memory_bytes=4 << 30,
        disk_bytes=256 << 20,
        processes=64,
        open_files=1024,
    )


def failure(what: str, result: JobResult) -> str:
    """Why a step failed, in words; empty if it succeeded. Raises `Unfinished` if a limit ended it."""
    if result.status is Status.OK:
        return ""
    if result.status in (Status.CPU, Status.WALL, Status.MEMORY):
        raise Unfinished(f"the check exceeded its {'memory' if result.status is Status.MEMORY else 'time'} limit")
    if result.status is not Status.FAILED:
        return f"{what}: {result.status}"
    said = (result.stderr or result.stdout).decode("utf-8", "replace").strip()
    return f"{what}: {said[-500:] or f'exit status {result.exit_code}'}"


def said(result: JobResult) -> str:
    return (result.stdout + result.stderr).decode("utf-8", "replace")


def names_of(problem: Problem) -> tuple[str, str]:
    """The required name of the theorem, and the preamble."""
    name = problem.given.get("name", "goal")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise UsageError(f"problem {problem.id!r}: the name of a theorem must be one word, not {name!r}")
    return name, str(problem.given.get("preamble", ""))
