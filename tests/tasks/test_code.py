"""Programming tasks: their files, what is public and what is hidden, and grades by execution in the real sandbox."""

import base64
import json
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from code_rows import HUMANEVAL, MBPP, STDIO
from mull import Finish, Sample, UsageError, spec
from mull.errors import FileFormatError
from mull.tasks.code import CodeTask

pytestmark = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap on this machine")

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[3] / "shared" / "data"))

Make = Callable[..., CodeTask]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def call(kind: str, *rows: dict[str, Any], options: str = "") -> CodeTask:
        path = tmp_path / "problems.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task: CodeTask = spec.build("task", spec.TASKS, f"{kind}:{path}{options}")
        return task

    return call


async def grades(task: CodeTask, *texts: str) -> list[tuple[bool | None, str]]:
    asked = next(iter(task.problems()))
    found = [await task.grade(asked.id, Sample(asked.prompt, text, Finish.STOP)) for text in texts]
    return [(grade.correct, grade.why) for grade in found]


async def test_a_function_is_graded_by_hidden_tests(make: Make) -> None:
    task = make("humaneval", HUMANEVAL)
    found = await grades(
        task,
        "    return x + x + x\n",
        "```python\ndef triple(x):\n    return x * 3\n```",
        "    return 6\n",
        "    import os; os._exit(0)\n",
        "",
    )
    assert [correct for correct, _ in found] == [True, True, False, False, False]
    assert found[2][1] == "line 3: the assertion is false"
    assert found[4][1] == "there is no program in the reply"


def test_hidden_tests_and_solutions_are_not_in_the_problem(make: Make) -> None:
    """Nothing that a strategy sees holds what only the hidden tests or the solution say."""
    for kind, row, secret in (("humaneval", HUMANEVAL, "2331"), ("mbpp", MBPP, "505"), ("stdio", STDIO, "42")):
        asked = next(iter(make(kind, row).problems()))
        assert secret not in repr(asked)
        assert asked.given.get("tests") or asked.given.get("pairs")
    asked = next(iter(make("humaneval", HUMANEVAL).problems()))
    assert asked.given["tests"] == ["assert triple(2) == 6"]
    assert "3 * x" not in repr(asked)


async def test_how_many_tests_of_mbpp_are_public_is_an_option(make: Make) -> None:
    one, none = make("mbpp", MBPP), make("mbpp", MBPP, options=",public=0")
    asked = next(iter(one.problems()))
    assert asked.id == "7"
    assert asked.prompt.messages[-1].content.endswith("Your code should pass these tests:\n\nassert add(1, 2) == 3\n")
    assert next(iter(none.problems())).given["tests"] == []
    found = await grades(
        one, "def add(a, b): return b + a", "def add(a, b): return 3", "def add(a, b): return abs(a) + b"
    )
    assert [correct for correct, _ in found] == [True, False, False]
    assert found[2][1].startswith("test 3")


async def test_programs_that_read_are_graded_by_what_they_print(make: Make) -> None:
    found = await grades(make("stdio", STDIO), "print(sum(map(int, input().split())))", "print(3)")
    assert [correct for correct, _ in found] == [True, False]


async def test_names_of_livecodebench_are_read(make: Make) -> None:
    row = {
        "question_id": "q",
        "question_content": "Print the sum.",
        "public_test_cases": json.dumps(STDIO["public_tests"]),
        "private_test_cases": json.dumps(STDIO["private_tests"]),
    }
    assert [correct for correct, _ in await grades(make("stdio", row), "print(sum(map(int, input().split())))")] == [
        True
    ]


def packed(tests: object) -> str:
    """Tests as LiveCodeBench packs the private ones; other things are packed as they are, and to be refused."""
    text = json.dumps(tests) if isinstance(tests, list) else tests
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


METHOD = {
    "question_id": "m",
    "question_content": "Reverse the list and add k to each.",
    "starter_code": "class Solution:\n    def turned(self, nums: List[int], k: int) -> List[int]:\n        ",
    "public_test_cases": json.dumps([{"input": "[1, 2]\n3", "output": "[5, 4]", "testtype": "functional"}]),
    "private_test_cases": packed([{"input": "[]\n707", "output": "[]", "testtype": "functional"}]),
    "metadata": json.dumps({"func_name": "turned"}),
}


async def test_a_row_that_asks_for_a_method_is_graded_by_calling_it(make: Make) -> None:
    """With the imports of such judges, as a class, as its body, as a function; a tuple is a list there."""
    task = make("stdio", METHOD)
    body = "[n + k for n in reversed(nums)]"
    head = "class Solution:\n    def turned(self, nums: List[int], k: int) -> List[int]:\n        "
    found = await grades(
        task,
        f"```python\n{head}return {body}\n```",
        f"```python\n{head}return tuple({body})\n\nprint(Solution().turned(input(), 1))\n```",
        f"        return {body}\n",
        f"```python\ndef turned(nums, k):\n    return {body}\n```",
        f"```python\n{head}return nums\n```",
        f"```python\n{head}return [5, 4]\n```",
    )
    assert [correct for correct, _ in found] == [True, True, True, True, False, False]
    asked = next(iter(task.problems()))
    assert asked.given["tests"] == ["assert turned([1, 2], 3) in ([5, 4], (5, 4))"]
    assert "707" not in repr(asked)
    assert "class Solution" in asked.prompt.messages[-1].content


async def test_packed_tests_of_programs_that_read_are_unpacked(make: Make) -> None:
    row = {**STDIO, "private_tests": [], "private_test_cases": packed(STDIO["private_tests"])}
    found = await grades(make("stdio", row), "print(sum(map(int, input().split())))", "print(3)")
    assert [correct for correct, _ in found] == [True, False]


async def test_tests_that_the_solution_fails_are_named_and_count_against_nobody(make: Make) -> None:
    broken = {**HUMANEVAL, "test": "def check(candidate):\n    assert candidate(2) == 7\n"}
    found = await grades(make("humaneval", broken), "    return 3 * x\n")
    told = "the tests of T/0 are broken: its own solution fails: line 2: the assertion is false"
    assert found == [(None, told)]


async def test_tests_with_an_error_of_their_own_count_against_nobody(make: Make) -> None:
    row = {k: v for k, v in HUMANEVAL.items() if k != "canonical_solution"}
    broken = {**row, "test": "def check(candidate):\n    import nothing_such\n    assert candidate(2) == 6\n"}
    ((correct, why),) = await grades(make("humaneval", broken), "    return 3 * x\n")
    assert correct is None
    assert why.startswith("test 1 of T/0 is broken: line 2: ModuleNotFoundError")


async def test_tests_that_waver_on_the_solution_are_flaky(make: Make) -> None:
    test = "def check(candidate):\n    import random\n    assert candidate(random.choice([1, 2])) == 6\n"
    found = await grades(make("humaneval", {**HUMANEVAL, "test": test}, options=",repeats=12"), "    return 3 * x\n")
    assert found[0][0] is None
    assert "the tests of T/0 are broken" in found[0][1]


@pytest.mark.parametrize(
    ("kind", "row", "told"),
    [
        ("humaneval", {**HUMANEVAL, "entry_point": ""}, "line 1: no `entry_point`"),
        ("humaneval", {**HUMANEVAL, "test": "assert True"}, "line 1: the tests of T/0 define no function `check`"),
        ("mbpp", {**MBPP, "test_list": [], "challenge_test_list": []}, "line 1: problem 7 has no `test_list`"),
        ("mbpp", {**MBPP, "test_list": ["assert True"]}, "line 1: the tests of 7 call no function"),
        ("stdio", {**STDIO, "private_tests": [1]}, "must be a list of objects with `input` and `output`"),
        ("stdio", {"problem_id": "s", "prompt": "x"}, "problem s has no `private_tests` to grade by"),
        ("stdio", {**STDIO, "private_tests": "eJx="}, "is text but not JSON: unpack it first"),
        (
            "stdio",
            {**STDIO, "private_tests": base64.b64encode(zlib.compress(pickle.dumps(print))).decode()},
            "not JSON",
        ),
        ("stdio", {**METHOD, "starter_code": ""}, "problem m asks for a method that its `starter_code` lacks"),
        (
            "stdio",
            {**METHOD, "public_test_cases": [{"input": "x = 1", "output": "1", "testtype": "functional"}]},
            "asks for the method 'turned', and a test of it is not JSON",
        ),
    ],
)
def test_a_malformed_row_is_refused_before_anything_is_drawn(
    make: Make, kind: str, row: dict[str, Any], told: str
) -> None:
    with pytest.raises(FileFormatError, match=told.replace("(", r"\(")):
        make(kind, row)


def test_a_problem_that_is_there_twice_is_refused(make: Make) -> None:
    with pytest.raises(UsageError, match="line 2: problem 'T/0' is there twice"):
        make("humaneval", HUMANEVAL, HUMANEVAL)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded data in {DATA}")
async def test_a_thirtieth_of_mbpp_accepts_its_own_solutions() -> None:
    task: CodeTask = spec.build("task", spec.TASKS, f"mbpp:{DATA / 'mbpp' / 'mbpp.jsonl'}")
    rows = [json.loads(line) for line in (DATA / "mbpp" / "mbpp.jsonl").read_text().splitlines()]
    for asked, row in list(zip(task.problems(), rows, strict=True))[::30]:
        grade = await task.grade(asked.id, Sample(asked.prompt, row["code"], Finish.STOP))
        assert grade.correct is True, (asked.id, grade.why)
