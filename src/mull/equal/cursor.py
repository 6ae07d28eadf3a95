"""A position in the tokens of an answer, which the parsers advance."""

from __future__ import annotations

from collections.abc import Sequence

from mull.equal.lexer import Token
from mull.equal.polynomial import Unreadable
from mull.equal.units import is_unit

MAX_DEPTH = 30
END = Token("end", "")


class Cursor:
    """Tokens and the position of the next one; `turn` (1 or -1) is the sign that a plus-minus is read as."""

    def __init__(self, tokens: Sequence[Token], turn: int = 1) -> None:
        self.tokens = list(tokens)
        self.turn = turn
        self.at = 0
        self.depth = 0
        self.n_bars = 0

    def peek(self, ahead: int = 0) -> Token:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else END

    def is_next(self, *texts: str, kind: str = "sign") -> bool:
        if self.at >= len(self.tokens):
            return False
        token = self.tokens[self.at]
        return token.kind == kind and token.text in texts

    def take(self, *texts: str, kind: str = "sign") -> bool:
        if self.at >= len(self.tokens):
            return False
        token = self.tokens[self.at]
        if token.kind == kind and token.text in texts:
            self.at += 1
            return True
        return False

    def expect(self, text: str, kind: str = "sign") -> None:
        if not self.take(text, kind=kind):
            raise Unreadable(f"{text!r} is missing")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")

    def is_unit_next(self, ahead: int = 0) -> bool:
        """Whether the token that many places ahead is a unit."""
        token = self.peek(ahead)
        return (token.kind == "text" and len(token.text) > 0) or (token.kind == "word" and is_unit(token.text))
