"""How long `import mull` and `mull --help` take, against Python's own start, and how large the environment is."""

import subprocess
import sys
import time
from pathlib import Path


def seconds(*command: str, repeats: int = 9) -> float:
    """The median wall time of a command."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2]


def main() -> None:
    python = seconds(sys.executable, "-c", "pass")
    with_mull = seconds(sys.executable, "-c", "import mull")
    with_help = seconds(str(Path(sys.executable).with_name("mull")), "--help")
    print(f"python: {python:.3f} s")
    print(f"import mull: {with_mull - python:.3f} s more, {with_mull / python:.1f} times python's start (target 0.1 s)")
    print(f"mull --help: {with_help:.3f} s, {with_help / python:.1f} times python's start (target 0.25 s)")


if __name__ == "__main__":
    main()
