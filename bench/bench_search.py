"""Overhead of tree search itself: mull's searches and treequest's, a thousand nodes on a model that costs nothing.

Both sides in one run, one after the other on the same machine. On our side a node is a real draw through `Run`: keyed,
seeded, held under the ceilings, counted, scored and settled; on theirs it is one call of a function that gives a
state and a score. Replies are 40 steps long and scores depend on the text, so that trees grow both wide and deep.

treequest is called as its documentation shows (`step`, which copies its whole state each time) and in place, which its
signature allows too. It runs in an environment of its own: `TREEQUEST_PYTHON` names its interpreter; otherwise one is
made with venv and pip in a temporary folder.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mull import Params, Run, Strategy
from mull.strategies.mcts import AbMcts, Mcts
from mull.testing import LineModel, StubVerifier, solve

SIZES = (250, 500, 1000)
REPEATS = 3
TARGET = 0.5
"""Seconds for 1,000 nodes."""

THEIRS = """
import json, random, sys, time
import treequest as tq

SIZES, SLOWEST = json.loads(sys.argv[1]), float(sys.argv[2])
MAKERS = {"mcts": lambda: tq.StandardMCTS(samples_per_action=4), "ab-mcts": lambda: tq.ABMCTSA(dist_type="beta")}

def generate(state):
    text = (state or "") + "."
    return text, random.Random(f"{text}/{random.random()}").random()

found = {}
for name, make in MAKERS.items():
    for inplace in (False, True):
        times = {}
        for n in SIZES:
            random.seed(0)
            algorithm = make()
            state = algorithm.init_tree()
            start = time.perf_counter()
            for _ in range(n):
                state = algorithm.step(state, {"a": generate}, inplace=inplace)
            times[n] = time.perf_counter() - start
            if times[n] > SLOWEST:
                break
        found[f"{name}, {'in place' if inplace else 'as documented'}"] = times
print(json.dumps(found))
"""


def seconds(make: Callable[[int], Strategy], n: int) -> float:
    """The best of some runs of a search of `n` nodes."""
    times = []
    for _ in range(REPEATS):
        model = LineModel(line=lambda i, prefix, draw: f"{draw.seed % 1000}", length=40)
        verifier = StubVerifier(lambda reply: random.Random(reply).random())
        run = Run(model, verifier=verifier, params=Params(max_tokens=10_000))
        start = time.perf_counter()
        solve(make(n), run)
        times.append(time.perf_counter() - start)
        assert n <= len(model.seen) <= n + 1  # the best branch is drawn to its end where none has come there
    return min(times)


def theirs(python: str, slowest: float) -> dict[str, dict[str, float]]:
    done = subprocess.run(
        [python, "-c", THEIRS, json.dumps(SIZES), str(slowest)], capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def environment(folder: Path) -> str:
    """The interpreter of an environment with treequest in it."""
    if "TREEQUEST_PYTHON" in os.environ:
        return os.environ["TREEQUEST_PYTHON"]
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "treequest"], check=True)
    return python


def row(name: str, times: dict[int, float]) -> str:
    cells = "  ".join(f"{times[n]:8.3f}" if n in times else "       -" for n in SIZES)
    last = max(times)
    growth = times[last] / times[last // 2] if last // 2 in times else float("nan")
    return f"{name:28} {cells}   twice the nodes: {growth:.1f} times"


def main() -> None:
    ours = {
        "mcts": {n: seconds(lambda n: Mcts(n=n, value="score"), n) for n in SIZES},
        "ab-mcts": {n: seconds(lambda n: AbMcts(n=n, value="score"), n) for n in SIZES},
    }
    with tempfile.TemporaryDirectory() as folder:
        other = {
            name: {int(n): t for n, t in times.items()}
            for name, times in theirs(environment(Path(folder)), slowest=40).items()
        }
    print(f"{'seconds for so many nodes':28} " + "  ".join(f"{n:8}" for n in SIZES))
    for name, times in ours.items():
        print(row(f"mull {name}", times))
    for name, times in other.items():
        print(row(f"treequest {name}", times))
    for name, times in ours.items():
        for version, their_times in other.items():
            if version.startswith(f"{name},") and 1000 in their_times:
                print(
                    f"{name}: treequest {version.partition(', ')[2]} takes {their_times[1000] / times[1000]:.0f} times"
                )
    verdict = "met" if ours["mcts"][1000] < TARGET else "MISSED"
    print(f"mull mcts, 1,000 nodes: {ours['mcts'][1000]:.3f} s, target {TARGET} s: {verdict}")


if __name__ == "__main__":
    main()
