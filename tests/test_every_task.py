"""The laws that every task of the table must keep: see `mull.testing`."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, permutations, product
from pathlib import Path
from typing import Any

import pytest

from code_rows import HUMANEVAL, MBPP, STDIO
from mull import Problem, spec, testing
from mull.tasks.synthetic import ChainTask, CountdownTask
from mull.types import Task
from puzzles import boxed, met, satisfied, seen, shortest_paths, toured

SUMS = [{"id": f"s{i}", "prompt": f"Add {i} and {7000 + i}.", "answer": str(7000 + 2 * i)} for i in range(1, 6)]
ROOTS = [{"id": f"m{i}", "prompt": f"Root of {i * i}x^2=1?", "answer": rf"\frac{{1}}{{{i}}}"} for i in range(2, 5)]


def total(facts: str) -> int:
    """The value that a chain's text asks for, by substitution until all is known."""
    *told, asked = facts.split(";")
    values: dict[str, int] = {}
    while asked[0] not in values:
        for fact in told:
            name, _, rest = fact.partition(":")
            if rest.isdigit():
                values[name] = int(rest)
            elif rest[0] in values:
                values[name] = eval(f"{values[rest[0]]}{rest[1:]}")
    return values[asked[0]]


def chain_of(problem: Problem) -> tuple[str, ...]:
    """A chain without its names, order and distractors: its start and its operations."""
    *told, asked = problem.prompt.question.split(";")
    facts = dict(fact.split(":") for fact in told)
    name, way = asked[0], list[str]()
    while not facts[name].isdigit():
        way.append(facts[name][1:])
        name = facts[name][0]
    return (facts[name], *way[::-1])


def solved(problem: Problem) -> str:
    """An expression that reaches a countdown's target, by trying all of them."""
    told, target = problem.given["numbers"], problem.given["target"]
    for numbers in permutations(told):
        for signs in product("+-*/", repeat=len(numbers) - 1):
            for text in bracketed(list(map(str, numbers)), signs):
                try:
                    if eval(text) == target:
                        return f"answer: {text}"
                except ZeroDivisionError:
                    continue
    raise AssertionError(f"{told} never reach {target}")


def bracketed(parts: list[str], signs: Sequence[str]) -> list[str]:
    """All ways to put brackets into a row of numbers with these signs between them."""
    if len(parts) == 1:
        return parts
    found = []
    for i in range(1, len(parts)):
        for left, right in product(bracketed(parts[:i], signs[: i - 1]), bracketed(parts[i:], signs[i:])):
            found.append(f"({left}{signs[i - 1]}{right})")
    return found


@dataclass(frozen=True)
class Row:
    """A task with its rows, what is right and what is wrong, and what no problem may hold."""

    spec: str
    rows: Sequence[dict[str, Any]]
    right: Callable[[Problem], str]
    wrong: Callable[[Problem], str]
    golds: Callable[[Problem], Sequence[str]]
    needs_sandbox: bool = False


def answers(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["answer"] for row in rows}


def far(problem: Problem) -> list[str]:
    """The answer of a chain where it cannot stand in the problem by chance: no number there has three digits."""
    value = total(problem.prompt.question)
    return [str(value)] if value > 99 else []


ROWS = {
    "chain": Row("chain", (), lambda p: f"answer: {total(p.prompt.question)}", lambda p: "answer: 1000", far),
    "countdown": Row(
        "countdown:numbers=3", (), solved, lambda p: "answer: 1+1",
        lambda p: [solved(p).removeprefix("answer: "), solved(p).removeprefix("answer: ")[1:-1]],
    ),
    "file": Row(
        "file:FILE", SUMS, lambda p: f"The answer is {answers(SUMS)[p.id]}.", lambda p: "The answer is 3.",
        lambda p: [answers(SUMS)[p.id]],
    ),
    "file, mathematics": Row(
        "file:FILE", ROOTS, lambda p: rf"\boxed{{{2}/{2 * int(p.id[1:])}}}", lambda p: r"\boxed{7}",
        lambda p: [answers(ROOTS)[p.id]],
    ),
    "humaneval": Row(
        "humaneval:FILE", [HUMANEVAL], lambda p: "def triple(x):\n    return x + x + x",
        lambda p: "def triple(x):\n    return 6", lambda p: ["777", "2331", "3 * x", "candidate"], True,
    ),
    "mbpp": Row(
        "mbpp:FILE", [MBPP], lambda p: "```python\ndef add(x, y):\n    return y + x\n```",
        lambda p: "def add(a, b):\n    return 3", lambda p: ["505", "add(-1, 1)", "a + b"], True,
    ),
    "stdio": Row(
        "stdio:FILE,seconds=1", [STDIO], lambda p: "print(sum(map(int, input().split())))", lambda p: "print(3)",
        lambda p: ["20 22", "42"], True,
    ),
    "3sat": Row(
        "3sat:vars=5", (), lambda p: boxed(satisfied(p)),
        lambda p: boxed("x1=true" if satisfied(p) == "unsatisfiable" else "unsatisfiable"),
        lambda p: [] if satisfied(p) == "unsatisfiable" else [satisfied(p)],
    ),
    "tsp": Row(
        "tsp:cities=5", (), lambda p: boxed(toured(p)), lambda p: boxed(toured(p, max)),
        lambda p: [toured(p), "".join(toured(p).split(", "))],
    ),
    "calendar": Row(
        "calendar", (), lambda p: boxed(met(p)), lambda p: boxed("Monday 08:30" if met(p) == "none" else "none"),
        lambda p: [] if met(p) == "none" else [met(p)],
    ),
    "maze": Row(
        "maze:side=4", (), lambda p: boxed(shortest_paths(p)[0]), lambda p: boxed("U, D" + shortest_paths(p)[-1]),
        lambda p: [way for path in shortest_paths(p) for way in (path, ", ".join(path))],
    ),
    "spatial": Row(
        "spatial", (), lambda p: boxed(seen(p)), lambda p: boxed("left" if seen(p) != "left" else "right"),
        lambda p: [boxed(seen(p))],
    ),
}  # fmt: skip


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest) -> Row:
    row = ROWS[request.param]
    if row.needs_sandbox and shutil.which("bwrap") is None:
        pytest.skip(f"{request.param} runs programs, and bubblewrap is not installed")
    return row


@pytest.fixture
def make(row: Row, tmp_path: Path) -> Callable[[], Task]:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in row.rows))

    def built() -> Task:
        task: Task = spec.build("task", spec.TASKS, row.spec.replace("FILE", str(path)))
        return task

    return built


def test_every_task_of_the_table_is_here() -> None:
    assert {name.partition(",")[0] for name in ROWS} == set(spec.TASKS)


def test_it_has_the_same_problems_each_time(make: Callable[[], Task]) -> None:
    testing.check_problems(make)


def test_no_problem_holds_its_gold_answer(row: Row, make: Callable[[], Task]) -> None:
    testing.check_no_gold(make(), row.golds)


async def test_any_reply_has_a_grade(make: Callable[[], Task]) -> None:
    await testing.check_grading(make(), n=1)


async def test_right_is_graded_right_and_wrong_wrong(row: Row, make: Callable[[], Task]) -> None:
    await testing.check_right(make(), row.right, row.wrong, n=5)


@pytest.mark.parametrize("ops", [1, 2, 4])
def test_held_out_chains_are_not_trained_on(ops: int) -> None:
    """Whatever the names in them: chains of one operation come up again and again, and never in both splits."""
    held_out, trained_on = (islice(ChainTask(ops, split=split).problems(), 400) for split in ("test", "train"))
    testing.check_held_out(held_out, trained_on, chain_of)


def test_held_out_countdowns_are_not_trained_on() -> None:
    import random

    from mull.tasks.synthetic import countdown

    rng = random.Random(0)
    trained_on = (
        Problem(str(i), testing.PROBLEM.prompt, given={"numbers": one.numbers, "target": one.target})
        for i, one in enumerate(countdown(rng, 2, "train") for _ in range(400))
    )
    held_out = islice(CountdownTask(2).problems(), 400)
    testing.check_held_out(held_out, trained_on, lambda p: (tuple(sorted(p.given["numbers"])), p.given["target"]))
