"""Letters of a choice: what names one, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.replies.choices import choice, stated

WHOLE: list[tuple[str, str | None]] = [
    ("B", "B"),
    ("(c)", "C"),
    ("d.", "D"),
    ("A) Paris", "A"),
    ("Paris", None),
    ("", None),
    ("$B$", "B"),
    ("\\(C\\)", "C"),
    ("[D]", "D"),
    ("\\text{E}", "E"),
    ("\\textbf{(E)}\\ 12", "E"),
    ("12", None),
    ("option B", "B"),
    ("therefore B", "B"),
    ("I do not know", None),
    ("**B**", "B"),
    ("B.", "B"),
    ("B, because A is wrong", "B"),
    ("B, not C", "B"),
    ("not A but B", "B"),
    ("not B", None),
    ("A or B", None),
    ("A and C", None),
    ("either A or B", None),
    ("B: Paris", "B"),
    ("B - Paris", "B"),
    ("the letter B", "B"),
    ("A triangle", None),
    ("A Paris", "A"),
    ("A", "A"),
    ("a", "A"),
    ("b", "B"),
    ("I", "I"),
    ("clearly (B)", "B"),
    ("C 12", "C"),
    ("\\mathrm{D}", "D"),
    ("none of the above", None),
    ("E) None of the above", "E"),
    ("(B) 12 cm", "B"),
    ("Option (B)", "B"),
    ("`C`", "C"),
    ('"C"', "C"),
    ("B选项", "B"),
    ("Paris (B)", "B"),
    ("AC", None),
    ("A, B", None),
    ("A, C and D", None),
    ("B) 3 and (C) 4", None),
    ("Ｂ", "B"),
    ("(A) and (B)", None),
    ("D since all hold", "D"),
    ("C.", "C"),
    ("A/B", None),
    ("[[B]]", "B"),
    ("b) 12", "B"),
    ("{B}", "B"),
    ("A is the best", "A"),
    ("x+1", None),
    ("B is correct", "B"),
    ("choice C, 15", "C"),
    ("a triangle", None),
    ("I think B", "B"),
    ("I think so", None),
]
SAID: list[tuple[str, str | None]] = [
    ("C is correct. I am sure.", "C"),
    ("I cannot tell.", None),
    ("A reader cannot know.", None),
    ("I would say C.", "C"),
    ("So the answer must be D", "D"),
    ("A is wrong, B is wrong, so C.", "C"),
    ("Option B is correct.", "B"),
    ("The correct one is (c).", "C"),
    ("I choose A.", "A"),
    ("I'd go with B because it fits", "B"),
    ("(D)", "D"),
    ("C) 12", "C"),
    ("A) 1\nB) 2\nC) 3\nD) 4", None),
    ("It could be A or B.", None),
    ("A good guess is hard", None),
    ("B is wrong.", None),
    ("Let me pick option C, as B is wrong.", "C"),
    ("B是正确的。", "B"),
    ("应该选C。", "C"),
    ("A.", "A"),
    ("C. Paris is the capital.", "C"),
    ("I am sure it is D.", "D"),
    ("Hence (B).", "B"),
    ("After thinking: B", "B"),
]


@pytest.mark.parametrize(("text", "letter"), WHOLE)
def test_a_whole_answer(text: str, letter: str | None) -> None:
    assert choice(text) == letter


@pytest.mark.parametrize(("text", "letter"), SAID)
def test_what_the_last_sentences_say(text: str, letter: str | None) -> None:
    assert stated(text) == letter


@given(
    st.sampled_from("ABCDEFGHIJ"),
    st.sampled_from(["{}", "({})", "{}.", "{})", "[{}]", "**{}**", "${}$", r"\text{{{}}}", "`{}`"]),
)
def test_every_letter_in_every_dress(letter: str, dress: str) -> None:
    assert choice(dress.format(letter)) == letter


@given(st.sampled_from("BCD"), st.sampled_from("EFG"), st.sampled_from([" or ", " and ", ", ", "/", " & "]))
def test_two_letters_are_none(one: str, other: str, joint: str) -> None:
    assert choice(f"{one}{joint}{other}") is None
