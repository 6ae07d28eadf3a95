"""Files that people have on the command line: both commands agree on them, and nothing is zero in silence."""

import json
from pathlib import Path

import pytest

ROWS = [
    ("q1", "4", ["It is 4.\nAnswer: 4", "\\boxed{4}", "the answer is 5"]),
    ("q2", "7", ["\\boxed{8}", "Answer: 8", "Answer: 7"]),
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Replies as texts alone, one a row."""
    path = tmp_path / "texts.csv"
    lines = ["question,target,response"]
    lines += [f'{q},{gold},"{text}"' for q, gold, replies in ROWS for text in replies]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_curves_and_sweep_agree_on_a_file_of_texts(mull_json, texts: Path) -> None:
    curves = mull_json("curves", texts, "--k", "1,3")
    swept = mull_json("sweep", f"file:{texts}", "-m", f"recorded:{texts}", "-s", "majority:n=3", "--bank", "none")
    assert [round(point["value"], 6) for point in curves["coverage"]] == [0.5, 1.0]
    assert curves["majority"][-1]["value"] == swept["rows"][0]["accuracy"] == 0.5
    assert swept["rows"][0]["oracle"] == 1.0


def test_columns_are_named_for_tasks_as_for_draws(mull_json, mull, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("frage\tsoll\tist\nq\t4\tAnswer: 4\nq\t4\tAnswer: 5\n")
    named = ("--prompt", "frage", "--gold", "soll", "--samples", "ist")
    assert mull_json("curves", path, *named)["coverage"][0]["value"] == 0.5
    columns = "prompt=frage,gold=soll,samples=ist"
    swept = mull_json(
        "sweep", f"file:{path},{columns}", "-m", f"recorded:{path},{columns}", "-s", "majority:n=2", "--bank", "none"
    )
    assert swept["rows"][0]["oracle"] == 1.0
    asked = ("sweep", f"file:{path}", "-m", f"recorded:{path}", "-s", "majority:n=2", "--bank", "none")
    assert mull_json(*asked, *named)["rows"] == swept["rows"]
    assert mull("curves", path).returncode == 2


def test_columns_are_named_of_tables_alone(mull) -> None:
    done = mull("sweep", "chain:ops=2", "-s", "single", "--gold", "target")
    assert done.returncode == 2
    assert "column options apply to tables, file:PATH or recorded:PATH, and none is given" in done.stderr


def test_an_answer_pattern_reads_what_is_not_read_else(mull_json, mull, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    samples = ["RESULT >> 4 << of 9", "RESULT >> 5 << of 4", "no result"]
    path.write_text(json.dumps({"prompt": "q", "answer": "4", "samples": samples}) + "\n")
    found = mull_json("curves", path, "--answer-pattern", r">> (\d+) <<")
    assert found["coverage"][0]["value"] == pytest.approx(1 / 3)
    task = rf"file:{path},answer_pattern=>> \(\d+\) <<"
    swept = mull_json("sweep", task, "-m", f"recorded:{path}", "-s", "majority:n=3", "--bank", "none")
    assert swept["rows"][0]["oracle"] == 1.0
    asked = ("sweep", f"file:{path}", "-m", f"recorded:{path}", "-s", "majority:n=3", "--bank", "none")
    assert mull_json(*asked, "--answer-pattern", r">> (\d+) <<")["rows"][0]["oracle"] == 1.0
    assert "not a regular expression" in mull("curves", path, "--answer-pattern", "(").stderr


@pytest.mark.parametrize(
    "command",
    [
        ("curves", "{path}"),
        ("report", "{path}", "--out", "{path}.html"),
        ("advise", "{path}"),
        ("fit", "{path}", "--predict", "4"),
        ("bank", "import", "{path}", "--bank", "{path}.db"),
        ("sweep", "file:{path}", "-m", "recorded:{path}", "-s", "majority:n=2", "--bank", "none"),
    ],
    ids=lambda command: command[0],
)
def test_figures_of_nothing_are_refused_unless_told(mull, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "t.jsonl"
    rows = [("q", ["", "  "]), ("r", ["I do not know.", "Who can tell?"])]
    path.write_text("".join(json.dumps({"prompt": q, "answer": "4", "samples": found}) + "\n" for q, found in rows))
    words = [word.format(path=path) for word in command]
    done = mull(*words)
    assert done.returncode == 1
    allowed = mull(*words, "--allow-unreadable")
    assert allowed.returncode == 0, allowed.stderr
    for told in (done.stderr, allowed.stderr):
        assert "all 2 replies to problem 'line 1'" in told
        assert "no draw has an answer that can be read as number" in told
    assert done.stdout == "" or command[0] == "sweep"


def test_a_sweep_in_which_nothing_is_graded_is_no_success(mull, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"prompt": "q", "samples": ["Answer: 4", "Answer: 5"]}) + "\n")
    asked = ("sweep", f"file:{path}", "-m", f"recorded:{path}", "-s", "majority:n=2", "--bank", "none")
    swept = mull(*asked)
    assert swept.returncode == 1
    assert "no reply could be graded by file:" in swept.stderr
    assert "line 1 has no answer to compare with" in swept.stderr
    assert mull(*asked, "--allow-unreadable").returncode == 0


def test_scores_need_a_range(mull, mull_json, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    samples = [{"text": "4", "score": 3.0}, {"text": "5", "score": -9999.0}, {"text": "5", "score": -2.0}]
    path.write_text(json.dumps({"prompt": "q", "answer": "4", "samples": samples}) + "\n")
    done = mull("curves", path)
    assert done.returncode == 2
    assert "the score 3 is not in [0, 1] (they run from -9999 to 3)" in done.stderr
    declared = mull("curves", path, "--score-range", "-4,4", "--json")
    assert "1 of 3 scores are outside -4 to 4: unscored" in declared.stderr
    best = json.loads(declared.stdout)["best"]
    assert best[-1] == {"k": 3, "value": 1.0, "ci95": best[-1]["ci95"]}


def test_k_beyond_the_draws_is_said(mull, texts: Path) -> None:
    done = mull("curves", texts, "--k", "1,3,64", "--json")
    assert [point["k"] for point in json.loads(done.stdout)["coverage"]] == [1, 3]
    assert "--k: 64 left out: problem 'line 2' of texts.csv has 3 draws" in done.stderr
    refused = mull("curves", texts, "--k", "64")
    assert refused.returncode == 2
    assert "--k asks for 64 draws" in refused.stderr


def test_a_parquet_export_is_taken_in_again(mull, mull_json, texts: Path, tmp_path: Path) -> None:
    mull_json("bank", "import", texts, "--bank", tmp_path / "a.db")
    mull_json("bank", "export", tmp_path / "draws.parquet", "--bank", tmp_path / "a.db")
    taken = mull_json("bank", "import", tmp_path / "draws.parquet", "--bank", tmp_path / "b.db")
    assert taken["sources"][0]["draws"] == 6
    for name in ("a", "b"):
        mull_json("bank", "export", tmp_path / f"{name}.jsonl", "--bank", tmp_path / f"{name}.db")
    assert (tmp_path / "a.jsonl").read_text() == (tmp_path / "b.jsonl").read_text()
    again = mull_json("solve", "q1", "-m", f"recorded:{tmp_path / 'draws.parquet'}", "-s", "majority:n=3")
    assert again["answer"] == "4"
