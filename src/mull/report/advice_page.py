"""Advice as a figure, or as a page with its sentences, figure and table."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mull import spec
from mull.advice.choice import UNITS
from mull.advice.options import BASE, Advice, Option, Wish
from mull.errors import UsageError
from mull.files.output import check_writable, write_text
from mull.report.advice import sentences
from mull.report.plot import FORMATS, check_format, label, plain_text, save, svg_of
from mull.report.words import ends, short
from mull.shown import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGES = (".html", ".htm")
COLOURS = ("#2d6a8e", "#c8553d", "#7c3aed", "#b45309", "#0f766e", "#9d174d", "#4d7c0f", "#1e3a8a")
"""Colours of the kinds of strategies other than one draw, in the order of the table of strategies."""


def check_out(path: Path) -> None:
    """Raises `UsageError` if the file cannot be written, before any other work is done."""
    if path.suffix in PAGES:
        check_format(path.with_suffix(".svg"))
    elif path.suffix in FORMATS:
        check_format(path)
    else:
        raise UsageError(f"advice is drawn to a file that ends in {', '.join(FORMATS + PAGES)}, not {str(path)!r}")
    check_writable(path, "the advice")


def write(advice: Advice, wish: Wish, path: Path) -> None:
    """Writes the figure, or a self-contained HTML page with the sentences, the figure and the table."""
    with plain_text():
        made = figure(advice)
        if path.suffix not in PAGES:
            save(made, path)
            return
        svg = svg_of(made)
    picture = svg[svg.index("<svg") :]
    write_text(path, _page(sentences(advice, wish), picture, advice))


def figure(advice: Advice) -> Figure:
    """Accuracy over cost: a line with its 90 % band for each kind of strategy on each model, the advice circled."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(8.6, 4.4), layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots()
    lines: dict[tuple[str, str], list[Option]] = defaultdict(list)
    for one in advice.options:
        if getattr(one.cost, advice.unit):
            lines[spec.head(one.strategy), one.model].append(one)
    models = list(dict.fromkeys(one.model for one in advice.options))
    places = {kind: place for place, kind in enumerate(spec.STRATEGIES)}
    kinds = sorted({kind for kind, _ in lines} - {BASE}, key=lambda kind: (places.get(kind, len(places)), kind))
    colours = {BASE: "#444444", **{kind: COLOURS[i % len(COLOURS)] for i, kind in enumerate(kinds)}}
    for (kind, model), options in lines.items():
        xs = [getattr(one.cost, advice.unit) for one in options]
        colour, line = colours[kind], ("-", "--", ":", "-.")[models.index(model) % 4]
        what = label(kind if len(models) == 1 else f"{kind} on {model}")
        axes.plot(
            xs,
            [100 * one.accuracy for one in options],
            line,
            color=colour,
            marker="os^D"[models.index(model) % 4],
            markersize=4,
            label=what,
        )
        low, high = [100 * one.ci90.low for one in options], [100 * one.ci90.high for one in options]
        if len(options) > 1:
            axes.fill_between(xs, low, high, color=colour, alpha=0.10, linewidth=0)
        else:
            axes.vlines(xs, low, high, color=colour, linewidth=1)
    coverage = 100 * advice.facts.coverage
    axes.axhline(coverage, color="#7a8ca3", linestyle="--", linewidth=1)
    axes.annotate(
        f"coverage of {advice.facts.n} draws (oracle)",
        (0.01, coverage),
        xycoords=("axes fraction", "data"),
        fontsize=8,
        color="#56657a",
        va="bottom",
    )
    taken = advice.recommendation
    if getattr(taken.cost, advice.unit):
        axes.plot(
            [getattr(taken.cost, advice.unit)],
            [100 * taken.accuracy],
            "o",
            markersize=13,
            markerfacecolor="none",
            markeredgecolor="black",
            markeredgewidth=1.5,
            label=label(f"advice: {taken.name}"),
        )
    axes.set_xscale("log")
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"{UNITS[advice.unit]} a question")
    axes.set_ylabel("questions answered right, %")
    axes.set_title(
        f"{advice.verdict}: from {advice.facts.problems} problems, {advice.facts.draws:,} draws", fontsize=10
    )
    axes.grid(alpha=0.25)
    made.legend(fontsize=8, loc="outside right center")
    return made


STYLE = """<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
svg{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:14px;display:block;overflow-x:auto}
td,th{padding:.25rem .6rem;text-align:left;border-bottom:1px solid #ddd}
.taken{background:#e8f1f5;font-weight:600}
</style>"""


def _escape(text: str) -> str:
    return html.escape(shown(text))


def _page(told: Sequence[str], picture: str, advice: Advice) -> str:
    def row(one: Option) -> str:
        mark = ' class="taken"' if one.name == advice.recommendation.name else ""
        cells = (
            one.strategy,
            one.model,
            f"{100 * one.accuracy:.1f} {ends(one.ci90)}",
            f"{100 * one.gain:+.1f}",
            short(getattr(one.cost, advice.unit)),
            one.why,
        )
        return f"<tr{mark}>" + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>"

    heads = ("strategy", "model", "right % [90 %]", "gain", UNITS[advice.unit], "why")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>mull advise: {_escape(advice.verdict)}</title>\n"
        f"{STYLE}</head><body><h1>{_escape(advice.verdict)}</h1>\n"
        + "".join(f"<p>{_escape(text)}</p>\n" for text in told)
        + picture
        + "<table><tr>"
        + "".join(f"<th>{_escape(head)}</th>" for head in heads)
        + "</tr>\n"
        + "\n".join(map(row, advice.options))
        + "</table></body></html>\n"
    )
