"""Exact arithmetic on rationals, square roots, i, pi, e, letters, and opaque functions.

A polynomial over the rationals in these generators has one canonical form, so two without opaque functions are equal
if and only if their forms are. Anything that would exceed a few hundred digits or terms stays unexpanded.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

Number = int | Fraction
MAX_BITS = 1300
"""Numbers are kept exact up to about 390 digits."""
MAX_TERMS = 120
MAX_PRODUCTS = 2500
MAX_POWER = 40
"""Sums are expanded up to this power."""
MAX_KEY = 500
"""Longest name of an opaque function; nesting would double it at every level."""
MAX_RADICAND = 10**12
"""Square factors of larger numbers are not searched for."""
CONSTANTS = {"pi": math.pi, "e": math.e, "oo": math.inf, "degree": math.pi / 180, "percent": 0.01}


class Unreadable(Exception):
    """The text cannot be parsed as an answer."""


class Gen(str):
    """A generator, identified by its name; one that stands for a function also holds the function and arguments."""

    function: str = ""
    args: tuple[Poly, ...] = ()


class Mono(NamedTuple):
    """A product: the square root of a square-free whole number (1: none) and generators with their exponents."""

    radicand: int
    gens: tuple[tuple[Gen, Number], ...]


ONE = Mono(1, ())
I = Gen("i")  # noqa: E741 - its usual name
HALF = Fraction(1, 2)


class Poly(NamedTuple):
    """A sum of products with non-zero rational coefficients."""

    terms: dict[Mono, Number]

    @property
    def number(self) -> Number | None:
        """The rational number it equals, if it is one."""
        if not self.terms:
            return 0
        return self.terms.get(ONE) if len(self.terms) == 1 else None

    @property
    def whole(self) -> int | None:
        """The whole number it equals, if it is one."""
        number = self.number
        return int(number) if number is not None and number.denominator == 1 else None

    @property
    def gens(self) -> set[Gen]:
        return {gen for mono in self.terms for gen, _ in mono.gens}

    @property
    def is_exact(self) -> bool:
        """Whether it holds no opaque function, so that a different form means a different value."""
        return not any(gen.function for mono in self.terms for gen, _ in mono.gens)

    @property
    def is_constant(self) -> bool:
        """Whether it holds no letter."""
        return all(all(a.is_constant for a in g.args) if g.function else g in CONSTANTS or g == I for g in self.gens)

    def __str__(self) -> str:
        return render(self)


def poly(number: Number) -> Poly:
    return Poly({ONE: number} if number else {})


def letter(name: str) -> Poly:
    return Poly({Mono(1, ((Gen(name), 1),)): 1})


def opaque(function: str, key: str, *args: Poly) -> Poly:
    """An opaque function of polynomials: one that is not simplified."""
    if len(key) > MAX_KEY:
        raise Unreadable("too large")
    gen = Gen(key)
    gen.function, gen.args = function, args
    return Poly({Mono(1, ((gen, 1),)): 1})


def call(function: str, *args: Poly) -> Poly:
    return opaque(function, f"{function}({', '.join(map(render, args))})", *args)


def magnitude(number: Number) -> Number:
    return -number if number < 0 else number


def is_small(number: Number) -> bool:
    if type(number) is int:
        return number.bit_length() <= MAX_BITS
    return number.numerator.bit_length() <= MAX_BITS and number.denominator.bit_length() <= MAX_BITS


def add(a: Poly, b: Poly, sign: int = 1) -> Poly:
    terms = dict(a.terms)
    for mono, c in b.terms.items():
        total = terms.get(mono, 0) + sign * c
        if total:
            terms[mono] = total
        else:
            terms.pop(mono, None)
    return _checked(terms)


def multiply(a: Poly, b: Poly) -> Poly:
    if len(a.terms) * len(b.terms) > MAX_PRODUCTS:
        raise Unreadable("too many terms")
    terms: dict[Mono, Number] = {}
    for m, c in a.terms.items():
        for n, d in b.terms.items():
            factor, mono = _join(m, n)
            total = terms.get(mono, 0) + c * d * factor
            if total:
                terms[mono] = total
            else:
                terms.pop(mono, None)
    return _checked(terms)


def _checked(terms: dict[Mono, Number]) -> Poly:
    if len(terms) > MAX_TERMS or not all(map(is_small, terms.values())):
        raise Unreadable("too large")
    return Poly(terms)


def _join(m: Mono, n: Mono) -> tuple[int, Mono]:
    """The product of two products, and the whole factor that their square roots and i leave."""
    shared = math.gcd(m.radicand, n.radicand)
    factor, radicand = shared, m.radicand * n.radicand // shared**2
    if not n.gens or not m.gens:
        return factor, Mono(radicand, m.gens or n.gens)
    exponents: dict[Gen, Number] = {}
    for gen, exponent in chain(m.gens, n.gens):
        exponents[gen] = exponents.get(gen, 0) + exponent
    if I in exponents:
        turns = int(exponents.pop(I)) % 4
        factor *= -1 if turns > 1 else 1
        if turns % 2:
            exponents[I] = 1
    return factor, Mono(radicand, tuple(sorted((g, x) for g, x in exponents.items() if x)))


def invert(a: Poly) -> Poly:
    """1 / a, with square roots and i moved out of the denominator, so that a number has one form."""
    if not a.terms:
        raise Unreadable("a division by zero")
    if len(a.terms) == 1:
        ((mono, c),) = a.terms.items()
        gens = tuple((g, x if g == I else -x) for g, x in mono.gens if g.function != "sum")
        sign = -1 if any(g == I for g, _ in mono.gens) else 1
        inverse = _checked({Mono(mono.radicand, gens): Fraction(sign, 1) / (c * mono.radicand)})
        for gen, exponent in mono.gens:
            if gen.function == "sum":
                inverse = multiply(inverse, power(gen.args[0], poly(-exponent)))
        return inverse
    if all(g == I for g in a.gens):
        return _invert_number(a)
    lead = max(a.terms.items(), key=lambda term: term[0])[1]
    monic = multiply(a, poly(Fraction(1, 1) / lead))
    (whole,) = opaque("sum", f"({render(monic)})", monic).terms
    return _checked({Mono(1, ((whole.gens[0][0], -1),)): Fraction(1, 1) / lead})


def _invert_number(a: Poly) -> Poly:
    """1 / a for a sum of square roots and i: conjugates make the denominator rational, one root after another."""
    above, below = poly(1), a
    for _ in range(6):
        if len(below.terms) == 1:
            return multiply(above, invert(below))
        surd = next((m for m in below.terms if m.gens), None)
        prime = 0 if surd is not None else _prime_factor(max(m.radicand for m in below.terms))
        conjugate = Poly(
            {m: -c if (m.gens if surd else m.radicand % prime == 0) else c for m, c in below.terms.items()}
        )
        above, below = multiply(above, conjugate), multiply(below, conjugate)
    raise Unreadable("too many roots")


def _prime_factor(n: int) -> int:
    return next((p for p in range(2, min(n, 10**4)) if n % p == 0), n)


def power(a: Poly, b: Poly) -> Poly:
    """a ** b, left unexpanded if it would grow too large or has no canonical form."""
    exponent = b.number
    if exponent is None:
        return _unexpanded(a, b)
    if exponent == 0:
        return poly(1)
    if exponent < 0:
        return invert(power(a, poly(-exponent)))
    if exponent.denominator == 1:
        n = int(exponent)
        if n == 1:
            return a
        if len(a.terms) > 1:
            if n > MAX_POWER or math.comb(len(a.terms) + n - 1, n) > MAX_TERMS:
                return _unexpanded(a, b)
            return _repeated(a, n)
        return _power_of_product(a, n)
    if exponent.denominator == 2:
        return power(square_root(a), poly(exponent.numerator))
    return _root(a, exponent)


def _repeated(a: Poly, n: int) -> Poly:
    result = poly(1)
    while n:
        if n & 1:
            result = multiply(result, a)
        n >>= 1
        if n:
            a = multiply(a, a)
    return result


def _power_of_product(a: Poly, n: int) -> Poly:
    if not a.terms:
        return a
    ((mono, c),) = a.terms.items()
    bits = max(c.numerator.bit_length(), c.denominator.bit_length(), mono.radicand.bit_length())
    if n > 10**6 or (bits > 1 and (bits - 1) * n > MAX_BITS):
        return _unexpanded(a, poly(n))
    factor, radicand = mono.radicand ** (n // 2), mono.radicand if n % 2 else 1
    gens = tuple((g, x * n) for g, x in mono.gens if g != I)
    rest = Poly({Mono(radicand, gens): c**n * factor})
    turns = n % 4 if any(g == I for g, _ in mono.gens) else 0
    for _ in range(turns):
        rest = multiply(rest, letter("i"))
    return _checked(rest.terms)


def _unexpanded(a: Poly, b: Poly) -> Poly:
    return opaque("pow", f"({render(a)})^({render(b)})", a, b)


def square_root(a: Poly) -> Poly:
    number = a.number
    if number is None:
        if len(a.terms) == 1 and all(x < 0 for mono in a.terms for _, x in mono.gens):  # the root of 1/n
            return invert(_unexpanded(invert(a), poly(HALF)))
        return _unexpanded(a, poly(HALF))
    n = abs(number.numerator * number.denominator)
    if n > MAX_RADICAND:
        root = math.isqrt(n)
        if root * root != n:
            return _unexpanded(a, poly(HALF))
        outside, inside = root, 1
    else:
        outside, inside = _square_factor(n)
    sign = () if number >= 0 else ((I, 1),)
    return Poly({Mono(inside, sign): Fraction(outside, number.denominator)} if n else {})


@lru_cache(maxsize=4096)
def _square_factor(n: int) -> tuple[int, int]:
    """The root of the largest square that divides n, and the remaining factor."""
    outside, inside, p = 1, 1, 2
    while p * p * p <= n:
        while n % (p * p) == 0:
            outside, n = outside * p, n // (p * p)
        if n % p == 0:
            inside, n = inside * p, n // p
        p += 1 if p == 2 else 2
    root = math.isqrt(n)  # the rest is 1, a prime, a product of two primes, or a square
    return (outside * root, inside) if root * root == n else (outside, inside * n)


def _root(a: Poly, exponent: Number) -> Poly:
    """A rational power of a product; perfect powers are taken out of the root of a number."""
    number, k = a.number, exponent.denominator
    if number is None or number < 0 or k > 60 or not is_small(number):
        gens = a.gens
        if len(a.terms) == 1 and gens == {"e"} and a.terms == letter("e").terms:
            return Poly({Mono(1, ((Gen("e"), exponent),)): 1})
        return _unexpanded(a, poly(exponent))
    above, below = _whole_root(number.numerator, k), _whole_root(number.denominator, k)
    if above is None or below is None:
        return _unexpanded(a, poly(exponent))
    return power(poly(Fraction(above, below)), poly(exponent.numerator))


def _whole_root(n: int, k: int) -> int | None:
    guess = round(n ** (1 / k)) if n.bit_length() < 900 else 0
    return next((g for g in (guess - 1, guess, guess + 1) if g >= 0 and g**k == n), None)


def replaced(a: Poly, name: str, by: Poly) -> Poly:
    """The polynomial with a generator replaced."""
    if name not in a.gens:
        return a
    result = poly(0)
    for mono, c in a.terms.items():
        factor = Poly({Mono(mono.radicand, tuple(pair for pair in mono.gens if pair[0] != name)): c})
        for gen, exponent in mono.gens:
            if gen == name:
                factor = multiply(factor, power(by, poly(exponent)))
        result = add(result, factor)
    return result


def render(a: Poly) -> str:
    """The canonical text, terms in order: `3*sqrt(13)/2 + x^2`. Reading it gives the same polynomial."""
    if not a.terms:
        return "0"
    if len(a.terms) == 1 and ONE in a.terms:
        return str(a.terms[ONE])
    text = ""
    for mono, c in sorted(a.terms.items(), key=lambda term: _rank(term[0]), reverse=True):
        factors = [] if mono.radicand == 1 else [f"sqrt({mono.radicand})"]
        factors += [_factor(gen, exponent) for gen, exponent in mono.gens]
        n, d = abs(c.numerator), c.denominator
        if n != 1 or not factors:
            factors.insert(0, str(n))
        sign = "-" if c < 0 else "+"
        text += (f" {sign} " if text else sign.strip("+")) + "*".join(factors) + (f"/{d}" if d != 1 else "")
    return text


def _rank(mono: Mono) -> tuple[Any, ...]:
    degree = sum(x for g, x in mono.gens if g not in CONSTANTS and g != I)
    return float(degree), [(g, float(x)) for g, x in mono.gens], mono.radicand


def _factor(gen: Gen, exponent: Number) -> str:
    if exponent == 1:
        return gen
    base = f"({gen})" if gen.function == "pow" else gen
    return f"{base}^{exponent}" if exponent.denominator == 1 and exponent > 0 else f"{base}^({exponent})"
