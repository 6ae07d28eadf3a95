"""The folder of a training run: what a resumed run keeps, and when a run must stop."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mull.errors import FileFormatError, UsageError
from mull.train.curve import WINDOW, RunFolder, is_best, trouble


def row(step: int, reward: float = 0.5, **other: Any) -> dict[str, Any]:
    return {"step": step, "reward": reward, "groups": 4, "taught": 3, "loss": 0.0, "grad_norm": 0.1, **other}


def rows(*rewards: float, **other: Any) -> list[dict[str, Any]]:
    return [row(i + 1, reward, **other) for i, reward in enumerate(rewards)]


def test_a_resumed_run_keeps_the_rows_up_to_its_checkpoint(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", {"rate": 0.1, "tasks": ("a", "b")})
    for one in rows(0.1, 0.2, 0.3):
        run.add(one)
    again = RunFolder(tmp_path / "run", {"tasks": ("a", "b"), "rate": 0.1})
    assert again.rows == run.rows
    again.cut(2)
    again.add(row(3, 0.9))
    told = [json.loads(line) for line in run.curve.read_text().splitlines()]
    assert [one["reward"] for one in told] == [0.1, 0.2, 0.9]
    with pytest.raises(FileFormatError, match="has 3 rows, and the checkpoint is of step 5"):
        again.cut(5)


def test_a_row_that_was_being_written_is_dropped(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, {})
    run.add(row(1))
    with run.curve.open("a") as file:
        file.write('{"step": 2, "rew')
    again = RunFolder(tmp_path, {})
    assert again.rows == [row(1)]
    again.cut(1)
    assert run.curve.read_text() == json.dumps(row(1)) + "\n"


def test_other_options_and_foreign_files_are_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path, {"rate": 0.1})
    with pytest.raises(UsageError, match=r"a run with rate 0\.1, not 0\.2: resume it with its own options.*--out"):
        RunFolder(tmp_path, {"rate": 0.2})
    with pytest.raises(UsageError, match="a run with kl None, not 0"):
        RunFolder(tmp_path, {"rate": 0.1, "kl": 0})
    (tmp_path / "curve.jsonl").write_text('{"step": 7}\n')
    with pytest.raises(FileFormatError, match="line 1: the row of step 1 was expected"):
        RunFolder(tmp_path, {"rate": 0.1})
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(FileFormatError, match="not the options of a run"):
        RunFolder(tmp_path, {"rate": 0.1})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(FileFormatError, match=r"run\.json"):
        RunFolder(tmp_path, {"rate": 0.1})


def test_a_run_stops_where_nothing_is_taught() -> None:
    """20 groups in a row and a whole step: 5 steps of 4 groups."""
    equal = rows(*[0.0] * 6, taught=0)
    assert not trouble(equal[:4])
    assert "last 20 groups" in trouble(equal[:5])
    assert "easier problems" in trouble(equal[:5])
    assert "harder problems" in trouble(rows(*[1.0] * 5, taught=0))
    assert not trouble([*equal[:5], row(6)])


def test_a_run_stops_where_it_diverges() -> None:
    for name in ("loss", "grad_norm"):
        for value in (float("nan"), float("inf")):
            assert "lower --rate" in trouble([*rows(0.5, 0.5), row(3, **{name: value})])
    good, bad = [0.6] * WINDOW, [0.1] * WINDOW
    assert "fell from 0.600 to 0.100" in trouble(rows(*good, *bad))
    assert not trouble(rows(*good, *bad[:3])), "a few bad steps are no trend"
    assert not trouble(rows(*bad, *good))
    assert not trouble(rows(*[0.02] * WINDOW, *[0.0] * WINDOW)), "noise of rare successes"
    assert not trouble([])


def test_a_run_without_a_trend_is_left_alone() -> None:
    """Rewards of 64 draws at a level of .3: 200 such runs of 100 steps, none stopped."""
    rng = random.Random(8)
    for _ in range(200):
        rewards = [sum(rng.random() < 0.3 for _ in range(64)) / 64 for _ in range(100)]
        assert not any(trouble(rows(*rewards[:n])) for n in (50, 75, 100))


def test_the_best_steps_are_those_with_the_best_mean() -> None:
    assert is_best(rows(0.5, 0.1)), "too few to tell"
    assert is_best(rows(*[0.1] * WINDOW, *[0.2] * WINDOW))
    assert not is_best(rows(*[0.2] * WINDOW, *[0.1] * WINDOW))
