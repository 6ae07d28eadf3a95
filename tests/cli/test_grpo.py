"""`mull train grpo` as a command: what it tells before it spends anything, and what it refuses."""

import json
from pathlib import Path

import pytest

TASK = "chain:ops=2,split=train"
SMALL = ("--groups", 2, "--group", 4, "--max-tokens", 60)


def test_a_dry_run_tells_the_cost_and_writes_nothing(mull, mull_json, tmp_path: Path) -> None:
    out = tmp_path / "run"
    asked = ("train", "grpo", TASK, "--out", out, "--steps", 5, *SMALL, "--dry-run")
    told = mull_json(*asked)
    assert told["expected"]["draws"] == 5 * 2 * 4
    assert told["expected"]["most_tokens"] == 40 * 60
    assert 0 < told["expected"]["tokens"] <= 40 * 60
    assert told["expected"]["tokens"] == pytest.approx(40 * told["pilot"]["n_output"], abs=1)
    done = mull(*asked)
    assert done.returncode == 0
    assert "expected: 40 draws" in done.stderr
    assert not out.exists()


REFUSED = {
    "held out for measuring: add split=train": ("chain:ops=2",),
    "problems of countdown:numbers=4 are held out": ("countdown",),
    "no way to replace": (TASK, "--rollouts", "openai:http://localhost:8000"),
    "--minutes must be at least 0": (TASK, "--minutes", -1),
    "it is no folder of a model": (TASK, "--base", "hf:nowhere"),
    "such as pass@4": (TASK, "--objective", "pass"),
    "raise --group": (TASK, "--objective", "pass@9"),
    "add --verifier": (TASK, "--objective", "best@2"),
    "8 draws a step cannot be divided into 3 updates": (TASK, "--updates", 3),
    "--steps must be at least 1": (TASK, "--steps", 0),
    "--rate must be at least 0": (TASK, "--rate", "nan"),
    "a folder that `mull train` wrote": (TASK, "--base", "gpt-9"),
    "cannot read": ("file:own.jsonl",),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    mull, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.jsonl").write_text(json.dumps({"id": "p", "prompt": "Ünknown?", "answer": "1"}) + "\n")
    done = mull("train", "grpo", *REFUSED[why], "--out", "run", *SMALL)
    assert done.returncode == 2
    assert why in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_that_would_not_fit_into_memory_is_refused(mull, tmp_path: Path) -> None:
    size = ("--groups", 1, "--group", 2, "--max-tokens", 10**6)
    done = mull("train", "grpo", TASK, "--out", tmp_path / "run", *size)
    assert done.returncode == 2
    assert "MiB are free: lower --max-tokens, train adapters (--lora 16)" in done.stderr
    assert not (tmp_path / "run").exists()
