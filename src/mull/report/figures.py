"""Figures as SVG for the page, in the page's colours, and as SVG, PNG and CSV files, by matplotlib."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mull.files.output import written
from mull.lab.measured import Measured, amount
from mull.lab.metrics import Curves, Point
from mull.laws.coverage import Law, Prediction
from mull.report.plot import law_caption, law_parts
from mull.report.ticks import cost_axis, draws_axis
from mull.report.words import percent, short
from mull.shown import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (4.1, 3.0)
"""In inches; small, so that text stays readable on a phone, where the figure shrinks to the width of the screen."""
INK, MUTED, GRID = "#1c2430", "#5a6676", "#d8dee6"
COVERAGE, MAJORITY, BEST, GAP = "#5d6b7e", "#1d6fb8", "#c2410c", "#7c3aed"
COLOURS = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    COVERAGE: "coverage",
    MAJORITY: "majority",
    BEST: "best",
    GAP: "gap",
}
"""The page's name of each colour, by which it replaces the colour in dark mode."""
CURVES: Mapping[str, tuple[str, str, str]] = {
    "coverage": ("coverage (oracle)", COVERAGE, "--"),
    "best": ("best of k", BEST, "-"),
    "weighted": ("weighted vote of k", GAP, "-"),
    "majority": ("majority of k", MAJORITY, "-"),
}
Draw = Callable[["Axes", list[str]], None]


@dataclass(frozen=True)
class Figure:
    """A figure and its data as a table: `columns` and `rows`, for screen readers and for CSV.

    `draw` fills the axes and appends the tooltips of its marks, in the order of their gids `tip0`, `tip1`, ...
    """

    name: str
    title: str
    alt: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    draw: Draw
    height: float = SIZE[1]

    def inline(self) -> str:
        """SVG to embed in a page: with a single id, and colours given by the page's variables."""
        drawn, tips = self._svg
        svg = drawn.decode()
        svg = svg[svg.index("<svg") :]
        for i, tip in enumerate(tips):
            svg = svg.replace(f'<g id="tip{i}">', f"<g><title>{escape(tip)}</title>", 1)
        svg = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
        used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
        kept = {name for pair in used for name in pair}
        svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in kept else "", svg)
        svg = shown(re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', self._opening, svg, count=1), lines=True)
        return re.sub(r"#[0-9a-f]{6}\b", lambda m: f"var(--{COLOURS[m[0]]})" if m[0] in COLOURS else m[0], svg)

    def _opening(self, match: re.Match[str]) -> str:
        ids = f'aria-labelledby="{self.name}-t {self.name}-d"'
        title = (
            f'<title id="{self.name}-t">{escape(self.title)}</title><desc id="{self.name}-d">{escape(self.alt)}</desc>'
        )
        return f'<svg xmlns="http://www.w3.org/2000/svg" {match[1]} role="img" {ids}>{title}'

    def svg(self) -> bytes:
        """A stand-alone SVG file."""
        return self._svg[0]

    @cached_property
    def _svg(self) -> tuple[bytes, list[str]]:
        tips: list[str] = []
        return self._render("svg", tips), tips

    def png(self) -> bytes:
        return self._render("png", [])

    def csv(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return text.getvalue().encode()

    def write(self, folder: Path) -> list[Path]:
        """Writes `NAME.svg`, `NAME.png` and `NAME.csv`; returns their paths."""
        paths = []
        for suffix, content in ((".svg", self.svg()), (".png", self.png()), (".csv", self.csv())):
            path = folder / (self.name + suffix)
            with written(path) as part:
                part.write_bytes(content)
            paths.append(path)
        return paths

    def _render(self, kind: str, tips: list[str]) -> bytes:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas

        # Text stays text, and ids are deterministic; they differ between the figures on one page.
        style: dict[str, Any] = {
            "svg.fonttype": "none",
            "text.parse_math": False,
            "svg.hashsalt": self.name,
            "font.size": 8,
            "text.color": INK,
            "axes.edgecolor": GRID,
            "axes.labelcolor": MUTED,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": GRID,
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "xtick.major.size": 0,
            "ytick.major.size": 0,
            "lines.linewidth": 1.6,
        }
        with mpl.rc_context(style), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the page's font has these glyphs
            figure = Canvas(figsize=(SIZE[0], self.height), layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(figure.subplots(), tips)
            out = io.BytesIO()
            options: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": 200}
            figure.savefig(out, format=kind, transparent=kind == "svg", **options)
        return out.getvalue() if kind != "svg" else shown(out.getvalue().decode(), lines=True).encode()


def curves(name: str, group: str, measured: Curves) -> Figure:
    """Coverage, majority and best-of-k over k."""
    return _over_k(
        f"curves-{name}",
        f"{group}: problems solved by k draws",
        {label: (getattr(measured, field), colour, line) for field, (label, colour, line) in CURVES.items()},
        measured,
        "problems solved, %",
    )


def gap(name: str, group: str, measured: Curves) -> Figure:
    """Coverage minus the accuracy of each selector, over k."""
    colours = {"best": BEST, "weighted": GAP, "majority": MAJORITY}
    series = {f"coverage minus {who}": (points, colours[who], "-") for who, points in measured.gaps.items()}
    # Without a minimum range, rounding errors would look like a pattern where nothing is lost.
    top = max(5.0, 105 * max(p.ci95.high for points in measured.gaps.values() for p in points))
    return _over_k(f"gap-{name}", f"{group}: lost by selection", series, measured, "points lost", top)


def law(name: str, group: str, law: Law, k: int) -> Figure:
    """Coverage up to k: measured as points on a solid line, extrapolated dashed, with a line at the last draw."""
    last = law.data.least
    measured, beyond = law_parts(law, k, 25)
    parts = (
        ("measured", measured, COVERAGE, "-", "o"),
        ("extrapolated", beyond, GAP, "--", ""),
    )

    def draw(axes: Axes, tips: list[str]) -> None:
        for label, points, colour, line, mark in parts:
            known = [(p.k, 100 * p.value) for p in points if p.value is not None]
            if known:
                axes.plot(*zip(*known, strict=True), line, color=colour, marker=mark, markersize=3.5, label=label)
            low, high = [100 * p.band.low for p in points], [100 * p.band.high for p in points]
            axes.fill_between([p.k for p in points], low, high, color=colour, alpha=0.16, linewidth=0)
        axes.axvline(last, color=MUTED, linewidth=0.8)
        axes.annotate(f"n = {last:,}", (last, 2), (3, 0), textcoords="offset points", fontsize=7, color=MUTED)
        draws_axis(axes, k)
        axes.set_xlabel("draws k")
        axes.set_ylabel("coverage (oracle), %")
        axes.set_ylim(0, 100)
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=7.5, loc="best", handlelength=1.6)

    def value_of(p: Prediction) -> str:
        return "unknown" if p.value is None else percent(p.value)

    rows = [
        (str(p.k), label, value_of(p), percent(p.band.low), percent(p.band.high)) for label, ps, *_ in parts for p in ps
    ]
    end = law.predict(k)
    alt = (
        f"Coverage measured up to {last} draws, extrapolated to {k}: {value_of(end)}, band {percent(end.band.low)} "
        f"to {percent(end.band.high)} %."
    )
    columns = ("k", "", "coverage %", "low", "high")
    return Figure(f"law-{name}", f"{group}: coverage of {law_caption(law, k)}", alt, columns, tuple(rows), draw)


def _over_k(
    name: str,
    title: str,
    series: Mapping[str, tuple[list[Point], str, str]],
    measured: Curves,
    unit: str,
    top: float = 100.0,
) -> Figure:
    series = {label: entry for label, entry in series.items() if entry[0]}

    def draw(axes: Axes, tips: list[str]) -> None:
        for label, (points, colour, line) in series.items():
            ks = [p.k for p in points]
            axes.plot(ks, [100 * p.value for p in points], line, color=colour, label=label)
            low, high = ([100 * end for end in ends] for ends in zip(*(p.ci95 for p in points), strict=True))
            axes.fill_between(ks, low, high, color=colour, alpha=0.16, linewidth=0)
            for p in points:
                axes.plot(
                    [p.k], [100 * p.value], "o", color=colour, markersize=3.5, clip_on=False, gid=f"tip{len(tips)}"
                )
                tips.append(f"{label}, k = {p.k}: {percent(p.value, p.ci95)} %")
        draws_axis(axes, ks[-1])
        axes.set_xlabel("draws k")
        axes.set_ylabel(unit)
        axes.set_ylim(0, top)
        axes.grid(axis="y")
        if len(series) > 1:
            axes.legend(frameon=False, fontsize=7.5, loc="best", handlelength=1.6)

    last = [
        f"{label} goes from {percent(p[0].value)} to {percent(p[-1].value, p[-1].ci95)} %"
        for label, (p, *_) in series.items()
    ]
    ks = [p.k for p in measured.coverage]
    rows = [(str(k), *(percent(p[i].value, p[i].ci95) for p, *_ in series.values())) for i, k in enumerate(ks)]
    alt = (
        f"Over {ks[0]} to {ks[-1]} draws "
        + "; ".join(last)
        + f". {measured.problems} problems, {measured.samples} draws."
    )
    return Figure(name, title, alt, ("k", *(f"{label} % [95 %]" for label in series)), tuple(rows), draw)


def frontier(name: str, group: str, strategies: Sequence[Measured], front: Sequence[Measured], unit: str) -> Figure:
    """Accuracy over cost, a point a strategy with its 95 % interval.

    The Pareto front is what its strategies reach from their cost on: treads without risers, which would lie on the
    intervals.
    """

    def at(m: Measured) -> tuple[float, float]:
        return amount(m.cost, unit) or 0.0, 100 * (m.accuracy or 0.0)

    points = sorted((m for m in strategies if m.accuracy is not None and amount(m.cost, unit)), key=at)

    def draw(axes: Axes, tips: list[str]) -> None:
        cost_axis(axes, [at(m)[0] for m in points], unit)
        starts = [at(m)[0] for m in front]
        for m, end in zip(front, [*starts[1:], axes.get_xlim()[1]], strict=True):
            label = "Pareto front" if m is front[0] else None
            axes.plot([at(m)[0], end], [at(m)[1]] * 2, "--", color=MAJORITY, linewidth=1.1, zorder=1, label=label)
        for m in points:
            (x, y), is_best = at(m), m in front
            colour = BEST if is_best else MUTED
            low, high = m.ci95 or (y / 100, y / 100)
            label = "95 % interval" if m is front[0] else None
            axes.plot([x, x], [100 * low, 100 * high], color=colour, alpha=0.6, linewidth=1, label=label)
            axes.plot([x], [y], "o" if is_best else "s", color=colour, markersize=5, gid=f"tip{len(tips)}")
            tips.append(f"{m.name}: {percent(m.accuracy, m.ci95)} % for {short(x)} {UNIT_WORDS[unit]} a problem")
        for m in _labelled(front, lambda m: math.log(at(m)[0]), math.log(at(points[-1])[0] / at(points[0])[0])):
            x, y = at(m)
            is_right = x > (at(points[0])[0] * at(points[-1])[0]) ** 0.5
            axes.annotate(
                m.name,
                (x, y),
                (-6 if is_right else 6, 5),
                textcoords="offset points",
                fontsize=7,
                ha="right" if is_right else "left",
                color=INK,
            )
        axes.margins(y=0.14)
        axes.set_xlabel(f"{UNIT_WORDS[unit]} a problem")
        axes.set_ylabel("problems solved, %")
        axes.grid()
        axes.legend(frameon=False, fontsize=7, loc="best", handlelength=1.8)

    rows = [
        (m.name, percent(m.accuracy, m.ci95), short(amount(m.cost, unit)), "yes" if m in front else "no")
        for m in points
    ]
    alt = f"{len(points)} strategies. On the Pareto front: " + ", ".join(
        f"{m.name} with {percent(m.accuracy)} % for {short(amount(m.cost, unit))} {UNIT_WORDS[unit]}" for m in front
    )
    columns = ("strategy", "accuracy % [95 %]", f"{UNIT_WORDS[unit]} a problem", "on the Pareto front")
    return Figure(f"cost-{name}", f"{group}: accuracy against cost", alt, columns, tuple(rows), draw)


def _labelled(front: Sequence[Measured], x: Callable[[Measured], float], width: float) -> list[Measured]:
    """The first and the last, and those between that are far enough from both and from each other."""
    chosen = [front[0]]
    for m in front[1:-1]:
        if x(m) - x(chosen[-1]) > 0.34 * width and x(front[-1]) - x(m) > 0.34 * width:
            chosen.append(m)
    return [*chosen, front[-1]] if len(front) > 1 else chosen


UNIT_WORDS = {"usd": "dollars", "flops": "FLOPs", "tokens": "tokens", "calls": "draws"}
