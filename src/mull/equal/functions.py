"""Functions of polynomials, and the splitting of a run of letters into names."""

from __future__ import annotations

import math
from fractions import Fraction

from mull.equal import polynomial as p
from mull.equal.polynomial import Poly, Unreadable, poly
from mull.equal.units import BARE

FUNCTIONS = {
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "cot": "cot",
    "sec": "sec",
    "csc": "csc",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "asin": "asin",
    "acos": "acos",
    "atan": "atan",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "ln": "log",
    "log": "log",
    "exp": "exp",
    "abs": "abs",
    "floor": "floor",
    "ceil": "ceil",
    "factorial": "factorial",
    "binom": "binom",
}
_KNOWN = ("sqrt", "infinity", "infty", "inf", "pi", "oo", *FUNCTIONS)


def axis(letter: str) -> str:
    """The name of a bold letter: i, j and k are the unit vectors."""
    return rf"\hat{{{letter}}}" if letter in ("i", "j", "k") else letter


def repeating(text: str) -> Poly:
    """The value of a repeating decimal, written `0.1|6`."""
    before, _, block = text.partition("|")
    if len(text) > 60:
        raise Unreadable("too many digits")
    places = len(before.partition(".")[2])
    return poly(
        Fraction(before + "0" if places == 0 else before) + Fraction(int(block), (10 ** len(block) - 1) * 10**places)
    )


def split_word(word: str) -> list[str]:
    """The names that a run of letters consists of: `xy`, `pi`, `sqrt`, `xsin`; empty for a word of a language."""
    if len(word) < 3 or word in _KNOWN:
        return [word] if len(word) == 1 or word in _KNOWN else ([] if word in BARE else list(word))
    for known in _KNOWN:
        if word.endswith(known) and len(word) - len(known) < 3:
            return [*word[: -len(known)], known]
    return ["pi", word[2]] if word.startswith("pi") and len(word) == 3 else []


def factorial(n: Poly) -> Poly:
    whole = n.whole
    return poly(math.factorial(whole)) if whole is not None and 0 <= whole <= 170 else p.call("factorial", n)


def binomial(n: Poly, k: Poly) -> Poly:
    a, b = n.whole, k.whole
    if a is not None and b is not None and 0 <= b <= a <= 400:
        return poly(math.comb(a, b))
    return p.call("binom", n, k)


def rounded(name: str, inner: Poly) -> Poly:
    number = inner.number
    if number is None:
        return p.call(name, inner)
    return poly(math.floor(number) if name == "floor" else math.ceil(number))


def apply(kind: str, arguments: list[Poly]) -> Poly:
    """A function applied to polynomials, evaluated where its arguments are suitable whole numbers."""
    one = arguments[0]
    if len(arguments) != {"binom": 2}.get(kind, 1) and not (kind == "log" and len(arguments) == 2):
        raise Unreadable(f"{kind} of {len(arguments)} arguments")
    if kind == "exp":
        return p.power(p.letter("e"), one)
    if kind == "factorial":
        return factorial(one)
    if kind == "binom":
        return binomial(*arguments)
    if kind in ("floor", "ceil"):
        return rounded(kind, one)
    if kind == "abs" and one.number is not None:
        return poly(p.magnitude(one.number))
    return p.call(kind, *arguments)


def in_radians(a: Poly) -> Poly:
    """The polynomial with degrees converted to radians."""
    return p.replaced(a, "degree", p.multiply(p.letter("pi"), poly(Fraction(1, 180))))
