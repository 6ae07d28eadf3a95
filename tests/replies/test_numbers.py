"""Whole answers as numbers: what is one, and what is none because a part of it would be left out."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.replies.numbers import last_number, number

WHOLE: list[tuple[str, str | None]] = [
    ("5\\sqrt{3}", None),
    ("\\frac{14}{3}", "14/3"),
    ("-\\frac12", "-1/2"),
    ("1{,}250", "1250"),
    ("\\$1{,}250", "1250"),
    ("12\\,500", "12500"),
    ("10^6", "1000000"),
    ("7\\pi", None),
    ("12 \\text{ or } 15", None),
    ("m+n = 12+25 = 37", "37"),
    ("3 * 4 = 12", "12"),
    ("not 7 but 9", "9"),
    ("−5", "-5"),
    ("37", "37"),
    ("1,234.50", "2469/2"),
    ("12 500 Euro", "12500"),
    ("$18", "18"),
    ("$2.5M", "2500000"),
    ("$\\$2.5M$", "2500000"),
    ("$2.5bn", "2500000000"),
    ("€4.2B", "4200000000"),
    ("3.2B people", "3200000000"),
    ("about 7B parameters", "7000000000"),
    ("1.5K", "1500"),
    ("10K runners", "10000"),
    ("300 K", "300"),
    ("300K", None),
    ("5 MB", "5"),
    ("12B", None),
    ("$3M$", None),
    ("0.5M HCl", None),
    ("18 dollars per day", "18"),
    ("25%", "25"),
    ("25\\%", "25"),
    ("50 percent", "50"),
    ("1.5 \\times 10^6", "1500000"),
    ("1.5 × 10⁶", "1500000"),
    ("6.02e3", "6020"),
    ("2 1/2", "5/2"),
    ("2\\frac{1}{2}", "5/2"),
    ("1½", "3/2"),
    ("½", "1/2"),
    ("x = 5", "5"),
    ("x=5, y=3", None),
    ("x = 5 and y = 3", None),
    ("5 cm", "5"),
    ("5cm", "5"),
    ("5\\text{ cm}^2", "5"),
    ("60 km/h", "60"),
    ("60\\text{ km/h}", "60"),
    ("5x", None),
    ("5 x", None),
    ("3:2", None),
    ("11/22/2001", None),
    ("12:30", None),
    ("(3, 4)", None),
    ("(5)", "5"),
    ("[42]", "42"),
    ("1, 2", None),
    ("1,2,3", None),
    ("1,00,000", "100000"),
    ("5 million", "5000000"),
    ("1.5 billion dollars", "1500000000"),
    ("2 dozen", "24"),
    ("twelve", "12"),
    ("twenty-five apples", "25"),
    ("two hundred and five", "205"),
    ("about 5", "5"),
    ("\\approx 12.5", "25/2"),
    ("\\frac{1}{3} \\approx 0.333", "1/3"),
    ("5\\sqrt{3} \\approx 8.66", "433/50"),
    ("at least 5", None),
    ("5 because 2+3=5", "5"),
    ("12 (since 3*4 = 12)", "12"),
    ("9, not 7", "9"),
    ("not 7", None),
    ("3 hours and 20 minutes", None),
    ("5 or 7", None),
    ("between 5 and 7", None),
    ("5-7", None),
    ("- 5", "-5"),
    ("-$5", "-5"),
    ("$-5$", "-5"),
    ("negative 5", "-5"),
    ("minus 12", "-12"),
    ("3,5 Stunden ist", "7/2"),
    ("1.250 Euro", "1250"),
    ("1.250,50", "2501/2"),
    ("0.\\overline{3}", "1/3"),
    ("0.333...", None),
    ("5 apples and 3 pears", None),
    ("42个", "42"),
    ("3万", "30000"),
    ("5!", "120"),
    ("\\dfrac{3}{4}", "3/4"),
    ("45^\\circ", "45"),
    ("45°", "45"),
    ("20 °C", "20"),
    ("5th", "5"),
    ("2^{10}", "1024"),
    ("2**10", "1024"),
    ("18 eggs", "18"),
    ("**18**", "18"),
    ("`18`", "18"),
    ("$18$", "18"),
    ("\\(18\\)", "18"),
    ("\\boxed{18}", "18"),
    ("1 000 000", "1000000"),
    ("1 000", "1000"),
    ("1'000", "1000"),
    ("3 x 4 = 12", "12"),
    ("the number 42", "42"),
    ("±5", None),
    ("5 \\pm 2", None),
    ("x \\le 5", None),
    ("\\{1,2\\}", None),
    ("", None),
    ("abc", None),
    ("\\text{None}", None),
    ("12 out of 40", None),
    ("\\frac{3}{4} \\text{ of } 20", None),
    ("5 of them", "5"),
    ("a total of 35 pages", "35"),
    ("\\text{cm}", None),
    ("3\\times 4", "12"),
    ("10 - 3", "7"),
    ("\\frac{1{,}250}{2}", "625"),
    ("US$18", "18"),
    ("18 USD", "18"),
    ("€12", "12"),
    ("12€", "12"),
    ("18.", "18"),
    ("18.00", "18"),
    (".5", "1/2"),
    ("-0", "0"),
    ("1/0", None),
    ("12 m", "12"),
    ("12 m^2", "12"),
    ("5i", None),
    ("3+4i", None),
    ("e", None),
    ("2e", None),
    ("\\sqrt{16}", "4"),
    ("half", None),
    ("0", "0"),
    ("zero", "0"),
    ("$5 per hour", "5"),
    ("5 dollars 50 cents", None),
    ("１２", "12"),
    ("12,5", None),
    ("12 mod 35", None),
    ("7 \\pmod{12}", None),
    ("5 = x", "5"),
    ("\\$ 18", "18"),
    ("$18.50$", "37/2"),
    ("x = \\frac{-3}{2}", "-3/2"),
    ("14\\frac{2}{7}", "100/7"),
    ("1\\,000\\,000", "1000000"),
    ("$1{,}000", "1000"),
    ("1 \\times 2", "2"),
    ("2,000 meters", "2000"),
    ("\\mathbf{7}", "7"),
    ("20 km", "20"),
    ("five", "5"),
    ("3 and a half", "7/2"),
    ("\\frac{1}{2} \\text{ hour}", "1/2"),
    ("1.2.3", None),
    ("--3", None),
    ("0x10", None),
    ("12 units^2", "12"),
    ("16\\text{ square units}", "16"),
    ("$16 \\mathrm{~cm}^{2}$", "16"),
    ("36\\pi", None),
    ("n=7", "7"),
    ("C", None),
    ("5 C", "5"),
    ("45 \\%", "45"),
    ("6 \\text{ hours and } 20 \\text{ minutes}", None),
    ("3{:}2", None),
    ("12\\text{ (of 40)}", "12"),
    ("4 \\cdot 10^{-3}", "1/250"),
    ("-1.5", "-3/2"),
    ("2.50", "5/2"),
    ("5 + 3 = 8 apples", "8"),
    ("Tom has 8", "8"),
]


@pytest.mark.parametrize(("text", "value"), WHOLE)
def test_a_whole_answer(text: str, value: str | None) -> None:
    assert number(text) == value


@given(st.fractions())
def test_every_fraction_is_read_in_every_way_to_write_it(value: Fraction) -> None:
    n, d = value.numerator, value.denominator
    sign, size = ("-" if n < 0 else ""), abs(n)
    for text in (f"{n}/{d}", rf"{sign}\frac{{{size}}}{{{d}}}", rf"\frac{{{n}}}{{{d}}}", f"{sign}{size} / {d}"):
        assert number(text) == str(value), text


@given(st.integers(-(10**12), 10**12), st.sampled_from([",", " ", "{,}", r"\,", "\u202f", "'"]))
def test_marks_of_thousands_are_no_part_of_a_number(value: int, mark: str) -> None:
    assert number(f"{value:,}".replace(",", mark)) == str(value)


@given(
    st.lists(st.integers(0, 99), min_size=2, max_size=4, unique=True),
    st.sampled_from([" or ", " and ", ", ", "; ", " to "]),
)
def test_several_numbers_are_none(values: list[int], joint: str) -> None:
    assert number(joint.join(map(str, values))) is None


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("it costs $3 and then $4", "4"),
        ("So she has 12 apples and 5 pears.", None),
        ("She has 37 out of 40.", None),
        ("So after 5 days she has 30 eggs.", "30"),
        ("She makes 9 * 2 = $18 every day.", "18"),
        ("13 * 2 = $<<13*2=26>>26", "26"),
        ("Das ergibt 12 500 Euro.", "12500"),
        ("It is between 4 and 5.", None),
        ("The price is 5-7 dollars", None),
    ],
)
def test_the_number_that_a_sentence_comes_to(sentence: str, value: str | None) -> None:
    assert last_number(sentence) == value


def test_a_number_of_any_length_takes_no_time() -> None:
    assert number("9" * 500) is None
    assert number("2^{" * 300) is None
    assert number("9^9^9^9") is None
