"""How long commands take, against Python's own start; with a revision of git, against that revision side by side.

python bench/bench_start.py [REVISION]
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOLVE = ("solve", "a:1;b:a+2;b?", "--strategy", "single", "--bank", "none", "--json")
HELPS = (
    "",
    "solve",
    "sweep",
    "curves",
    "fit",
    "advise",
    "report",
    "list",
    "bank",
    "train",
    "train label",
    "serve",
    "study",
)
COMMANDS = {
    "import mull": ("-c", "import mull"),
    **{f"mull {verb} --help".replace("  ", " "): ("-m", "mull", *verb.split(), "--help") for verb in HELPS},
    "mull list strategies": ("-m", "mull", "list", "strategies"),
    "mull solve, a misspelt strategy": ("-m", "mull", "solve", "a:1;a?", "--strategy", "majorty", "--bank", "none"),
    "mull sweep, a misspelt strategy": ("-m", "mull", "sweep", "chain:ops=2", "-s", "majorty", "--bank", "none"),
    "mull solve, one draw of nano": ("-m", "mull", *SOLVE),
}
REPEATS = 9


def seconds(*arguments: str, source: Path) -> float | None:
    """The processor time, user and system, of Python with these arguments and mull from `source`.

    `None`: that mull has no such command.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env={**environment, "PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode == 2 and arguments[-1] == "--help":
        return None
    if child.returncode != (2 if "majorty" in arguments else 0):
        raise SystemExit(f"{arguments} ended with {child.returncode}")
    return used.ru_utime + used.ru_stime


def measured(sources: Sequence[Path]) -> None:
    """Prints the least and the median time of every command; the sources take turns, so that they share the load."""
    for name, arguments in {"python": ("-c", "pass"), **COMMANDS}.items():
        times: list[list[float]] = [[] for _ in sources]
        for turn in range(REPEATS + 1):
            for place, source in enumerate(sources):
                spent = seconds(*arguments, source=source)
                if turn and spent is not None:  # the first one compiles
                    times[place].append(spent)
        told = [f"{min(one):.3f} s (median {statistics.median(one):.3f} s)" if one else "none" for one in times]
        line = f"{name}: {told[0]}"
        if len(sources) > 1 and not times[1]:
            line += "; no such command before"
        elif len(sources) > 1:
            least, median = (of(times[0]) / of(times[1]) for of in (min, statistics.median))
            line += f"; before: {told[1]}; ratio {least:.2f} (of medians {median:.2f})"
        print(line, flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sources = [ROOT / "src"]
        if revision := sys.argv[1:2]:
            before = Path(folder, "before")
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "--quiet", "--detach", str(before), *revision], check=True)
            try:
                measured([*sources, before / "src"])
            finally:
                subprocess.run([*git, "remove", "--force", str(before)], check=True)
        else:
            measured(sources)


if __name__ == "__main__":
    main()
