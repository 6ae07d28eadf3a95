"""Names and short texts out of natural replies, read without the gold answer; and yes or no, and choices by text."""

import pytest

from mull import AnswerKind
from mull.replies.answers import extract
from mull.replies.dates import date
from mull.replies.yes_no import yes_no

FRANCE = "What is the capital of France?"
HAMLET = "Who wrote Hamlet?"
ADOPTED = "When was the Declaration of Independence adopted?"
RED = "Which planet is called the red planet?\nA) Venus\nB) Mars\nC) Jupiter"

ANNOUNCED = [
    ("Let me think about the 3 cases:\n- x is even\n- x is odd\n- x is zero", None),
    ("Let me think about the 3 cases:\n\n1. x is even\n2. x is odd\n3. x is zero", None),
    ("There are 3 cases to consider:\n\n* even\n* odd\n* zero", None),
    ("To solve this, we need the following 4 steps:\n1. add\n2. halve", None),
    ("I'll break this into two parts:\n(a) the sum\n(b) the rest", None),
    ("Let's consider the 3 possibilities.", None),
    ("So there are 3 cases.", "3"),
    ("There are 3 ways:\n- by bus\n- by train\n- on foot\n\nSo there are 3 ways.", "3"),
    ("Let me think about the 3 cases:\n- x is even\n- x is odd\n\nTogether they give 12.", "12"),
    ("We can see that there are 5 apples.", "5"),
]


@pytest.mark.parametrize(("reply", "answer"), ANNOUNCED)
def test_the_number_of_cases_to_be_worked_through_is_no_answer(reply: str, answer: str | None) -> None:
    assert extract(reply, AnswerKind.NUMBER) == answer


TEXTS = [
    (FRANCE, "The capital of France is Paris.", "paris"),
    (FRANCE, "Paris", "paris"),
    (FRANCE, "**Paris**", "paris"),
    (FRANCE, "Paris!", "paris"),
    (FRANCE, "It's Paris.", "paris"),
    (FRANCE, "That would be Paris.", "paris"),
    (FRANCE, "I think it is Paris", "paris"),
    (FRANCE, "Sure! The capital of France is **Paris**.", "paris"),
    (FRANCE, "Paris is the capital of France.", "paris"),
    (FRANCE, "Paris, the capital of France", "paris"),
    (FRANCE, "Paris is the capital and largest city of France.", "paris"),
    (FRANCE, "France's capital is Paris.", "paris"),
    (FRANCE, "The capital of France is a city called Paris.", "paris"),
    (FRANCE, "The capital of France is Paris. It lies on the Seine.", "paris"),
    (FRANCE, "Paris. It has two million inhabitants.", "paris"),
    (FRANCE, "The capital of France is Paris, which lies on the Seine.", "paris"),
    (FRANCE, "Some say Lyon. The capital of France is Paris.", "paris"),
    (FRANCE, "Answer: The capital of France is Paris.", "paris"),
    (FRANCE, "So the answer is Paris, the capital of France.", "paris"),
    (FRANCE, "The capital of France is not Lyon but Paris.", "paris"),
    (FRANCE, "The capital of France is Paris, not Lyon.", "paris"),
    (FRANCE, "Not Paris but Lyon.", "lyon"),
    (FRANCE, "I cannot tell.", None),
    (HAMLET, "William Shakespeare wrote Hamlet.", "william shakespeare"),
    (HAMLET, "Hamlet was written by William Shakespeare.", "william shakespeare"),
    (HAMLET, "Hamlet is a tragedy written by William Shakespeare.", "william shakespeare"),
    (HAMLET, "The author of Hamlet is William Shakespeare.", "william shakespeare"),
    (HAMLET, "It was written by William Shakespeare between 1599 and 1601.", "william shakespeare"),
    (HAMLET, "William Shakespeare did. He wrote it around 1600.", "william shakespeare"),
    (ADOPTED, "The Declaration of Independence was adopted on July 4, 1776.", "1776-07-04"),
    (ADOPTED, "4 July 1776", "1776-07-04"),
    (ADOPTED, "Answer: 1776-07-04", "1776-07-04"),
    ("Which ocean is the largest?", "The Pacific Ocean is the largest ocean.", "pacific"),
    ("Which ocean is the largest?", "Answer: the Pacific", "pacific"),
    ("Who painted the Mona Lisa?", "The Mona Lisa was painted by Leonardo da Vinci.", "leonardo da vinci"),
    ("What is the capital of Australia?", "Australia's capital city is Canberra.", "canberra"),
    ("Is the capital of Australia Sydney or Canberra?", "The capital of Australia is Canberra.", "canberra"),
    ("What colour is the sky?", "The sky is blue.", "blue"),
]


@pytest.mark.parametrize(("question", "reply", "answer"), TEXTS)
def test_a_natural_reply_gives_a_short_text(question: str, reply: str, answer: str | None) -> None:
    assert extract(reply, AnswerKind.TEXT, question=question) == answer


@pytest.mark.parametrize(
    "reply",
    [
        "It's not Paris.",
        "The capital of France is not Paris.",
        "The capital isn't Paris.",
        "Not Paris but Lyon.",
        "The capital of France is Lyon, not Paris.",
        "The capital of France is Lyon rather than Paris.",
        "The capital of France is Paris or Lyon.",
        "Paris, Lyon",
        "Either Paris or Lyon",
        "The capital of France is Lyon. The capital of France is Paris.",
        "Many people think it is Paris. The capital of France is Lyon.",
        "The capital of France is Paris Hilton.",
        "Paris is a city.",
        "I cannot say whether it is Paris.",
        "The capital of Italy is Rome, and France has Paris and Lyon.",
    ],
)
def test_what_denies_a_name_or_names_several_does_not_answer_it(reply: str) -> None:
    assert extract(reply, AnswerKind.TEXT, question=FRANCE) != "paris"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("A hexagon has six sides.", "6"),
        ("It has six sides.", "6"),
        ("The number of sides of a hexagon is six.", "6"),
        ("A hexagon does not have six sides.", None),
        ("A hexagon has six or seven sides.", None),
    ],
)
def test_a_number_in_words_is_read_out_of_a_sentence(reply: str, answer: str | None) -> None:
    assert extract(reply, AnswerKind.NUMBER, question="How many sides does a hexagon have?") == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Yes.", "yes"),
        ("No, a whale is a mammal.", "no"),
        ("**No**", "no"),
        ("Answer: Yes", "yes"),
        ("The statement is false.", "no"),
        ("True", "yes"),
        ("A prime has two divisors. 17 has two. So the answer is yes.", "yes"),
        ("No other number divides it.", None),
        ("Yes and no.", None),
        ("The answer is not yes", "no"),
        ("I am not sure.", None),
        ("Noah says so.", None),
    ],
)
def test_yes_or_no(reply: str, answer: str | None) -> None:
    assert extract(reply, AnswerKind.YES_NO) == answer


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("Mars", "B"),
        ("The red planet is Mars.", "B"),
        ("Answer: B", "B"),
        ("Answer: B) Mars", "B"),
        ("Answer: Mars", "B"),
        ("It is not Mars.", None),
        ("Mars or Venus", None),
        ("Saturn", None),
    ],
)
def test_a_choice_may_be_named_by_its_text(reply: str, letter: str | None) -> None:
    assert extract(reply, AnswerKind.CHOICE, question=RED) == letter


def test_dates_have_one_form() -> None:
    for text in ("July 4, 1776", "4 July 1776", "July 4th, 1776", "the 4th of July 1776", "1776-07-04", "Jul 4, 1776"):
        assert date(text) == "1776-07-04"
    assert date("04/07/1776") is None, "which is the month cannot be told"
    assert date("July 1776") is None
    assert yes_no("") is None


MORE = [
    ("What is the capital of Japan?", "Japan's capital city is Tokyo (formerly Edo).", "tokyo"),
    ("What is the capital of Japan?", "I would say Tokyo", "tokyo"),
    ("What is the capital of Japan?", "Kyoto? No, Tokyo.", "tokyo"),
    ("What is the capital of Japan?", "The capital of Japan is:\n\n- Tokyo", "tokyo"),
    ("What is the capital of Japan?", "> Tokyo", "tokyo"),
    ("What is the capital of Japan?", "The capital of Japan is not Kyoto. It is Tokyo.", "tokyo"),
    ("Who discovered penicillin?", "In 1928, Alexander Fleming discovered penicillin.", "alexander fleming"),
    ("Who discovered penicillin?", "Alexander Fleming discovered penicillin in 1928.", "alexander fleming"),
    ("Who discovered penicillin?", "It was Alexander Fleming who discovered penicillin.", "alexander fleming"),
    ("Who discovered penicillin?", "Louis Pasteur discovered penicillin, not Alexander Fleming.", "louis pasteur"),
    ("What is the chemical symbol for gold?", "Gold's symbol is Au, from Latin aurum.", "au"),
    ("Which country won the 2018 World Cup?", "The 2018 World Cup was won by France.", "france"),
    ("Which country won the 2018 World Cup?", "The winner was France.", "france"),
    ("Which is bigger, Earth or Mars?", "Earth is bigger than Mars.", "earth"),
    ("Which is bigger, Earth or Mars?", "Mars is bigger than Earth.", "mars"),
    ("Which is bigger, Earth or Mars?", "The bigger one is Earth.", "earth"),
]


@pytest.mark.parametrize(("question", "reply", "answer"), MORE)
def test_sentences_of_other_shapes(question: str, reply: str, answer: str) -> None:
    assert extract(reply, AnswerKind.TEXT, question=question) == answer


@pytest.mark.parametrize(
    "reply",
    [
        "Definitely not Tokyo.",
        "The capital was Kyoto before Tokyo.",
        "Tokyo? I am not sure.",
        "Tokyo isn't the capital; Kyoto is.",
        "Unlike Tokyo, Kyoto is the capital of Japan.",
        "Candidates: Tokyo, Kyoto, Osaka.",
        "The largest city in Japan is Tokyo, but the capital is Kyoto.",
        "Tokyo or Kyoto",
    ],
)
def test_a_name_in_passing_is_no_answer(reply: str) -> None:
    assert extract(reply, AnswerKind.TEXT, question="What is the capital of Japan?") != "tokyo"
