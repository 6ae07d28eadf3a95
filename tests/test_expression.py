"""Expressions from hostile text."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.replies.expression import ExpressionError, evaluate, misses


@pytest.mark.parametrize(
    ("text", "value", "numbers"),
    [
        ("(25-3)*4", 88, (25, 3, 4)),
        ("2+3*4", 14, (2, 3, 4)),
        ("2*3+4", 10, (2, 3, 4)),
        ("10-4-3", 3, (10, 4, 3)),
        ("12/4/3", 1, (12, 4, 3)),
        ("7/2", Fraction(7, 2), (7, 2)),
        (" ( 10 - 4 ) * 4 = 24", 24, (10, 4, 4)),
        ("8 ÷ 2 × 3 − 1", 11, (8, 2, 3, 1)),
        ("((((5))))", 5, (5,)),
    ],
)
def test_arithmetic(text: str, value: Fraction, numbers: tuple[int, ...]) -> None:
    assert evaluate(text) == (value, numbers)


@pytest.mark.parametrize(
    "text",
    [
        "", "(", "()", "1+", "+1", "-1", "1 2", "1)(2", "1/0", "1/(2-2)", "2**3", "2^3", "1.5", "a", "1_0", "٣", "²",
        "__import__('os').system('true')", "1;2", "(" * 21 + "1" + ")" * 21, "(" * 100_000, "1+" * 100_000 + "1",
        "9" * 13, "\x00", "1\n\n+", "0x1", "1e9", "1//2", "lambda: 1",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(text)


@given(st.text(max_size=300) | st.text("0123456789+-*/() ", max_size=300))
def test_no_text_crashes_it(text: str) -> None:
    with suppress(ExpressionError):
        assert isinstance(evaluate(text).value, Fraction)


numbers = st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({''.join(t)})"),
    max_leaves=8,
)


@given(numbers)
def test_it_agrees_with_python_on_its_own_ground(text: str) -> None:
    """Trees that this test builds itself, so that computing them is safe."""
    try:
        expected = eval(text, {"__builtins__": {}}, {}) if "/" not in text else None
        got = evaluate(text).value
    except ExpressionError:
        return
    if expected is not None:
        assert got == expected


def test_each_number_at_most_as_often_as_given() -> None:
    assert misses("(25-3)*4", [3, 4, 25, 7], 88) == ""
    assert misses("25-3", [3, 4, 25, 7], 22) == ""
    assert misses("3+3", [3, 4], 6) == "used more often than given: 3"
    assert misses("3+3", [3, 3], 6) == ""
    assert misses("3+4", [3, 4], 6) == "comes to 7, not 6"
    assert misses(None, [3], 3) == "no answer"
    assert misses("six", [6], 6).startswith("not an expression")
    assert misses("07+1", [7, 1], 8) == ""
