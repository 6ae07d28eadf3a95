"""Decides whether two forms are the same answer."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from mull.equal.forms import CLOSE_DIGITS, PARTS, Form, decimals, differ, evaluated, number_form
from mull.equal.polynomial import (
    CONSTANTS,
    ONE,
    Gen,
    Mono,
    Number,
    Poly,
    add,
    letter,
    magnitude,
    multiply,
    poly,
    render,
    replaced,
)
from mull.equal.units import LETTERS, OFFSETS, Dims, measure, unit_name, unit_text

Ask = Callable[[str, str], bool | None]
FLOAT_DIGITS = range(15, 18)
"""A decimal with this many significant digits is taken as a float, whose last digits carry no information."""
SCALES = {"k": 1000, "K": 1000, "M": 10**6, "B": 10**9}
"""Letters that abbreviate the scale of a number."""
ARBITRARY = {"C", "K", "A", "c"}
"""Letters, with or without an index, that name the arbitrary constant of a general solution."""
MAX_GAP = 24
"""Largest denominator of a number by which two antiderivatives that are one are assumed to differ."""
AXES = (r"\hat{i}", r"\hat{j}", r"\hat{k}")
"""The unit vectors."""


def is_rounding(a: Poly, b: Poly) -> bool:
    """Whether `a` is a decimal of many digits and `b` an exact number, not itself such a decimal, that rounds to it.

    Also true if both are equal to float precision and one is written with all the digits of a float.
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
        if size is None or size.imag or digits[0] >= FLOAT_DIGITS.stop:
            return False
        if digits[0] in FLOAT_DIGITS:
            return bool(abs(float(short) - size.real) <= 1e-12 * abs(size.real))
        return bool(abs(float(short) - size.real) <= 0.5 * 10 ** -digits[1] * (1 + 1e-6))
    off = magnitude(short - exact)
    if digits[0] in FLOAT_DIGITS:
        return off <= Fraction(1, 10**12) * magnitude(exact)
    return exact.denominator != 1 and decimals(exact) is None and off * 2 * 10 ** digits[1] <= 1


def same(a: Form, b: Form, ask: Ask) -> bool | None:
    """Whether two answers are the same; `None` if undecided.

    A name or a unit that only one of them has is ignored: `x = 5` is 5 and `3 cm` is 3, but `y = 5` and `3 m` differ.
    Degrees and per cent are units of this sort and also numbers: `50%` equals 50 and 0.5, which differ from each other.
    `ask` compares two texts where this function cannot decide.
    """
    if a.key == b.key:
        return True
    if a.kind == b.kind:
        return _alike(a, b, ask)
    if a.kind > b.kind:
        a, b = b, a
    match a.kind, b.kind:
        case ("hard", "named") if not b.is_choice:
            return same(a, b.parts[0], ask)
        case ("hard", _) | (_, "hard"):
            return ask(a.key, b.key) if {a.kind, b.kind} <= {"hard", "value"} else False
        case ("named", "relation") if not a.is_choice:
            return b.head == "=" and a.parts[0].kind == "value" and _same_relation(equation_of(a), b, ask)
        case ("named", _):
            return _unnamed(a, b, ask)
        case (_, "named"):
            return _unnamed(b, a, ask)
        case ("quantity", "value"):
            return _without_unit(a, b, ask)
        case ("matrix", "seq"):
            is_column = b.head == "()" and all(len(row.parts) == 1 for row in a.parts)
            return is_column and _all_same(tuple(row.parts[0] for row in a.parts), b.parts, ask)
        case ("seq" | "matrix", "value"):
            vector = along_axes(b.value)
            return False if vector is None else same(a, vector, ask)
    return False


def _unnamed(a: Form, b: Form, ask: Ask) -> bool | None:
    """`same` for a named form and an unnamed one of another kind."""
    if a.is_choice and b.key == a.head[1]:
        return True
    inner = a.parts[0]
    if a.head.startswith("(") and inner.kind == "seq" and b.kind == "set" and not b.head:
        inner = Form("set", parts=inner.parts)
    return same(inner, b, ask)


def _without_unit(a: Form, b: Form, ask: Ask) -> bool | None:
    """`same` for a quantity and a value whose letters may be a unit."""
    measured = with_letters(b.value)
    if measured is not None and measure(measured.head)[1] == measure(a.head)[1] and same(a, measured, ask):
        return True
    if a.head in PARTS and a.parts[0].kind == "value":
        worth = multiply(a.parts[0].value, PARTS[a.head])
        if worth == b.value or is_rounding(worth, b.value) or is_rounding(b.value, worth):
            return True
    return same(a.parts[0], b, ask)


def with_letters(a: Poly) -> Form | None:
    """A product whose letters are units (`10 m/s`) as a quantity; `None` for anything else."""
    if len(a.terms) != 1:
        return None
    ((mono, c),) = a.terms.items()
    units = [(unit_name(gen), int(x)) for gen, x in mono.gens if gen in LETTERS and x.denominator == 1]
    if not units or len(units) > 3:
        return None
    rest = tuple((gen, x) for gen, x in mono.gens if gen not in LETTERS)
    return Form("quantity", unit_text(units), (number_form(Poly({Mono(mono.radicand, rest): c})),))


def _same_letters(a: Poly, b: Poly) -> bool:
    """Whether two numbers with letters are the same quantity in different units: `2 m^3`, `2000 L`."""
    one, other = with_letters(a), with_letters(b)
    if one is None or other is None or one.head == other.head:
        return False
    numbers = [x.parts[0].value.number for x in (one, other)]
    if None in numbers or set(numbers) == {1}:  # without a number, letters are plain letters
        return False
    (factor, dims), (scale, others) = measure(one.head), measure(other.head)
    return dims == others and in_base(one, factor).value == in_base(other, scale).value


def along_axes(a: Poly) -> Form | None:
    """A linear combination of unit vectors as a tuple; `None` for anything else."""
    parts = [poly(0)] * 3
    for mono, c in a.terms.items():
        axes = [gen for gen, x in mono.gens if gen in AXES and x == 1]
        if len(axes) != 1:
            return None
        rest = Poly({Mono(mono.radicand, tuple(pair for pair in mono.gens if pair[0] != axes[0])): c})
        parts[AXES.index(axes[0])] = add(parts[AXES.index(axes[0])], rest)
    if not a.terms:
        return None
    return Form("seq", "()", tuple(map(number_form, parts if parts[2].terms else parts[:2])))


def _alike(a: Form, b: Form, ask: Ask) -> bool | None:
    """`same` for two forms of one kind."""
    match a.kind:
        case "value":
            return _same_value(a.value, b.value, ask)
        case "seq":
            return (a.head == b.head) and _all_same(a.parts, b.parts, ask)
        case "ratio" | "matrix":
            return _all_same(a.parts, b.parts, ask)
        case "set" | "union":
            return a.head == b.head and _same_items(a.parts, b.parts, ask)
        case "named":
            return _same_named(a, b, ask)
        case "relation":
            return a.head == b.head and _same_relation(a, b, ask)
        case "quantity":
            return _same_quantity(a, b, ask)
        case "hard":
            return ask(a.key, b.key)
        case _:
            return False


def _same_named(a: Form, b: Form, ask: Ask) -> bool | None:
    one, other = a.parts[0], b.parts[0]
    if a.head == b.head:
        return same(one, other, ask)
    if a.is_choice or b.is_choice:
        return False
    names, wanted = names_in(a.head), names_in(b.head)
    if len(names) > 1 and len(set(names)) == len(names) and sorted(names) == sorted(wanted):
        places = [names.index(name) for name in wanted]
        return same(_reordered(one, places), other, ask)
    if len(names) != len(wanted) and {name.partition("_")[0] for name in names + wanted} == {
        min(names + wanted, key=len)
    }:  # x_1 and x_2 are both values of x
        items = [Form("set", parts=x.parts) if x.kind == "seq" else x for x in (one, other)]
        return same(items[0], items[1], ask)
    both = len(names) == len(wanted) == 1 and one.kind == other.kind == "value"
    return both and _same_relation(equation_of(a), equation_of(b), ask)


def names_in(head: str) -> list[str]:
    """The names of a tuple of names, or the one name."""
    return head[1:-1].split(", ") if head.startswith("(") and head.endswith(")") else [head]


def _reordered(a: Form, places: list[int]) -> Form:
    """A tuple, or a set of tuples, with its items reordered."""
    if a.kind == "set":
        return Form("set", parts=tuple(sorted((_reordered(x, places) for x in a.parts), key=lambda x: x.key)))
    if a.kind != "seq" or len(a.parts) != len(places):
        return a
    return Form("seq", a.head, tuple(a.parts[place] for place in places))


def _same_quantity(a: Form, b: Form, ask: Ask) -> bool | None:
    one, other = a.parts[0], b.parts[0]
    if a.head == b.head:
        return same(one, other, ask)
    if one.kind != "value" or other.kind != "value":
        return False
    if {a.head, b.head} == {"degree", "radian"}:
        angles = [number_form(multiply(x.parts[0].value, PARTS[x.head])) for x in (a, b)]
        return same(angles[0], angles[1], ask)
    (factor, dims), (scale, others) = measure(a.head), measure(b.head)
    if dims == others:
        return same(in_base(a, factor), in_base(b, scale), ask)
    return _differs_by_what_is_said(dims, others) and same(one, other, ask)


def _differs_by_what_is_said(a: Dims, b: Dims) -> bool:
    """Whether the units differ only in a description (`cups of flour`), in what a rate counts, or in being money."""
    few, many = sorted((set(a), set(b)), key=len)
    if not few < many:
        return False
    more = many - few
    if all(name.startswith("of ") for name, _ in more):
        return True
    is_rate = all(n < 0 for _, n in more) and {name for name, n in few if n > 0} <= {"cent", "percent", "euro", "gbp"}
    return is_rate or (len(more) == 1 and all(n > 0 for _, n in more) and all(n < 0 for _, n in few))


def in_base(a: Form, factor: Fraction | int) -> Form:
    """The value of a quantity in base units; of a temperature, in kelvins."""
    return number_form(add(multiply(a.parts[0].value, poly(factor)), poly(OFFSETS.get(a.head, 0))))


def equation_of(a: Form) -> Form:
    left = a.parts[0].value
    name = Poly({Mono(1, tuple((Gen(part), 1) for part in sorted(a.head.split("*")))): 1})
    return Form("relation", "=", poly=monic(add(name, left, -1)))


def monic(p: Poly) -> Poly:
    """The polynomial divided by its leading coefficient."""
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
    if a.number is not None and b.number is not None:
        return False
    if a.number is not None or b.number is not None:
        short, full = (b, a) if b.number is None else (a, b)
        if scaled(short) == full:
            return True
    if (renamed := _renamed(a, b)) is not None:
        return _same_value(renamed, b, ask)
    if len(a.terms) == len(b.terms) == 1 and _same_letters(a, b):
        return True
    one, other = integral(a), integral(b)
    if one is not None and other is not None:
        return _same_integral(one, other, ask)
    if (a.is_exact and b.is_exact) or differ(a, b):
        return False
    return ask(render(a), render(b))


def scaled(a: Poly) -> Poly | None:
    """The number that a product with the letter of a scale abbreviates: `2.5M`, `1.5K`; `None` for anything else."""
    if len(a.terms) != 1:
        return None
    ((mono, c),) = a.terms.items()
    if mono.radicand != 1 or len(mono.gens) != 1 or mono.gens[0][1] != 1 or c == 1:
        return None
    scale = SCALES.get(mono.gens[0][0])
    return None if scale is None else poly(c * scale)


def _renamed(a: Poly, b: Poly) -> Poly | None:
    """`a` with the arbitrary constant of `b`: `Ce^{2x}` for `Ke^{2x}`; `None` unless each has one of its own."""
    mine, theirs = arbitrary(a), arbitrary(b)
    if not mine or not theirs or mine == theirs or mine in letters(b) or theirs in letters(a):
        return None
    return replaced(a, mine, letter(theirs))


def arbitrary(a: Poly) -> str:
    """The one arbitrary constant of a general solution such as `Ce^{2x}`; empty if there is not exactly one.

    That is a letter that occurs once, as a factor of a power of e or another function of a letter.
    """
    names = [name for name in letters(a) if name.partition("_")[0] in ARBITRARY]
    if len(names) != 1:
        return ""
    (name,) = names
    with_it = [mono for mono in a.terms if name in letters(Poly({mono: 1}))]
    if len(with_it) != 1 or (Gen(name), 1) not in with_it[0].gens:
        return ""
    beside = [(gen, letters(Poly({Mono(1, ((gen, 1),)): 1}))) for gen, _ in with_it[0].gens if gen != name]
    is_factor = all(name not in found for _, found in beside) and any(gen.function and found for gen, found in beside)
    return name if is_factor else ""


def integral(a: Poly) -> Poly | None:
    """An antiderivative without its constant: `e^x` for `e^x + C`; `None` if it has no constant of integration.

    That is a letter that is a term by itself, with no factor, beside a term with another letter.
    """
    if len(a.terms) < 2:
        return None
    lone = [mono for mono, c in a.terms.items() if c in (1, -1) and mono.radicand == 1 and _is_constant(mono.gens)]
    if len(lone) != 1:
        return None
    name = lone[0].gens[0][0]
    rest = Poly({mono: c for mono, c in a.terms.items() if mono != lone[0] and mono != ONE})
    found = letters(rest)
    return rest if found and name not in found else None


def _is_constant(gens: tuple[tuple[Gen, Number], ...]) -> bool:
    """Whether a term is a letter that may be a constant of integration."""
    if len(gens) != 1 or gens[0][1] != 1 or gens[0][0].function:
        return False
    base, _, index = gens[0][0].partition("_")
    return base in ("C", "c", "K", "k") or (len(base) == 1 and base.isupper() and not index)


def letters(a: Poly) -> set[str]:
    """The letters in a polynomial, including those in its functions' arguments."""
    found: set[str] = set()
    for gen in a.gens:
        if gen.function:
            found.update(*map(letters, gen.args))
        elif gen not in CONSTANTS and gen != "i":
            found.add(gen)
    return found


def _same_integral(a: Poly, b: Poly, ask: Ask) -> bool | None:
    """Whether two antiderivatives differ only by a constant."""
    if a == b:
        return True
    if a.is_exact and b.is_exact:
        return False
    gaps = []
    for point in (0, 1):
        x, y = evaluated(a, point), evaluated(b, point)
        if x is None or y is None:
            return None
        gaps.append((x - y, max(abs(x), abs(y))))
    if abs(gaps[0][0] - gaps[1][0]) > 1e-9 * max(size for _, size in gaps):
        return False
    gap = Fraction(gaps[0][0].real).limit_denominator(MAX_GAP)
    return ask(render(a), render(add(b, poly(gap)))) or None


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
    """Whether the items of one can be matched to those of the other, in any order."""
    if len(a) != len(b):
        return False
    keys = {item.key for item in a} & {item.key for item in b}
    left = [item for item in a if item.key not in keys]
    right = [item for item in b if item.key not in keys]
    verdicts = [[same(item, other, ask) for other in right] for item in left]
    if _pairs_off([[v is True for v in row] for row in verdicts]):
        return True
    return None if _pairs_off([[v is not False for v in row] for row in verdicts]) else False


def _pairs_off(may: list[list[bool]]) -> bool:
    """Whether each row can be assigned a distinct allowed column: a perfect matching, by augmenting paths."""
    owner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fits in enumerate(may[row]):
            if fits and column not in seen:
                seen.add(column)
                if column not in owner or place(owner[column], seen):
                    owner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(may)))
