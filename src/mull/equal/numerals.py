"""Numerals in a base: `52_8`, `(101)_2`, `0xFF`, `52 base 8`."""

from __future__ import annotations

from fractions import Fraction

from mull.equal.expressions import Expressions
from mull.equal.forms import Form, number_form
from mull.equal.patterns import regex
from mull.equal.polynomial import Unreadable, poly
from mull.equal.words import SMALL

_HEX = regex(r"[0-9A-F]{2,}|[0-9a-f]{2,}")


class Numerals(Expressions):
    """A parser of numerals."""

    def is_word(self, ahead: int = 0) -> bool:
        return self.peek(ahead).kind in ("word", "text")

    def numeral(self) -> Form | None:
        """Digits in a base, `52_8`, `(101)_2`, `0xFF`, `52 base 8`; equal only to the same digits in the same base."""
        start = self.at
        sign = "-" if self.take("-") else ""
        is_grouped = self.peek(2).text == ")" and self.peek(3).text == "_" and self.take("(")
        token = self.peek()
        digits = token.text
        is_number = token.kind == "number" or (
            token.kind in ("word", "text", "numeral") and _HEX.fullmatch(digits) is not None
        )
        if token.kind == "numeral" and digits[:2] in ("0x", "0X"):
            self.at += 1
            return numeral_form(sign, digits[2:], 16)
        if is_number and self.peek(2 if is_grouped else 1).text == "_":
            self.at += 3 if is_grouped else 2
            return numeral_form(sign, digits, self.base())
        if is_number and token.kind != "text" and (base := self.said_base()):
            return numeral_form(sign, digits, base)
        if token.kind == "numeral":
            raise Unreadable("digits without a base")
        self.at = start
        return None

    def base(self) -> int:
        """The base in an index after digits: a number, in digits or in a word."""
        if self.is_next("{") and self.peek(1).text == "base":
            self.at += 2
            digits = self.peek().text
            self.at += 1
            self.expect("}")
            return int(digits) if digits.isdigit() and len(digits) < 3 else 0
        words = [
            token.text.casefold() for token in self.tokens[self.at : self.at + 4] if token.kind in ("word", "text")
        ]
        named = next((SMALL[word] for word in words if word in SMALL), None)
        if named is not None and self.take("{"):
            while not self.take("}"):
                self.at += 1
                if self.peek().kind == "end":
                    raise Unreadable("an index is not closed")
            return named
        if named is not None:
            self.at += 1
            return named
        whole = self.argument(is_whole=True).whole
        return 0 if whole is None else whole

    def said_base(self) -> int:
        """The base stated in words after digits, which are consumed; 0 if there is none."""
        ahead = 1
        is_open = self.peek(ahead).text == "("
        ahead += is_open
        ahead += self.peek(ahead).text.lower() == "in"
        if not self.is_word(ahead) or self.peek(ahead).text.lower() != "base":
            return 0
        token = self.peek(ahead + 1)
        base = int(token.text) if token.kind == "number" and token.text.isdigit() else SMALL.get(token.text.lower(), 0)
        if base:
            self.at += ahead + 2 + is_open
        return base


def numeral_form(sign: str, digits: str, base: int) -> Form:
    """Digits in a base; those of base 10 are the number. Raises `Unreadable` for digits that the base lacks."""
    digits = digits.upper().lstrip("0") or "0"
    digits = "0" + digits if digits.startswith(".") else digits
    if not 2 <= base <= 36 or any(int(x, 36) >= base for x in digits.replace(".", "")):
        raise Unreadable("an invalid base or an invalid digit")
    if base == 10:
        return number_form(poly(Fraction(sign + digits)))
    return Form("numeral", f"{sign}{digits}_{{{base}}}" if base > 9 else f"{sign}{digits}_{base}")
