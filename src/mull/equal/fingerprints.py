"""Numeric fingerprints, by which a vote finds the answers that may be equal without comparing every pair."""

from __future__ import annotations

from mull.equal.forms import PARTS, Form, evaluated, sign_at
from mull.equal.polynomial import CONSTANTS, Poly, letter, replaced
from mull.equal.sameness import along_axes, arbitrary, equation_of, in_base, integral, scaled, with_letters
from mull.equal.units import OFFSETS, measure


def fingerprints(a: Form) -> list[float]:
    """Numbers of which two equal answers share at least one, up to rounding; empty if it equals only itself."""
    match a.kind:
        case "value":
            return _of_value(a.value)
        case "named":
            inner = fingerprints(a.parts[0])
            if a.is_choice:
                return [*inner, abs(sign_at(a.head[1], 0))]
            return inner + (fingerprints(equation_of(a)) if a.parts[0].kind == "value" else [])
        case "relation":
            size = evaluated(a.value, 0)
            return [-1.0 if size is None else abs(size)]
        case "quantity":
            inner = fingerprints(a.parts[0])
            factor = float(measure(a.head)[0])
            worth = [x * CONSTANTS.get(a.head, 1.0) for x in inner] if a.head in PARTS else []
            if a.head in OFFSETS and a.parts[0].kind == "value":
                return inner + _of_value(in_base(a, measure(a.head)[0]).value)
            return inner + [x * factor for x in inner if factor != 1] + worth
        case "numeral" | "text":
            return []
        case "hard":
            return [-1.0]
        case _:
            firsts = [fingerprints(part)[:1] or [0.0] for part in a.parts]
            return [-1.0 if any(f[0] < 0 for f in firsts) else sum(f[0] for f in firsts)]


def _of_value(a: Poly) -> list[float]:
    if "oo" in a.gens:  # an end of an interval
        return [0.0]
    size = evaluated(a, 0)
    found = [-1.0 if size is None else abs(size)]
    if len(a.terms) > 1 and (rest := integral(a)) is not None:
        one, other = evaluated(rest, 0), evaluated(rest, 1)
        found.append(-1.0 if one is None or other is None else abs(one - other))  # the same whatever the constant is
    if a.terms and not a.is_constant:
        if (measured := with_letters(a)) is not None:
            found += fingerprints(measured)
        if name := arbitrary(a):
            found += _of_value(replaced(a, name, letter("")))
        if (number := scaled(a)) is not None:
            found += _of_value(number)
        if (vector := along_axes(a)) is not None:
            found += fingerprints(vector)
    return found
