"""What the recipes on training share: stages that are skipped when they are done, and held-out measurements.

Every stage writes files and is skipped, or goes on, when they are there, so that a recipe that was interrupted is run
again with the same command.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mull import spec
from mull.report.words import percent, points
from mull.run import Run
from mull.stats.estimators import pass_at_ks
from mull.stats.intervals import SHARE, bootstrap, resampled_means
from mull.stats.paired import paired
from mull.train.curve import WINDOW, read_run
from mull.types import Params

ROOT = Path(__file__).parents[1]
N_AT_ONCE = 16
"""Problems under way at the same time."""
MAX_TOKENS = 400
CURVES = {"right": "right, %", "length": "tokens of a reply", "waits": "replies with Wait, %"}
"""What a run's figures over steps show."""

Row = dict[str, Any]


def mull(*arguments: object, threads: int, into: Path | None = None) -> None:
    """Runs `mull` in a process of its own; what it prints goes into a file if given. Ends the recipe if it fails."""
    words = [str(one) for one in arguments]
    print(f"$ {shlex.join(['mull', *words])}", flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-m", "mull", *words], env=environment, check=False, stdout=PIPE if into else None
    )
    if into is not None and not done.returncode:
        into.write_bytes(done.stdout)
    if done.returncode:
        raise SystemExit(f"mull ended with {done.returncode}: see above, then run this recipe again")


def read(path: Path) -> list[Row]:
    """The rows of a JSONL file; none if it is not there. A row that was being written is left out."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def counted(
    path: Path,
    model: str,
    tasks: Sequence[str],
    problems: int,
    draws: int,
    *,
    minutes: float,
    max_tokens: int = MAX_TOKENS,
) -> list[Row]:
    """Draws of the first problems of each task, a row a problem: how many are right, their tokens, and how many `Wait`.

    Problems that the file has are not drawn again; after `minutes` what was measured is returned.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {(row["task"], row["problem"]) for row in read(path)}
    ends_at = time.monotonic() + 60 * minutes
    for name in tasks:
        if time.monotonic() > ends_at:
            break
        missing = problems - sum(task == name for task, _ in known)
        if missing > 0:
            own = {id for task, id in known if task == name}
            asyncio.run(_count(path, model, name, problems, draws, own, ends_at, Params(1.0, max_tokens)))
    return read(path)


async def _count(
    path: Path, model: str, name: str, problems: int, draws: int, known: set[str], ends_at: float, params: Params
) -> None:
    task = spec.build("task", spec.TASKS, name)
    drawn_from: Any = spec.build("model", spec.MODELS, model)
    gate = asyncio.Semaphore(N_AT_ONCE)
    with path.open("a") as file:

        async def one(problem: Any) -> None:
            async with gate:
                if time.monotonic() > ends_at:
                    return
                run = Run(drawn_from, params=params, seed=0)
                samples = await run.draw(problem.prompt, draws)
                grades = [await task.grade(problem.id, sample) for sample in samples]
                row = {
                    "task": name,
                    "problem": problem.id,
                    "n": draws,
                    "right": sum(grade.correct is True for grade in grades),
                    "tokens": sum(sample.cost.output_tokens or 0 for sample in samples) / draws,
                    "waits": sum("Wait" in sample.text for sample in samples) / draws,
                }
                file.write(json.dumps(row) + "\n")
                file.flush()

        asked = [one for one in itertools.islice(task.problems(), problems) if one.id not in known]
        await asyncio.gather(*map(one, asked))
    print(f"{model} on {name}: {len(asked)} problems", flush=True)


class Column(NamedTuple):
    """Counts of a model on the problems of a task, in the order of their ids."""

    problems: list[str]
    n: NDArray[np.int64]
    right: NDArray[np.int64]

    @property
    def accuracy(self) -> list[float]:
        return self.chance(1)

    def chance(self, k: int) -> list[float]:
        """pass@k of each problem."""
        return [float(x) for x in pass_at_ks(self.n, self.right, [k])[:, 0]]


def column(rows: Sequence[Row], task: str, problems: Sequence[str] | None = None) -> Column:
    own = {row["problem"]: row for row in rows if row["task"] == task}
    ids = sorted(own) if problems is None else list(problems)
    kept = [own[id] for id in ids]
    return Column(ids, *(np.array([row[name] for row in kept], dtype=np.int64) for name in ("n", "right")))


def both(before: Sequence[Row], after: Sequence[Row], task: str) -> tuple[Column, Column]:
    """Two models on the problems of a task that both have."""
    known = [{row["problem"] for row in rows if row["task"] == task} for rows in (before, after)]
    ids = sorted(known[0] & known[1])
    return column(before, task, ids), column(after, task, ids)


def share(values: Sequence[float] | NDArray[np.float64]) -> str:
    """A mean in per cent with its interval over problems."""
    return percent(float(np.mean(values)), bootstrap(values, bounds=SHARE)) if len(values) else "not measured"


def gain(after: Sequence[float] | NDArray[np.float64], before: Sequence[float] | NDArray[np.float64]) -> str:
    """A paired difference in points with its interval."""
    pair = paired("", "", list(after), list(before))
    return "not measured" if pair is None else points(pair.difference, pair.ci95)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows]]


def by_level(before: Sequence[Row], after: Mapping[str, Sequence[Row]], tasks: Sequence[str], k: int = 1) -> list[str]:
    """pass@k of a base and of models trained from it, level by level, with paired differences."""
    head = ["level", "base % [95 %]", *(f"{name} % [95 %] | over the base" for name in after)]
    rows = []
    for task in tasks:
        cells = [f"`{task}`", share(column(before, task).chance(k))]
        for own in after.values():
            old, new = both(before, own, task)
            cells.append(f"{share(new.chance(k))} | {gain(new.chance(k), old.chance(k))}")
        rows.append(cells)
    lines = table(head, rows)
    lines[1] = "|---" * (2 + 2 * len(after)) + "|"
    return lines


def over_steps(axes: Sequence[Axes], runs: Mapping[str, tuple[Path, str]]) -> None:
    """Draws the curves of runs, each a folder and a colour, over steps: means of `WINDOW` steps, one axes a curve."""
    for each, (name, unit) in zip(axes, CURVES.items(), strict=True):
        for label, (folder, colour) in runs.items():
            values = [row[name] * (1 if name == "length" else 100) for row in read_run(folder).rows]
            width = min(WINDOW, len(values))
            means = np.convolve(values, np.ones(width) / width, "valid")
            each.plot(np.arange(len(means)) + width, means, color=colour, label=label)
        each.set_xlabel("step")
        each.set_ylabel(unit)
        each.grid(alpha=0.25)
    axes[0].legend(fontsize=8)


class Crossing(NamedTuple):
    """Where pass@k of the trained model falls below that of its base: `None` if it does not up to the last k."""

    k: float | None
    low: float | None
    high: float | None
    share: float
    """The share of resamples of the problems in which it falls below."""


def crossing(base: Column, trained: Column, ks: Sequence[int]) -> Crossing:
    """The crossing of two curves of pass@k, on the logarithm of k between two ks, with a percentile interval."""
    both = np.hstack([pass_at_ks(one.n, one.right, ks) for one in (base, trained)])
    mean, means = both.mean(axis=0), resampled_means(both)
    found = [_cross(row, ks) for row in means]
    known = [one for one in found if one is not None]
    is_known = len(known) >= 0.95 * len(found)
    low, high = np.quantile(known, [0.025, 0.975]).tolist() if is_known else (None, None)
    return Crossing(_cross(mean, ks), low, high, len(known) / len(found))


def _cross(row: NDArray[np.float64], ks: Sequence[int]) -> float | None:
    above = row[len(ks) :] - row[: len(ks)]
    for i in range(1, len(ks)):
        if above[i - 1] >= 0 > above[i]:
            at = above[i - 1] / (above[i - 1] - above[i])
            return float(np.exp(np.log(ks[i - 1]) + at * np.log(ks[i] / ks[i - 1])))
    return None


def told(one: Crossing, last: int) -> str:
    """A crossing in words."""
    if one.k is None:
        return f"none up to {last} ({one.share:.0%} of resamples cross)"
    ends = f"[{one.low:.1f}, {one.high:.1f}]" if one.low is not None else f"{one.share:.0%} of resamples cross"
    return f"k = {one.k:.1f} {ends}"
