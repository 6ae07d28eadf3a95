"""How often calibrated thresholds of `sure-vote` exceed the error that they state, on recorded draws of real models.

The population is every problem of every model with random orders of its draws. Each of 2,000 calibration sets is a
random sample of it; the thresholds found on a set are tried on the whole population. The stated error may be exceeded
on a share delta of the sets. Draws are compared with `adaptive:rule=guarantee` and with the full vote of 40. Needs the
recorded data (see tests/test_data.py).

    python bench/bench_risk.py [SETS]
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.allocate.risk import HOPELESS, SURE, LabelledDraws, Thresholds, certainty, last_rejected
from mull.errors import UsageError
from mull.files.recording import Recording
from mull.lab.sources import read_draws
from mull.strategies.adaptive import Adaptive

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
CHOICE = DATA / "jhu_temperature_mcq" / "pooled_5models_100x100.jsonl.gz"
N, WAVE, LOOK, ORDERS = 40, 4, 8, 20
ROWS = (
    (0.1, 0, 0.1, 200),
    (0.1, 0, 0.05, 500),
    (0.2, 0, 0.1, 200),
    (0.2, 0.05, 0.1, 400),
    (0.2, 0, 0.1, 400),
    (0.2, 0.1, 0.1, 400),
)
"""Error, lost, delta and the number of labelled problems."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Population(NamedTuple):
    """By trace: the certainty at every look, whether the leader there is right, and the traces themselves."""

    certainty: Floats
    right: Bools
    traces: list[LabelledDraws]


class Ends(NamedTuple):
    """By trace: after how many draws the vote ends, whether it answers wrongly, and whether it answers."""

    draws: NDArray[np.int64]
    wrong: Bools
    answers: Bools


def population(pools: list[Recording], rng: np.random.Generator) -> Population:
    traces = []
    for pool in pools:
        right = {a: ok for a, ok in zip(pool.answers, pool.correct, strict=True) if a is not None}
        for _ in range(ORDERS):
            order = rng.permutation(len(pool.answers))[:N]
            traces.append(LabelledDraws([pool.answers[i] for i in order], right))
    looks = range(WAVE, N + 1, WAVE)
    return Population(
        np.array([[certainty(trace.answers[:m]) for m in looks] for trace in traces]),
        np.array([[trace.is_right(m) for m in looks] for trace in traces]),
        traces,
    )


def ends(found: Population, sure: float, hopeless: float) -> Ends:
    """`Thresholds.after` for all traces at once."""
    looks = np.arange(WAVE, N + 1, WAVE)
    is_sure = found.certainty >= sure
    cannot = (found.certainty * (looks + 2) + N - looks) / (N + 2) < sure
    gives_up = (found.certainty <= hopeless) & (looks >= LOOK)
    over = is_sure | cannot | gives_up | (looks == N)
    at, rows = over.argmax(1), np.arange(len(over))
    answers = is_sure[rows, at]
    return Ends(looks[at], answers & ~found.right[rows, at], answers)


def main(n_sets: int) -> None:
    rng = np.random.default_rng(21)
    pools = [pool for model in read_draws(CHOICE).values() for pool in model]
    found = population(pools, rng)
    some = range(0, len(found.traces), 97)
    tried = ends(found, 0.7, 0.3)
    for i in some:
        assert Thresholds(0.7, 0.3, N, WAVE, LOOK).after(found.traces[i].certainties) == (
            tried.draws[i],
            tried.answers[i],
        )
    full = found.right[:, -1]
    strict = Adaptive(N, "guarantee")
    guarantee = np.mean([_draws(strict, found.traces[i].answers) for i in some])
    print(f"{len(pools)} problems of 5 models, {len(found.traces)} traces; full vote {100 * full.mean():.1f} % right,")
    print(f"adaptive:rule=guarantee takes {guarantee:.1f} of {N} draws (on {len(some)} traces)")
    print("error  lost delta labels   exceeded  lost exceeded  draws  answered  right of answered  no threshold")
    hopeless_lost = np.array([_lost(found, at, full) for at in HOPELESS])
    for error, lost, delta, n in ROWS:
        seen: dict[float, Floats] = {}
        rows = []
        for _ in range(n_sets):
            labelled = rng.integers(len(found.traces), size=n)
            half, hopeless = (n // 2 if lost else 0), 0.0
            if half:
                first = hopeless_lost[:, labelled[:half]].sum(1)
                counts = dict(zip(HOPELESS, first.tolist(), strict=True))
                hopeless = last_rejected(HOPELESS, lambda at, c=counts, h=half: (c[at], h), lost, delta) or 0.0  # type: ignore[misc]
            if hopeless not in seen:
                seen[hopeless] = np.array([ends(found, sure, hopeless).wrong for sure in SURE])
            wrong = dict(zip(SURE, seen[hopeless][:, labelled[half:]].sum(1).tolist(), strict=True))
            sure = last_rejected(SURE, lambda at, w=wrong, h=n - half: (w[at], h), error, delta)  # type: ignore[misc]
            rows.append((sure, hopeless))
        told = [row for row in rows if row[0] is not None]
        if not told:
            raise UsageError("no calibration set gave a threshold")
        each = {row: ends(found, row[0] or math.inf, row[1]) for row in set(told)}
        exceeded = np.mean([each[row].wrong.mean() > error for row in told])
        over_lost = np.mean([hopeless_lost[HOPELESS.index(h)].mean() > lost if h else False for _, h in told])
        draws = np.mean([each[row].draws.mean() for row in told])
        answered = np.mean([each[row].answers.mean() for row in told])
        good = np.mean([1 - each[row].wrong.sum() / max(1, each[row].answers.sum()) for row in told])
        print(
            f"{error:5} {lost:5} {delta:5} {n:6} {100 * exceeded:9.1f} % {100 * over_lost:12.1f} % {draws:6.1f} "
            f"{100 * answered:7.1f} % {100 * good:16.1f} % {n_sets - len(told):13}"
        )


def _draws(strategy: Adaptive, answers: Sequence[str | None]) -> int:
    """How many of a trace's draws the strategy takes."""
    return next((m for m in range(1, N) if strategy.is_enough(answers[:m])), N)


def _lost(found: Population, at: float, full: Bools) -> Bools:
    """Which traces a threshold of `hopeless` may give up though the full vote is right."""
    looks = np.arange(WAVE, N, WAVE)
    given_up: Bools = ((found.certainty[:, :-1] <= at) & (looks >= LOOK)).any(1) & full
    return given_up


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
