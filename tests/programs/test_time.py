"""Limits of time are of the program's own time: a busy machine is no verdict, and `seconds` means what it says."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.errors import SandboxError
from mull.programs.box import box
from mull.programs.executor import PythonExecutor
from mull.run.calls import MeteredCalls
from mull.sandbox import Call, JobLimits, PythonCalls, Script, Status
from mull.types import Trial
from mull.verifiers.execute import GivenTests

pytestmark = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap on this machine")

BURN = """
import time
def burn(s):
    end = time.process_time() + s
    while time.process_time() < end: pass
    return s
"""


def problem(*tests: str) -> Problem:
    return Problem("burn", Prompt.user("Burn."), AnswerKind.CODE, {"entry_point": "burn", "tests": tests})


async def score(program: str, verifier: GivenTests, *tests: str) -> tuple[float | None, str]:
    asked = problem(*tests)
    (found,) = await verifier.score(asked, [Sample(asked.prompt, program, Finish.STOP)], MeteredCalls())
    return found.value, found.why


@contextlib.contextmanager
def busy(n: int) -> Iterator[None]:
    """A machine on which n other processes want every processor."""
    burners = [
        subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(n * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


async def test_a_busy_machine_is_no_verdict() -> None:
    """Four others want each processor: 0.6 seconds of it take longer than the second that a call may take."""
    with busy(4):
        (told,) = await PythonExecutor(seconds=4, call_seconds=1).execute(
            problem(), [Trial(BURN, ("assert burn(0.6) == 0.6",))]
        )
        assert told.passed == (True,)


async def test_a_part_of_a_second_is_a_limit_too() -> None:
    assert (await score(BURN, GivenTests(seconds=0.5), "assert burn(0.1) == 0.1"))[0] == 1
    value, why = await score(BURN, GivenTests(seconds=0.5), "assert burn(0.9) == 0.9")
    assert (value, "TimeoutError" in why) == (0, True)


async def test_the_seconds_are_of_all_tests_together() -> None:
    tests = [f"assert burn({s}) == {s}" for s in (0.3, 0.31, 0.32)]
    assert (await score(BURN, GivenTests(seconds=3), *tests))[0] == 1
    value, why = await score(BURN, GivenTests(seconds=0.5), *tests)
    assert (value, "it used up its processor time" in why) == (0, True)


async def test_no_shorter_limit_stands_behind_the_seconds() -> None:
    """What sleeps for longer than five seconds uses none of eight."""
    slow = "import time\ndef burn(s):\n    time.sleep(s)\n    return s\n"
    assert await score(slow, GivenTests(seconds=8), "assert burn(5.5) == 5.5") == (1, "")


async def test_a_program_that_sleeps_for_ever_fails() -> None:
    asleep = "import time\ndef burn(s):\n    time.sleep(600)\n"
    value, why = await score(asleep, GivenTests(seconds=0.4), "assert burn(1) == 1")
    assert (value, "TimeoutError" in why) == (0, True)


async def test_processes_of_a_program_count_together() -> None:
    forks = "import os\nfor _ in range(3): os.fork()\nwhile True: pass"
    result = await (await box()).run(Script(forks, limits=JobLimits(total_cpu_seconds=0.8, wall_seconds=60)))
    assert result.status is Status.CPU


async def test_what_is_never_let_run_to_its_end_has_no_result() -> None:
    limits = JobLimits(wall_seconds=10, busy_factor=0.02)
    for job in (
        Script("while True: pass", limits=limits),
        PythonCalls("def f():\n    while True: pass", (Call("f()"),), limits=limits),
    ):
        with pytest.raises(SandboxError, match=r"the machine is too busy: .* within 0\.2 seconds"):
            await (await box()).run(job)
