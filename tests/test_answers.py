"""Reading answers: what counts as one, and when two are the same."""

import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.equal import Answers
from mull.replies.answers import answer_of, canonical, classes, extract

NUMBER, CHOICE, TEXT, EXPRESSION = AnswerKind.NUMBER, AnswerKind.CHOICE, AnswerKind.TEXT, AnswerKind.EXPRESSION


@pytest.mark.parametrize(
    ("reply", "kind", "answer"),
    [
        ("<think>\nb:7+5=12\n</think>\nanswer: 12", NUMBER, "12"),
        ("<think> the answer: 5 </think> so it is 6", NUMBER, "6"),
        ("<think> the answer: 5", NUMBER, None),
        (r"so \boxed{\frac{1}{2}}. Then, \boxed{3}", NUMBER, "3"),
        (r"so \boxed{\frac{1}{2}} or \boxed{3}", NUMBER, None),
        (r"\boxed{a{b}c}", TEXT, "a{b}c"),
        (r"\boxed{never closed", TEXT, None),
        ("He makes 18 dollars.\n#### 18", NUMBER, "18"),
        ("The answer is: 1,234.50", NUMBER, "2469/2"),
        ("Final answer = (B) because", CHOICE, "B"),
        ("I would say C.", CHOICE, "C"),
        ("it costs $3 and then $4", NUMBER, "4"),
        ("no number here", NUMBER, None),
        ("", TEXT, None),
        ("thinking aloud\nParis.", TEXT, "paris"),
        ("Answer: (10 - 6) * 4 = 24", EXPRESSION, "(10-6)*4=24"),
    ],
)
def test_the_answer_of_a_reply(reply: str, kind: AnswerKind, answer: str | None) -> None:
    assert extract(reply, kind) == answer


def test_a_reply_that_was_cut_off_answers_only_what_it_says_outright() -> None:
    assert extract("first 12, then 15, then", NUMBER, is_whole=False) is None
    assert extract("answer: 12 and", NUMBER, is_whole=False) == "12"


def test_what_a_sample_brings_beside_its_text_comes_first() -> None:
    problem = Problem("p", Prompt.user("q"), NUMBER)
    assert answer_of(problem, Sample(problem.prompt, "answer: 5", Finish.STOP, answer="6.0")) == "6"
    assert answer_of(problem, Sample(problem.prompt, "answer: 5", Finish.STOP)) == "5"
    assert answer_of(problem, Sample(problem.prompt.extend("answer: "), "5", Finish.STOP)) == "5"
    assert answer_of(problem, Sample(problem.prompt, "answer: 5", Finish.ERROR)) is None
    assert answer_of(problem, Sample(problem.prompt, "then 5", Finish.LENGTH)) is None


@pytest.mark.parametrize(
    ("text", "same"),
    [("0.50", "1/2"), ("1,000", "1000"), ("$5.00", "5"), ("+3", "3"), ("-0", "0"), ("6/4", "3/2"), ("18.", "18")],
)
def test_equal_numbers_have_one_form(text: str, same: str) -> None:
    assert canonical(text, NUMBER) == canonical(text, TEXT) == same


@pytest.mark.parametrize("text", ["1/0", "1e5", "0x10", "१२", "--3", "1.2.3", "9" * 500])
def test_what_is_no_plain_number_stays_text(text: str) -> None:
    assert canonical(text, TEXT) == text.casefold()


@pytest.mark.parametrize(
    ("text", "letter"), [("B", "B"), ("(c)", "C"), ("d.", "D"), ("A) Paris", "A"), ("Paris", None), ("", None)]
)
def test_choices(text: str, letter: str | None) -> None:
    assert canonical(text, CHOICE) == letter


@given(st.text(max_size=300), st.sampled_from(AnswerKind))
def test_no_text_makes_reading_fail_and_an_answer_is_its_own_form(reply: str, kind: AnswerKind) -> None:
    answer = extract(reply, kind)
    assert answer is None or answer != ""
    if answer is not None and kind is not CHOICE:
        assert canonical(answer, kind) == answer


@given(st.fractions())
def test_every_fraction_is_its_own_form(number: object) -> None:
    assert canonical(str(number), NUMBER) == str(number)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("[THINK]answer: 3[/THINK]It is\n5", "5"),
        ("<|im_start|>think\nanswer: 3\n<|im_start|>answer\n5", "5"),
        ("[THINK]answer: 3", None),
        ("<|im_start|>think\nanswer: 3", None),
        ("answer: 3\n</think>\n5", "5"),
    ],
)
def test_what_was_thought_is_no_answer_in_any_family(reply: str, answer: str | None) -> None:
    """A thought says `answer:` as well, and is not asked."""
    assert extract(reply, AnswerKind.NUMBER) == answer


def test_reading_many_long_replies_lets_other_work_go_on() -> None:
    """A vote over 10,000 replies takes less than a second, and no part of it holds the event loop for long."""
    problem = Problem("p", Prompt.user("q"), NUMBER)
    texts = [f"{'She has 3 more. ' * 120}The answer is {i}." for i in range(10)]
    samples = [Sample(problem.prompt, texts[i % 10], Finish.STOP) for i in range(10_000)]

    async def main() -> tuple[Answers, int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        found = await classes(problem, samples)
        beside.cancel()
        return found, turns

    start = time.process_time()
    found, turns = asyncio.run(main())
    assert list(found) == [str(i % 10) for i in range(10_000)]
    assert turns >= 50
    assert time.process_time() - start < 3, "about half a second where nothing else runs"


def test_a_long_reply_is_read_outside_the_event_loop() -> None:
    """Reading it takes a fifth of a second, in which other draws have their turns; a short one is read in place."""

    class Where:
        value = "where"

        def read(self, sample: Sample) -> str | None:
            return str(threading.get_ident() == here)

        def canonical(self, text: str) -> str | None:
            return text

    here = threading.get_ident()
    problem = Problem("p", Prompt.user("q"), Where())
    for text, is_here in (("short", "True"), ("a longer one " * 16_000, "False")):
        samples = [Sample(problem.prompt, text, Finish.STOP)]
        assert list(asyncio.run(classes(problem, samples))) == [is_here]


@pytest.mark.parametrize(
    ("reply", "kind", "answer"),
    [
        ("so answer: 12", NUMBER, None),  # it may be 120, 12.5 or 12 million
        ("The answer is 12", AnswerKind.MATH, None),
        ("#### 1", NUMBER, None),
        ("answer: 12.", NUMBER, None),
        ("answer: Par", AnswerKind.TEXT, None),
        ("<answer>12", NUMBER, None),
        ("The answer is 7. To check it: the answer is 1", NUMBER, None),
        ("answer: 12\n", NUMBER, "12"),
        ("answer: 12. To check", NUMBER, "12"),
        ("so \\boxed{12}", NUMBER, "12"),
        ("The answer is $12$", AnswerKind.MATH, "12"),
        ("<answer>12</answer>", NUMBER, "12"),
        ("answer: 12\n\nQuestion: Tom has", NUMBER, "12"),
        ("Answer: B", AnswerKind.CHOICE, "B"),
    ],
)
def test_an_answer_at_a_cut_may_be_part_of_another(reply: str, kind: AnswerKind, answer: str | None) -> None:
    problem = Problem("p", Prompt.user("q"), kind)
    assert answer_of(problem, Sample(problem.prompt, reply, Finish.LENGTH)) == answer
    if answer is None:
        assert answer_of(problem, Sample(problem.prompt, reply, Finish.STOP)) is not None
