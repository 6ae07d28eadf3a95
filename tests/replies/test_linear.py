"""Reading takes time in proportion to the length of a reply, whatever it repeats: a model in a loop stops nothing."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.replies import steps
from mull.replies.answers import answer_of, extract, solution_answer
from mull.replies.kinds import ExactAnswer, JsonAnswer
from mull.types import Kind

FRAGMENTS: list[str] = [
    "\n",
    " ",
    "\t",
    "{",
    "}",
    "(",
    "$",
    "\\(",
    "\\[",
    "\\boxed{",
    "\\boxed",
    "\\boxed{5} ",
    "\\boxed{5}, ",
    "answer",
    "answer ",
    "answer is ",
    "the answer is 5. ",
    "Answer: 5\n",
    "Answer:\n",
    "answer:",
    "####",
    "#### ",
    "#### 5\n",
    "<answer>",
    "</answer>",
    "<answer>5</answer>",
    "<think>",
    "</think>",
    "<think>a</think>",
    "<|channel|>final<|message|>",
    "<|message|>",
    "<|im_end|>",
    "final ",
    "assistantfinal",
    "[THINK]",
    "◁think▷",
    "Question: ",
    "\nQuestion: x",
    "\nQuestion: how many?\nAnswer: 5\n",
    "#### 5\nhow many x?\n",
    "5 ",
    "5",
    "5,",
    "1,",
    "1,234",
    "-",
    "--",
    "=",
    "3 = ",
    "a = ",
    "\\frac{",
    "\\frac12",
    "\\text{",
    "\\text{a}",
    "**",
    "_",
    "A",
    "A ",
    "A B ",
    "(A) ",
    "C is ",
    "not ",
    "not A but ",
    "wait, ",
    "wrong ",
    "\\boxed{5} wait, that is wrong. ",
    "I cannot ",
    "答案",
    "答案是",
    "选",
    "选B",
    "。",
    "、",
    "x\n\n",
    "1. ",
    "Dr. ",
    "...",
    "<",
    "<a",
    "|",
    "'",
    '"',
    '"answer": ',
    "\\",
    "\\\\",
    "$$",
    "$5$ ",
    "$x$, ",
    "of the ",
    "and ",
    "so ",
    "because ",
    "is ",
    "the ",
    "½",
    "²",
    "٣",
    "−",
    "\u2009",
    "12 500 ",
    "1 ",
    "ten ",
    "hundred ",
    "\nA: 5",
    "\nB: 5",
    "\x00",
    "<<",
    "<<1>>",
    "[",
    "[[A]] ",
    " is correct. ",
    "A is correct. ",
    "option ",
    "choose ",
    "**Answer:** \\boxed{5} ",
    "~~",
    "~~5~~ ",
    "\\cancel{",
    "\\cancel{5} ",
    "| A | 5 |\n",
    "| --- |",
    "**Step 1:** a\n\n",
    "Wait, ",
    "= ",
    "x = 1, ",
    "So the answer is \\(",
    "\\begin{aligned}",
    "\\\\ &= ",
    "(A) or (B) ",
    "The answer is 5? No, wrong. ",
    '{"answer": 5}\n',
    "<|channel|>analysis<|message|>a",
    "```json\n",
    "```json\n{}\n```\n",
    ". ",
    "A) is ",
    "\\color{red}",
    "\\textcolor{red}{",
    "\\bbox[",
    "{-}",
    "5! ",
    "Question 3\n",
    "4 July 1776, ",
    "yes ",
    "the capital of ",
]
KINDS = (AnswerKind.NUMBER, AnswerKind.CHOICE, AnswerKind.TEXT, AnswerKind.EXPRESSION, AnswerKind.MATH)
PROMPT = Prompt.user("q")
OPTIONS = "Which is it?\nA. Paris\nB. Rome\nC. Oslo\nD. Bern\n"


def read_as(kind: Kind, text: str) -> object:
    return answer_of(Problem("p", PROMPT, kind), Sample(PROMPT, text, Finish.STOP))


READERS: dict[str, Callable[[str], object]] = {
    **{kind.value: partial(extract, kind=kind) for kind in KINDS},
    "cut": partial(extract, kind=AnswerKind.NUMBER, is_whole=False, is_cut=True),
    "yes-no": partial(extract, kind=AnswerKind.YES_NO),
    "asked": partial(extract, kind=AnswerKind.TEXT, question="What is the capital of France?"),
    "options": partial(extract, kind=AnswerKind.CHOICE, question=OPTIONS),
    "json": partial(read_as, JsonAnswer()),
    "exact": partial(read_as, ExactAnswer()),
    "gold": solution_answer,
    "steps": steps.split,
}
SHORT, LONG, RATIO = 10_000, 200_000, 25
FLOOR = 2e-3
"""Seconds of the processor under which a reply of 10,000 characters counts as this much: clocks are coarse there."""


def seconds(text: str, read: Callable[[str], object]) -> float:
    """The time of the processor that reading takes."""
    start = time.thread_time()
    read(text)
    return time.thread_time() - start


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=[str(i) for i in range(len(FRAGMENTS))])
def test_no_repeated_fragment_is_slow(fragment: str) -> None:
    def repeated(length: int) -> str:
        return (fragment * (length // len(fragment) + 1))[:length]

    def is_linear(read: Callable[[str], object]) -> bool:
        most = RATIO * max(FLOOR, seconds(repeated(SHORT), read))
        return any(seconds(repeated(LONG), read) <= most for _ in range(3))

    for name, read in READERS.items():
        # A busy machine may spoil one look; what takes quadratic time is 400 times slower in all of them.
        assert any(is_linear(read) for _ in range(4)), name
