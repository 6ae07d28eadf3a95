"""Equality on answers as people and models write them, kind by kind, and on generated ones against exact arithmetic."""

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull.equal import canonical, classes_now, compare_now
from mull.equal.reader import forget, read
from mull.equal.votes import _quick

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases" / "equality.jsonl"
ROWS = [line.split("\t") for line in (ROOT / "tests" / "data" / "equal_kinds.tsv").read_text().splitlines()[1:]]
KINDS = sorted({kind for kind, *_ in ROWS})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_differently_is_compared_by_what_it_means(kind: str) -> None:
    wrong = [
        (a, b)
        for of, verdict, a, b in ROWS
        if of == kind and (compare_now(a, b).is_equal is True) is not (verdict == "equal")
    ]
    assert wrong == []


def test_the_kinds_are_compared_the_same_both_ways() -> None:
    assert [(a, b) for _, _, a, b in ROWS if compare_now(a, b).is_equal is not compare_now(b, a).is_equal] == []


def test_the_canonical_form_of_every_kind_is_read_as_itself() -> None:
    forms = {form for row in ROWS for text in row[2:] if (form := canonical(text)) is not None}
    assert [form for form in forms if canonical(form) != form] == []


def test_equal_answers_of_every_kind_are_one_class_in_a_vote() -> None:
    apart = []
    for _, verdict, a, b in ROWS:
        found = set(classes_now([canonical(a), canonical(b), canonical(b)]))
        if (len(found) == 1) is not (verdict == "equal"):
            apart.append((a, b, found))
    assert apart == []


@pytest.mark.skipif(not CASES.is_file(), reason=f"no cases in {CASES}")
def test_the_shared_cases_are_right() -> None:
    rows = [json.loads(line) for line in CASES.read_text().splitlines()]
    wrong = [row for row in rows if compare_now(row["a"], row["b"]).is_equal is not row["equal"]]
    assert wrong == []


# Numbers in every spelling, against exact fractions


def decimal_of(value: Fraction, overline: str) -> str:
    """The decimal by long division, the part that repeats under a line."""
    whole, rest = divmod(abs(value.numerator), value.denominator)
    digits, seen = "", dict[int, int]()
    while rest and rest not in seen:
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, value.denominator)
        digits += str(digit)
    sign = "-" if value < 0 else ""
    if not rest:
        return f"{sign}{whole}" + (f".{digits}" if digits else "")
    start = seen[rest]
    return f"{sign}{whole}.{digits[:start]}" + overline.format(digits[start:])


def spellings(value: Fraction) -> list[str]:
    """Ways to write a number."""
    n, d = value.numerator, value.denominator
    sign = "-" if n < 0 else ""
    found = [
        rf"\frac{{{n}}}{{{d}}}",
        f"{n}/{d}",
        rf"{sign}\dfrac{{{abs(n) * 3}}}{{{d * 3}}}",
        rf"x = \frac{{{n}}}{{{d}}}",
    ]
    found += [decimal_of(value, r"\overline{{{}}}"), decimal_of(value, "({})")]
    whole, rest = divmod(abs(n), d)
    if whole and rest and value > 0:
        found += [rf"{whole}\frac{{{rest}}}{{{d}}}", f"{whole} {rest}/{d}"]
    if d == 1:
        found += [f"{n}.0", rf"{n}\text{{th}}" if n > 3 and n % 10 > 3 and n % 100 > 20 else f"{n}", rf"\boxed{{{n}}}"]
        found += [f"{n:,}", f"{n:,}".replace(",", " ") if abs(n) > 999 else f"{n}", f"{n:,}".replace(",", r"\,")]
    if (value / 1000).denominator in (1, 2, 4, 5):
        found += [decimal_of(value / 1000, "{}") + " thousand", decimal_of(value / 10**6, "{}") + r" \text{ million}"]
    return found


NUMBERS = st.one_of(
    st.fractions(min_value=-50, max_value=50, max_denominator=30),
    st.integers(min_value=-(10**7), max_value=10**7).map(Fraction),
    st.integers(min_value=1, max_value=400).map(lambda n: Fraction(n * 500)),
)


@settings(max_examples=300)
@given(NUMBERS, NUMBERS, st.data())
def test_numbers_are_equal_in_whatever_spelling_and_only_then(a: Fraction, b: Fraction, data: st.DataObject) -> None:
    one, other = (data.draw(st.sampled_from(spellings(a))) for _ in range(2))
    assert compare_now(one, other).is_equal is True
    third = data.draw(st.sampled_from(spellings(b)))
    if abs(a - b) > Fraction(1, 10**4):  # nearer ones may be each other's rounding
        assert compare_now(one, third).is_equal is (a == b)
        assert compare_now(third, one).is_equal is (a == b)


# Sets of real numbers, against membership at every end and between them


def interval(low: int, has_low: bool, high: int, has_high: bool) -> str:
    left = r"(-\infty" if low == 0 else ("[" if has_low else "(") + str(low)
    right = r"\infty)" if high == 9 else str(high) + ("]" if has_high else ")")
    return f"{left}, {right}"


def inequality(low: int, has_low: bool, high: int, has_high: bool) -> str:
    below = "" if low == 0 else f"{low} " + (r"\le " if has_low else "< ")
    above = "" if high == 9 else (r" \le " if has_high else " < ") + str(high)
    return f"{below}x{above}"


SPAN = st.tuples(st.integers(0, 8), st.booleans(), st.integers(1, 9), st.booleans()).filter(
    lambda s: s[0] < s[2] and (s[0], s[2]) != (0, 9)
)
SPANS = st.lists(SPAN, min_size=1, max_size=4)
Span = tuple[int, bool, int, bool]


def members(parts: list[Span]) -> list[bool]:
    """Whether each whole and half number is in a union; 0 and 9 stand for infinity."""
    points = [Fraction(n, 2) for n in range(1, 18)]
    return [
        any(
            low < x < high or (x == low and has_low) or (x == high and has_high)
            for low, has_low, high, has_high in parts
        )
        for x in points
    ]


@settings(max_examples=300)
@given(SPANS, SPANS)
def test_unions_are_equal_where_they_hold_the_same_numbers(a: list[Span], b: list[Span]) -> None:
    one = r" \cup ".join(interval(*span) for span in a)
    assert compare_now(one, " or ".join(inequality(*span) for span in reversed(a))).is_equal is True
    assert compare_now(one, r" \cup ".join(interval(*span) for span in b)).is_equal is (members(a) == members(b))
    both = r" \text{ and } ".join(inequality(*span) for span in (a[0], b[0]))
    shared = [x and y for x, y in zip(members(a[:1]), members(b[:1]), strict=True)]
    found = compare_now(both, " or ".join(inequality(*span) for span in a[:1])).is_equal
    assert found is (shared == members(a[:1]))


# Units, against a table of their own


LENGTHS = {"mm": 1, "cm": 10, "m": 1000, "km": 10**6}
TIMES = {"s": 1, "min": 60, "h": 3600}


@settings(max_examples=200)
@given(
    st.integers(1, 60), st.integers(1, 60), *(st.sampled_from(sorted(LENGTHS)) for _ in range(2)),
    *(st.sampled_from(sorted(TIMES)) for _ in range(2)), st.integers(1, 3),
)  # fmt: skip
def test_quantities_are_equal_where_they_are_the_same_amount(
    a: int, b: int, length: str, other: str, time_unit: str, other_time: str, power: int
) -> None:
    worth = [n * Fraction(LENGTHS[x]) ** power for n, x in ((a, length), (b, other))]
    assert compare_now(rf"{a} \text{{ {length}}}^{power}", rf"{b} \text{{ {other}}}^{power}").is_equal is (
        worth[0] == worth[1]
    )
    speeds = [Fraction(n * LENGTHS[x], TIMES[t]) for n, x, t in ((a, length, time_unit), (b, other, other_time))]
    verdict = compare_now(rf"{a} \text{{ {length}/{time_unit}}}", f"{b} {other} per {other_time}").is_equal
    assert verdict is (speeds[0] == speeds[1])
    assert compare_now(rf"{a} \text{{ {length}}}", rf"{a} \text{{ {time_unit}}}").is_equal is False


@settings(max_examples=100)
@given(st.integers(0, 23), st.integers(0, 59))
def test_hours_and_minutes_are_minutes(hours: int, minutes: int) -> None:
    text = f"{hours} hours {minutes} minutes"
    assert compare_now(text, f"{60 * hours + minutes} minutes").is_equal is True
    assert compare_now(text, f"{60 * hours + minutes + 1} minutes").is_equal is False


# An equivalence


PARTS = st.sampled_from(
    [
        "1", "2", "1/2", "0.5", r"\frac{2}{4}", "x", "2x", "x+x", "(1,2)", "(2,1)", r"\langle 1,2 \rangle",
        r"\{1,2\}", "1, 2", "2, 1", "[1,2]", "(1,2]", "x > 1", r"(1,\infty)", "x < 2 and x > 1", "1 < x < 2",
        r"x \ne 1", r"(-\infty,1)\cup(1,\infty)", "a = 1, b = 2", "(a,b) = (1,2)", "(b,a) = (2,1)", "east", "West",
        r"\text{east}", "no solution", r"\emptyset", r"\{\}", "1 and 2", r"\sqrt{4}", r"\sqrt8", r"2\sqrt2",
        "101_2", "(101)_2", "5", "two", "0.(3)", r"\frac13", r"0.\overline{3}", "a<b<c", "c>b>a",
        r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}", r"e^x + C", r"e^x + K", "1:2",
        "2:4", r"\pm 1", "-1, 1", "x = 1", r"\angle ABC = 30", r"2\begin{pmatrix}1\\2\end{pmatrix}", "(2,4)", "#1",
        "1?", "a -> b", "all real numbers", r"\mathbb{R}", r"x \in \mathbb{R}", "half"
    ]
)  # fmt: skip
NAMED = ("=", r"x \in", "<", ">", r"\ne")


def is_named(text: str) -> bool:
    """Whether a text has a name, which is left out beside what has none: so it equals what is not equal."""
    return any(sign in text for sign in NAMED)


@settings(max_examples=600)
@given(PARTS, PARTS, PARTS)
def test_equality_is_symmetric_and_transitive(a: str, b: str, c: str) -> None:
    """But for names and columns, which are left out on purpose: those are equal to more than one thing."""
    verdicts = {(x, y): compare_now(x, y).is_equal for x in (a, b, c) for y in (a, b, c)}
    assert all(verdict is verdicts[y, x] for (x, y), verdict in verdicts.items())
    assert all(verdicts[x, x] for x in (a, b, c))
    if not is_named(b) and verdicts[a, b] and verdicts[b, c]:
        assert verdicts[a, c] is True


# What one side leaves out, against a table of its own


WORTH = {"mm": ("length", 1), "cm": ("length", 10), "g": ("mass", 1), "kg": ("mass", 1000), "": ("", 1)}
Stated = tuple[str, int, str]
STATED = st.tuples(st.sampled_from(("", "x", "y")), st.sampled_from((1, 2, 10, 20)), st.sampled_from(sorted(WORTH)))


def written(a: Stated) -> str:
    name, number, unit = a
    return (f"{name} = " if name else "") + str(number) + (rf"\text{{ {unit}}}" if unit else "")


def agree(a: Stated, b: Stated) -> bool:
    """Whether two answers say the same, as far as both say it: a name and a unit may be left out by one."""
    (name, number, unit), (other_name, other_number, other_unit) = a, b
    if name and other_name and name != other_name:
        return False
    if not unit or not other_unit:
        return number == other_number
    (kind, worth), (other_kind, other_worth) = WORTH[unit], WORTH[other_unit]
    return kind == other_kind and number * worth == other_number * other_worth


@settings(max_examples=400)
@given(STATED, STATED, STATED)
def test_equality_is_transitive_but_where_the_middle_leaves_out_what_the_others_state(
    a: Stated, b: Stated, c: Stated
) -> None:
    """3 cm is 3, and 3 is 3 m; nothing else is equal to two answers that differ."""
    for one, other in ((a, b), (b, a), (b, c), (c, b), (a, c), (c, a)):
        assert compare_now(written(one), written(other)).is_equal is agree(one, other)
    leaves_out = any(x and y and not between for x, between, y in zip(a, b, c, strict=True))
    if agree(a, b) and agree(b, c) and not leaves_out:
        assert agree(a, c)


@settings(max_examples=100)
@given(st.lists(STATED, min_size=2, max_size=8))
def test_the_classes_of_a_vote_hold_answers_that_agree_with_one_another(drawn: list[Stated]) -> None:
    found = classes_now([canonical(written(one)) for one in drawn])
    for i, one in enumerate(drawn):
        for j, other in enumerate(drawn):
            assert found[i] != found[j] or agree(one, other)


COMMANDS = st.lists(
    st.sampled_from(
        [
            r"\frac", r"\sqrt", r"\cup ", r"\text{ cm}", r"\{", r"\}", "^", "_", "{", "}", "(", ")", "[", "]", ",",
            "x", "y", "2", "10", "1/2", "-", "+", "=", "<", r"\le ", r"\ne ", r"\infty", r"^\circ", "%", " ",
            "and ", "or ", r"\in ", ":", "$", "|", r"\approx ", "million ", "km", "/", "h", "per ", r"\angle ", "C",
            "0.", r"\overline{3}", r"\langle ", r"\rangle ", "th", "half ", "a ", "no ", "solution", "~", "#", "?",
            "at least ", r"\setminus "
        ]
    ),
    min_size=1,
    max_size=10,
).map("".join)  # fmt: skip


@settings(max_examples=600)
@given(COMMANDS, COMMANDS)
def test_whatever_is_written_is_compared_the_same_both_ways(a: str, b: str) -> None:
    assert _quick(a, b) == _quick(b, a) or (read(a) is None or read(b) is None)
    assert read(a) is None or _quick(a, a).is_equal is True  # type: ignore[union-attr]
    form = canonical(a)
    assert form is None or canonical(form) == form


@settings(max_examples=400)
@given(st.integers(100, 99999), st.sampled_from(r"#@?&^_:|*+=<>!\/"), st.integers(0, 5))
def test_no_sign_is_dropped_to_make_a_text_readable(number: int, sign: str, place: int) -> None:
    text = str(number)
    broken = text[:place] + sign + text[place:]
    if not (sign == "+" and place == 0):
        assert compare_now(broken, text).is_equal is not True


@settings(max_examples=300)
@given(st.text(st.sampled_from("abx12 .,;:!?#@&=<>~^_|'-+/()[]{}"), min_size=1, max_size=12), st.data())
def test_texts_that_are_not_understood_are_equal_only_where_they_are_the_same(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    form, other = read(text), read(text[:place] + text[place + 1 :])
    if form is None or other is None or form.kind != "text" or other.kind != "text":
        return
    dropped = text[place]
    if compare_now(text, text[:place] + text[place + 1 :]).is_equal:
        assert dropped in " .,;~" or "".join(text.split()) == "".join((text[:place] + text[place + 1 :]).split())


# Time


FRAGMENTS = [
    "x>1 or ", r"[0,1]\cup ", "2 hours 3 minutes ", r"\angle ", "one hundred and ", "(1,2)+", "2(", r"\text{a b}",
    "f(", r"\vec ", r"\boxed{", r"\boxed{1}", "$1$ ", "$", "*", "|x|<", r"\{x\mid ", r"\langle ", r"\begin{cases}",
    "x=1,", "x=1, y=2; ", r"x\ne 1,", "1 000 ", "12,345,", "1{,}", r"0.\overline{3}", "km/", "a dozen ",
    "at least ", "all real ", r"[1,2]\setminus\{1\}", r"\$5 million ", "12th ", "FF_{16}", "(B) ", "P(A|", "C+x+",
    r"\pm ", "²", "½", r"\\", "~", r"\sin ", "x^", "1 1/2 ", "p.m. ", "\n", "such that ", r"\ge ", "-", "(", "{",
]  # fmt: skip


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_the_time_of_reading_does_not_grow_faster_than_the_text(fragment: str) -> None:
    """A model in a loop writes the same again and again; what is longer than any answer is not even looked at."""

    def seconds(length: int) -> float:
        text = (fragment * (length // len(fragment) + 1))[:length]
        forget()
        start = time.process_time()
        read(text)
        return time.process_time() - start

    assert max(seconds(n) for n in (400, 1000, 3999)) < 0.3
    assert seconds(200_000) <= 25 * max(seconds(10_000), 0.001)
