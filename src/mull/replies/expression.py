"""Arithmetic expressions in untrusted text, parsed without `eval` and computed exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from mull.equal.patterns import regex

MAX_LENGTH = 200
MAX_DEPTH = 20
MAX_DIGITS = 12
_TOKEN = regex(r"\s*(?:([0-9]+)|([-+*/()]))")
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-"})


class Value(NamedTuple):
    """The value of an expression, and the numbers in it, in the order of the text."""

    value: Fraction
    numbers: tuple[int, ...]


class ExpressionError(ValueError):
    """Not an expression of whole numbers, `+ - * /` and brackets, or a division by zero."""


def evaluate(text: str) -> Value:
    """Evaluates an expression of whole numbers, `+ - * /` and brackets, without any `= result` at its end.

    Raises `ExpressionError` for anything else. No text can make it run code, hang or overflow the stack.
    """
    text = text.translate(_SIGNS).partition("=")[0].strip()
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters")
    tokens = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"{text[at]!r} does not belong in an expression")
        tokens.append(match[1] or match[2])
        at = match.end()
    return _Parser(tokens).whole()


def misses(text: str | None, numbers: Sequence[int], target: int) -> str:
    """Why an expression does not reach the target using each number at most as often as given; empty if it does."""
    if text is None:
        return "no answer"
    try:
        value, used = evaluate(text)
    except ExpressionError as error:
        return f"not an expression: {error}"
    if extra := Counter(used) - Counter(numbers):
        return f"used more often than given: {', '.join(map(str, sorted(extra.elements())))}"
    return "" if value == target else f"comes to {value}, not {target}"


class _Parser:
    """Recursive descent: sum = product (+|- product)*, product = factor (*|/ factor)*, factor = number | ( sum )."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0
        self.numbers: list[int] = []

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def whole(self) -> Value:
        value = self.sum()
        if self.peek():
            raise ExpressionError(f"{self.peek()!r} is left over")
        return Value(value, tuple(self.numbers))

    def sum(self) -> Fraction:
        value = self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            value += sign * self.product()
        return value

    def product(self) -> Fraction:
        value = self.factor()
        while self.peek() in ("*", "/"):
            if self.take() == "*":
                value *= self.factor()
            else:
                divisor = self.factor()
                if divisor == 0:
                    raise ExpressionError("division by zero")
                value /= divisor
        return value

    def factor(self) -> Fraction:
        token = self.take()
        if token == "(":
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ExpressionError(f"more than {MAX_DEPTH} brackets deep")
            value = self.sum()
            if self.take() != ")":
                raise ExpressionError("a bracket is not closed")
            self.depth -= 1
            return value
        if not token.isdecimal() or len(token) > MAX_DIGITS:
            raise ExpressionError(f"a number was expected, not {token!r}")
        self.numbers.append(int(token))
        return Fraction(int(token))
