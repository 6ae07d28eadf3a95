r"""The sentence that asks a model for a form of answer that can be read: an answer line, or a box.

It ends the prompt, and so is part of what a draw is banked under.
"""

from __future__ import annotations

import re

from mull.equal.patterns import regex
from mull.replies.options import options_of
from mull.types import AnswerKind

FORMS = ("line", "boxed", "none")
_LINES = {
    AnswerKind.NUMBER: 'Think step by step and end with "Answer:" and the number.',
    AnswerKind.CHOICE: 'End with "Answer:" and the letter.',
    AnswerKind.YES_NO: 'End with "Answer: yes" or "Answer: no".',
    AnswerKind.MATH: 'Think step by step and end with "Answer:" and the result.',
}
_LINE = 'End with "Answer:" and a short answer.'
_BOXES = {
    AnswerKind.NUMBER: r"Think step by step and put the final answer in \boxed{}.",
    AnswerKind.MATH: r"Think step by step and put the final answer in \boxed{}.",
    AnswerKind.CHOICE: r"Put the letter of the answer in \boxed{}.",
    AnswerKind.YES_NO: r"Put yes or no in \boxed{}.",
}
_BOX = r"Put the final answer in \boxed{}."
_ALL = (*_LINES.values(), _LINE, *_BOXES.values(), _BOX)
_ASKS_ALREADY = regex(
    r"\\boxed|<answer>|####|\banswer\s?:|\b(?:answer|reply|respond|finish|end|conclude)\b[^.?!\n]{0,40}\bwith\b",
    re.IGNORECASE,
)


def asks(question: str, kind: AnswerKind, form: str | None) -> str | None:
    """The sentence to put behind a question, `None` without one; `form` `None`: a box for mathematics, else a line.

    A question that says itself in which form it is to be answered is asked as it is, unless a form is named.
    """
    if form == "none" or kind is AnswerKind.EXPRESSION or (form is None and _ASKS_ALREADY.search(question)):
        return None
    if kind is AnswerKind.CHOICE and not options_of(question)[1]:
        kind = AnswerKind.TEXT  # no letters to choose from are shown
    if form == "boxed" or (form is None and kind is AnswerKind.MATH):
        return _BOXES.get(kind, _BOX)
    return _LINES.get(kind, _LINE)


def asked(question: str, kind: AnswerKind, form: str | None) -> str:
    """The question with the sentence of `asks`, if there is one."""
    sentence = asks(question, kind, form)
    return question if sentence is None else f"{question.rstrip()}\n\n{sentence}"


def unasked(question: str) -> str:
    """The question without the sentence that `asked` put behind it."""
    head, _, last = question.rpartition("\n\n")
    return head if last in _ALL else question


def name_of(sentence: str) -> str:
    """The form that a sentence of `asks` is of: `line` or `boxed`."""
    return "boxed" if "boxed" in sentence else "line"
