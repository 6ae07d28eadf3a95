"""What relations, sets, ratios and units mean: each as the simplest form that says the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from mull.equal import polynomial as p
from mull.equal.forms import Form, monic, number_form, same
from mull.equal.polynomial import Poly, Unreadable, poly

RELATIONS = {
    "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "le": "<=", "leq": "<=", "ge": ">=", "geq": ">=",
    "leqslant": "<=", "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "in": "in", "approx": "~",
}  # fmt: skip
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def with_unit(value: Poly, unit: str) -> Form:
    """A polynomial with its unit; degrees and per cent are units where they stand for the whole of it."""
    for name in ("degree", "percent"):
        if name not in value.gens:
            continue
        if all((name, 1) in mono.gens for mono in value.terms):
            if unit:
                raise Unreadable("two units")
            value, unit = p.multiply(value, p.invert(p.letter(name))), name
        elif name == "degree":
            raise Unreadable("degrees beside numbers")
        else:
            value = p.replaced(value, name, poly(Fraction(1, 100)))
    return Form("quantity", unit, (number_form(value),)) if unit else number_form(value)


def as_set(items: Sequence[Form]) -> Form:
    """A set of items; sets among them are joined to it."""
    flat = [x for item in items for x in (item.parts if item.kind == "set" else (item,))]
    return Form("set", parts=tuple(sorted({item.key: item for item in flat}.values(), key=lambda item: item.key)))


def ratio(sides: Sequence[Form]) -> Form:
    """A ratio in lowest terms where it is one of whole numbers."""
    if any(side.kind != "value" or not (side.value.is_constant or name_of(side)) for side in sides):
        raise Unreadable("a ratio of something else")
    numbers = [side.value.whole for side in sides]
    if all(n is not None and n > 0 for n in numbers):
        shared = math.gcd(*(n for n in numbers if n is not None))
        return Form("ratio", parts=tuple(number_form(poly(n // shared)) for n in numbers if n is not None))
    return Form("ratio", parts=tuple(sides))


def related(sides: list[Form], signs: list[str]) -> Form:
    """A relation as the shortest thing that says the same."""
    left, right = sides[0], sides[-1]
    if signs == ["~"]:
        return left
    name = name_of(left)
    if signs == ["in"] and name:
        return Form("named", name, (right,))
    chain = [side for side, sign in zip(sides[1:], signs, strict=True) if sign == "="]
    if chain and set(signs) <= {"=", "~"}:
        for other in chain[1:]:
            if same(chain[0], other, lambda a, b: None) is not True:
                raise Unreadable("a chain of things not seen to be equal")
        last = chain[-1]
        if name and (last.kind != "value" or not left.value.gens & last.value.gens):
            return Form("named", name, (last,))
        if left.kind == "text":
            return Form("named", left.head, (last,))
        if left.kind == "value" and left.value.is_constant and same(left, last, lambda a, b: None):
            return last
        return equation(left, last, "=")
    if "in" in signs or "~" in signs or any(side.kind != "value" for side in sides):
        raise Unreadable("a relation between other things than expressions")
    if len(signs) == 1 and signs[0] in FLIPPED:
        if not name and name_of(right) and left.value.is_constant:
            left, right, signs, name = right, left, [FLIPPED[signs[0]]], name_of(right)
        if name and right.value.is_constant:
            return Form("named", name, (ray(signs[0], right),))
    if len(signs) == 2 and {signs[0][0], signs[1][0]} in ({"<"}, {">"}):
        low, middle, high = sides if signs[0][0] == "<" else sides[::-1]
        opening, closing = signs if signs[0][0] == "<" else signs[::-1]
        name = name_of(middle)
        if name and low.value.is_constant and high.value.is_constant:
            brackets = ("[" if "=" in opening else "(") + ("]" if "=" in closing else ")")
            return Form("named", name, (Form("seq", brackets, (low, high)),))
    if len(signs) > 1:
        raise Unreadable("a chain of relations")
    return equation(left, right, signs[0])


def name_of(side: Form) -> str:
    """The name that stands before a relation: a product of letters; empty if there is something else."""
    if side.kind != "value" or len(side.value.terms) != 1:
        return ""
    ((mono, c),) = side.value.terms.items()
    are_letters = all(x == 1 and not g.function and g not in p.CONSTANTS and g != "i" for g, x in mono.gens)
    return "*".join(g for g, _ in mono.gens) if c == 1 and mono.radicand == 1 and are_letters else ""


def ray(sign: str, end: Form) -> Form:
    """The interval of what stands in this relation to a number."""
    if sign[0] == "<":
        return Form(
            "seq", "(" + ("]" if "=" in sign else ")"), (number_form(p.multiply(poly(-1), p.letter("oo"))), end)
        )
    return Form("seq", ("[" if "=" in sign else "(") + ")", (end, number_form(p.letter("oo"))))


def equation(left: Form, right: Form, sign: str) -> Form:
    """Both sides brought to one, over the leading coefficient."""
    if left.kind != "value" or right.kind != "value":
        raise Unreadable("a relation between other things than expressions")
    beside = p.add(left.value, right.value, -1)
    if beside.is_constant:
        raise Unreadable("a relation without a letter")
    lead = max(beside.terms.items(), key=lambda term: term[0])[1]
    sign = FLIPPED.get(sign, sign) if lead < 0 else sign
    scaled = monic(beside)
    rest = Poly({mono: c for mono, c in scaled.terms.items() if mono == p.ONE})
    name = name_of(number_form(p.add(scaled, rest, -1)))
    if name and sign != "!=":
        end = number_form(p.multiply(poly(-1), rest))
        return Form("named", name, (end if sign == "=" else ray(sign, end),))
    return Form("relation", sign, poly=scaled)
