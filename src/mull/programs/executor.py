"""Runs programs in the sandbox and returns their behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mull.errors import NoSandboxError, SandboxError, UsageError
from mull.programs import execute as bench
from mull.programs.execute import Apart, Bench, Suite
from mull.replies.programs import ProgramAsked, asked
from mull.sandbox import LevelName
from mull.types import Behaviour, Cost, Problem, Trial


def check_seconds(seconds: float) -> None:
    """Raises `UsageError` unless `seconds` is positive."""
    if not seconds > 0:
        raise UsageError(f"seconds must be above 0, not {seconds}")


@dataclass(frozen=True)
class PythonExecutor:
    """Runs Python programs in the sandbox, with `seconds` of processor time for one program on all its trials.

    A program that reads standard input has that much for each input. One test or input may run and sleep for
    `call_seconds`, not counting time spent waiting for a processor; an overloaded machine gives no verdict. The calls
    of one program share a process, so that a hundred tests cost little more than one; after a call that hangs or dies a
    new process continues. With `isolated` each call has its own process, for programs that keep state between calls.
    `isolation` is the minimum level of the sandbox.
    """

    seconds: float = 4.0
    call_seconds: float = 2.0
    isolated: bool = False
    isolation: LevelName = "namespaces"

    def __post_init__(self) -> None:
        check_seconds(self.seconds)
        check_seconds(self.call_seconds)

    @property
    def name(self) -> str:
        return "python"

    @property
    def identity(self) -> str:
        return f"python@2/{self.seconds:g}s/{self.call_seconds:g}s" + ("/isolated" if self.isolated else "")

    @property
    def _apart(self) -> Apart:
        return "isolated" if self.isolated else "restarted"

    def quote(self, problem: Problem, trials: Sequence[Trial]) -> Cost:
        """No tokens and no money: only processor time of this machine."""
        return Cost()

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> Sequence[Behaviour]:
        what = asked(problem.given)
        distinct = list(dict.fromkeys(trials))
        benches = {
            tests: Bench(
                Suite(what.entry_point, tests, what.prelude, what.setup),
                bench.with_seconds(self.seconds),
                self.call_seconds,
                isolation=self.isolation,
            )
            for tests in dict.fromkeys(_texts(trial.tests) for trial in distinct)
        }
        found = await asyncio.gather(*(self._trace(what, trial, benches[_texts(trial.tests)]) for trial in distinct))
        behaviours = dict(zip(distinct, found, strict=True))
        return [behaviours[trial] for trial in trials]

    async def _trace(self, what: ProgramAsked, trial: Trial, tests: Bench) -> Behaviour:
        try:
            limits, level = tests.limits, self.isolation
            if what.entry_point:
                verdicts = await tests.run(trial.program, self._apart) if trial.tests else []
                outputs = await bench.outputs(
                    tests.suite, trial.program, trial.inputs, limits, self.call_seconds, self._apart, level
                )
            else:
                pairs = [test for test in trial.tests if not isinstance(test, str)]
                verdicts = await bench.run_pairs(trial.program, pairs, limits, level)
                runs = (bench.printed(trial.program, text, limits, level) for text in trial.inputs)
                outputs = list(await asyncio.gather(*runs))
        except NoSandboxError:
            raise
        except SandboxError as error:
            return Behaviour(is_known=False, why=f"the sandbox failed: {error}")
        return Behaviour(
            tuple(verdict.passed for verdict in verdicts),
            tuple(output.text for output in outputs),
            tuple(output.error for output in outputs),
        )


def _texts(tests: Sequence[str | tuple[str, str]]) -> tuple[str, ...]:
    return tuple(test for test in tests if isinstance(test, str))
