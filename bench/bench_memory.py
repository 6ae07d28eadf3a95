"""Peak memory and processor time of a replayed sweep, and of `curves` and `report` on it, beside an older revision.

python bench/bench_memory.py [--draws 100000 1000000] [--each 100] [--before REVISION | none]

Each command runs in a process of its own. 10,000,000 draws take hours and 6 GB of disk: name them with --draws.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

from bench_speed import BEFORE, ROOT, used

LEAST_RATE = 0.02


def recording(folder: Path, n_problems: int, n: int) -> tuple[Path, Path]:
    """A task, and a recording of n draws of about 40 bytes for each of its problems."""
    rng = random.Random(0)
    task, draws = folder / f"task-{n_problems}.jsonl", folder / f"draws-{n_problems}x{n}.jsonl"
    with task.open("w") as questions, draws.open("w") as replies:
        for i in range(n_problems):
            row = {"id": f"p{i}", "prompt": f"What is {i} + {i}?", "answer": str(2 * i)}
            rate = max(LEAST_RATE, rng.betavariate(0.5, 1.5))
            sums = [2 * i + (0 if rng.random() < rate else rng.randint(1, 20)) for _ in range(n)]
            samples = [{"text": f"Adding the two numbers gives the sum: {found}"} for found in sums]
            questions.write(json.dumps(row) + "\n")
            replies.write(json.dumps({**row, "samples": samples}) + "\n")
    return task, draws


def rows(n_draws: int, each: int, sources: dict[str, Path], folder: Path) -> None:
    task, draws = recording(folder, n_draws // each, each)
    for command in ("sweep", "curves", "report"):
        told = []
        for side, source in sources.items():
            out = folder / f"sweep-{n_draws}-{side}.jsonl"
            words = {
                "sweep": ["-m", f"recorded:{draws}", "-s", "single", "-s", f"majority:n={each}", "--out", str(out)],
                "curves": ["--json"],
                "report": ["--out", str(folder / "page.html")],
            }[command]
            source_of = [f"file:{task}", "--bank", "none"] if command == "sweep" else [str(out)]
            seconds, peak = used([command, *source_of, *words], source, folder)
            told.append(f"{peak:6.0f} MB {seconds:8.1f} s")
        print(f"{n_draws:>12,}  {command:8} {'   '.join(told)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--each", type=int, default=100, help="draws of each problem")
    parser.add_argument("--before", default=BEFORE, help="the revision beside today's, or `none`")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as made:
        folder, before = Path(made), Path(made, "before")
        sources = {"now": ROOT / "src"}
        git = ["git", "-C", str(ROOT), "worktree"]
        if given.before != "none":
            subprocess.run([*git, "add", "--quiet", "--detach", str(before), given.before], check=True)
            sources = {"before": before / "src", **sources}
        try:
            print(f"{'draws':>12}  {'command':8} {'   '.join(f'{side:>20}' for side in sources)}")
            for n_draws in given.draws:
                rows(n_draws, given.each, sources, folder)
        finally:
            if given.before != "none":
                subprocess.run([*git, "remove", "--force", str(before)], check=True)


if __name__ == "__main__":
    main()
