"""Sets of real numbers as unions of intervals and points, each in one canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mull.equal import polynomial as p
from mull.equal.forms import Form, evaluated, number_form
from mull.equal.polynomial import Poly, Unreadable, poly

INFINITY = p.letter("oo")
MINUS_INFINITY = p.multiply(poly(-1), INFINITY)
MAX_SPANS = 60


class Span(NamedTuple):
    """An interval, or a point if both ends are equal."""

    low: Poly
    has_low: bool
    high: Poly
    has_high: bool


def order(a: Poly, b: Poly) -> int:
    """-1, 0 or 1 as a is below, equal to or above b. Raises `Unreadable` where floating point cannot tell."""
    if a == b:
        return 0
    x, y = a.number, b.number
    if x is not None and y is not None:
        return -1 if x < y else 1
    for side, sign in ((a, 1), (b, -1)):
        if side == MINUS_INFINITY:
            return -sign
        if side == INFINITY:
            return sign
    u, v = evaluated(a, 0), evaluated(b, 0)
    if u is None or v is None or u.imag or v.imag or abs(u - v) <= 1e-9 * max(abs(u), abs(v)):
        raise Unreadable("interval ends that cannot be ordered")
    return -1 if u.real < v.real else 1


def is_end(a: Poly) -> bool:
    """Whether a polynomial is a real number or infinity."""
    if not a.is_constant:
        return False
    if a in (INFINITY, MINUS_INFINITY) or a.number is not None:
        return True
    size = None if "oo" in a.gens else evaluated(a, 0)
    return size is not None and size.imag == 0


def spans(form: Form) -> list[Span] | None:
    """The intervals and points of a form; `None` if it is not a set of real numbers."""
    if form.kind == "union":
        parts = [spans(part) for part in form.parts]
        return None if None in parts else [span for part in parts for span in part or ()]
    if form.kind == "set":
        if any(item.kind != "value" or not is_end(item.value) for item in form.parts):
            return None
        return [Span(item.value, True, item.value, True) for item in form.parts]
    if form.kind != "seq" or len(form.parts) != 2 or any(x.kind != "value" or not is_end(x.value) for x in form.parts):
        return None
    low, high = (part.value for part in form.parts)
    if order(low, high) > 0 or (low == high and form.head != "[]"):
        return None
    return [Span(low, form.head[0] == "[", high, form.head[1] == "]")]


def united(parts: Iterable[Span]) -> list[Span]:
    """The union as ordered intervals and points that neither overlap nor touch."""
    left = sorted(parts, key=lambda s: s.has_low, reverse=True)
    found: list[Span] = []
    while left:
        lowest = left[0]
        for span in left[1:]:
            if order(span.low, lowest.low) < 0:
                lowest = span
        left.remove(lowest)
        if found and _touches(found[-1], lowest):
            last = found[-1]
            side = order(last.high, lowest.high)
            high, has_high = (last.high, last.has_high) if side > 0 else (lowest.high, lowest.has_high)
            found[-1] = Span(last.low, last.has_low, high, has_high or (side == 0 and last.has_high))
        else:
            found.append(lowest)
    return found


def _touches(a: Span, b: Span) -> bool:
    """Whether b, which begins no lower than a, leaves no gap after a."""
    side = order(b.low, a.high)
    return side < 0 or (side == 0 and (a.has_high or b.has_low))


def complement(parts: Sequence[Span]) -> list[Span]:
    """All real numbers except these."""
    found: list[Span] = []
    low, has_low = MINUS_INFINITY, False
    for span in united(parts):
        if span.low != MINUS_INFINITY and (low != span.low or (has_low and not span.has_low)):
            found.append(Span(low, has_low, span.low, not span.has_low))
        low, has_low = span.high, not span.has_high
    if low != INFINITY:
        found.append(Span(low, has_low, INFINITY, False))
    return found


def intersection(sets: Iterable[Sequence[Span]]) -> list[Span]:
    """The intersection of sets."""
    return complement([span for parts in sets for span in complement(parts)])


def as_form(parts: Sequence[Span]) -> Form:
    """The set as a form: an interval, a set of points, or an ordered union of them."""
    if len(parts) > MAX_SPANS:
        raise Unreadable("too many intervals")
    points = [number_form(s.low) for s in parts if s.low == s.high]
    pieces = [
        Form(
            "seq", ("[" if s.has_low else "(") + ("]" if s.has_high else ")"), (number_form(s.low), number_form(s.high))
        )
        for s in parts
        if s.low != s.high
    ]
    if points or not pieces:
        pieces.append(Form("set", parts=tuple(sorted(points, key=lambda item: item.key))))
    return pieces[0] if len(pieces) == 1 else Form("union", parts=tuple(sorted(pieces, key=lambda piece: piece.key)))


def union(forms: Sequence[Form]) -> Form:
    """The union of sets: of real numbers in canonical form, of others as its ordered parts."""
    parts = [spans(form) for form in forms]
    if None not in parts:
        return as_form(united(span for part in parts for span in part or ()))
    flat = [x for form in forms for x in (form.parts if form.kind == "union" else (form,))]
    unique = sorted({x.key: x for x in flat}.values(), key=lambda x: x.key)
    return Form("union", parts=tuple(unique)) if len(unique) > 1 else unique[0]
