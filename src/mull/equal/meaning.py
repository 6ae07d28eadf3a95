"""Simplification of relations, lists, ratios and units: each becomes the simplest equivalent form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from mull.equal import polynomial as p
from mull.equal import spans
from mull.equal.forms import Form, number_form
from mull.equal.numeric import FUNCTIONS
from mull.equal.polynomial import Mono, Number, Poly, Unreadable, poly
from mull.equal.sameness import letters, monic, same

RELATIONS = {
    "=": "=",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
    "!=": "!=",
    "le": "<=",
    "leq": "<=",
    "ge": ">=",
    "geq": ">=",
    "leqslant": "<=",
    "geqslant": ">=",
    "lt": "<",
    "gt": ">",
    "ne": "!=",
    "neq": "!=",
    "in": "in",
    "approx": "~",
    "simeq": "~",
    "sim": "~",
    "thickapprox": "~",
    "approxeq": "~",
}
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NAMING = set(FUNCTIONS) - {"abs", "pow", "sum", "floor", "ceil", "factorial", "binom"}
"""Functions whose value may be given as if the call were a name: `\\sin A = 3/5`."""


def with_unit(value: Poly, unit: str) -> Form:
    """A polynomial with its unit; degrees and per cent are units where they multiply the whole of it."""
    for name in ("degree", "percent"):
        if name not in value.gens:
            continue
        if (name == "degree" or not letters(value)) and all((name, 1) in mono.gens for mono in value.terms):
            value = p.multiply(value, p.invert(p.letter(name)))
            if name == "degree" and unit in ("celsius", "fahrenheit"):
                continue
            if unit and not unit.startswith("per "):
                raise Unreadable("two units")
            unit = name + ("/" + unit[4:].replace(" per ", "/") if unit else "")
        elif name == "degree":
            raise Unreadable("degrees added to plain numbers")
        else:
            value = p.replaced(value, name, poly(Fraction(1, 100)))
    return Form("quantity", unit, (number_form(value),)) if unit else number_form(value)


def as_set(items: Sequence[Form]) -> Form:
    """A set of items; a set among the items is merged into it."""
    flat = [
        x for item in map(settled, items) for x in (item.parts if item.kind == "set" and not item.head else (item,))
    ]
    return Form("set", parts=tuple(sorted({item.key: item for item in flat}.values(), key=lambda item: item.key)))


def settled(item: Form) -> Form:
    """An inequality's range as the set that its name lies in, or its only number; any other form unchanged."""
    if item.kind != "range":
        return item
    (part,) = item.parts
    part = part.parts[0] if part.kind == "set" and len(part.parts) == 1 else part
    return Form("named", item.head, (part,)) if item.head else part


def ratio(sides: Sequence[Form]) -> Form:
    """A ratio, in lowest terms if both sides are whole numbers."""
    if any(side.kind != "value" or not (side.value.is_constant or name_of(side)) for side in sides):
        raise Unreadable("a ratio of something other than values")
    numbers = [side.value.whole for side in sides]
    if all(n is not None and n > 0 for n in numbers):
        shared = math.gcd(*(n for n in numbers if n is not None))
        return Form("ratio", parts=tuple(number_form(poly(n // shared)) for n in numbers if n is not None))
    return Form("ratio", parts=tuple(sides))


# Relations


def related(sides: list[Form], signs: list[str]) -> Form:
    """A relation in its shortest equivalent form; of an approximation, the side with more information."""
    left, right = sides[0], sides[-1]
    while len(signs) > 1 and signs[-1] == "~":  # an exact value is not replaced by its rounding
        sides, signs = sides[:-1], signs[:-1]
        right = sides[-1]
    if signs == ["~"]:
        name = label_of(left)
        if not name and left.kind == "value" and not left.value.is_constant:
            return equation(left, right, "=")
        return Form("named", name, (right,)) if name else left
    if "~" in signs:
        raise Unreadable("an approximation inside a chain")
    if signs == ["in"] and (name := label_of(left)):
        return Form("named", name, (right,))
    if set(signs) == {"="}:
        return equal(left, sides[1:])
    if "in" in signs or any(side.kind != "value" for side in sides):
        raise Unreadable("a relation between forms other than expressions")
    found = [compared(x, sign, y) for x, sign, y in zip(sides, signs, sides[1:], strict=False)]
    if len(found) == 1:
        return found[0]
    if {sign[0] for sign in signs} not in ({"<"}, {">"}):
        raise Unreadable("a chain of relations in both directions")
    heads = {x.head for x in found}
    if all(x.kind == "range" for x in found) and len(heads) == 1:
        return Form("range", found[0].head, (meet([x.parts[0] for x in found]),))
    return as_set(found)


def equal(left: Form, others: Sequence[Form]) -> Form:
    """The meaning of `a = b = c`: the value of the name `a`, or an equation. The last side is the simplest."""
    last = others[-1]
    name = name_of(left)
    # In a calculation such as `x = 2 + 3 = 5` the last side counts.
    is_worked_out = name and all(x.kind == "value" and x.value.is_constant for x in others)
    if not is_worked_out and any(same(others[0], x, lambda a, b: None) is not True for x in others[1:]):
        raise Unreadable("a chain whose sides are not known to be equal")
    if name and (last.kind != "value" or not left.value.gens & last.value.gens):
        return Form("named", name, (last,))
    if not name and (label := label_of(left)):
        return Form("named", label, (last,))
    if left.kind == "value" and left.value.is_constant and same(left, last, lambda a, b: None):
        return last
    return equation(left, last, "=")


def label_of(side: Form) -> str:
    """The label that a value is given for: a name, a tuple or ratio of names, or words; empty for anything else."""
    if side.kind == "text":
        return side.head
    if (side.kind == "seq" and side.head == "()") or side.kind == "ratio":
        return side.key if all(map(name_of, side.parts)) else ""
    return name_of(side)


def name_of(side: Form) -> str:
    """The name on the left of a relation, a product of letters; empty for anything else."""
    if side.kind != "value" or len(side.value.terms) != 1:
        return ""
    ((mono, c),) = side.value.terms.items()
    if c != 1 or mono.radicand != 1:
        return ""
    if len(mono.gens) == 1 and mono.gens[0][0].function in _NAMING and mono.gens[0][1] == 1 and letters(side.value):
        return mono.gens[0][0]
    are_letters = all(x == 1 and not g.function and g not in p.CONSTANTS and g != "i" for g, x in mono.gens)
    return "*".join(g for g, _ in mono.gens) if are_letters else ""


def compared(left: Form, sign: str, right: Form) -> Form:
    """An inequality as the numbers that satisfy it, if it is in one name and solvable; else as a relation."""
    beside = p.add(left.value, right.value, -1)
    return solved(beside, sign) or equation(left, right, sign)


def solved(beside: Poly, sign: str) -> Form | None:
    """The range of the one name in `beside`, compared with 0; `None` unless that is linear or quadratic in it."""
    names = [mono for mono in beside.terms if any(g not in p.CONSTANTS or g == "i" for g, _ in mono.gens)]
    if (found := of_square(beside, sign)) is not None:
        return found
    if len(names) != 1:
        return None
    (mono,) = names
    rest = Poly({m: c for m, c in beside.terms.items() if m != mono})
    end = p.multiply(rest, poly(-Fraction(1) / beside.terms[mono]))
    sign = FLIPPED.get(sign, sign) if beside.terms[mono] < 0 else sign
    if mono.radicand != 1 or not spans.is_end(end):
        return None
    if len(mono.gens) == 1 and mono.gens[0][0].function == "abs" and mono.gens[0][1] == 1:
        return within(mono.gens[0][0].args[0], sign, end)
    name = name_of(number_form(Poly({mono: 1})))
    return Form("range", name, (ray(sign, end),)) if name else None


def of_square(beside: Poly, sign: str) -> Form | None:
    """The range of the name in a quadratic polynomial that is compared with 0; `None` for any other polynomial."""
    parts: dict[Number, Number] = {}
    names: set[p.Gen] = set()
    for mono, c in beside.terms.items():
        if mono.radicand != 1 or len(mono.gens) > 1:
            return None
        parts[mono.gens[0][1] if mono.gens else 0] = c
        names.update(gen for gen, _ in mono.gens)
    name = name_of(number_form(Poly({Mono(1, ((gen, 1),)): 1 for gen in names}))) if len(names) == 1 else ""
    if not name or not {2} <= parts.keys() <= {0, 1, 2}:
        return None
    b, c = (Fraction(parts.get(n, 0)) / parts[2] for n in (1, 0))
    sign = FLIPPED.get(sign, sign) if parts[2] < 0 else sign
    under = b * b / 4 - c
    root = p.square_root(poly(abs(under)))
    low, high = (p.add(poly(-b / 2), root, side) for side in (-1, 1))
    is_closed = sign in ("<=", ">")  # of what is left out, the ends are those that the relation lacks
    if under < 0:
        between = []
    elif sign == "!=":
        between = [spans.Span(end, True, end, True) for end in (low, high)]
    elif under:
        between = [spans.Span(low, is_closed, high, is_closed)]
    else:
        between = [spans.Span(low, True, low, True)] if is_closed else []
    return Form("range", name, (spans.as_form(between if sign[0] == "<" else spans.complement(between)),))


def within(inner: Poly, sign: str, end: Poly) -> Form | None:
    """The range of a name whose absolute value is compared with a number: `|x - 1| < 2`."""
    if sign == "!=" or spans.order(end, poly(0)) < 0:
        return None
    upper = solved(p.add(inner, end, -1), sign)
    lower = solved(p.add(inner, end), FLIPPED[sign])
    if upper is None or lower is None:
        return None
    both = [upper.parts[0], lower.parts[0]]
    return Form("range", upper.head, (meet(both) if sign[0] == "<" else spans.union(both),))


def ray(sign: str, end: Poly) -> Form:
    """The numbers in this relation to a number."""
    has_end = "=" in sign and sign != "!="
    below = spans.Span(spans.MINUS_INFINITY, False, end, has_end)
    above = spans.Span(end, has_end, spans.INFINITY, False)
    return spans.as_form([below, above] if sign == "!=" else [below if sign[0] == "<" else above])


def meet(sets: Sequence[Form]) -> Form:
    """The intersection of sets of real numbers."""
    parts = [spans.spans(x) for x in sets]
    if None in parts:
        raise Unreadable("something other than a set of real numbers")
    return spans.as_form(spans.intersection(part for part in parts if part is not None))


def equation(left: Form, right: Form, sign: str) -> Form:
    """An equation or inequality with everything on one side, divided by the leading coefficient."""
    if left.kind != "value" or right.kind != "value":
        raise Unreadable("a relation between forms other than expressions")
    beside = p.add(left.value, right.value, -1)
    if beside.is_constant:
        raise Unreadable("a relation without a letter")
    lead = max(beside.terms.items(), key=lambda term: term[0])[1]
    sign = FLIPPED.get(sign, sign) if lead < 0 else sign
    scaled = monic(beside)
    rest = Poly({mono: c for mono, c in scaled.terms.items() if mono == p.ONE})
    name = name_of(number_form(p.add(scaled, rest, -1)))
    if name and sign == "=":
        return Form("named", name, (number_form(p.multiply(poly(-1), rest)),))
    return Form("relation", sign, poly=scaled)
