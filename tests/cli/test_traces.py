"""`mull train select`, `sft` and `distill` as commands: what they refuse, and what they tell."""

import importlib.util
import json
from pathlib import Path

import pytest

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="TRL is not installed: make test-torch"
)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    rows = []
    for i in range(12):
        samples = [{"text": f"answer: {i}{j}", "correct": j != 1, "output_tokens": 5 + i + j} for j in range(3)]
        rows.append({"problem_id": f"d{i % 3}/{i}", "prompt": "a:7;a?", "answer": str(i), "samples": samples})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_select_tells_what_each_criterion_left(mull, mull_json, traces: Path, tmp_path: Path) -> None:
    out = tmp_path / "chosen.jsonl"
    asked = ("train", "select", traces, "--n", 9, "--by", "quality,diversity", "--out", out)
    told = mull_json(*asked)
    assert told["left"] == {"traces": 36, "quality": 24, "chosen": 9}
    assert told["domains"] == 3
    text = out.read_text()
    assert sum(len(json.loads(line)["samples"]) for line in text.splitlines()) == 9
    done = mull(*asked)
    assert "traces 36 -> quality 24 -> chosen 9" in done.stdout
    assert out.read_text() == text, "the same seed chooses the same traces"
    everything = mull("train", "select", traces, "--n", 99, "--by", "random", "--out", out)
    assert "fewer than the 99 asked for" in everything.stdout


def test_mistakes_are_refused_before_anything_is_written(mull, traces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for why, arguments in (
        ("did you mean 'quality'", ("select", traces, "--by", "qualty")),
        ("--n must be at least 1", ("select", traces, "--n", 0)),
        ("leave out a criterion", ("select", traces, "--by", "difficulty")),
        ("there is no such file", ("select", tmp_path / "gone.jsonl")),
        ("cannot be trained: the base is", ("sft", traces, "--base", "gpt-9")),
        ("held out for measuring", ("distill", "nano", "--task", "chain:ops=2")),
        ("--problems and --draws", ("distill", "nano", "--task", "chain:ops=2,split=train", "--draws", 0)),
    ):
        done = mull("train", *arguments, "--out", out)
        assert done.returncode == 2, done.stdout
        assert why in done.stderr
        assert not out.exists()


@needs_torch
def test_a_student_learns_the_right_traces_of_a_teacher(mull, mull_json, tmp_path: Path) -> None:
    out = tmp_path / "student"
    asked = ("train", "distill", "mini", "--task", "chain:ops=2,split=train", "--problems", 10, "--draws", 2)
    told = mull_json(*asked, "--out", out, "--epochs", 1, "--threads", 1, "--bank", "none")
    assert told["teacher"]["calls"] == 20
    assert told["teacher"]["flops"] > 0
    assert 0 < told["traces"] <= 20
    done = mull("solve", "a:7;b:a*6;b?", "-m", f"trained:{out}", "--bank", "none")
    assert done.returncode == 0, done.stderr
