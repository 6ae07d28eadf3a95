"""The calibration of rankings: `python recipes/calibration.py` (extra `lab`) draws `docs/rank-calibration.png`.

Runs `bench/bench_compare.py ranks`, 400 simulated studies whose best model is known, and plots how often a model came
first against the chance that the ranking stated, with 95 % intervals. `--from FILE` takes what the benchmark printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mull.stats.intervals import wilson

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"[\d.]+ to [\d.]+: ([\d.]+) ([\d.]+) \((\d+)\)")


def main() -> None:
    if sys.argv[1:2] == ["--from"]:
        told = Path(sys.argv[2]).read_text()
    else:
        told = subprocess.check_output([sys.executable, ROOT / "bench" / "bench_compare.py", "ranks"], text=True)
    figure = Figure(figsize=(5, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="#5a6676", linewidth=1, label="calibrated")
    for stated, came_true, n in LINE.findall(told):
        x, y = float(stated), float(came_true)
        low, high = wilson(round(y * int(n)), int(n))
        axes.plot([x, x], [low, high], color="#1d6fb8", linewidth=1.4)
        axes.plot([x], [y], "o", color="#1d6fb8", markersize=5)
        axes.annotate(n, (x, high), (0, 3), textcoords="offset points", ha="center", fontsize=7, color="#5a6676")
    axes.set_xlabel("stated chance to be first")
    axes.set_ylabel("share that were the best")
    axes.set_title(told.splitlines()[0].partition(":")[0], fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(color="#d8dee6", linewidth=0.6)
    figure.savefig(ROOT / "docs" / "rank-calibration.png", dpi=150)


if __name__ == "__main__":
    main()
