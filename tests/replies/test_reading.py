"""What is read out of replies as models write them, kind by kind; the inputs are of our own."""

import json
import re
from pathlib import Path

import pytest

from mull import AnswerKind
from mull.replies.answers import canonical, extract

PAGE = Path(__file__).parents[2] / "docs" / "answers.md"
CASES = Path(__file__).parents[3] / "shared" / "cases" / "answers.jsonl"


NUMBER: list[tuple[str, str | None]] = [
    ("So \\boxed{\\dfrac{7}{2}\\pi}", None),
    ("Thus $\\boxed{2\\sqrt{2}}$ is 2.83", None),
    ("The answer is 1,234,567.", "1234567"),
    ("The final answer is $\\boxed{-7}$.", "-7"),
    ("Final answer: **42** apples", "42"),
    ("**Final Answer**\n\n$$\\boxed{15}$$", "15"),
    ("### Final Answer\n\n42", "42"),
    ("**Answer:** $12{,}000$", "12000"),
    ("The answer is either 5 or 7.", None),
    ("I cannot determine it from the 3 facts.", None),
    ("\\boxed{x = 3, y = 4}", None),
    ("\\boxed{3} and \\boxed{4}", None),
    ("\\boxed{3}, i.e. \\boxed{3}", "3"),
    ("It is \\boxed{7}. Wait, that is wrong.", None),
    ("It is \\boxed{7}. Hmm, I made a mistake. So it should be 8.", "8"),
    ("It is \\boxed{7}. Wait, is that wrong? No, 3 + 4 is 7, so it is correct.", "7"),
    ("\\boxed{42}. A common mistake is to forget the sign.", "42"),
    ("It is \\boxed{7}, not \\boxed{5}.", "7"),
    ("x=\\boxed{3} and y=\\boxed{4}, so the sum is \\boxed{7}.", "7"),
    (" 18\n\nQ: Tom has 4 pens. How many?\nA: 9", "18"),
    ("The answer is 18.\n\nQ: Tom has 4 pens. How many?\nA: The answer is 9.", "18"),
    ("Question: Tom has 4 pens and 5. How many?\nAnswer: 9", "9"),
    ("#### 18\n\nTom has 4 pens and buys 5. How many pens does he have?\n4+5=9\n#### 9", "18"),
    (
        "<|channel|>analysis<|message|>12<|end|><|start|>assistant<|channel|>final<|message|>It is 15.<|return|>",
        "15",
    ),
    ("analysisWe think 12.assistantfinalIt is 15.", "15"),
    ("<|channel|>analysis<|message|>maybe 12", None),
    ("<seed:think>5</seed:think>It is 6.", "6"),
    ("◁think▷5◁/think▷It is 6.", "6"),
    ("<|begin_of_thought|>5<|end_of_thought|>\n<|begin_of_solution|>It is 6.<|end_of_solution|>", "6"),
    ("<reasoning>5", None),
    ("5 so far</think>It is 6.", "6"),
    ("<think>5</think>It is 6.<think>hmm 7", None),
    ("<think>5</think>Answer: 6<think>hmm 7", "6"),
    ("La réponse est 3,5.", "7/2"),
    ("La réponse est 12 500 €.", "12500"),
    ("La respuesta es 42. Hay 12 rojos.", "42"),
    ("Die Antwort ist 42. Davon sind 12 rot.", "42"),
    ("Antwort: 1.250 Euro", "1250"),
    ("Die richtige Antwort lautet: 17", "17"),
    ("最终答案：36", "36"),
    ("所以答案为 **36** 元。", "36"),
    ("答：一共有42个苹果。", "42"),
    ("【答案】42", "42"),
    ('{"reasoning": "3+4", "answer": 7}', "7"),
    ('{"answer": "7", "confidence": 0.9}', "7"),
    ("<answer>\\boxed{7}</answer>", "7"),
    ("<answer>The answer is 7, found by 3+4.</answer>", "7"),
    ("<answer>7 apples</answer>\nLet me know if you have 2 more questions!", "7"),
    ("Answer: Janet sells 16 - 3 - 4 = 9 eggs. She makes 9 * 2 = $18 every day.", "18"),
    ("42 is the answer.", "42"),
    ("Would it be 5? I do not know.", None),
    ("The answer is \\boxed{42", None),
    ("The answer is \\framebox{42}", "42"),
    ("She has 18 eggs. I hope this helps!", "18"),
    ("$\\boxed{12}\\sqrt{3}$", None),
    ("$x = -\\boxed{12}$", "-12"),
    ("The answer is –5.", "-5"),
    ("The answer to the question is 5.", "5"),
    ("Answer (in dollars): 5", "5"),
    ("The answer is 5. 3 of them are red.", "5"),
    ("So the answer is 2^{10} = 1024.", "1024"),
    ("Answer: $3 \\times 10^4$", "30000"),
    ("ANSWER: I do not know, maybe 5", None),
    ("Answer: 50%", "50"),
]


@pytest.mark.parametrize(("reply", "answer"), NUMBER)
def test_replies_of_numbers(reply: str, answer: str | None) -> None:
    kind = AnswerKind("number")
    assert extract(reply, kind) == (None if answer is None else canonical(answer, kind))


CHOICE: list[tuple[str, str | None]] = [
    ("Therefore, the correct answer is (c).", "C"),
    ("Answer: b", "B"),
    ("The correct option is **D**.", "D"),
    ("The answer is A and C.", None),
    ("A triangle has three sides.", None),
    ("I think it is hard.", None),
    ("I think the answer is I.", "I"),
    ("故选B。", "B"),
    ("答案：（C）", "C"),
    ("La bonne réponse est B.", "B"),
    ("La respuesta correcta es la C.", "C"),
    ("Die richtige Antwort ist B.", "B"),
    ("Antwort: C) Paris", "C"),
    ("$\\boxed{\\text{(B) } 12}$", "B"),
    ("\\boxed{\\mathrm{A}}", "A"),
    ("Answer: **B. 12**", "B"),
    ("The answer is most likely B", "B"),
    ("The answer is not A but B.", "B"),
    ("<answer>B</answer>", "B"),
    ("[[C]]", "C"),
    ("The answer is \\boxed{12} m, so the choice is D.", "D"),
    ("Answer: None of these", None),
    ("I'm sorry, but I can't answer that.", None),
    ("Answer: C\n\nExplanation: A is wrong because it is 5. B is too.", "C"),
    ("Answer: \\textbf{C}", "C"),
    ("Answer: <b>C</b>", "C"),
    ("The best answer is B: it has 4 legs.", "B"),
]


@pytest.mark.parametrize(("reply", "answer"), CHOICE)
def test_replies_of_choices(reply: str, answer: str | None) -> None:
    kind = AnswerKind("choice")
    assert extract(reply, kind) == (None if answer is None else canonical(answer, kind))


MATH: list[tuple[str, str | None]] = [
    ("The answer is $\\frac{\\sqrt{3}}{2}$ because of symmetry.", "\\frac{\\sqrt{3}}{2}"),
    ("The answer is x = 5 or x = 7.", "x = 5 or x = 7"),
    ("Thus $x = \\boxed{3}$ or $x = \\boxed{-3}$.", "3,-3"),
    ("The answer is:\n\\[\n\\frac{1}{2}\n\\]", "1/2"),
    ("**Final Answer:** \\((3, \\frac{\\pi}{2})\\)", "(3, \\frac{\\pi}{2})"),
    ("<answer>$x^2+1$</answer>", "x^2+1"),
    ("Therefore, the area of $ABC$ is $12$.", "12"),
    ("So the area is 12.", "12"),
    ("The final answer is $(-\\infty, 3)$. I hope it is correct.", "(-\\infty, 3)"),
    ("Final Answer: The final answer is $\\boxed{x^2}$. I hope it is correct.", "x^2"),
    ("答案是 $\\frac{3}{4}$。", "3/4"),
    ("The answer is 5 cm.", "5 cm"),
]


@pytest.mark.parametrize(("reply", "answer"), MATH)
def test_replies_of_maths(reply: str, answer: str | None) -> None:
    kind = AnswerKind("math")
    assert extract(reply, kind) == (None if answer is None else canonical(answer, kind))


TEXT: list[tuple[str, str | None]] = [
    ("<answer>\nNew York\n</answer>", "New York"),
    ("**Answer:** New York", "New York"),
    ("*Answer*: Paris", "Paris"),
    ('__Final answer__: "Paris"', "Paris"),
    ("The answer is **Paris**.", "Paris"),
    ("Answer: St. Petersburg. It lies on the Neva.", "St. Petersburg"),
    ("\\boxed{\\text{Paris}}", "Paris"),
    ("Answer: I don't know", None),
    ("Answer: Paris\n\nQuestion: Capital of Italy?\nAnswer: Rome", "Paris"),
    ("答案：北京。", "北京"),
    ("Réponse : Paris", "Paris"),
]


@pytest.mark.parametrize(("reply", "answer"), TEXT)
def test_replies_of_texts(reply: str, answer: str | None) -> None:
    kind = AnswerKind("text")
    assert extract(reply, kind) == (None if answer is None else canonical(answer, kind))


EXPRESSION: list[tuple[str, str | None]] = [
    ("Answer: \\boxed{(10 - 6) \\times 4 = 24}", "(10-6)*4=24"),
    ("I give up", None),
]


@pytest.mark.parametrize(("reply", "answer"), EXPRESSION)
def test_replies_of_expressions(reply: str, answer: str | None) -> None:
    kind = AnswerKind("expression")
    assert extract(reply, kind) == (None if answer is None else canonical(answer, kind))


TABLE = re.findall(r"^\| (\w+) \| `(.+)` \| (?:`(.+)`|-) \|$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("kind", "reply", "answer"), TABLE)
def test_the_table_of_the_page(kind: str, reply: str, answer: str) -> None:
    read = extract(re.sub(r"\\n(?![a-z])", "\n", reply), AnswerKind(kind))
    assert read == (canonical(answer, AnswerKind(kind)) if answer else None)
    assert len(TABLE) >= 30


@pytest.mark.skipif(not CASES.exists(), reason="../shared/cases is not here")
def test_the_shared_cases() -> None:
    rows = [json.loads(line) for line in CASES.read_text().splitlines()]
    wrong = []
    for row in rows:
        kind = AnswerKind(row["kind"])
        wanted = None if row["answer"] is None else canonical(row["answer"], kind)
        if extract(row["reply"], kind) != wanted:
            wrong.append((row["reply"], extract(row["reply"], kind), wanted))
    assert wrong == []
