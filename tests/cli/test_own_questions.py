"""One's own questions on the command line: what is shown, what is said, and that both commands grade alike."""

import json
from pathlib import Path

import pytest

QUIZ = """question,answer
What is the capital of France?,Paris
1+1?,2
2+2?,4
Is ice cold?,yes
"""


@pytest.fixture
def quiz(tmp_path: Path) -> Path:
    path = tmp_path / "quiz.csv"
    path.write_text(QUIZ)
    return path


def replies(path: Path, samples: list[list[str]]) -> Path:
    questions = [line.partition(",")[0] for line in QUIZ.splitlines()[1:]]
    rows = [{"question": q, "samples": s} for q, s in zip(questions, samples, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_first_sweep_shows_replies_as_they_were_read(mull, quiz: Path, tmp_path: Path) -> None:
    path = replies(tmp_path / "r.jsonl", [["It is Paris.\x1b[31m"], ["two"], ["5"], ["Yes."]])
    asked = ("sweep", f"file:{quiz}", "-m", f"recorded:{path}", "-s", "single", "--bank", tmp_path / "b.db")
    done = mull(*asked)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if "is read as" in line]
    assert len(shown) == 3
    assert shown[-1] == "line 5: 'Yes.' is read as 'yes', gold 'yes': right"
    assert "\x1b" not in done.stderr
    assert "prompts ask for" not in done.stdout, "replies that are there already were not asked for"
    asked_for = " ".join(mull(*asked, "--ask", "line").stdout.split())
    assert "4 of 4 prompts ask for an answer line" in asked_for
    again = mull(*asked)
    assert "is read as" not in again.stderr, "nothing was drawn now"


def test_no_match_and_unreadable_replies_are_told_with_what_to_do(mull, quiz: Path, tmp_path: Path) -> None:
    path = replies(tmp_path / "r.jsonl", [["Lyon"], ["I do not know."], ["I cannot say."], ["no"]])
    done = mull("sweep", f"file:{quiz}", "-m", f"recorded:{path}", "-s", "single", "--bank", "none", "--json")
    assert done.returncode == 0, done.stderr
    assert "no reply matches its gold answer: line 2: 'Lyon' is read as 'lyon', gold 'Paris': wrong" in done.stderr
    assert "2 of 4 replies have no answer that can be read" in done.stderr
    assert "--match includes looks for the gold answer in the reply" in done.stderr


def test_curves_and_sweep_grade_alike_however_replies_are_matched(mull_json, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    samples = ["CITY=Paris or Lyon", "CITY=Lyon, the biggest after Paris"]
    row = {"question": "What is the capital of France?", "gold": "Paris", "samples": samples}
    path.write_text(json.dumps(row) + "\n")
    for options, share in (
        (("--match", "includes"), 1.0),
        (("--match", r"regex:CITY=(\w+)"), 0.5),
        (("--match", "exact"), 0.0),
        (("--kind", "text"), 0.0),
    ):
        found = mull_json("curves", path, *options)
        assert found["coverage"][0]["value"] == share, options
        swept = mull_json(
            "sweep", f"file:{path}", "-m", f"recorded:{path}", "-s", "majority:n=2", "--bank", "none", *options
        )
        assert swept["rows"][0]["oracle"] == float(share > 0), options


def test_solve_takes_the_same_options(mull_json, mull, quiz: Path, tmp_path: Path) -> None:
    path = replies(tmp_path / "r.jsonl", [["CITY=Paris (I think)"], ["2"], ["4"], ["yes"]])
    asked = ("solve", "What is the capital of France?", "-m", f"recorded:{path}", "-s", "single", "--bank", "none")
    assert mull_json(*asked, "--match", r"regex:CITY=(\w+)")["answer"] == "paris"
    graded = mull_json(
        "solve", "line 2", "--task", f"file:{quiz}", "-m", f"recorded:{path}", "-s", "single", "--bank", "none",
        "--match", "includes",
    )  # fmt: skip
    assert graded["correct"] is True
    assert "--match includes looks for a gold answer" in mull(*asked, "--match", "includes").stderr
    refused = mull("sweep", "chain:ops=2", "-s", "single", "--ask", "boxed")
    assert refused.returncode == 2
    assert "--ask is for the questions of a file" in refused.stderr
