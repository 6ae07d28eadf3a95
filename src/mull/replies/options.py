"""The lettered choices of a question, and which of them a reply names by its text."""

from __future__ import annotations

from functools import lru_cache
from string import ascii_uppercase

from mull.equal.patterns import regex

_OPTION = regex(r"(?:(?<=\n)|(?<=^)|(?<=\s))[(\[]?([A-J])[)\].:][ \t]+(?=\S)")


@lru_cache(maxsize=64)
def options_of(question: str) -> tuple[str, dict[str, str]]:
    """What a question asks, and its choices by letter: the last letters in order from A; without two there are none."""
    marks = list(_OPTION.finditer(question))
    starts = [i for i, mark in enumerate(marks) if mark[1] == "A"]
    for start in reversed(starts):
        run = []
        for letter, mark in zip(ascii_uppercase, marks[start : start + len(ascii_uppercase)], strict=False):
            if mark[1] != letter:
                break
            run.append(mark)
        if len(run) > 1:
            ends = [mark.start() for mark in run[1:]] + [_end(question, run[-1].end())]
            texts = {m[1]: question[m.end() : end].strip(" \t\r\n,;") for m, end in zip(run, ends, strict=True)}
            return question[: run[0].start()], texts
    return question, {}


def _end(question: str, start: int) -> int:
    """Where the last choice ends: with its line."""
    end = question.find("\n", start)
    return len(question) if end < 0 else end
