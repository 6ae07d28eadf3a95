"""Problem sets from files: what they hold, how they are graded, and what is said of a malformed one."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from mull import AnswerKind, Finish, Sample, UsageError
from mull.errors import FileFormatError
from mull.tasks.files import FileTask

ROWS = [
    {"problem_id": "a", "prompt": "1+1?", "answer": 2},
    {"problem_id": "b", "question": "half of 5?", "answer": "2.50"},
]


def written(path: Path, rows: list[object]) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return str(path)


def grade(task: FileTask, index: int, text: str, answer: str | None = None) -> bool | None:
    problem = list(task.problems())[index]
    return asyncio.run(task.grade(problem.id, Sample(problem.prompt, text, Finish.STOP, answer=answer))).correct


def test_rows_become_problems_without_their_answers(tmp_path: Path) -> None:
    task = FileTask(written(tmp_path / "t.jsonl", ROWS))
    problems = list(task.problems())
    assert [p.id for p in problems] == ["a", "b"]
    assert problems[1].prompt.messages[0].content.startswith("half of 5?")
    assert problems[0].kind is AnswerKind.NUMBER
    assert "2" not in str(problems[0].given)


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    task = FileTask(written(tmp_path / "t.jsonl", ROWS))
    assert grade(task, 1, "it is 5/2")
    assert grade(task, 1, "answer: 2.5")
    assert grade(task, 0, "three") is False


def test_choices_and_text(tmp_path: Path) -> None:
    choice = FileTask(written(tmp_path / "c.jsonl", [{"prompt": "?", "answer": "B"}, {"prompt": "!", "answer": "A"}]))
    assert grade(choice, 0, "I think (B).")
    text = FileTask(written(tmp_path / "x.jsonl", [{"prompt": "?", "answer": "Paris"}]))
    assert grade(text, 0, "The answer is paris.")


def test_a_compressed_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(ROWS[0]).encode()))
    assert [p.id for p in FileTask(str(path)).problems()] == ["a"]


def test_without_an_answer_there_is_no_grade(tmp_path: Path) -> None:
    assert grade(FileTask(written(tmp_path / "t.jsonl", [{"prompt": "?"}])), 0, "x") is None


def test_a_recorded_verdict_is_the_grade(tmp_path: Path) -> None:
    samples = [{"text": f"so {i}", "final_answer": str(i), "correct": i == 3} for i in (3, 4)]
    task = FileTask(written(tmp_path / "t.jsonl", [{"prompt": "?", "answer": "4", "samples": samples}]))
    assert grade(task, 0, "so 3", "3")
    assert grade(task, 0, "so 4", "4") is False
    assert grade(task, 0, "so 4 indeed", None), "not a recorded text, so graded by its answer"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROWS[0], "{"], r"line 2: not JSON"),
        ([ROWS[0], "", "[1]"], r"line 3: a row must be a JSON object like .*, not a list"),
        ([ROWS[0], {"answer": 3}], r"line 2: no prompt"),
        ([ROWS[0], {"prompt": " ", "answer": 3}], r"line 2: no prompt"),
        ([ROWS[0], ROWS[0]], r"line 2: problem 'a' was already on line 1"),
        ([{"prompt": "?", "samples": 3}], r"line 1: `samples` must be a list"),
        ([{"prompt": "?", "samples": [{"x": 1}]}], r"sample 0 has neither"),
        ([{"prompt": "?", "samples": [{"text": "t", "correct": "yes"}]}], r"must be true or false"),
        ([{"prompt": "?", "samples": [{"text": "t", "score": "high"}]}], r"a score must be a number"),
        ([], r"no problems in it"),
    ],
)
def test_a_malformed_file_names_the_line(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(FileFormatError, match=message) as caught:
        FileTask(written(tmp_path / "t.jsonl", rows))
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="there is no such file"):
        FileTask(str(tmp_path / "none.jsonl"))
    (tmp_path / "b.jsonl").write_bytes(b'{"prompt": "?"}\n{"prompt": "\xff"}\n')
    with pytest.raises(FileFormatError, match="line 2: not UTF-8 text at byte 13"):
        FileTask(str(tmp_path / "b.jsonl"))
    (tmp_path / "b.jsonl.gz").write_bytes(b"plain")  # read by what it holds
    with pytest.raises(FileFormatError, match="line 1: not JSON"):
        FileTask(str(tmp_path / "b.jsonl.gz"))


def test_rows_of_several_models_are_told_apart(tmp_path: Path) -> None:
    rows: list[object] = [{**ROWS[0], "model": "x"}, {**ROWS[0], "model": "y"}]
    path = written(tmp_path / "t.jsonl", rows)
    with pytest.raises(UsageError, match="pick one with model=, of x, y"):
        FileTask(path)
    assert len(list(FileTask(path, model="x").problems())) == 1
    with pytest.raises(UsageError, match="no row has the model 'z'; it has x, y"):
        FileTask(path, model="z")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "numbers"}, "did you mean 'number'"),
        ({"match": "include"}, "did you mean 'includes'"),
        ({"match": "regex:("}, r"'\(' is not a regular expression"),
        ({"match": "exact", "kind": "number"}, "exact compares answers as they are written"),
        ({"match": "regex:a", "answer_pattern": "b"}, "give one of them"),
        ({"ask": "box"}, "did you mean 'boxed'"),
    ],
)
def test_an_unknown_way_to_read_is_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FileTask(written(tmp_path / "t.jsonl", ROWS), **options)


def test_a_gold_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    """It would be equal to every reply without an answer, or to none."""
    rows: list[object] = [{"prompt": "1+1?", "answer": "2"}, {"prompt": "2+?", "answer": "N/A"}]
    path = written(tmp_path / "t.jsonl", rows)
    with pytest.raises(FileFormatError, match=r"line 2: the answer 'N/A' is not a number: .*leave out --kind"):
        FileTask(path, kind="number")
    with pytest.raises(FileFormatError, match=r"line 1: the answer '2' is not a letter"):
        FileTask(path, kind="choice")
    with pytest.raises(FileFormatError, match=r"line 1: the `answer` is empty"):
        FileTask(written(tmp_path / "e.jsonl", [{"prompt": "?", "answer": " "}]))


def test_no_answer_is_never_the_gold(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", [{"prompt": "1+1?", "answer": "2"}, {"prompt": "2+?", "answer": "N/A"}])
    task = FileTask(path)
    assert [p.kind for p in task.problems()] == [AnswerKind.NUMBER, AnswerKind.TEXT], "each row by itself"
    assert grade(task, 1, "I cannot tell.") is False
    assert grade(task, 1, "Answer: N/A") is True
    numbers = FileTask(written(tmp_path / "n.jsonl", ROWS))
    assert grade(numbers, 0, "I cannot tell.") is False


def test_golds_that_are_whole_solutions_are_read_and_that_is_said(tmp_path: Path) -> None:
    rows: list[object] = [
        {"question": "eggs?", "answer": "16 - 7 = <<16-7=9>>9 eggs\nShe makes 9 * 2 = $18.\n#### 18"},
        {"question": "thousands?", "answer": "It is\n#### 1,250"},
        {"question": "plain?", "answer": "7"},
    ]
    task = FileTask(written(tmp_path / "t.jsonl", rows))
    assert [p.kind for p in task.problems()] == [AnswerKind.NUMBER] * 3
    assert grade(task, 0, "The answer is $18.") is True
    assert grade(task, 0, "The answer is 9.") is False
    assert grade(task, 1, "1250") is True
    (note,) = task.notes
    assert "2 answers are whole solutions" in note
    math = FileTask(written(tmp_path / "m.jsonl", [{"prompt": "?", "answer": r"So $x = \boxed{\frac{1}{2}}$."}]))
    assert [p.kind for p in math.problems()] == [AnswerKind.MATH]
    assert grade(math, 0, r"\boxed{0.5}") is True
    assert FileTask(written(tmp_path / "p.jsonl", ROWS)).notes == ()
