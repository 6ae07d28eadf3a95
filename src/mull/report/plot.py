"""Curves and laws as PNG, SVG or PDF, by matplotlib (extra `lab`)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mull.errors import MissingExtraError, UsageError
from mull.files.output import write_text, written
from mull.lab.metrics import Curves, Point
from mull.laws.counts import log_grid
from mull.laws.coverage import Law, Prediction
from mull.report.ticks import draws_axis
from mull.shown import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = {
    "coverage": ("coverage (oracle)", "#7a8ca3", "--"),
    "weighted": ("weighted vote of k", "#7c3aed", "-"),
    "majority": ("majority of k", "#2d6a8e", "-"),
    "best": ("best of k", "#c8553d", "-"),
}
"""In drawing order, so that where lines coincide the last one is visible."""
FORMATS = (".png", ".svg", ".pdf")


def check_format(path: Path) -> None:
    """Raises an error if the file cannot be written as a plot, before any work is done."""
    if path.suffix not in FORMATS:
        raise UsageError(f"a plot is written to a file that ends in {', '.join(FORMATS)}, not {str(path)!r}")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a plot", "matplotlib", "lab") from error


def curves(groups: Mapping[str, Curves], path: Path, title: str = "") -> None:
    """Draws each group's curves over k in its own panel, with 95 % intervals."""
    with plain_text():
        figure, row = _panels(len(groups), path, "problems solved, %")
        for axes, (name, group) in zip(row, groups.items(), strict=True):
            for field, (what, colour, line) in STYLE.items():
                _curve(axes, getattr(group, field), what, colour, line)
            told = f"{group.problems:,} problems, {group.samples:,} draws"
            _finish(axes, f"{label(name)}\n{told}", group.coverage[-1].k)
        _save(figure, path, title)


def _panels(n: int, path: Path, unit: str) -> tuple[Figure, list[Axes]]:
    """A figure with this many panels side by side, for a file of this name."""
    check_format(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 4.3 * n, 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    row = list(figure.subplots(1, n, squeeze=False, sharey=True)[0])
    row[0].set_ylabel(unit)
    return figure, row


def _finish(axes: Axes, title: str, last: int) -> None:
    """Formats the axes that all panels over draws share."""
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("draws k")
    draws_axis(axes, last)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="best")


@contextmanager
def plain_text() -> Iterator[None]:
    """While figures are made and saved: texts are no formulas, and may have letters that the font lacks."""
    import matplotlib as mpl

    # Without a salt the ids in an SVG are random.
    style: dict[str, Any] = {"svg.hashsalt": "mull", "text.parse_math": False}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def _save(figure: Figure, path: Path, title: str) -> None:
    if title:
        figure.suptitle(label(title, 80), fontsize=11)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Writes a figure in the format that the file's name says; in SVG, what could control its reader is visible."""
    if path.suffix == ".svg":
        write_text(path, svg_of(figure))
        return
    with written(path) as part:
        figure.savefig(part, dpi=150, format=path.suffix[1:])


def label(name: str, most: int = 48) -> str:
    """A name in one line that leaves room for the figure."""
    told = shown(name)
    return told if len(told) <= most else told[: most - 1] + "…"


def svg_of(figure: Figure) -> str:
    """The figure as SVG."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return shown(out.getvalue(), lines=True)


def _curve(axes: Axes, points: list[Point], what: str, colour: str, line: str) -> None:
    if not points:
        return
    ks = [point.k for point in points]
    # With a perfect verifier its line and the oracle's coincide: dashes on top keep both visible.
    order = 3 if line == "--" else 2
    axes.plot(
        ks, [100 * p.value for p in points], line, color=colour, label=what, marker="o", markersize=3, zorder=order
    )
    low, high = [100 * p.ci95.low for p in points], [100 * p.ci95.high for p in points]
    axes.fill_between(ks, low, high, color=colour, alpha=0.15, linewidth=0)


def laws(groups: Mapping[str, Law], k: int, path: Path, title: str = "") -> None:
    """Draws coverage up to k: measured as points on a solid line, extrapolated dashed, with a line at the last draw."""
    with plain_text():
        figure, row = _panels(len(groups), path, "coverage (oracle), %")
        for axes, (name, law) in zip(row, groups.items(), strict=True):
            _law(axes, law, k)
            _finish(axes, f"{label(name)}\n{law_caption(law, k)}", max(k, 2))
        _save(figure, path, title)


def law_caption(law: Law, k: int) -> str:
    """What a picture of a law shows: its problems, n, and where the extrapolation goes."""
    last = law.data.least
    beyond = f", extrapolated to {k:,}" if k > last else ""
    return f"{law.data.problems:,} problems, measured to n = {last:,} draws{beyond}"


def law_parts(law: Law, k: int, points: int) -> tuple[list[Prediction], list[Prediction]]:
    """Coverage up to the last draw, and from there on to k if k is larger, at about this many points in total.

    Both parts contain the last draw, where their bands are the same.
    """
    last = law.data.least
    measured = law.curve(int(x) for x in np.unique(np.append(log_grid(min(last, k), 13), min(last, k))))
    beyond = np.unique(np.append(log_grid(k, points), last))
    return measured, law.curve(int(x) for x in beyond if x >= last) if k > last else []


def _law(axes: Axes, law: Law, k: int) -> None:
    measured, beyond = law_parts(law, k, 41)
    for part, what, colour, line, mark in (
        (measured, "measured", "#2d6a8e", "-", "o"),
        (beyond, "extrapolated", "#c8553d", "--", ""),
    ):
        known = [p for p in part if p.value is not None]
        axes.plot(
            [p.k for p in known],
            [100 * (p.value or 0.0) for p in known],
            line,
            color=colour,
            marker=mark,
            markersize=3,
            label=what if known else None,
        )
        low, high = [100 * p.band.low for p in part], [100 * p.band.high for p in part]
        axes.fill_between([p.k for p in part], low, high, color=colour, alpha=0.15, linewidth=0)
    last = law.data.least
    if k > last:
        axes.axvline(last, color="0.4", linewidth=0.8, label=f"n = {last:,}")
