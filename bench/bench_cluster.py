"""A sweep on a Ray cluster of this machine: two workers beside one, against a model with 50 ms latency.

512 problems of 16 draws each; the model gives a problem's draws one after the other, as a server with one slot for
each client does, so that a worker with its 64 problems under way is bound by latency. Workers start before the
clock does. Prints the ratio of the shortest of three runs each, taken in turns.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from mull import spec
from mull.bank import open_bank
from mull.lab import cluster, grid
from mull.testing import FakeModel

N_PROBLEMS = 512
N_DRAWS = 16
LATENCY = 0.05
N_REPEATS = 3
TARGET = 1.8


def seconds(folder: str, n_workers: int, repeat: int) -> float:
    """How long the sweep takes from when the workers are there."""
    strategies = {"majority": spec.strategy(f"majority:n={N_DRAWS}")}
    plan = grid.Plan(spec.build("task", spec.TASKS, "chain:ops=3"), FakeModel(delay=LATENCY), strategies)
    began = 0.0

    def begin(_: list[int]) -> None:
        nonlocal began
        began = time.perf_counter()

    with open_bank(str(Path(folder) / f"{n_workers}-{repeat}.db")) as bank:
        cells = asyncio.run(cluster.run_plan(plan, bank, n_problems=N_PROBLEMS, n_workers=n_workers, seated=begin))
        took = time.perf_counter() - began
    assert sum(cell.fresh.calls or 0 for cell in cells["majority"]) == N_PROBLEMS * N_DRAWS
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, cluster.cluster(n_cpus=2):
        times = [(seconds(folder, 1, i), seconds(folder, 2, i)) for i in range(N_REPEATS)]
    one, two = map(min, zip(*times, strict=True))
    n = N_PROBLEMS * N_DRAWS
    print(f"{n:,} draws: one worker {one:.2f} s, two workers {two:.2f} s: {one / two:.2f} times (target {TARGET})")


if __name__ == "__main__":
    main()
