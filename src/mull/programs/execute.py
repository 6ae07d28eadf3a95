"""Runs programs on tests and inputs in a sandbox. Expected values never enter the sandbox of the program."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

from mull.programs.assertions import (
    AssertionPlan,
    AssertionVerdict,
    decide,
    has_opaque,
    is_marked,
    plan_of,
    show,
    summary,
)
from mull.programs.box import box
from mull.sandbox import (
    Call,
    JobLimits,
    JobResult,
    LevelName,
    PythonCalls,
    Return,
    Script,
    Status,
)

MAX_ROUNDS = 4
"""Most passes over a test whose calls depend on the values of earlier calls."""
LIMITS = JobLimits(cpu_seconds=4.0, wall_seconds=20.0, memory_bytes=1 << 30, total_cpu_seconds=4.0)
"""Limits for one program on all its tests: generous for sleeping, tight for processor time."""
TESTER_LIMITS = JobLimits(cpu_seconds=10.0, wall_seconds=60.0, memory_bytes=1 << 30, reply_bytes=16 << 20)


Apart = Literal["isolated", "restarted", "shared"]
"""How calls of one program are isolated. `isolated`: each has its own process. `restarted`: they share one, and after a
call that hangs or dies a new process continues. `shared`: they share one, and calls after such a call are lost."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests of a function: `tests` are assertions, or files that define `check(candidate)`.

    `prelude` is code that the tests need (imports, helpers); `setup` is code that runs after the program.
    """

    entry_point: str
    tests: tuple[str, ...]
    prelude: str = ""
    setup: str = ""


class Output(NamedTuple):
    """The output of a program for one input: `text` is its value or what it printed, `None` if it has neither.

    `error` is the exception it raised, or how it ended.
    """

    text: str | None
    error: str = ""


@cache
def _source(name: str) -> str:
    return resources.files("mull.programs.inside").joinpath(name).read_text(encoding="utf-8")


@dataclass(eq=False)
class Bench:
    """Runs programs on one suite of tests. Each test is analysed once, for all programs."""

    suite: Suite
    limits: JobLimits = LIMITS
    call_seconds: float = 5.0
    seed: int = 0
    isolation: LevelName = "namespaces"
    _plans: asyncio.Task[list[AssertionPlan]] | None = field(default=None, init=False, repr=False)

    async def plans(self) -> list[AssertionPlan]:
        """The plan of each test."""
        if self._plans is None or self._plans.get_loop() is not asyncio.get_running_loop():
            self._plans = asyncio.create_task(self._look())
        return await asyncio.shield(self._plans)

    async def _look(self) -> list[AssertionPlan]:
        found = await self._passes(range(len(self.suite.tests)), {})
        return [plan if isinstance(plan, AssertionPlan) else plan_of(plan) for plan in found]

    async def broken(self) -> dict[int, str]:
        """The indices of tests that fail without any program, and why."""
        return {i: plan.broken for i, plan in enumerate(await self.plans()) if plan.broken}

    async def run(self, program: str, apart: Apart = "isolated") -> list[AssertionVerdict]:
        """One verdict for each test. Raises `SandboxError` if the sandbox failed."""
        plans = await self.plans()
        answers: dict[str, list[tuple[str, Any]]] = {}
        verdicts: dict[int, AssertionVerdict] = {
            i: AssertionVerdict(None, p.broken) for i, p in enumerate(plans) if p.broken
        }
        needs = {i: list(plan.needs) for i, plan in enumerate(plans) if i not in verdicts}
        for _ in range(MAX_ROUNDS):
            await self._answer(program, needs.values(), answers, apart)
            for i in list(needs):
                claims = plans[i].claims
                if claims is not None and not any(is_marked(answers[c.source][c.place][1]) for c in claims):
                    verdicts[i] = decide(claims, plans[i].fixed, answers)
            again = [i for i in needs if i not in verdicts]
            needs = {}
            if not again:
                break
            for i, outcome in zip(again, await self._passes(again, answers), strict=True):
                if isinstance(outcome, AssertionPlan):
                    verdicts[i] = AssertionVerdict(None, outcome.broken)
                elif outcome["broken"]:
                    verdicts[i] = AssertionVerdict(None, outcome["broken"])
                elif outcome["needs"]:
                    needs[i] = outcome["needs"]
                else:
                    verdicts[i] = summary([(line, ok, why) for line, ok, why in outcome["results"]])
        for i in needs:
            verdicts[i] = AssertionVerdict(None, "it asks for other calls each time it is run")
        return [verdicts[i] for i in range(len(plans))]

    async def _answer(self, program: str, needs: Any, answers: dict[str, list[tuple[str, Any]]], apart: Apart) -> None:
        """Adds the program's values of the needed expressions, each as often as the test that needs it most."""
        wanted: Counter[str] = Counter()
        for sources in needs:
            wanted |= Counter({s: n + len(answers.get(s, ())) for s, n in Counter(sources).items()})
        missing = [s for s, n in wanted.items() for _ in range(n - len(answers.get(s, ())))]
        if not missing:
            return
        values = await evaluate(self.suite, program, missing, self.limits, self.call_seconds, apart, self.isolation)
        for source, value in zip(missing, values, strict=True):
            answers.setdefault(source, []).append(_answer_of(value))

    async def _passes(self, places: Sequence[int], answers: Mapping[str, Any]) -> list[Any]:
        """One pass over each of these tests; an `AssertionPlan` in place of one whose pass failed."""
        suite = self.suite
        calls = tuple(
            Call("run_test", (suite.prelude, suite.tests[i], suite.entry_point, answers, self.seed)) for i in places
        )
        job = PythonCalls(_source("tester.py"), calls, call_seconds=10.0, limits=TESTER_LIMITS)
        result = await (await box(self.isolation)).run(job)
        if result.status is not Status.OK:
            return [AssertionPlan(broken=f"the tests could not be run: {result.status}")] * len(places)
        return [r.value if r.status is Status.OK else AssertionPlan(broken=r.error or r.status) for r in result.returns]


def _answer_of(value: Return) -> tuple[str, Any]:
    """The result of a call in the form that the tester reads."""
    if value.status is Status.OK:
        return ("opaque", None) if has_opaque(value.value) else ("value", value.value)
    return ("raised", ended(value))


_ENDINGS = {
    Status.CPU: "TimeoutError: it used up its processor time",
    Status.WALL: "TimeoutError: it did not end in time",
    Status.MEMORY: "MemoryError: it used up its memory",
    Status.OUTPUT: "OSError: it wrote more than it may",
    Status.SIGNAL: "SystemError: a signal ended it",
    Status.NO_REPLY: "SystemError: it ended without a reply",
}


def ended(value: Return) -> str:
    """Why a call returned no value, in the form of an exception's text."""
    return value.error or _ended(value.status)


def _ended(status: Status) -> str:
    return _ENDINGS.get(status, status.value)


async def evaluate(
    suite: Suite,
    program: str,
    expressions: Sequence[str],
    limits: JobLimits = LIMITS,
    call_seconds: float = 5.0,
    apart: Apart = "isolated",
    isolation: LevelName = "namespaces",
) -> list[Return]:
    """The values of expressions after a program and the suite's `setup`, converted to built-in types where possible.

    After the definition of `suite.entry_point` only definitions in the program are run. A program that fails before
    that point returns no values. Raises `SandboxError` if the sandbox failed.
    """
    names = sorted({name for text in (suite.setup, *expressions) for name in _WORD.findall(text)})
    load = f"__mull_load({program!r}, {suite.entry_point!r}, set({names!r}), globals())\ndel __mull_load"
    source = f"{_source('load.py')}\n{load}\n{suite.setup}\n{_source('plain.py')}"
    found: list[Return] = []
    wall, cpu, least = limits.wall_seconds, limits.total_cpu_seconds, call_seconds / 8
    while len(found) < len(expressions) and min(wall, cpu) > 0:
        calls = tuple(Call(f"__mull_plain({expression})") for expression in expressions[len(found) :])
        left = replace(limits, wall_seconds=wall, total_cpu_seconds=cpu)
        result = await (await box(isolation)).run(
            PythonCalls(source, calls, apart == "isolated", call_seconds, limits=left)
        )
        wall, cpu = wall - result.seconds, cpu - (result.cpu_seconds or 0.0)
        returns = list(result.returns)
        if result.status is Status.CPU:
            returns = [Return(Status.CPU) if value.status is Status.NO_REPLY else value for value in returns]
        elif apart == "restarted" and not result.why.startswith("setup"):
            # The first call without a reply is the one that ended the process; later calls were never made.
            n = next((i + 1 for i, value in enumerate(returns) if value.status not in _REPLIES), len(returns))
            returns = returns[:n]
            # A program that hung once often hangs on many inputs, so each further hang is allowed less time.
            call_seconds = max(call_seconds / 2, least)
        found += returns
    return found + [Return(Status.CPU if cpu <= 0 else Status.WALL)] * (len(expressions) - len(found))


_WORD = re.compile(r"[A-Za-z_]\w*")
_REPLIES = (Status.OK, Status.FAILED)


def _last_line(result: JobResult) -> str:
    lines = result.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


async def outputs(
    suite: Suite,
    program: str,
    expressions: Sequence[str],
    limits: JobLimits = LIMITS,
    call_seconds: float = 5.0,
    apart: Apart = "isolated",
    isolation: LevelName = "namespaces",
) -> list[Output]:
    """The values of expressions after a program, as text that is equal if the values are."""
    return [_output(r) for r in await evaluate(suite, program, expressions, limits, call_seconds, apart, isolation)]


def _output(value: Return) -> Output:
    if value.status is not Status.OK:
        return Output(None, ended(value))
    try:
        return Output(show(value.value))
    except RecursionError:
        return Output(None, "RecursionError: its value is nested too deeply")


async def printed(program: str, stdin: str, limits: JobLimits = LIMITS, isolation: LevelName = "namespaces") -> Output:
    """The standard output of a program for an input."""
    result = await (await box(isolation)).run(Script(program, stdin.encode("utf-8", "replace"), limits=limits))
    if result.status is not Status.OK:
        return Output(None, _last_line(result) or result.why or _ended(result.status))
    return Output(result.stdout.decode("utf-8", "replace"))


def same_print(text: str, target: str) -> bool:
    """Whether two outputs are equal apart from spaces at the ends of lines and empty lines at the end."""
    return _lines(text) == _lines(target)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


async def run_pairs(
    program: str, pairs: Sequence[tuple[str, str]], limits: JobLimits = LIMITS, isolation: LevelName = "namespaces"
) -> list[AssertionVerdict]:
    """One verdict for each pair of input and output. Each input has its own process."""

    async def one(stdin: str, target: str) -> AssertionVerdict:
        output = await printed(program, stdin, limits, isolation)
        if output.text is None:
            return AssertionVerdict(False, output.error)
        ok = same_print(output.text, target)
        return AssertionVerdict(ok, "" if ok else "it printed something else")

    return list(await asyncio.gather(*(one(stdin, target) for stdin, target in pairs)))


def with_seconds(seconds: float) -> JobLimits:
    """The limits of one program with this much processor time in total, over all its processes."""
    return replace(LIMITS, cpu_seconds=seconds, total_cpu_seconds=seconds, wall_seconds=5 * seconds)
