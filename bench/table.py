"""What people wait for, as one table: the goal, and what is measured now beside an older revision or a peer.

python bench/table.py [--before REVISION] [--full] [ROW ...]

Each row runs for a minute or less; `--full` takes the sizes that the goals are about, some of which take the older
revision minutes. Times are of the processor, user and system together. A row whose peer is not installed says so:
SABER_PYTHON names a Python with saber-risk 0.2.0, for instance.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bench_client
import bench_cluster
from bench_memory import recording
from bench_speed import BEFORE, ROOT, draws, used

SABER = """
import resource, sys
import numpy as np
from saber import SABER
rows = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, dtype=int)
for method in ("log_linear_curve", "anchored"):
    start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    SABER(method=method).fit(rows[:, 2], rows[:, 1]).predict(10_000)
    print(start, resource.getrusage(resource.RUSAGE_SELF).ru_utime - start)
"""


@dataclass(frozen=True)
class Bench:
    """The two sources of mull, and a folder for files."""

    before: Path
    folder: Path
    is_full: bool
    now: Path = ROOT / "src"

    def ratio(self, words: Sequence[str], turns: int = 3) -> str:
        """Processor time of a command on both sides, in turns; the first turn, which compiles, does not count."""
        times: dict[Path, list[float]] = {self.before: [], self.now: []}
        for turn in range(turns + 1):
            for source, found in times.items():
                if turn or turns > 1:
                    spent, _ = used(words, source, self.folder)
                    found += [spent] if turn else []
        old, new = (statistics.median(found) for found in times.values())
        return f"{old:.2f} s -> {new:.2f} s: {new / old:.2f}"

    def script(self, name: str, *words: str, last: int = 1) -> str:
        """The last lines of another benchmark's output, or why it has none."""
        path = ROOT / "bench" / name
        environment = {**os.environ, "PYTHONPATH": str(self.now)}
        done = subprocess.run([sys.executable, str(path), *words], capture_output=True, text=True, env=environment)
        said = done.stdout if done.returncode == 0 else done.stderr
        return "; ".join(said.strip().splitlines()[-last:]) or f"ended with {done.returncode}"


def fit(bench: Bench) -> str:
    rng = np.random.default_rng(0)
    path = bench.folder / "counts.csv"
    counts = rng.binomial(100, rng.beta(0.3, 3.0, 128))
    path.write_text("problem,n_samples,n_correct\n" + "".join(f"{i},100,{n}\n" for i, n in enumerate(counts)))
    told = bench.ratio(("fit", str(path), "--predict", "10000"))
    python = os.environ.get("SABER_PYTHON")
    if python is None:
        return f"{told}; saber-risk is not installed (SABER_PYTHON)"
    said = subprocess.run([python, "-c", SABER, str(path)], capture_output=True, text=True, check=True).stdout
    (start, curve), (_, anchored) = (map(float, line.split()) for line in said.splitlines())
    return f"{told}; saber-risk {start:.2f} s to start, {curve:.3f} s its curve, {anchored:.3f} s anchored, no band"


def curves(bench: Bench) -> str:
    n = 1000 if bench.is_full else 300
    return f"{n} x {n}: " + bench.ratio(("curves", str(draws(bench.folder / "many.jsonl", n, n)), "--json"), 1)


def report(bench: Bench) -> str:
    n = 2000 if bench.is_full else 300
    words = ("report", str(draws(bench.folder / "wide.jsonl", n, 100)), "--out", "page.html")
    told = bench.ratio(words, 1)
    return f"{n} x 100: {told}; {(bench.folder / 'page.html').stat().st_size / 1e6:.1f} MB"


def advise(bench: Bench) -> str:
    return bench.ratio(("advise", str(draws(bench.folder / "pilot.jsonl", 50, 8)), "--json"))


def memory(bench: Bench) -> str:
    n = 10_000 if bench.is_full else 1_000
    task, made = recording(bench.folder, n, 100)
    out = str(bench.folder / "sweep.jsonl")
    words = {
        "sweep": (f"file:{task}", "--bank", "none", "-m", f"recorded:{made}", "-s", "majority:n=100", "--out", out),
        "curves": (out, "--json"),
        "report": (out, "--out", "page.html"),
    }
    peaks = [f"{name} {used((name, *given), bench.now, bench.folder)[1]:.0f} MB" for name, given in words.items()]
    return f"{n * 100:,} draws: {', '.join(peaks)}"


def client(bench: Bench) -> str:
    sweeps = bench_client.Sweeps(bench.folder)
    for source in (bench.before, bench.now):
        sweeps.seconds(source, 1, 1, "single")  # compiles
    told = []
    for at_once in (256, 1024):
        old, new = (bench_client.a_draw(sweeps, source, at_once, 100) for source in (bench.before, bench.now))
        told.append(f"{at_once} at once {old:.2f} -> {new:.2f} ms a draw: {new / old:.2f}")
    return "; ".join(told)


def soon(bench: Bench) -> str:
    sweeps = bench_client.Sweeps(bench.folder)
    told = []
    for strategy, n in (("majority:n=50", 64), ("single", 3200)):
        after, rate, _ = bench_client.best_after(sweeps.seconds(bench.now, 1024, n, strategy)[1])
        told.append(f"{strategy}: {rate:.0f} draws a second after {after:.1f} s")
    return "; ".join(told)


def starts(bench: Bench) -> str:
    wanted = {"--help": ("--help",), "list": ("list", "strategies")}
    told = [f"{name} {bench.ratio(words)}" for name, words in wanted.items()]
    return "; ".join(told) + "; more by bench_start.py"


def bare(bench: Bench) -> str:
    return bench.script("bench_openai.py")


def law(bench: Bench) -> str:
    return bench.script("bench_laws.py", "pythia:20" if bench.is_full else "pythia:2", last=10)


def sandbox(bench: Bench) -> str:
    said = bench.script("bench_sandbox.py", last=10)
    found = re.findall(r"programs with .*?; .*? make .*? a second|programs with [^;]*", said)
    return found[0] if found else said


def embedded(bench: Bench) -> str:
    said = bench.script("bench_embedded.py", last=12)
    return "; ".join(re.findall(r"nano \(.*?FLOP limit", said)) or said.rpartition("; ")[2]


def replay(bench: Bench) -> str:
    return bench_cluster.replay(bench.before)


def tree(bench: Bench) -> str:
    return bench.script("bench_tree.py", last=3)


ROWS: dict[str, tuple[str, Callable[[Bench], str]]] = {
    "start of commands": ("<= .5", starts),
    "fit of 128 x 100, --predict 10000": ("<= 1/12, and 2 x saber-risk", fit),
    "error of laws, 100 to 10,000 draws": ("<= .025, band >= 90 %, <= .15 wide", law),
    "curves of 1,000 x 1,000": ("<= 1/15", curves),
    "report of 200,000 draws": ("<= 1/4, < 4 MB", report),
    "advise on 50 x 8": ("<= 1/5", advise),
    "memory of sweep, curves, report": ("< 250 MB at any number of draws", memory),
    "sweep against a server, one draw a request": ("<= .5", client),
    "best rate at 1,024 at once": ("within 3 s, with `single` too", soon),
    "client beside a bare loop": ("<= 1.15", bare),
    "replay on a Ray cluster": ("no more than without --ray", replay),
    "sandbox, programs a second": (">= 2 x 132", sandbox),
    "tree search beside plain sampling": (">= .7 of its tokens a second", tree),
    "embedded engine beside transformers": (">= 6x, >= 8x, >= 35 % of the FLOP limit", embedded),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="rows whose names have one of these in them; all if none is given")
    parser.add_argument("--before", default=BEFORE, help="the older revision")
    parser.add_argument("--full", action="store_true", help="sizes of the goals")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        before = Path(made, "before")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(before), given.before], check=True)
        try:
            for i, (name, (goal, measure)) in enumerate(ROWS.items()):
                if not given.rows or any(part in name for part in given.rows):
                    folder = Path(made, str(i))
                    folder.mkdir()
                    print(f"{name}\n    goal      {goal}", flush=True)
                    try:
                        found = measure(Bench(before / "src", folder, given.full))
                    except (OSError, SystemExit, subprocess.CalledProcessError) as error:
                        found = f"not measured: {error}"
                    print(f"    measured  {found}", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)


if __name__ == "__main__":
    main()
