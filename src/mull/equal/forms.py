"""The parsed form of an answer: a tree with one canonical text, and numeric evaluation of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, Literal, TypeVar

from mull.equal.numeric import value
from mull.equal.polynomial import Gen, Mono, Poly, poly, render
from mull.equal.units import is_known

T = TypeVar("T")


class cached(Generic[T]):
    """A property that is computed once; `functools.cached_property` takes a lock that costs more than most answers."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name = compute, compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> T:
        found = owner.__dict__[self.name] = self.compute(owner)
        return found


Kind = Literal[
    "value",
    "seq",
    "set",
    "union",
    "matrix",
    "named",
    "range",
    "relation",
    "quantity",
    "ratio",
    "numeral",
    "text",
    "hard",
]
CLOSE_DIGITS = 6
"""A decimal with at least this many significant digits may stand for an exact number that rounds to it."""
DIFFERS = 1e-9
"""Relative difference in floating point above which two values are taken to differ."""


PARTS = {
    "degree": Poly({Mono(1, ((Gen("pi"), 1),)): Fraction(1, 180)}),
    "percent": poly(Fraction(1, 100)),
    "radian": poly(1),
}
"""Units that are plain numbers."""


@dataclass(frozen=True)
class Form:
    """A parsed answer; what `head` and `parts` hold depends on `kind`.

    `value`: `poly`. `seq`: brackets and items. `set`, `union`: items in order (with head `or`: one of them holds).
    `matrix`: rows as sequences.
    `named`: a name, or a tuple of names, and its value; or the letter of a choice and the text of that choice. `range`
    (only while a text is being read): a name and the set an inequality puts it in. `relation`: an operator and the
    polynomial compared with 0. `quantity`: a unit and its number. `numeral`: digits in a base. `text`: words, and
    anything not understood. `hard`: a calculation that needs a computer algebra system.
    """

    kind: Kind
    head: str = ""
    parts: tuple[Form, ...] = ()
    poly: Poly | None = None

    @cached
    def key(self) -> str:
        """The canonical text; reading it gives a form with the same key."""
        inner = [part.key for part in self.parts]
        match self.kind:
            case "value":
                return render(self.value)
            case "seq":
                return f"{self.head[0]}{', '.join(inner)}{self.head[1]}"
            case "set":
                return " or ".join(inner) if self.head else r"\{" + ", ".join(inner) + r"\}"
            case "union":
                return r" \cup ".join(inner)
            case "matrix":
                rows = (" & ".join(item.key for item in row.parts) for row in self.parts)
                return r"\begin{pmatrix}" + r" \\ ".join(rows) + r"\end{pmatrix}"
            case "named" | "range":
                return f"{self.head} {inner[0]}" if self.is_choice else f"{self.head} = {inner[0]}"
            case "relation":
                return f"{render(self.value)} {self.head} 0"
            case "quantity":
                is_word = len(self.head) > 1 and is_known(self.head) and self.head.islower()
                return f"{inner[0]} " + (self.head if is_word else rf"\text{{{self.head}}}")
            case "ratio":
                return ":".join(inner)
            case _:
                return self.head

    @property
    def value(self) -> Poly:
        assert self.poly is not None
        return self.poly

    @property
    def is_choice(self) -> bool:
        """Whether it is the letter of a choice together with the choice: `(B) 2.5`."""
        return self.kind == "named" and len(self.head) == 3 and self.head[0] == "("

    @cached
    def is_exact(self) -> bool:
        """Whether a different key means a different answer (names, units and rounding aside)."""
        if self.kind == "hard":
            return False
        return (self.poly is None or self.poly.is_exact) and all(part.is_exact for part in self.parts)

    @cached
    def is_plain(self) -> bool:
        """Whether it consists only of exact values, brackets and letters, so that its key reads back as itself."""
        is_value = self.kind in ("value", "seq", "set", "union", "matrix")
        is_value = is_value or (self.kind == "named" and len(self.head) == 1)
        return is_value and self.is_exact and all(part.is_plain for part in self.parts)

    @cached
    def has_hard(self) -> bool:
        return self.kind == "hard" or any(part.has_hard for part in self.parts)


def number_form(p: Poly) -> Form:
    return Form("value", poly=p)


def sign_at(name: str, point: int) -> float:
    """The value a letter takes at a point: the same in every answer, different for each letter, sometimes negative."""
    seed = sum(ord(c) * (31 * i + 17) for i, c in enumerate(name)) * 2654435761 + point * 40503
    size = 0.6 + (seed % 99991) / 99991
    return -size if (seed >> 7) + point & 1 else size


def evaluated(p: Poly, point: int) -> complex | None:
    """The polynomial's value at one of the fixed points; `None` where it is undefined or no float can hold it."""
    try:
        return value(p, lambda name: sign_at(name, point))
    except (ArithmeticError, ValueError):
        return None


def differ(a: Poly, b: Poly) -> bool | None:
    """Whether two polynomials differ, in floating point; `None` where they cannot be evaluated."""
    n_seen = 0
    for point in (0, 1) if not (a.is_constant and b.is_constant) else (0,):
        x, y = evaluated(a, point), evaluated(b, point)
        if x is None or y is None:
            continue
        if x != y and not abs(x - y) <= DIFFERS * max(abs(x), abs(y)):
            return True
        n_seen += 1
    return False if n_seen else None


def decimals(number: Fraction | int) -> tuple[int, int] | None:
    """The numbers of significant digits and of decimal places of a terminating decimal; `None` for other numbers."""
    d, twos, fives = number.denominator, 0, 0
    if d == 1 or d.bit_length() > 120:
        return None
    while d % 2 == 0:
        d, twos = d // 2, twos + 1
    while d % 5 == 0:
        d, fives = d // 5, fives + 1
    if d != 1:
        return None
    places = max(twos, fives)
    return len(str(abs(number.numerator * 10**places // number.denominator))), places
