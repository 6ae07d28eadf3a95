"""The folder of a training run: its options, its curve as JSONL, and what the curve says of how the run goes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError, UsageError, cannot_read
from mull.files.lines import read_jsonl
from mull.files.opening import CutOffError
from mull.files.output import check_folder, write_lines, write_text

Row = Mapping[str, Any]

WINDOW = 10
"""Steps over which the mean reward is compared."""
N_EQUAL = 20
"""A run stops after this many groups in a row, and a whole step, in which all rewards were equal."""
FALLEN = 0.5
"""A run has diverged if the mean reward of the last `WINDOW` steps is below this share of the best such mean."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the folder of a run tells: its options and its rows so far."""

    folder: Path
    options: Mapping[str, Any]
    rows: Sequence[Row]

    @property
    def trouble(self) -> str:
        """Why the run stopped early; empty: it did not."""
        return trouble(self.rows)


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a training run."""
    return (path / "run.json").is_file() and (path / "curve.jsonl").is_file()


def read_run(folder: Path) -> RunRecord:
    """Reads the folder of a run, also while it goes on. Raises `FileFormatError`."""
    return RunRecord(folder.resolve(), _options(folder / "run.json"), _rows(folder / "curve.jsonl"))


class RunFolder:
    """A run's folder with `run.json`, its options, and `curve.jsonl`, a row per step; runs resume from it.

    Raises `UsageError` if the folder holds a run with other options, with the first that differs.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        check_folder(folder)
        self.folder = folder
        self.curve = folder / "curve.jsonl"
        self._check(json.loads(json.dumps(options)))
        self.rows: list[dict[str, Any]] = _rows(self.curve) if self.curve.exists() else []

    def _check(self, options: Mapping[str, Any]) -> None:
        path = self.folder / "run.json"
        if not path.exists():
            write_text(path, json.dumps(options, indent=1) + "\n")
            return
        before = _options(path)
        for name in {**before, **options}:
            if before.get(name) != options.get(name):
                raise UsageError(
                    f"{self.folder} holds a run with {name} {before.get(name)!r}, not {options.get(name)!r}: resume it "
                    "with its own options, or name another folder with --out"
                )

    def cut(self, step: int) -> None:
        """Drops the rows after a step, those that a resumed run makes again. Raises `FileFormatError` if some lack."""
        if len(self.rows) < step:
            raise FileFormatError(
                self.curve,
                None,
                f"has {len(self.rows)} rows, and the checkpoint is of step {step}: start in a new folder",
            )
        self.rows = self.rows[:step]
        write_lines(self.curve, self.rows)

    def add(self, row: dict[str, Any]) -> None:
        """Appends the row of the next step."""
        self.rows.append(row)
        with self.curve.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _options(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error
    if not isinstance(found, dict):
        raise FileFormatError(path, None, "not the options of a run")
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows that were written whole: the process may have been killed while it wrote the last one."""
    rows: list[dict[str, Any]] = []
    if b"\n" not in path.read_bytes():
        return rows
    try:
        for number, row in read_jsonl(path):
            if row.get("step") != len(rows) + 1:
                raise FileFormatError(path, number, f"the row of step {len(rows) + 1} was expected")
            rows.append(row)
    except CutOffError:
        return rows
    return rows


def trouble(rows: Sequence[Row]) -> str:
    """Why a run must stop after these rows, and what to do; empty: it goes on."""
    if not rows:
        return ""
    last = rows[-1]
    for name in ("loss", "grad_norm"):
        if last.get(name) is not None and not math.isfinite(last[name]):
            return f"{name.replace('_', ' of ')} is {last[name]}: begin again with a lower --rate"
    n_equal = 0
    for row in reversed(rows):
        if row["taught"]:
            break
        n_equal += row["groups"]
    if n_equal >= N_EQUAL:
        reward = last["reward"]
        how = "harder problems" if reward > 0.5 else "easier problems, a reward for the format (--format 0.1)"
        return (
            f"all rewards were equal in the last {n_equal} groups (mean {reward:.2f}), so that they teach nothing: "
            f"train on {how}, or draw larger groups (--group)"
        )
    means = window_means(rows)
    if len(means) > 1 and max(means) >= 0.1 and means[-1] < FALLEN * max(means):
        return (
            f"the mean reward of {WINDOW} steps fell from {max(means):.3f} to {means[-1]:.3f}: begin again "
            "with a lower --rate, or hold the model near its base with --kl 0.01"
        )
    return ""


def window_means(rows: Sequence[Row]) -> list[float]:
    """The mean reward of each `WINDOW` steps in a row, oldest first."""
    rewards = [row["reward"] for row in rows]
    return [math.fsum(rewards[i - WINDOW : i]) / WINDOW for i in range(WINDOW, len(rewards) + 1)]


def is_best(rows: Sequence[Row]) -> bool:
    """Whether the last `WINDOW` steps have the best mean reward so far; of fewer steps, every one counts as best."""
    means = window_means(rows)
    return not means or means[-1] == max(means)
