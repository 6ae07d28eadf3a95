"""Files of people's own questions: each row is read by itself, prompts ask for an answer that can be read."""

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mull import AnswerKind, Finish, Sample
from mull.errors import FileFormatError
from mull.files.columns import Layout
from mull.lab.recorded import read_recorded
from mull.models.recorded import RecordedModel
from mull.run import Run
from mull.tasks.files import FileTask
from mull.tasks.kinds import kind_of


def table(path: Path, rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def grade(task: FileTask, index: int, text: str) -> bool | None:
    problem = list(task.problems())[index]
    return asyncio.run(task.grade(problem.id, Sample(problem.prompt, text, Finish.STOP))).correct


@pytest.mark.parametrize(
    ("gold", "kind"),
    [
        ("42", "number"), ("1,250", "number"), ("$4.50", "number"), ("3/4", "number"), ("25%", "number"),
        ("-3.5", "number"), ("5 km", "number"), ("12 apples", "number"), ("twenty-five", "number"),
        ("one hundred and five", "number"), ("100°C", "number"), ("3.5 million people", "number"),
        ("B", "choice"), ("(c)", "choice"), ("yes", "yes-no"), ("False", "yes-no"),
        (r"\frac{1}{2}", "math"), ("x^2+1", "math"), ("(3, 4)", "math"), ("2x+3", "math"), ("2 pi", "math"),
        ("Paris", "text"), ("July 4, 1776", "text"), ("4 July 1776", "text"), ("1776-07-04", "text"), ("5 pm", "text"),
        ("10:30", "text"), ("50 Cent", "text"), ("10 Downing Street", "text"), ("Apollo 11", "text"), ("H2O", "text"),
        ("3-2", "text"), ("One Direction", "text"), ("Catch-22", "text"), ("5 or 6", "text"), ("1990s", "text"),
        ("10+3-2", "text"), ("3 + 4i", "math"),
    ],
)  # fmt: skip
def test_the_kind_follows_from_the_gold(gold: str, kind: str) -> None:
    assert kind_of(gold).value == kind


@pytest.mark.parametrize("none", ["N/A", "None", "-", "unknown"])
def test_a_gold_that_says_there_is_none_is_told_once_and_equals_no_missing_answer(tmp_path: Path, none: str) -> None:
    rows = [{"question": f"{n} + 1?", "answer": n + 1} for n in range(3)] + [{"question": "4 + 1?", "answer": none}]
    task = FileTask(table(tmp_path / "q.csv", rows))
    assert [p.kind for p in task.problems()] == [AnswerKind.NUMBER] * 3 + [AnswerKind.TEXT]
    assert [note for note in task.notes if f"line 5: {none!r} beside answers" in note]
    assert grade(task, 3, "I cannot tell.") is False
    assert grade(task, 3, "") is False
    assert grade(task, 0, "It is 1.") is True
    only_text = [{"question": "Who?", "answer": none}, {"question": "Where?", "answer": "Rome"}]
    assert not any(" is text" in note for note in FileTask(table(tmp_path / "t.csv", only_text)).notes)


def test_one_word_among_the_golds_changes_no_other_row(tmp_path: Path) -> None:
    rows = [{"question": f"{n} + 1?", "answer": n + 1} for n in range(5)] + [{"question": "Capital?", "answer": "Rome"}]
    task = FileTask(table(tmp_path / "q.csv", rows))
    assert [p.kind for p in task.problems()] == [AnswerKind.NUMBER] * 5 + [AnswerKind.TEXT]
    assert grade(task, 3, "3 + 1 is 4, so there are 4 apples.") is True
    assert grade(task, 3, "There are 3 apples.") is False


def test_prompts_ask_for_a_form_by_kind(tmp_path: Path) -> None:
    rows = [
        {"question": "1+1?", "answer": "2"},
        {"question": "Root of 2?", "answer": r"\sqrt{2}"},
        {"question": "Which?\nA) x\nB) y", "answer": "B"},
        {"question": "Capital of France?", "answer": "Paris"},
        {"question": "Flat?", "answer": "no"},
        {"question": "1+2? Put it in \\boxed{}.", "answer": "3"},
    ]
    path = table(tmp_path / "q.csv", rows)
    task = FileTask(path)
    asked = [
        p.prompt.question.removeprefix(row["question"]).strip() for p, row in zip(task.problems(), rows, strict=True)
    ]
    assert ["number" in asked[0], "boxed" in asked[1], "letter" in asked[2], "short answer" in asked[3]] == [True] * 4
    assert "yes" in asked[4]
    assert asked[5] == "", "it says itself how it is to be answered"
    assert task.caption == "4 of 6 prompts ask for an answer line; 1 of 6 prompts ask for a box"
    plain = FileTask(path, ask="none")
    assert [p.prompt.question for p in plain.problems()] == [row["question"] for row in rows]
    assert plain.caption == ""
    assert all("boxed" in p.prompt.question for p in FileTask(path, ask="boxed").problems())
    assert FileTask(path, match="includes").caption == ""


def test_recorded_replies_are_found_whatever_was_asked_for(tmp_path: Path) -> None:
    quiz = table(tmp_path / "q.csv", [{"question": "Capital of France?", "answer": "Paris"}])
    runs = tmp_path / "r.jsonl"
    runs.write_text(json.dumps({"question": "Capital of France?", "samples": ["Paris."]}) + "\n")
    (problem,) = FileTask(quiz).problems()
    assert "Answer:" in problem.prompt.question
    (sample,) = asyncio.run(Run(RecordedModel(str(runs))).draw(problem.prompt))
    assert sample.text == "Paris."


CHOICES = [
    {"choices": ["Venus", "Mars", "Jupiter"], "answer": 1},
    {"options": {"A": "Venus", "B": "Mars", "C": "Jupiter"}, "answer": "B"},
    {"choices": {"text": ["Venus", "Mars", "Jupiter"], "label": ["1", "2", "3"]}, "answerKey": "2"},
    {"A": "Venus", "B": "Mars", "C": "Jupiter", "answer": "B"},
    {"option_a": "Venus", "option_b": "Mars", "option_c": "Jupiter", "answer": "mars"},
    {"opa": "Venus", "opb": "Mars", "opc": "Jupiter", "cop": 1},
    {"option1": "Venus", "option2": "Mars", "option3": "Jupiter", "answer": "B) Mars"},
    {"choices": [{"label": "A", "text": "Venus"}, {"label": "B", "text": "Mars"}, {"label": "C", "text": "Jupiter"}],
     "answer": "(B)"},
]  # fmt: skip


@pytest.mark.parametrize("row", CHOICES)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_choices_are_put_into_the_prompt(tmp_path: Path, row: dict[str, Any], suffix: str) -> None:
    rows = [{"question": "The red planet?", **row}]
    gold = next(name for name in ("answer", "answerKey", "cop") if name in row)
    if row[gold] == 1:
        rows.append({**rows[0], "question": "The hot planet?", gold: 0})
    path = tmp_path / f"q.{suffix}"
    if suffix == "csv":
        cells = [{k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in one.items()} for one in rows]
        table(path, cells)
    else:
        path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    task = FileTask(str(path), ask="none")
    problem = next(iter(task.problems()))
    assert problem.prompt.question == "The red planet?\nA) Venus\nB) Mars\nC) Jupiter"
    assert problem.kind is AnswerKind.CHOICE
    assert [grade(task, 0, reply) for reply in ("B", "The answer is (B).", "Mars", "A", "Venus")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    if row[gold] == 1:
        assert any("2 answers are numbers of choices, counted from 0" in note for note in task.notes)


@pytest.mark.parametrize(
    ("golds", "message"),
    [
        ([1, 1], "line 2: answers are numbers of choices, and none tells whether they count from 0 or from 1"),
        ([0, 3], "line 2: the answer 0 counts choices from 0, and 3 on line 3 counts them from 1"),
        (["Pluto", 1], "line 2: the answer 'Pluto' is none of the choices A\\) Venus, B\\) Mars, C\\) Jupiter"),
        ([7, 1], "line 2: the answer '7' is none of the choices"),
    ],
)
def test_a_gold_that_names_no_choice_is_told(tmp_path: Path, golds: list[Any], message: str) -> None:
    rows = [{"question": f"q{i}?", "A": "Venus", "B": "Mars", "C": "Jupiter", "answer": g} for i, g in enumerate(golds)]
    with pytest.raises(FileFormatError, match=message):
        FileTask(table(tmp_path / "q.csv", rows))


def test_numbers_of_choices_may_count_from_one(tmp_path: Path) -> None:
    rows = [{"question": f"q{g}?", "A": "Venus", "B": "Mars", "answer": g} for g in (1, 2)]
    task = FileTask(table(tmp_path / "q.csv", rows))
    assert [grade(task, i, letter) for i, letter in enumerate("AB")] == [True, True]
    assert any("counted from 1" in note for note in task.notes)


def test_a_prompt_that_has_its_choices_gets_no_others(tmp_path: Path) -> None:
    row = {"question": "Which?\nA. Venus\nB. Mars", "A": "Venus", "B": "Mars", "answer": "B"}
    (problem,) = FileTask(table(tmp_path / "q.csv", [row]), ask="none").problems()
    assert problem.prompt.question == row["question"]


def test_one_question_with_two_golds_is_told_with_both_lines(tmp_path: Path) -> None:
    rows = [
        {"question": "1+1?", "answer": "2"},
        {"question": "2+2?", "answer": "4"},
        {"question": "1+1? ", "answer": "3"},
    ]
    with pytest.raises(
        FileFormatError, match=r"line 4: asks the same as line 2 with another answer: '3' here, '2' there"
    ):
        FileTask(table(tmp_path / "q.csv", rows))
    same = [{"question": "half?", "answer": "0.5"}, {"question": "half?", "answer": "1/2"}]
    assert FileTask(table(tmp_path / "s.csv", same)).size == 2


def test_rows_without_gold_are_told_and_not_graded(tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "answer": "2"}, {"question": "2+2?", "answer": ""}]
    task = FileTask(table(tmp_path / "q.csv", rows))
    assert task.notes == (f"{tmp_path / 'q.csv'}: 1 of 2 rows have no gold answer: votes only, not graded",)
    assert [grade(task, 0, "2"), grade(task, 1, "4")] == [True, None]
    replies = [{**row, "samples": ["2", "3"]} for row in ({"question": "1+1?", "gold": "2"}, {"question": "2+2?"})]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in replies))
    source = read_recorded(tmp_path / "r.jsonl")
    assert [one.correct for one in source.groups["r.jsonl"].recordings] == [(True, False)]
    assert "1 of 2 rows have no gold answer" in source.notes[-1]


MATCHES = [
    ({"match": "exact"}, "Paris.", True),
    ({"match": "exact"}, "I am sure.\nAnswer: paris", True),
    ({"match": "exact"}, "The capital of France is Paris.", False),
    ({"match": "includes"}, "I believe it is Paris, isn't it?", True),
    ({"match": "includes"}, "Comparison is hard.", False),
    ({"match": "includes"}, "Parisian food", False),
    ({"match": r"regex:city=(\w+)"}, "city=Lyon, city=Paris", True),
    ({"match": r"regex:city=(\w+)"}, "Paris", False),
    ({"kind": "text"}, "It is Paris.", True),
]  # fmt: skip


@pytest.mark.parametrize(("options", "reply", "is_right"), MATCHES)
def test_ways_to_match_are_the_same_for_tasks_and_recordings(
    tmp_path: Path, options: dict[str, str], reply: str, is_right: bool
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(
        json.dumps({"question": "What is the capital of France?", "gold": "Paris", "samples": [reply]}) + "\n"
    )
    assert grade(FileTask(str(path), **options), 0, reply) is is_right
    source = read_recorded(path, Layout(**options))
    assert source.groups["r.jsonl"].recordings[0].correct == (is_right,)


def test_thirty_questions_of_all_kinds_are_graded_as_a_person_does() -> None:
    """Two replies each as models write them, judged by hand: none is wrongly accepted, and at most one is refused."""
    path = Path(__file__).parents[1] / "data" / "own_questions.jsonl"
    by_hand = [json.loads(line)["by_hand"] for line in path.read_text().splitlines()]
    (group,) = read_recorded(path).groups.values()
    found = [list(one.correct) for one in group.recordings]
    pairs = [pair for one in zip(found, by_hand, strict=True) for pair in zip(*one, strict=True)]
    assert len(pairs) == 60
    assert sum(is_right and not wanted for is_right, wanted in pairs) == 0
    assert sum(wanted and not is_right for is_right, wanted in pairs) <= 1
    task = FileTask(str(path))
    assert [[grade(task, i, sample.text) for sample in one.samples] for i, one in enumerate(group.recordings)] == found
    assert {problem.kind.value for problem in task.problems()} == {"number", "text", "yes-no", "choice"}
