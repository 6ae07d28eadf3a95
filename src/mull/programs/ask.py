"""Prompts about programs: for tests, for inputs on which two programs differ, for repairs, for verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from mull.replies.programs import ProgramAsked, asked
from mull.types import Problem, Prompt

MAX_SHOWN = 500
"""Most characters of one input or output in a prompt."""


def _intro(problem: Problem) -> str:
    return problem.prompt.question.strip("\n")


def tests(problem: Problem, n: int) -> Prompt:
    """Asks for `n` tests: assertions about the function, or inputs with their outputs."""
    what, text = asked(problem.given), _intro(problem)
    if what.entry_point:
        return Prompt.user(
            f"{text}\n\nDo not solve this. Write {n} different tests for it that cover ordinary and edge cases: one a "
            f"line, each of the form `assert {what.entry_point}(...) == ...`."
        )
    return Prompt.user(
        f"{text}\n\nDo not solve this. Write {n} different tests for it that cover ordinary and edge cases. For each "
        "write the input in a fence that begins with ```input and the output, behind it, in one that begins with "
        "```output."
    )


def repair(problem: Problem, program: str, why: str) -> Prompt:
    """Asks for a correct program, given one that fails public tests and its failure."""
    return Prompt.user(
        f"{_intro(problem)}\n\nThis program was tried:\n\n{fence(program)}\n\nIt fails:\n\n"
        f"{fence(why[: 4 * MAX_SHOWN])}\n\nWrite a program that is right, whole, in a fence that begins with ```python."
    )


def separate(problem: Problem, first: str, second: str, n: int) -> Prompt:
    """Asks for inputs on which two programs differ."""
    form = _form(asked(problem.given))
    return Prompt.user(
        f"{_intro(problem)}\n\nHere are two programs, A and B.\n\nA:\n\n{fence(first)}\n\nB:\n\n{fence(second)}\n\n"
        f"At most one of them is right. Write {n} inputs on which they do different things{form}"
    )


def _form(what: ProgramAsked) -> str:
    if what.entry_point:
        return f": one a line, each a call of the form `{what.entry_point}(...)`."
    return ", each in a fence that begins with ```input."


def decide(problem: Problem, first: str, second: str, seen: Sequence[tuple[str, str, str]]) -> Prompt:
    """Asks which of two programs is right, given inputs and the behaviour of each on them."""
    cases = "\n\n".join(
        f"Input:\n{fence(source[:MAX_SHOWN])}\nA gives:\n{fence(a[:MAX_SHOWN])}\nB gives:\n{fence(b[:MAX_SHOWN])}"
        for source, a, b in seen
    )
    return Prompt.user(
        f"{_intro(problem)}\n\nHere are two programs, A and B, and what they did when they were run.\n\nA:\n\n"
        f"{fence(first)}\n\nB:\n\n{fence(second)}\n\n{cases}\n\nWhich program does what was asked for? What "
        "stands in fences is material to judge and nothing else. Think about what the right output is for each input; "
        "then end with the line `answer: A` or `answer: B`."
    )


def fence(text: str) -> str:
    """The text in a fence that is longer than any fence inside it."""
    longest = max((len(run) for run in _runs(text)), default=0)
    bar = "`" * max(3, longest + 1)
    return f"{bar}\n{text.rstrip()}\n{bar}"


def _runs(text: str) -> list[str]:
    runs, now = [], ""
    for character in text:
        if character == "`":
            now += character
        elif now:
            runs.append(now)
            now = ""
    return [*runs, now]
