"""`mull demo real` replays the draws that come with mull, and writes them for the other commands."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Mull = Callable[..., subprocess.CompletedProcess[str]]


def test_the_demo_says_what_was_drawn_and_what_it_would_buy(mull: Mull, tmp_path: Path) -> None:
    done = mull("demo", "real", "--out", tmp_path / "draws.jsonl")
    assert done.returncode == 0, done.stderr
    assert "Qwen2.5-Coder-0.5B-Instruct" in done.stdout
    assert "2026-11-30" in done.stdout
    for name in ("single", "best:n=16", "until-pass:n=16,wave=1", "coverage of 16 (oracle)"):
        assert f" {name} " in done.stdout
    assert "nothing is drawn, run or paid for" in done.stdout
    found = json.loads(mull("curves", tmp_path / "draws.jsonl", "--json").stdout)
    assert found["coverage"][-1]["k"] == 16


def test_its_figures_are_those_of_the_curves(mull_json: Callable[..., Any], tmp_path: Path) -> None:
    told = mull_json("demo", "--out", tmp_path / "draws.jsonl")
    rows = {row["strategy"]: row for row in told["rows"]}
    tested = [
        line
        for line in (tmp_path / "draws.jsonl").read_text().splitlines()
        if "samples" in (row := json.loads(line)) and row["samples"][0]["score"] is not None
    ]
    assert len(tested) == told["tested"]
    (tmp_path / "tested.jsonl").write_text("\n".join(tested) + "\n")
    curves = mull_json("curves", tmp_path / "tested.jsonl")
    assert rows["coverage of 16"]["solved"] == pytest.approx(curves["coverage"][-1]["value"])
    assert rows["best:n=16"]["solved"] == pytest.approx(curves["best"][-1]["value"])
    assert rows["single"]["solved"] <= rows["until-pass:n=4,wave=1"]["solved"] <= rows["coverage of 4"]["solved"]
    assert rows["until-pass:n=16,wave=1"]["tokens"] < rows["best:n=16"]["tokens"]


def test_votes_are_those_of_the_curves(mull_json: Callable[..., Any], tmp_path: Path) -> None:
    told = mull_json("demo", "gsm8k", "--out", tmp_path / "draws.jsonl")
    rows = {row["strategy"]: row for row in told["rows"]}
    curves = mull_json("curves", tmp_path / "draws.jsonl", "--k", "1,8")
    for name, curve, place in (
        ("single", "majority", 0),
        ("majority:n=8", "majority", 1),
        ("coverage of 8", "coverage", 1),
    ):
        assert rows[name]["solved"] == pytest.approx(curves[curve][place]["value"])
    assert rows["majority:n=8"]["tokens"] == pytest.approx(8 * rows["single"]["tokens"])
    assert told["tests"] is None


def test_an_unknown_demo_and_a_file_that_cannot_be_written(mull: Mull, tmp_path: Path) -> None:
    unknown = mull("demo", "reel")
    assert (unknown.returncode, unknown.stderr.strip()) == (2, "mull: unknown demo 'reel': did you mean 'real'?")
    away = mull("demo", "real", "--out", tmp_path / "none" / "draws.jsonl")
    assert away.returncode == 2
    assert "there is no folder" in away.stderr
