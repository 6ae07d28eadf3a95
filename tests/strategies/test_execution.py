"""Strategies that run programs, on scripted models and in the real sandbox."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mull import (
    AnswerKind,
    Budget,
    Cost,
    Draw,
    Finish,
    Outcome,
    Params,
    Problem,
    Prompt,
    Run,
    Sample,
    Stopped,
    UsageError,
)
from mull.programs.executor import PythonExecutor
from mull.strategies.execution import Agree, Cluster, Mbr
from mull.strategies.repair import Distinguish, Repair, Selection
from mull.testing import FakeModel, fake_run, solve
from mull.types import Purse

pytestmark = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap on this machine")

HEADER = 'def top(xs):\n    """The greatest number."""\n'
GOOD = ("    return max(xs)\n", "    return sorted(xs)[-1]\n", "    ys = list(xs)\n    return max(ys)\n")
FIRST, NOTHING, BROKEN = "    return xs[0]\n", "    pass\n", "    return xs[\n"


def problem(*public: str) -> Problem:
    given = {"entry_point": "top", "header": HEADER, "tests": public}
    return Problem("top", Prompt.user(HEADER), AnswerKind.CODE, given)


@dataclass
class Scripted:
    """Serves scripted replies: draw k of a question is the k-th of the list whose key is part of the question."""

    replies: dict[str, Sequence[str]]
    seen: list[str] = field(default_factory=list)

    name = identity = "scripted"

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 1, 1)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        asked = prompt.messages[-1].content
        self.seen.append(asked)
        replies = next(r for key, r in self.replies.items() if key in asked)
        for draw in draws:
            if draw.number < len(replies):
                yield Sample(prompt, replies[draw.number], Finish.STOP, Cost(1, 1, 1), draw.number, draw.seed)


def run(programs: Sequence[str], tests: Sequence[str], budget: Budget | None = None, **others: Sequence[str]) -> Run:
    script = {"Do not solve this": tests, **others, HEADER: programs}
    return Run(Scripted(script), executor=PythonExecutor(call_seconds=1.0), budget=budget)


def body(outcome: Outcome) -> str:
    return outcome.best.text if outcome.best else "none"


RIGHT_TESTS = [
    "assert top([1, 3, 2]) == 3\nassert top([5]) == 5",
    "assert top([-2, -1]) == -1\nassert top([7, 8]) == 8",
]


def test_those_that_agree_on_most_tests_win() -> None:
    """Three right programs pass four tests, 12; five draws of one wrong program pass one of them and a wrong one."""
    tests = [*RIGHT_TESTS, "assert top([3, 4]) == 3"]
    outcome = solve(Agree(n=8, tests=3), run([FIRST] * 5 + list(GOOD), tests), problem())
    assert body(outcome) in GOOD
    assert outcome.answer == HEADER + body(outcome)
    assert outcome.tally[0] == ("3 draws pass 4 tests (1)", 12)
    assert outcome.confidence == pytest.approx(12 / 14)
    assert [score.value for score in outcome.scores] == [pytest.approx(2 / 5)] * 5 + [pytest.approx(4 / 5)] * 3


def test_a_trivial_program_loses_however_often_it_is_drawn() -> None:
    """Tests that expect nothing agree with a program that does nothing; counted by draws it would win with 20 to 12."""
    tests = [*RIGHT_TESTS, "assert top([1]) is None\nassert top([2]) == None"]
    programs = [NOTHING] * 10 + list(GOOD)
    assert body(solve(Agree(n=13, tests=3), run(programs, tests), problem())) in GOOD
    assert body(solve(Agree(n=13, tests=3, count="samples"), run(programs, tests), problem())) == NOTHING


def test_no_tests_no_agreement() -> None:
    outcome = solve(Agree(n=3, tests=2), run(GOOD, ["I cannot.", "assert other(1)"]), problem())
    assert body(outcome) in GOOD
    assert outcome.confidence is None
    assert outcome.tally == (("3 draws pass 0 tests (1)", 0),)


def test_hostile_programs_and_tests_neither_win_nor_stop_anything() -> None:
    programs = ["    while True: pass\n", "    import os; os._exit(0)\n", BROKEN, "    raise SystemExit\n", GOOD[0]]
    tests = [*RIGHT_TESTS, "assert (top([1]), __import__('os')._exit(0))", "assert top([1]) == 1 or exit(0)"]
    assert body(solve(Agree(n=5, tests=4), run(programs, tests), problem())) == GOOD[0]


def test_the_largest_cluster_wins_whatever_tests_expect() -> None:
    tests = ["assert top([1, 3, 2]) == 77\nassert top([5, 4]) == 99"]
    outcome = solve(Cluster(n=5, tests=1), run([FIRST, FIRST, *GOOD], tests), problem())
    assert body(outcome) in GOOD
    assert outcome.tally == (("behaviour 1", 3), ("behaviour 2", 2))


def test_programs_that_fail_a_public_test_are_out_of_clusters() -> None:
    tests = ["assert top([5, 4]) == 99"]
    programs = [NOTHING] * 3 + [FIRST] * 3 + [GOOD[0]]
    assert body(solve(Cluster(n=7, tests=1), run(programs, tests), problem("assert top([1, 2]) == 2"))) == GOOD[0]
    wrong = solve(Cluster(n=7, tests=1), run(programs, tests), problem("assert top([1, 2]) == 9"))
    assert body(wrong) in (NOTHING, FIRST)
    assert [size for _, size in wrong.tally] == [3, 3, 1]


def test_programs_that_crash_everywhere_are_no_cluster() -> None:
    tests = ["assert top([1, 2]) == 2"]
    outcome = solve(Cluster(n=6, tests=1), run(["    return ys\n"] * 5 + [GOOD[0]], tests), problem())
    assert body(outcome) == GOOD[0]


def test_without_tests_of_the_model_the_inputs_are_those_of_the_public_tests() -> None:
    """No test is asked for, so nothing more is drawn; without public tests programs are the same if their text is."""
    programs = [FIRST, FIRST, *GOOD]
    for strategy in (Cluster(n=5, tests=0), Mbr(n=5, tests=0)):
        known = run(programs, [])
        outcome = solve(strategy, known, problem("assert top([1, 2]) == 3", "assert top([2, 1]) == 2"))
        assert body(outcome) in GOOD
        assert known.spent.calls == 5
        assert body(solve(strategy, run(programs, []), problem())) == FIRST


def test_the_least_risk_is_chosen() -> None:
    """Soft loss prefers the program that is like most others on most inputs, though nobody is its twin."""
    tests = ["top([1, 2])\ntop([2, 1])\ntop([3, 1])\ntop([4, 1, 2])"]
    programs = ["    return 9\n", "    return 9 + 0\n", *GOOD[:2], "    return max(xs[:2])\n"]
    outcome = solve(Mbr(n=5, tests=1, loss="soft"), run(programs, tests), problem())
    assert body(outcome) in (*GOOD[:2], programs[4])
    assert outcome.confidence == pytest.approx(1 - 2 / 4)


def test_a_tournament_on_inputs_that_separate() -> None:
    """The larger cluster is wrong; the judge sees what both do on an input that tells them apart, in both orders."""
    model_run = run(
        [FIRST, FIRST, FIRST, *GOOD[:2]],
        ["assert top([1, 2]) == 2"],
        **{"Which program does what was asked": ["3 > 1.\nanswer: B"]},
    )
    asked = problem()
    outcome = solve(Distinguish(n=5, tests=1), model_run, asked)
    # One order says B, which is the right one; the other order says B again, which is the wrong one: nobody wins.
    assert outcome.tally == (("behaviour 1: 3 draws", 0.5), ("behaviour 2: 2 draws", 0.5))
    assert body(outcome) == FIRST

    @dataclass
    class Knowing(Scripted):
        """Names the program that calls `max` or `sorted`."""

        async def sample(
            self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
        ) -> AsyncGenerator[Sample, None]:
            asked = prompt.messages[-1].content
            if "Which program does what" in asked:
                first = asked.partition("\nB:\n")[0]
                self.replies["Which program does what"] = ["answer: B" if "xs[0]" in first else "answer: A"]
            async for sample in super().sample(prompt, params, draws, purse):
                yield sample

    script = Knowing({"Do not solve this": ["assert top([1, 2]) == 2"], HEADER: [FIRST, FIRST, FIRST, *GOOD[:2]]})
    script.replies = {"Which program does what": [], **script.replies}
    knowing = Run(script, executor=PythonExecutor())
    outcome = solve(Distinguish(n=5, tests=1), knowing, asked)
    assert body(outcome) in GOOD
    assert outcome.tally[0] == ("behaviour 2: 2 draws", 1)
    shown = next(text for text in script.seen if "Which program does what" in text)
    assert "Input:\n```\ntop([1, 2])\n```\nA gives:\n```\n1\n```\nB gives:\n```\n2\n```" in shown


def test_programs_that_fail_public_tests_are_repaired_first() -> None:
    fixed = "```python\n" + HEADER + GOOD[0] + "```"
    model_run = run([FIRST, FIRST], ["assert top([2]) == 2"], **{"This program was tried": [fixed]})
    outcome = solve(Distinguish(n=2, tests=1), model_run, problem("assert top([1, 2]) == 2"))
    assert outcome.best is not None
    assert "max(xs)" in outcome.best.text
    assert outcome.answer == HEADER + GOOD[0]


def test_the_model_sees_what_a_program_did_and_only_a_better_version_stays() -> None:
    """Of two repairs the first is worse than what was there and is thrown away; the second starts from the best."""
    public = problem("assert top([1, 2]) == 2", "assert top([5]) == 5")
    worse, fixed = (f"```python\n{HEADER}{body}```" for body in (NOTHING, GOOD[0]))
    script = Scripted({"This program was tried": [worse, fixed], HEADER: [FIRST]})
    outcome = solve(Repair(n=1, rounds=2, pick="tests"), Run(script, executor=PythonExecutor()), public)
    assert outcome.answer == HEADER + GOOD[0]
    assert (outcome.confidence, outcome.notes["repairs"]) == (1.0, 2)
    assert [score.value for score in outcome.scores] == [1.0, 0.0, 0.5], "the last version, and the two given up"
    first, second = [text for text in script.seen if "This program was tried" in text]
    assert "assert top([1, 2]) == 2\nbut top([1, 2]) gives 1" in first
    assert "top([5])" not in first, "it passes that one"
    assert first == second


def test_a_program_that_reads_is_shown_what_it_printed() -> None:
    given = {"pairs": [("1 1\n", "2\n")]}
    asked = Problem("sum", Prompt.user("Print the sum."), AnswerKind.CODE, given)
    wrong, crash = "```python\nprint(11)\n```", "```python\nprint(x)\n```"
    good = "```python\nprint(sum(map(int, input().split())))\n```"
    script = Scripted({"This program was tried": [good], "Print the sum.": [wrong, crash]})
    outcome = solve(Repair(n=2, rounds=1, pick="tests"), Run(script, executor=PythonExecutor()), asked)
    assert [score.value for score in outcome.scores] == [1.0, 1.0, 0.0, 0.0]
    shown = "\n".join(script.seen)
    assert "output:\n2\n\nbut it gives:\n11" in shown
    assert "raises NameError" in shown


@pytest.mark.parametrize("pick", ["distinguish", "cluster", "tests"])
def test_repair_answers_with_what_there_is_when_the_budget_ends(pick: Selection) -> None:
    fixed = f"```python\n{HEADER}{GOOD[0]}```"
    for calls in range(1, 6):
        script = Scripted({"Do not solve": ["assert top([2]) == 2"], "was tried": [fixed] * 9, HEADER: [FIRST] * 3})
        model_run = Run(script, executor=PythonExecutor(), budget=Budget(calls=calls))
        outcome = solve(Repair(n=3, pick=pick), model_run, problem("assert top([1, 2]) == 2"))
        assert outcome.best is not None
        assert model_run.spent.calls == calls
        assert (outcome.answer == HEADER + GOOD[0]) == (calls > 3), "what was mended in time is chosen"


def test_without_public_tests_nothing_is_repaired() -> None:
    model_run = run([FIRST, GOOD[0]], RIGHT_TESTS)
    outcome = solve(Repair(n=2, tests=1, pick="cluster"), model_run, problem())
    assert outcome.notes["repairs"] == 0
    assert model_run.spent.calls == 3


def test_tests_that_the_model_writes_are_spent() -> None:
    model_run = run(GOOD, RIGHT_TESTS)
    solve(Agree(n=3, tests=2), model_run, problem())
    assert model_run.spent.calls == 5
    short = run(GOOD, RIGHT_TESTS, Budget(calls=4))
    outcome = solve(Agree(n=3, tests=2), short, problem())
    assert (short.spent.calls, outcome.stopped) == (4, Stopped.BUDGET)
    assert body(outcome) in GOOD


def test_programs_that_read_are_compared_by_what_they_print() -> None:
    asked = Problem("sum", Prompt.user("Print the sum."), AnswerKind.CODE, {"pairs": [("1 1\n", "2\n")]})
    good = "```python\nprint(sum(map(int, input().split())))\n```"
    doubled = "```python\nprint(2 * int(input().split()[0]))\n```"
    script = {"Do not solve": ["```input\n1 4\n```\n```output\n5\n```"], "Print the sum.": [doubled, good, good]}
    for strategy in (Agree(n=3, tests=1), Cluster(n=3, tests=1), Mbr(n=3, tests=1)):
        outcome = solve(strategy, Run(Scripted(script), executor=PythonExecutor()), asked)
        assert body(outcome) == good


def test_without_an_executor_nothing_is_run() -> None:
    model_run = Run(FakeModel())
    with pytest.raises(UsageError, match="runs programs and needs an executor"):
        solve(Agree(n=2, tests=1), model_run)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown count 'sample': did you mean 'samples'"):
        Agree(count="sample")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="tests must be at least 1, not 0"):
        Agree(tests=0)
    with pytest.raises(UsageError, match="tests must be at least 0, not -1"):
        Cluster(tests=-1)
    assert solve(Mbr(n=4, tests=2), fake_run(), Problem("x", Prompt.user("?"), AnswerKind.CODE)).candidates
