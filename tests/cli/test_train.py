"""`mull train` as a command: what it says of labels, and what it refuses before anything is spent."""

import json
from pathlib import Path

import pytest

TASK = "chain:ops=6,split=train"


@pytest.mark.parametrize("method", ["omega", "math-shepherd"])
def test_labels_are_told_with_their_cost_and_their_truth(mull_json, tmp_path: Path, method: str) -> None:
    out = tmp_path / "labels.jsonl"
    asked = ("train", "label", TASK, "--problems", 8, "--solutions", 1, "-k", 2, "--method", method, "--out", out)
    told = mull_json(*asked)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[0]["labels"] == 1
    assert lines[0]["method"] == method
    labels = [label for line in lines[1:] for one in line["solutions"] for label in one["hard"] if label is not None]
    assert told["labels"] == len(labels) > 0
    tokens = sum(line["cost"]["output_tokens"] for line in lines[1:])
    assert told["labels_per_million_tokens"] == pytest.approx(1e6 * len(labels) / tokens)
    assert told["agreement"]["share"] > 0.8
    text = out.read_text()
    assert mull_json(*asked)["agreement"] == told["agreement"]
    assert out.read_text() == text, "the same command, all of it from the bank"


def test_a_model_that_cannot_continue_is_refused_before_anything_is_drawn(
    mull, recording: Path, tmp_path: Path
) -> None:
    task = tmp_path / "task.jsonl"
    task.write_text(json.dumps({"id": "p0", "prompt": "q0", "answer": "0"}) + "\n")
    out = tmp_path / "labels.jsonl"
    done = mull("train", "label", f"file:{task}", "--model", f"recorded:{recording}", "--out", out)
    assert done.returncode == 2
    assert "cannot continue a partial reply" in done.stderr
    assert not out.exists()


def test_files_that_hold_no_labels_name_the_line(mull, tmp_path: Path) -> None:
    other, empty = tmp_path / "other.jsonl", tmp_path / "empty.jsonl"
    other.write_text('{"problem_id": "p"}\n')
    empty.write_text("")
    for path in (other, empty):
        done = mull("train", "prm", path, "--out", tmp_path / "prm")
        assert done.returncode == 2, done.stderr
        assert "line 1: not a label file" in done.stderr
        assert not (tmp_path / "prm").exists()


def test_training_on_one_sided_labels_stops_with_their_counts(mull, tmp_path: Path) -> None:
    """Needs torch: the plain run skips it."""
    pytest.importorskip("torch")
    pytest.importorskip("trl")
    path = tmp_path / "labels.jsonl"
    done = mull("train", "label", "chain:ops=1,split=train", "--problems", 2, "-k", 1, "--bank", "none", "--out", path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[1:]:
        line["solutions"] = [one for one in line["solutions"] if one["correct"]]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = mull("train", "prm", path, "--out", tmp_path / "prm")
    assert done.returncode == 2
    assert "steps are labelled right and 0 wrong" in done.stderr
    assert not (tmp_path / "prm").exists()
