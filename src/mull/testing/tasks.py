"""The laws that every task must keep, as functions and coroutines that raise `AssertionError`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import islice
from typing import Any

from mull.testing.hostile import hostile
from mull.types import Finish, Problem, Sample, Task

N_PROBLEMS = 20
"""How many problems of a task are looked at: some have no end."""


def first(task: Task, n: int = N_PROBLEMS) -> list[Problem]:
    """The first problems of a task."""
    return list(islice(task.problems(), n))


def check_problems(make: Callable[[], Task], n: int = N_PROBLEMS) -> None:
    """A task has the same problems in the same order each time, also made anew, and no two have one id."""
    task = make()
    problems = first(task, n)
    assert problems, "it has no problems"
    assert first(task, n) == problems, "asked again it has other problems"
    assert first(make(), n) == problems, "made anew it has other problems"
    ids = [problem.id for problem in problems]
    assert len(set(ids)) == len(ids), "two problems have one id"
    assert all(problem.prompt.messages for problem in problems), "a problem asks nothing"


def reachable(value: Any) -> Iterator[Any]:
    """All plain values in a problem. Raises `AssertionError` for anything else, which may lead to the gold answer."""
    if value is None or isinstance(value, str | int | float | Enum):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from reachable(getattr(value, f.name))
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from (*reachable(name), *reachable(part))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from reachable(part)
    else:
        raise AssertionError(f"a problem holds a {type(value).__qualname__}, and not plain values alone")


def check_no_gold(task: Task, golds: Callable[[Problem], Sequence[str]], n: int = N_PROBLEMS) -> None:
    """Nothing that can be reached from a problem holds its gold answer, its hidden tests or its solution.

    `golds` has the texts that must not be there, as the test knows them; none for a problem that could hold one by
    chance.
    """
    looked = [(problem, gold) for problem in first(task, n) for gold in golds(problem)]
    assert looked, "there is nothing to look for"
    for problem, gold in looked:
        for value in reachable(problem):
            assert gold not in str(value), f"problem {problem.id} holds its gold answer {gold!r}: {value!r}"


async def check_grading(task: Task, n: int = 2) -> None:
    """Grading is total: any reply has a grade, whatever it says, and where that is open the grade says why.

    No reply that gives nothing is right, nor is a draw that failed.
    """
    for problem in first(task, n):
        for sample in hostile(problem.prompt):
            grade = await task.grade(problem.id, sample)
            assert grade.correct in (True, False, None)
            assert grade.correct is not None or grade.why.strip(), f"{problem.id} has no grade and no reason"
            if sample.finish is Finish.ERROR or not sample.text.strip():
                assert not grade.correct, f"{problem.id}: {sample.finish} {sample.text!r} is graded right"


async def check_right(
    task: Task, right: Callable[[Problem], str], wrong: Callable[[Problem], str], n: int = N_PROBLEMS
) -> None:
    """What is right is graded right, time and again, and not where the draw failed; what is wrong is graded wrong."""
    for problem in first(task, n):
        good, bad = right(problem), wrong(problem)
        for _ in range(2):
            grade = await task.grade(problem.id, Sample(problem.prompt, good, Finish.STOP))
            assert grade.correct is True, f"{problem.id}: {good!r} is right, and graded {grade}"
        grade = await task.grade(problem.id, Sample(problem.prompt, bad, Finish.STOP))
        assert grade.correct is False, f"{problem.id}: {bad!r} is wrong, and graded {grade}"
        grade = await task.grade(problem.id, Sample(problem.prompt, good, Finish.ERROR, error="it fell over"))
        assert not grade.correct, f"{problem.id}: a draw that failed is graded right"


def check_held_out(
    held_out: Iterable[Problem],
    trained_on: Iterable[Problem],
    content: Callable[[Problem], object] = lambda problem: problem.prompt,
) -> None:
    """No problem that is held out is trained on; `content` is what makes it that problem, whatever its words."""
    known = {content(problem) for problem in trained_on}
    assert known, "there is nothing to train on"
    both = [problem.id for problem in held_out if content(problem) in known]
    assert not both, f"held out and trained on: {both[:3]}"
