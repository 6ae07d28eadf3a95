"""A sweep on a Ray cluster of this machine: two workers beside one, against a model with 50 ms latency.

512 problems of 16 draws each; the model gives a problem's draws one after the other, as a server with one slot for
each client does, so that a worker with its 64 problems under way is bound by latency. Workers start before the
clock does. Prints the ratio of the shortest of three runs each, taken in turns.

`python bench/bench_cluster.py replay [REVISION]` prints the processor time of a sweep with `--ray` whose draws are all
in the bank, Ray's processes included, beside an older revision and the same sweep without `--ray`.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_sandbox import accounted
from bench_speed import BEFORE, ROOT, used
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


@contextmanager
def revision(name: str, place: Path) -> Iterator[Path]:
    """The source of a revision, checked out at `place` while the context is open."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), name], check=True)
    try:
        yield place / "src"
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


def replay(before: Path) -> str:
    """Processor seconds of a replay with `--ray`, by the older source and by today's, and of one without."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["sweep", "chain:ops=2", "-s", "majority:n=8", "-p", "20", "--bank", f"{folder}/bank.db"]
        used(words, ROOT / "src", Path(folder))
        spent: dict[str, list[float]] = {"before": [], "now": [], "without --ray": []}
        for _ in range(N_REPEATS):
            for name, seconds in spent.items():
                started = accounted()
                is_on_ray = [] if name == "without --ray" else ["--ray", "local"]
                used([*words, *is_on_ray], before if name == "before" else ROOT / "src", Path(folder))
                if started is None or (ended := accounted()) is None:
                    return (
                        "not measured: processes that a command leaves to others are told by cgroup v1 alone, to root"
                    )
                seconds.append(ended - started)
    old, new, without = (statistics.median(seconds) for seconds in spent.values())
    return f"{old:.1f} s -> {new:.1f} s; without --ray {without:.1f} s"


def main() -> None:
    if sys.argv[1:2] == ["replay"]:
        name = sys.argv[2] if len(sys.argv) > 2 else BEFORE
        with tempfile.TemporaryDirectory() as made, revision(name, Path(made, "before")) as before:
            print(replay(before))
        return
    with tempfile.TemporaryDirectory() as folder, cluster.cluster(n_cpus=2):
        times = [(seconds(folder, 1, i), seconds(folder, 2, i)) for i in range(N_REPEATS)]
    one, two = map(min, zip(*times, strict=True))
    n = N_PROBLEMS * N_DRAWS
    print(f"{n:,} draws: one worker {one:.2f} s, two workers {two:.2f} s: {one / two:.2f} times (target {TARGET})")


if __name__ == "__main__":
    main()
