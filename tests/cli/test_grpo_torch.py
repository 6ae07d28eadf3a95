"""`mull train grpo` from its cost to a model that solves. Needs torch: the plain run skips it."""

import json
from pathlib import Path

import pytest

pytest.importorskip("trl")


def test_a_run_leaves_a_model_and_resumes(mull, mull_json, tmp_path: Path) -> None:
    out = tmp_path / "run"
    asked = ("train", "grpo", "chain:ops=2,split=train", "--out", out, "--groups", 2, "--group", 4, "--max-tokens", 80)
    done = mull(*asked, "--steps", 2, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "expected: 16 draws" in done.stderr
    assert "   2/2  reward" in done.stderr
    assert f"-m trained:{out}" in done.stdout
    told = mull_json(*asked, "--steps", 3, "--threads", 1)
    assert told["steps"] == 3
    rows = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert "<figcaption>Length</figcaption>" in (out / "report.html").read_text()
    other = mull(*asked, "--steps", 3, "--threads", 1, "--rate", 0.5)
    assert other.returncode == 2
    assert "a run with rate 0.0003, not 0.5" in other.stderr
    solved = mull("solve", "a:7;b:a*6;b?", "-m", f"trained:{out}", "--bank", "none")
    assert solved.returncode == 0, solved.stderr
