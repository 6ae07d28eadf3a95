"""Sums and products of vectors and matrices."""

from __future__ import annotations

from mull.equal import polynomial as p
from mull.equal.forms import Form, number_form
from mull.equal.polynomial import Poly, Unreadable, poly


def mapped(form: Form, factor: Poly) -> Form:
    """A vector or a matrix times a number. Raises `Unreadable` for any other form."""
    if form.kind == "value":
        return number_form(p.multiply(factor, form.value))
    if form.kind == "matrix" or (form.kind == "seq" and form.head == "()"):
        return Form(form.kind, form.head, tuple(mapped(part, factor) for part in form.parts))
    raise Unreadable("a number times something other than a vector")


def times(a: Form, b: Form | None) -> Form:
    """The product of two matrices of values."""
    if b is None or b.kind != "matrix" or len(a.parts[0].parts) != len(b.parts):
        raise Unreadable("a product of matrices whose shapes do not match")
    columns = list(zip(*(row.parts for row in b.parts), strict=True))
    if any(x.kind != "value" for form in (a, b) for row in form.parts for x in row.parts):
        raise Unreadable("a matrix of something other than numbers")
    rows = []
    for row in a.parts:
        sums = []
        for column in columns:
            total = poly(0)
            for x, y in zip(row.parts, column, strict=True):
                total = p.add(total, p.multiply(x.value, y.value))
            sums.append(number_form(total))
        rows.append(Form("seq", "()", tuple(sums)))
    return Form("matrix", parts=tuple(rows))


def added(a: Form, b: Form) -> Form:
    """The sum of two values, or of vectors or matrices of one shape. Raises `Unreadable` for other forms."""
    if a.kind == b.kind == "value":
        return number_form(p.add(a.value, b.value))
    if a.kind == b.kind and a.kind in ("matrix", "seq") and len(a.parts) == len(b.parts):
        return Form(a.kind, a.head, tuple(added(x, y) for x, y in zip(a.parts, b.parts, strict=True)))
    raise Unreadable("a sum of different kinds")
