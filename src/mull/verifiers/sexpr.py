"""S-expressions of SMT-LIB, parsed and printed without recursion: atoms are `str`, expressions are lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias, Union

Form: TypeAlias = Union[str, "list[Form]"]

DEEPEST = 2_000
_TOKEN = re.compile(r"""\s+|;[^\n]*|([()]|"[^"]*(?:""[^"]*)*"|\|[^|]*\||[^\s()";|]+|["|])""")
_SIMPLE = re.compile(r"[A-Za-z~!@$%^&*_+=<>.?/-][A-Za-z0-9~!@$%^&*_+=<>.?/-]*")


def tokens(text: str) -> Iterator[str]:
    """The tokens of a text (words, brackets, strings, quoted symbols), without comments.

    An unclosed quotation mark is a token of its own.
    """
    for match in _TOKEN.finditer(text):
        token = match[1]
        if token is None:
            continue
        yield token[1:-1] if token[0] == "|" and _SIMPLE.fullmatch(token[1:-1]) else token


def forms(text: str, is_loose: bool = False) -> list[Form]:
    """The expressions of a text. Raises `ValueError` for unbalanced brackets and for nesting that is too deep.

    With `is_loose`, it ignores words outside brackets and unbalanced brackets: expressions after an unclosed bracket
    count on their own.
    """
    stack: list[list[Form]] = [[]]
    for token in tokens(text):
        if token == "(":
            if len(stack) > DEEPEST:
                raise ValueError("nested too deeply")
            stack.append([])
        elif token != ")":
            if len(stack) > 1 or not is_loose:
                stack[-1].append(token)
        elif len(stack) > 1:
            form = stack.pop()
            stack[-1].append(form)
        elif not is_loose:
            raise ValueError("a closing bracket has no opening one")
    if len(stack) > 1 and not is_loose:
        raise ValueError("a bracket is not closed")
    return [form for level in stack for form in level]


def text_of(form: Form, most: int | None = None) -> str:
    """An expression as text, cut after about `most` characters."""
    parts: list[str] = []
    size = 0
    stack: list[Form] = [form]
    while stack and (most is None or size < most):
        now = stack.pop()
        if isinstance(now, str):
            parts.append(now)
            size += len(now) + 1
        else:
            stack += [")", *reversed(now), "("]
    text = " ".join(parts).replace("( ", "(").replace(" )", ")") if most else " ".join(parts)
    return text if most is None or len(text) <= most else text[:most] + "..."


def is_symbol(word: Form) -> bool:
    """Whether a word is a symbol, quoted or not."""
    return isinstance(word, str) and (
        _SIMPLE.fullmatch(word) is not None or re.fullmatch(r"\|[^|\\]*\|", word) is not None
    )
