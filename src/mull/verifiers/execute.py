"""Runs programs: the verifier on a problem's own tests, and the executor that strategies use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mull.errors import NoSandboxError, SandboxError, UsageError
from mull.programs import execute as bench
from mull.programs.assertions import AssertionVerdict
from mull.programs.execute import Bench, Suite
from mull.programs.executor import check_seconds
from mull.replies.programs import ProgramAsked, asked, programs_of
from mull.sandbox import JobLimits, LevelName
from mull.types import Calls, Cost, Problem, Sample, Score
from mull.verifiers.failed import but_failed

NO_TESTS = "the problem gives no tests: those of humaneval:FILE, mbpp:FILE and stdio:FILE do"


def wavering(verdicts: Mapping[str, Sequence[Sequence[AssertionVerdict]]]) -> set[int]:
    """Indices of flaky tests: those whose verdicts vary between runs for more than one program.

    If a test's verdict varies for one program only, the program may be random: that program does not pass the test.
    """
    n_wavers: dict[int, int] = {}
    for runs in verdicts.values():
        for place, seen in enumerate(zip(*runs, strict=True)):
            if len({verdict.passed for verdict in seen}) > 1:
                n_wavers[place] = n_wavers.get(place, 0) + 1
    return {place for place, n in n_wavers.items() if n > 1}


@dataclass(frozen=True)
class GivenTests:
    """Runs a reply's program on the problem's tests: 1 if it passes them all, else 0.

    `seconds` limits the processor time of a program on all tests together; for a program that reads standard input, on
    each input. Waiting for a processor does not count, and a machine that is too busy gives no score. `repeats` is the
    number of runs of each program: a test whose verdict varies for several programs is flaky, is excluded and named; a
    program passes a test if every run does. With `partial` the score is the share of tests passed. `Score.steps` has 1
    or 0 for each test that counts.

    `isolation` is the minimum level of the sandbox.

    A program that crashes, hangs or is missing scores 0. There is no score if the sandbox failed, if the problem has no
    tests, or if all tests are broken or flaky.
    """

    seconds: float = 4.0
    repeats: int = 1
    partial: bool = False
    isolation: LevelName = "namespaces"

    def __post_init__(self) -> None:
        check_seconds(self.seconds)
        if self.repeats < 1:
            raise UsageError(f"repeats must be at least 1, not {self.repeats}")

    @property
    def name(self) -> str:
        return "tests"

    @property
    def identity(self) -> str:
        return f"tests@2/{self.seconds:g}s/{self.repeats}" + ("/partial" if self.partial else "")

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No tokens and no money: it uses processor time of this machine."""
        return Cost()

    def lacks(self, problem: Problem) -> str:
        """What this verifier needs and the problem does not give; empty if it can be scored."""
        what = asked(problem.given)
        return "" if what.tests or what.pairs else NO_TESTS

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        what = asked(problem.given)
        if not (what.tests or what.pairs):
            return [Score(None, why=NO_TESTS)] * len(samples)
        programs = await programs_of(problem, samples)
        distinct = sorted({program for program in programs if program is not None})
        found = await asyncio.gather(*(self._runs(what, program) for program in distinct))
        runs = dict(zip(distinct, found, strict=True))
        flaky = wavering({program: told for program, told in runs.items() if not isinstance(told, str)})
        scores = [
            Score(0.0, why="there is no program in the reply") if program is None else self._score(runs[program], flaky)
            for program in programs
        ]
        return but_failed(samples, scores)

    async def _runs(self, what: ProgramAsked, program: str) -> list[list[AssertionVerdict]] | str:
        """The verdicts of each run of a program, or why there are none."""
        limits = bench.with_seconds(self.seconds)
        try:
            if not what.entry_point:
                return [await bench.run_pairs(program, what.pairs, limits, self.isolation) for _ in range(self.repeats)]
            return [await _bench(what, limits, seed, self.isolation).run(program) for seed in range(self.repeats)]
        except NoSandboxError:
            raise
        except SandboxError as error:
            return f"the sandbox failed: {error}"

    def _score(self, runs: list[list[AssertionVerdict]] | str, flaky: set[int]) -> Score:
        if isinstance(runs, str):
            return Score(None, why=runs)
        steps: list[float] = []
        remarks: list[str] = []
        for place, seen in enumerate(zip(*runs, strict=True)):
            if seen[0].passed is None:
                remarks.append(f"test {place + 1} is broken and does not count: {seen[0].why}")
            elif place in flaky:
                remarks.append(f"test {place + 1} is flaky and does not count")
            else:
                steps.append(float(all(verdict.passed for verdict in seen)))
                first = next((verdict.why for verdict in seen if not verdict.passed), None)
                remarks += [f"test {place + 1} failed: {first}"] if first is not None else []
        if not steps:
            return Score(None, why="; ".join(["no test can be counted", *remarks]))
        value = sum(steps) / len(steps) if self.partial else float(all(steps))
        return Score(value, tuple(steps), why="; ".join(remarks))


_benches: dict[tuple[ProgramAsked, float, int, LevelName], Bench] = {}


def _bench(what: ProgramAsked, limits: JobLimits, seed: int, isolation: LevelName) -> Bench:
    """The test bench of these tests, cached for further programs."""
    key = (what, limits.cpu_seconds, seed, isolation)
    if key not in _benches:
        if len(_benches) >= 256:
            _benches.pop(next(iter(_benches)))
        suite = Suite(what.entry_point, what.tests, what.prelude, what.setup)
        _benches[key] = Bench(suite, limits, limits.cpu_seconds, seed=seed, isolation=isolation)
    return _benches[key]
