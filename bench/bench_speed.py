"""Processor time and memory of what people wait for, beside an older revision in the same run: a table of ratios.

python bench/bench_speed.py [REVISION]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
BEFORE = "f18ce17"
TURNS = 3
"""Times that each side is measured, after one that compiles; the sides take turns, so that they share the load."""


def draws(path: Path, n_problems: int, n: int) -> Path:
    """A file of scored draws with answers, and a text of two lines each."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for i in range(n_problems):
            is_right, wrong = rng.random(n) < rng.beta(0.5, 2), rng.integers(1, 30, n)
            samples = [
                {
                    "text": f"Let me think about it, one step after another.\nanswer: {answer}",
                    "final_answer": str(answer),
                    "correct": answer == 0,
                    "score": score,
                    "output_tokens": 20 + answer,
                }
                for answer, score in zip(np.where(is_right, 0, wrong).tolist(), rng.random(n).tolist(), strict=True)
            ]
            row = {"problem_id": f"p{i}", "prompt": f"question {i}", "answer": "0", "samples": samples}
            file.write(json.dumps(row) + "\n")
    return path


def used(words: Sequence[str], source: Path, folder: Path) -> tuple[float, float]:
    """Processor seconds, user and system, and peak memory in MB of `mull WORDS` with mull from `source`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen(
        [sys.executable, "-m", "mull", *words],
        env={**environment, "PYTHONPATH": str(source)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, spent = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"mull {' '.join(words)} of {source} ended with {child.returncode}")
    return spent.ru_utime + spent.ru_stime, spent.ru_maxrss / 1024


def table(now: Path, before: Path, folder: Path) -> None:
    many = draws(folder / "many.jsonl", 1000, 1000)
    wide = draws(folder / "wide.jsonl", 2000, 100)
    pilot = draws(folder / "pilot.jsonl", 50, 8)
    rows = {
        "curves of 1,000 problems x 1,000 draws": ("curves", str(many), "--json"),
        "report of 2,000 problems x 100 draws": ("report", str(wide), "--out", "page.html"),
        "advise on a pilot of 50 problems x 8 draws": ("advise", str(pilot), "--json"),
        "--help": ("--help",),
        "list strategies": ("list", "strategies"),
        "solve, one draw of nano": ("solve", "a:1;b:a+2;b?", "--strategy", "single", "--bank", "none"),
    }
    print(f"{'':44} {'before':>9} {'now':>9} {'ratio':>6}   {'memory':>17}")
    for name, words in rows.items():
        times: list[list[float]] = [[], []]
        peaks = [0.0, 0.0]
        for turn in range(TURNS + 1):
            for side, source in enumerate((before, now)):
                if turn or words[0] != "curves":  # a long one is as long the first time
                    spent, peak = used(words, source, folder)
                    peaks[side] = max(peaks[side], peak)
                    times[side] += [spent] if turn else []
        old, new = map(statistics.median, times)
        print(
            f"{name:44} {old:7.2f} s {new:7.2f} s {new / old:6.2f}   {peaks[0]:5.0f} MB -> {peaks[1]:.0f} MB",
            flush=True,
        )
    print(f"the report has {(folder / 'page.html').stat().st_size / 1e6:.1f} MB")


def main() -> None:
    revision = sys.argv[1] if len(sys.argv) > 1 else BEFORE
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder, "before")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(before), revision], check=True)
        try:
            table(ROOT / "src", before / "src", Path(folder))
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)


if __name__ == "__main__":
    main()
