"""The command line as a process of its own, with a bank of its own."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warm import Warm

Mull = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "MULL_BANK": str(tmp_path / "bank.db"), "COLUMNS": "160"}


@pytest.fixture
def mull(warm: Warm, environment: dict[str, str]) -> Mull:
    """Runs `mull` with these arguments and gives back what it printed."""

    def call(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return warm.mull(*arguments, env=environment, input=stdin)

    return call


@pytest.fixture
def mull_json(mull: Mull) -> Callable[..., Any]:
    """Runs `mull ... --json` and gives back the object."""

    def call(*arguments: object, stdin: str = "") -> Any:
        done = mull(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """20 problems with 30 recorded samples each, right more often than any one wrong way, and scored."""
    path = tmp_path / "recorded.jsonl"
    with path.open("w") as file:
        for i in range(20):
            samples = []
            for k in range(30):
                right = (k * 7 + i * 3) % 10 < 4
                answer = str(i if right else 100 + (k * 3 + i) % 9)
                sample = {"text": f"I say\nanswer: {answer}", "final_answer": answer, "correct": right}
                samples.append(sample | {"score": 0.9 if right else 0.1 + k / 100})
            file.write(json.dumps({"problem_id": f"p{i}", "prompt": f"q{i}", "answer": i, "samples": samples}) + "\n")
    return path
