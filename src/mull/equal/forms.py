"""What an answer is once it is read: a tree with one way to write it, and what of two trees is equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

from mull.equal.numeric import value
from mull.equal.polynomial import CONSTANTS, Gen, Mono, Poly, add, magnitude, multiply, poly, render
from mull.equal.units import UNITS

Kind = Literal[
    "value", "seq", "set", "union", "matrix", "named", "relation", "quantity", "ratio", "numeral", "text", "hard"
]
Ask = Callable[[str, str], bool | None]
CLOSE_DIGITS = 6
"""A decimal of so many significant digits stands for an exact number that it is the rounding of."""
FLOAT_DIGITS = range(15, 18)
"""A decimal of so many significant digits is a machine number: its last digits mean nothing."""
DIFFERS = 1e-9
"""Relative difference in floating point from which two values are taken to differ."""


PARTS = {"degree": Poly({Mono(1, ((Gen("pi"), 1),)): Fraction(1, 180)}), "percent": poly(Fraction(1, 100))}
"""Units that are numbers."""


@dataclass(frozen=True)
class Form:
    """An answer as it was understood: `head` and `parts` mean what `kind` says.

    `value`: `poly`. `seq`: brackets and items. `set`, `union`: items in order. `matrix`: rows as sequences.
    `named`: a name and what it is. `relation`: an operator and the polynomial beside 0. `quantity`: a unit and its
    number. `numeral`: digits in a base. `text`, `hard`: the text itself, `hard` where it was not understood.
    """

    kind: Kind
    head: str = ""
    parts: tuple[Form, ...] = ()
    poly: Poly | None = None

    @cached_property
    def key(self) -> str:
        """The canonical text: what is read from it has the same key."""
        inner = [part.key for part in self.parts]
        match self.kind:
            case "value":
                return render(self.value)
            case "seq":
                return f"{self.head[0]}{', '.join(inner)}{self.head[1]}"
            case "set":
                return r"\{" + ", ".join(inner) + r"\}"
            case "union":
                return r" \cup ".join(inner)
            case "matrix":
                rows = (" & ".join(item.key for item in row.parts) for row in self.parts)
                return r"\begin{pmatrix}" + r" \\ ".join(rows) + r"\end{pmatrix}"
            case "named":
                return f"{self.head} = {inner[0]}"
            case "relation":
                return f"{render(self.value)} {self.head} 0"
            case "quantity":
                is_word = len(self.head) > 1 and (self.head in UNITS or self.head in PARTS)
                return f"{inner[0]} " + (self.head if is_word else rf"\text{{{self.head}}}")
            case "ratio":
                return ":".join(inner)
            case _:
                return self.head

    @property
    def value(self) -> Poly:
        assert self.poly is not None
        return self.poly

    @cached_property
    def is_exact(self) -> bool:
        """Whether a form with another key is another answer, but for names, units and rounding."""
        if self.kind == "hard":
            return False
        return (self.poly is None or self.poly.is_exact) and all(part.is_exact for part in self.parts)

    @cached_property
    def is_plain(self) -> bool:
        """Whether it is made of exact values, brackets and letters alone, so that its key is read as itself."""
        is_value = self.kind in ("value", "seq", "set", "union", "matrix")
        is_value = is_value or (self.kind == "named" and len(self.head) == 1)
        return is_value and self.is_exact and all(part.is_plain for part in self.parts)

    @cached_property
    def has_hard(self) -> bool:
        return self.kind == "hard" or any(part.has_hard for part in self.parts)


def number_form(p: Poly) -> Form:
    return Form("value", poly=p)


def sign_at(name: str, point: int) -> float:
    """Where a letter is evaluated: the same for every answer, different for every letter, negative for some."""
    seed = sum(ord(c) * (31 * i + 17) for i, c in enumerate(name)) * 2654435761 + point * 40503
    size = 0.6 + (seed % 99991) / 99991
    return -size if (seed >> 7) + point & 1 else size


def evaluated(p: Poly, point: int) -> complex | None:
    """Its value at one of the fixed points; `None` where there is none, or none that a float can hold."""
    try:
        return value(p, lambda name: sign_at(name, point))
    except (ArithmeticError, ValueError):
        return None


def differ(a: Poly, b: Poly) -> bool | None:
    """Whether floating point shows two polynomials to differ; `None` where it cannot be evaluated."""
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
    """Significant digits and digits after the point of a terminating decimal; `None` for any other number."""
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


def is_rounding(a: Poly, b: Poly) -> bool:
    """Whether `a` is a decimal of many digits and `b` an exact number, not such a decimal, that rounds to it.

    Or both are the same number to the precision of a float, and one is written with all the digits of one.
    """
    short = a.number
    if short is None or not b.is_constant:
        return False
    digits = decimals(short)
    if digits is None or digits[0] < CLOSE_DIGITS:
        return False
    exact = b.number
    if exact is None:
        size = evaluated(b, 0)
        if size is None or size.imag or digits[0] >= FLOAT_DIGITS.start:
            return False
        return bool(abs(float(short) - size.real) <= 0.5 * 10 ** -digits[1] * (1 + 1e-6))
    off = magnitude(short - exact)
    if digits[0] in FLOAT_DIGITS:
        return off <= Fraction(1, 10**12) * magnitude(exact)
    return exact.denominator != 1 and decimals(exact) is None and off * 2 * 10 ** digits[1] <= 1


def same(a: Form, b: Form, ask: Ask) -> bool | None:
    """Whether two answers are the same; `None` where that was not decided.

    A name or a unit that only one of them has is left out: `x = 5` is 5 and `3 cm` is 3, but not `y = 5` or `3 m`.
    Degrees and per cent are such units, and numbers too: `50%` is 50 and 0.5, which are not each other.
    `ask` decides on two texts what this cannot.
    """
    if a.key == b.key:
        return True
    if a.kind > b.kind:
        a, b = b, a
    if "hard" in (a.kind, b.kind):
        return ask(a.key, b.key)
    if a.kind == b.kind:
        return _alike(a, b, ask)
    if a.kind == "named":
        if b.kind == "relation":
            return b.head == "=" and a.parts[0].kind == "value" and _same_relation(_equation(a), b, ask)
        return same(a.parts[0], b, ask)
    if b.kind == "named":
        return same(a, b.parts[0], ask)
    if (a.kind, b.kind) == ("quantity", "value"):
        is_letter = len(a.head) == 1 and a.parts[0].kind == "value"
        if is_letter and multiply(a.parts[0].value, Poly({Mono(1, ((Gen(a.head), 1),)): 1})) == b.value:
            return True
        if a.head in PARTS and a.parts[0].kind == "value":
            worth = multiply(a.parts[0].value, PARTS[a.head])
            if worth == b.value or is_rounding(worth, b.value) or is_rounding(b.value, worth):
                return True
        return same(a.parts[0], b, ask)
    return False


def _alike(a: Form, b: Form, ask: Ask) -> bool | None:
    """`same` for two of one kind."""
    match a.kind:
        case "value":
            return _same_value(a.value, b.value, ask)
        case "seq":
            return (a.head == b.head) and _all_same(a.parts, b.parts, ask)
        case "ratio" | "matrix":
            return _all_same(a.parts, b.parts, ask)
        case "set" | "union":
            return _same_items(a.parts, b.parts, ask)
        case "named":
            if a.head == b.head:
                return same(a.parts[0], b.parts[0], ask)
            both = a.parts[0].kind == b.parts[0].kind == "value"
            return both and _same_relation(_equation(a), _equation(b), ask)
        case "relation":
            return a.head == b.head and _same_relation(a, b, ask)
        case "quantity":
            if a.head == b.head:
                return same(a.parts[0], b.parts[0], ask)
            one, other = UNITS.get(a.head), UNITS.get(b.head)
            if one is None or other is None or one[0] != other[0]:
                return False
            return same(_scaled(a, one[1]), _scaled(b, other[1]), ask)
        case _:
            return False


def _scaled(a: Form, factor: Fraction | int) -> Form:
    return number_form(multiply(a.parts[0].value, poly(factor))) if a.parts[0].kind == "value" else a


def _equation(a: Form) -> Form:
    left = a.parts[0].value
    name = Poly({Mono(1, tuple((Gen(part), 1) for part in sorted(a.head.split("*")))): 1})
    return Form("relation", "=", poly=monic(add(name, left, -1)))


def monic(p: Poly) -> Poly:
    """The polynomial over its leading coefficient."""
    lead = max(p.terms.items(), key=lambda term: term[0])[1]
    return multiply(p, poly(Fraction(1) / lead))


def _same_relation(a: Form, b: Form, ask: Ask) -> bool | None:
    if a.value == b.value:
        return True
    if a.is_exact and b.is_exact:
        return False
    return None if differ(a.value, b.value) is False else ask(a.key, b.key)


def _same_value(a: Poly, b: Poly, ask: Ask) -> bool | None:
    if is_rounding(a, b) or is_rounding(b, a):
        return True
    if (a.is_exact and b.is_exact) or differ(a, b):
        return False
    return ask(render(a), render(b))


def _all_same(a: tuple[Form, ...], b: tuple[Form, ...], ask: Ask) -> bool | None:
    if len(a) != len(b):
        return False
    is_sure: bool | None = True
    for x, y in zip(a, b, strict=True):
        found = same(x, y, ask)
        if found is False:
            return False
        is_sure = is_sure and found
    return is_sure


def _same_items(a: tuple[Form, ...], b: tuple[Form, ...], ask: Ask) -> bool | None:
    """Whether the items can be paired off, whatever their order."""
    if len(a) != len(b):
        return False
    keys = {item.key for item in a} & {item.key for item in b}
    left = [item for item in a if item.key not in keys]
    right = [item for item in b if item.key not in keys]
    is_sure: bool | None = True
    for item in left:
        verdicts = [same(item, other, ask) for other in right]
        if True in verdicts:
            right.pop(verdicts.index(True))
        elif None in verdicts:
            is_sure = None
            right.pop(verdicts.index(None))
        else:
            return False
    return is_sure


def fingerprints(a: Form) -> list[float]:
    """Numbers that two equal answers share one of, up to rounding; empty for what only equals itself."""
    match a.kind:
        case "value":
            size = evaluated(a.value, 0)
            if size is None:
                return [-1.0]
            return [abs(size)]
        case "named":
            inner = fingerprints(a.parts[0])
            return inner + (fingerprints(_equation(a)) if a.parts[0].kind == "value" else [])
        case "relation":
            size = evaluated(a.value, 0)
            return [-1.0 if size is None else abs(size)]
        case "quantity":
            inner = fingerprints(a.parts[0])
            factor = UNITS.get(a.head, ("", 1))[1]
            worth = [x * CONSTANTS[a.head] for x in inner] if a.head in PARTS else []
            at_letter = [x * abs(sign_at(a.head, 0)) for x in inner] if len(a.head) == 1 else []
            return inner + [x * float(factor) for x in inner if factor != 1] + worth + at_letter
        case "numeral" | "text":
            return []
        case "hard":
            return [-1.0]
        case _:
            firsts = [fingerprints(part)[:1] or [0.0] for part in a.parts]
            return [-1.0 if any(f[0] < 0 for f in firsts) else sum(f[0] for f in firsts)]
