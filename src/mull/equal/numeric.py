"""Evaluation of polynomials in floating point, which shows most pairs of different answers to differ."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

from mull.equal.polynomial import CONSTANTS, Gen, I, Poly


def value(a: Poly, at: Callable[[str], float]) -> complex:
    """Its value in floating point, with letters taken from `at`. Raises `ArithmeticError` or `ValueError`."""
    total = 0j
    for mono, c in a.terms.items():
        product = complex(c.numerator / c.denominator) * math.sqrt(mono.radicand)
        for gen, exponent in mono.gens:
            product *= _gen_value(gen, at) ** (float(exponent) if exponent.denominator != 1 else int(exponent))
        total += product
    if cmath.isnan(total):
        raise ArithmeticError("not a number")
    return total


def _gen_value(gen: Gen, at: Callable[[str], float]) -> complex:
    if gen == I:
        return 1j
    if not gen.function:
        return CONSTANTS[gen] if gen in CONSTANTS else at(gen)
    return FUNCTIONS[gen.function](*(value(arg, at) for arg in gen.args))


def _real(x: complex) -> float:
    if abs(x.imag) > 1e-9 * abs(x):
        raise ValueError("not real")
    return x.real


def _whole(x: complex) -> int:
    n = round(_real(x))
    if abs(n - x) > 1e-9 or not 0 <= n <= 1000:
        raise ValueError("not a small whole number")
    return n


def _power_value(a: complex, b: complex) -> complex:
    if a == 0 and b.real <= 0:
        raise ZeroDivisionError
    if abs(b) > 1e4:
        raise OverflowError
    return complex(a**b)


FUNCTIONS: dict[str, Callable[..., complex]] = {
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "cot": lambda x: 1 / cmath.tan(x),
    "sec": lambda x: 1 / cmath.cos(x),
    "csc": lambda x: 1 / cmath.sin(x),
    "asin": cmath.asin,
    "acos": cmath.acos,
    "atan": cmath.atan,
    "sinh": cmath.sinh,
    "cosh": cmath.cosh,
    "tanh": cmath.tanh,
    "log": lambda x, base=math.e: cmath.log(x, base),
    "abs": lambda x: complex(abs(x)),
    "floor": lambda x: complex(math.floor(_real(x))),
    "ceil": lambda x: complex(math.ceil(_real(x))),
    "factorial": lambda x: complex(math.factorial(_whole(x))),
    "binom": lambda n, k: complex(math.comb(_whole(n), _whole(k))),
    "sum": lambda x: x,
    "pow": _power_value,
}
"""Evaluation of opaque functions. `sum` is a sum in a denominator."""


def constant_size(a: Poly) -> float | None:
    """The absolute value of a constant; `None` if it is undefined or no float can hold it."""
    try:
        return abs(value(a, lambda name: 1.0))
    except (ArithmeticError, ValueError):
        return None
