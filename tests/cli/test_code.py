"""Programming problems from the command line, as a new user meets them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mull.programs import ask
from mull.tasks.code import HumanEvalTask

pytestmark = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap on this machine")

HEADER = 'def least(xs):\n    """\n    >>> least([2, 1])\n    1\n    """\n'
RIGHT, WRONG = ["    return min(xs)\n", "    return sorted(xs)[0]\n"], ["    return xs[-1]\n"] * 3


@pytest.fixture
def task(tmp_path: Path) -> str:
    row = {
        "task_id": "T/0",
        "prompt": HEADER,
        "entry_point": "least",
        "test": "def check(candidate):\n    assert candidate([3, 1, 2]) == 1\n",
    }
    (tmp_path / "functions.jsonl").write_text(json.dumps(row) + "\n")
    return f"humaneval:{tmp_path / 'functions.jsonl'}"


@pytest.fixture
def programs(tmp_path: Path, task: str) -> str:
    asked = next(iter(HumanEvalTask(task.partition(":")[2]).problems()))
    tests = ["assert least([1, 4, 3]) == 1\nassert least([2, 2]) == 2", "assert least([0, 9]) == 0"]
    rows = [
        {"problem_id": "T/0", "prompt": HEADER, "samples": [{"text": text} for text in [*RIGHT, *WRONG]]},
        {
            "problem_id": "t",
            "prompt": ask.tests(asked, 5).messages[-1].content,
            "samples": [{"text": t} for t in tests],
        },
    ]
    path = tmp_path / "programs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"recorded:{path}"


def test_solve_answers_a_problem_of_a_task_and_grades_it(
    mull_json: Callable[..., Any], task: str, programs: str
) -> None:
    told = mull_json("solve", "T/0", "--task", task, "-m", programs, "-s", "agree:n=5,tests=2")
    assert told["correct"] is True
    assert told["answer"].startswith(HEADER + "    return ")
    assert told["cost"]["calls"] == 7
    assert sorted(sample["score"] for sample in told["samples"]) == [pytest.approx(1 / 3)] * 3 + [1, 1]
    wrong = mull_json("solve", "T/0", "--task", task, "-m", programs, "-s", "majority:n=5")
    assert (wrong["correct"], wrong["graded"]) == (False, "line 2: the assertion is false")


def test_solve_prints_the_program_and_its_grade(mull: Callable[..., Any], task: str, programs: str) -> None:
    done = mull("solve", "T/0", "--task", task, "-m", programs, "-s", "best:n=5", "--verifier", "tests")
    assert done.returncode == 0, done.stderr
    assert HEADER in done.stdout
    assert "graded: " in done.stdout


def test_a_problem_that_is_not_there_is_named(mull: Callable[..., Any], task: str) -> None:
    done = mull("solve", "T/1", "--task", task)
    assert done.returncode == 2
    assert "'T/1': did you mean 'T/0'?" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_sweep_compares_selections(mull_json: Callable[..., Any], task: str, programs: str) -> None:
    told = mull_json(
        "sweep", task, "-m", programs, "-s", "majority:n=5", "-s", "agree:n=5,tests=2", "-s", "mbr:n=5,tests=2"
    )
    accuracy = {row["strategy"].partition(":")[0]: (row["accuracy"], row["oracle"]) for row in told["rows"]}
    assert accuracy == {"majority": (0, 1), "agree": (1, 1), "mbr": (0, 1)}


def test_without_a_sandbox_nothing_runs_and_the_error_says_what_to_install(
    mull: Callable[..., Any], environment: dict[str, str], task: str, programs: str, tmp_path: Path
) -> None:
    environment["PATH"] = str(tmp_path)
    done = mull("solve", "T/0", "--task", task, "-m", programs, "-s", "agree:n=5,tests=2")
    assert done.returncode == 1
    assert "install bubblewrap" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
