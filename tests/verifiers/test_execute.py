"""The tests that come with a problem as a verifier, and the executor, on real programs in the real sandbox."""

from pathlib import Path

import pytest

from mull import AnswerKind, Finish, Problem, Prompt, Sample, Trial, UsageError
from mull.errors import NoSandboxError, SandboxError
from mull.programs import execute
from mull.programs.assertions import AssertionVerdict
from mull.programs.executor import PythonExecutor
from mull.run.calls import MeteredCalls
from mull.verifiers.execute import NO_TESTS, GivenTests, wavering

pytestmark = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap on this machine")

HEADER = 'def f(x):\n    """Double."""\n'
TESTS = ("assert f(2) == 4", "assert f(1.5) == 3.0", "assert f([1]) == [1, 1]")


def problem(*tests: str) -> Problem:
    given = {"entry_point": "f", "header": HEADER, "tests": tests}
    return Problem("double", Prompt.user(HEADER), AnswerKind.CODE, given)


def samples(asked: Problem, *texts: str) -> list[Sample]:
    return [Sample(asked.prompt, text, Finish.STOP) for text in texts]


async def test_a_program_passes_all_tests_or_scores_nothing() -> None:
    asked = problem(*TESTS)
    texts = ("    return x + x\n", "    return x * x\n", "    while True: pass\n", "    import os; os._exit(0)\n", "")
    found = await GivenTests(seconds=1).score(asked, samples(asked, *texts), MeteredCalls())
    assert [score.value for score in found] == [1, 0, 0, 0, 0]
    assert [score.steps for score in found] == [(1, 1, 1), (1, 0, 0), (0, 0, 0), (0, 0, 0), ()]
    assert found[1].why.startswith("test 2 failed")
    assert found[4].why == "there is no program in the reply"


async def test_the_score_can_be_the_share_of_tests() -> None:
    asked = problem(*TESTS)
    score = (await GivenTests(partial=True).score(asked, samples(asked, "    return x * x\n"), MeteredCalls()))[0]
    assert score.value == pytest.approx(1 / 3)


async def test_a_broken_test_is_named_and_counts_against_nobody() -> None:
    asked = problem("assert f(2) == 4", "assert f(", "from nowhere import nothing\nassert f(1) == 2")
    score = (await GivenTests().score(asked, samples(asked, "    return x + x\n"), MeteredCalls()))[0]
    assert (score.value, score.steps) == (1, (1,))
    assert "test 2 is broken and does not count: SyntaxError" in score.why
    assert "test 3 is broken and does not count" in score.why
    only = problem("assert f(")
    score = (await GivenTests().score(only, samples(only, "    return x + x\n"), MeteredCalls()))[0]
    assert score.value is None
    assert score.why.startswith("no test can be counted; test 1 is broken")


async def test_a_problem_without_tests_has_no_score() -> None:
    asked = problem()
    assert [
        (s.value, s.why) for s in await GivenTests().score(asked, samples(asked, "    return 1\n"), MeteredCalls())
    ] == [(None, NO_TESTS)]


async def test_a_flaky_test_is_found_and_does_not_count() -> None:
    """It draws numbers and is right on some of them only: it wavers for every right program, so it is the test."""
    asked = problem("assert f(2) == 4", "import random\nassert f(random.choice([1, 2, 3, 4])) > 5")
    texts = ("    return x + x\n", "    return 2 * x\n", "    return x - x\n")
    found = await GivenTests(repeats=8).score(asked, samples(asked, *texts), MeteredCalls())
    assert [score.value for score in found] == [1, 1, 0]
    assert "test 2 is flaky and does not count" in found[0].why


async def test_a_program_that_passes_by_chance_does_not_pass() -> None:
    asked = problem("assert f(2) == 4")
    by_chance = "    import random\n    return random.choice([4, 5])\n"
    found = await GivenTests(repeats=12).score(asked, samples(asked, by_chance, "    return x + x\n"), MeteredCalls())
    assert [score.value for score in found] == [0, 1]


def test_a_test_that_wavers_for_one_program_is_not_flaky() -> None:
    yes, no = AssertionVerdict(True), AssertionVerdict(False)
    assert wavering({"a": [[yes, yes], [no, yes]], "b": [[yes, no], [yes, no]]}) == set()
    assert wavering({"a": [[yes, yes], [no, yes]], "b": [[no, yes], [yes, yes]]}) == {0}


async def test_pairs_of_input_and_output() -> None:
    asked = Problem("sum", Prompt.user("Add."), AnswerKind.CODE, {"pairs": [("1 2", "3"), ("2 5", "7")]})
    texts = ("```python\nprint(sum(map(int, input().split())))\n```", "print(3)", "print(")
    found = await GivenTests().score(asked, samples(asked, *texts), MeteredCalls())
    assert [score.value for score in found] == [1, 0, 0]
    assert [score.steps for score in found] == [(1, 1), (1, 0), (0, 0)]


async def test_where_the_sandbox_fails_there_is_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program failed is not we failed; and without any sandbox nothing is scored at all."""
    asked = problem(*TESTS)

    async def fails(isolation: str) -> None:
        raise SandboxError("the box fell apart")

    async def is_missing(isolation: str) -> None:
        raise NoSandboxError("no sandbox: install bubblewrap")

    monkeypatch.setattr(execute, "box", fails)
    score = (await GivenTests(seconds=1.5).score(asked, samples(asked, "    return x + x\n"), MeteredCalls()))[0]
    assert (score.value, score.why) == (None, "the sandbox failed: the box fell apart")
    told = (await PythonExecutor().execute(asked, [Trial("", ("assert f(1) == 2",))]))[0]
    assert (told.is_known, told.passed) == (False, ())
    monkeypatch.setattr(execute, "box", is_missing)
    with pytest.raises(NoSandboxError, match="install bubblewrap"):
        await GivenTests(seconds=1.25).score(asked, samples(asked, "    return x + x\n"), MeteredCalls())
    with pytest.raises(NoSandboxError, match="install bubblewrap"):
        await PythonExecutor().execute(asked, [Trial("", ("assert f(1) == 2",))])


async def test_the_executor_tells_what_each_program_did() -> None:
    asked = problem()
    good, hangs = HEADER + "    return x + x\n", HEADER + "    while x: pass\n    return 0\n"
    trial = Trial(good, ("assert f(1) == 2", "assert f(1) == 3", "assert f("), ("f([1])", "f(None)"))
    told = await PythonExecutor(call_seconds=1).execute(asked, [trial, Trial(hangs, (), ("f(1)", "f(0)")), trial])
    assert told[0] == told[2]
    assert told[0].passed == (True, False, None)
    assert told[0].outputs == ("[1, 1]", None)
    assert told[0].errors[1].startswith("TypeError: unsupported operand")
    assert (told[1].outputs, told[1].errors) == ((None, "0"), ("TimeoutError: it did not end in time", ""))


def test_limits_of_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="seconds must be above 0, not 0"):
        GivenTests(seconds=0)
    with pytest.raises(UsageError, match="repeats must be at least 1, not 0"):
        GivenTests(repeats=0)
