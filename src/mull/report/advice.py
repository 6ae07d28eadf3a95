"""Advice for people: a few sentences, a table, a picture, or a page that holds all three."""

from __future__ import annotations

import html
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from mull import spec
from mull.advice.choice import UNITS, price
from mull.advice.options import BASE, Advice, Option, Recommendation, Route, Wish
from mull.advice.spend import queries_until
from mull.errors import UsageError
from mull.report.plot import FORMATS, check_format
from mull.report.words import ends, short
from mull.run.needs import draws_of
from mull.types import Scaling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGES = (".html", ".htm")
ROUTES = {
    Route.PARALLEL: "Draw in parallel: several replies, and choose among them.",
    Route.SEQUENTIAL: "One longer reply: let the model think longer or revise.",
    Route.TREE: "Search: let replies branch, and go on with those that the verifier finds promising.",
    Route.BOTH: "A right answer is worth more than even the widest option costs: draw in parallel, and make each reply "
    "longer as well.",
    Route.BIGGER: "Another model gives more for the money here than more draws do.",
    Route.NOTHING: "One draw is enough.",
    Route.UNKNOWN: "What did best was measured; how it spends its draws is not known here.",
    Route.BETTER: "No number of draws gets there: it takes a better model.",
}
UNCHOSEN = (
    "Nothing here chooses well among draws, so that more compute belongs into one longer reply: let the model think "
    "longer or revise, and give such strategies with --strategy to have them measured."
)
COLOURS = ("#2d6a8e", "#c8553d", "#7c3aed", "#b45309", "#0f766e", "#9d174d", "#4d7c0f", "#1e3a8a")
"""Of kinds of strategies that are drawn beside one draw, in the order of the table of strategies."""


def sentences(advice: Advice, wish: Wish) -> list[str]:
    """The advice in plain sentences: where things stand, what to do, what it costs, and what speaks against it."""
    one, base, unit = advice.recommendation, advice.base, advice.unit
    told = [f"One draw of {base.model} is right on {_share(base)} of such questions."]
    if advice.verdict is Recommendation.MORE_DATA:
        told.append(_more(advice))
    elif not advice.meets:
        told.append(_unmet(advice, wish))
    elif one.name == base.name:
        told.append("Scaling will not help here: stay with one draw." if advice.reasons else "Stay with one draw.")
    else:
        told.append(
            f"Use {one.name}: it is right on {_share(one)}, {100 * one.gain:+.1f} points "
            f"{ends(one.gain_ci90, is_signed=True)}, {_times(one, base, unit)}."
        )
    told += [reason[0].upper() + reason[1:] + "." for reason in advice.reasons]
    if advice.verdict is not Recommendation.MORE_DATA:
        is_measured = advice.route is not Route.SEQUENTIAL or draws_of(spec.named(one.strategy)) == Scaling.SEQUENTIAL
        told.append(ROUTES[advice.route] if is_measured else UNCHOSEN)
    if wish.queries is not None:
        told.append(_month(advice, wish))
    if (pays := _pays_off(advice, wish)) is not None:
        told.append(pays)
    if unit in ("tokens", "calls") and len({o.model for o in advice.options}) > 1:
        told.append(f"Costs are compared in {UNITS[unit]}, which are not worth the same on every model: give prices.")
    return told


def _share(one: Option) -> str:
    return f"{100 * one.accuracy:.0f} % {ends(one.ci90)}"


def _times(one: Option, base: Option, unit: str) -> str:
    each, first = getattr(one.cost, unit), getattr(base.cost, unit)
    amount = f"{_amount(each, unit)} a question"
    return f"for {each / first:.3g} times the {UNITS[unit]} ({amount})" if first else f"for {amount}"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return f"an unknown number of {UNITS[unit]}"
    return f"${value:.4g}" if unit == "usd" else f"{short(value)} {UNITS[unit]}"


def _more(advice: Advice) -> str:
    n, more = advice.facts.problems, advice.more
    if more is not None and more > n:
        return f"These {n} problems are too few to say whether scaling helps: a pilot of {more:,} would tell."
    return f"One draw of each problem does not say what more would do: make 8 draws of each of {max(n, 30):,}."


def _unmet(advice: Advice, wish: Wish) -> str:
    one = advice.recommendation
    limits = [
        f"{100 * wish.accuracy:.0f} % right" if wish.accuracy is not None else "",
        f"at most ${wish.usd:g} a question" if wish.usd is not None else "",
        f"at most {wish.seconds:g} seconds" if wish.seconds is not None else "",
    ]
    return (
        f"No option is expected to keep what was asked ({', '.join(filter(None, limits))}); the nearest is {one.name} "
        f"with {_share(one)} at {_amount(getattr(one.cost, advice.unit), advice.unit)}."
    )


def _month(advice: Advice, wish: Wish) -> str:
    one, unit, n = advice.recommendation, advice.unit, wish.queries or 0
    each, base = price(one, unit, wish), price(advice.base, unit, wish)
    right = (one.accuracy - advice.base.accuracy) * n
    return (
        f"{n:,} questions a month take {_amount(each * n, unit)} ({_amount(base * n, unit)} with one draw) and give "
        f"{right:+,.0f} right answers."
    )


def _pays_off(advice: Advice, wish: Wish) -> str | None:
    """From how many questions on another model is the cheaper way to the accuracy that scaling reaches."""
    if not wish.outlay:
        return None
    others = [o for o in advice.options if o.model != advice.base.model and o.cost.usd is not None]
    own = [o for o in advice.options if o.model == advice.base.model and o.cost.usd is not None]
    best = max(own, key=lambda o: o.accuracy, default=None)
    other = min(
        (o for o in others if best and o.accuracy >= best.accuracy), key=lambda o: o.cost.usd or 0, default=None
    )
    if best is None or other is None:
        return None
    n = queries_until(wish.outlay, best.cost.usd or 0.0, other.cost.usd or 0.0)
    if n is None:
        return f"{other.name} never pays off against {best.name}: it costs no less a question."
    return f"{other.name} pays off its ${wish.outlay:,.0f} against {best.name} after {n:,} questions."


def worthwhile(advice: Advice) -> list[Option]:
    """Options that no cheaper one matches, one draw of each model, and the recommended one."""
    kept, most = [], -1.0
    for one in advice.options:
        if one.accuracy > most or one.is_base or one.name == advice.recommendation.name:
            kept.append(one)
        most = max(most, one.accuracy)
    return kept


def table(advice: Advice) -> RichTable:
    """The options worth looking at, cheapest first; the recommended one is marked."""
    options = worthwhile(advice)
    left_out = len(advice.options) - len(options)
    shown = RichTable(caption=f"{left_out} more cost more and are right no more often: --json" if left_out else None)
    for name in ("", "strategy", "model", "right % [90 %]", "gain [90 %]", UNITS[advice.unit], "known"):
        shown.add_column(name, justify="right" if "%" in name or name in UNITS.values() else "left")
    for one in options:
        shown.add_row(
            ">" if one.name == advice.recommendation.name else "",
            escape(one.strategy),
            escape(one.model),
            f"{100 * one.accuracy:.1f} {ends(one.ci90)}",
            f"{100 * one.gain:+.1f} {ends(one.gain_ci90, is_signed=True)}",
            short(getattr(one.cost, advice.unit)),
            one.known_by,
        )
    return shown


def check_out(path: Path) -> None:
    """Refuses a file that cannot be written to, before any work is done for it."""
    if path.suffix in PAGES:
        check_format(path.with_suffix(".svg"))
    elif path.suffix in FORMATS:
        check_format(path)
    else:
        raise UsageError(f"advice is drawn to a file that ends in {', '.join(FORMATS + PAGES)}, not {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r} to write to")


def write(advice: Advice, wish: Wish, path: Path) -> None:
    """The picture, or a page of HTML with the sentences, the picture and the table, which needs nothing else."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "mull"}):
        made = figure(advice)
        if path.suffix not in PAGES:
            made.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
            return
        svg = io.StringIO()
        made.savefig(svg, format="svg", metadata={"Date": None})
    picture = svg.getvalue()[svg.getvalue().index("<svg") :]
    path.write_text(_page(sentences(advice, wish), picture, advice), encoding="utf-8")


def figure(advice: Advice) -> Figure:
    """Accuracy over cost: a line and its 90 % band for each kind of strategy on each model, the advice ringed."""
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
        label = kind if len(models) == 1 else f"{kind} on {model}"
        axes.plot(
            xs,
            [100 * one.accuracy for one in options],
            line,
            color=colour,
            marker="os^D"[models.index(model) % 4],
            markersize=4,
            label=label,
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
            label=f"advice: {taken.name}",
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
        return f"<tr{mark}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"

    heads = ("strategy", "model", "right % [90 %]", "gain", UNITS[advice.unit], "why")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>mull advise: {html.escape(advice.verdict)}</title>\n"
        f"{STYLE}</head><body><h1>{html.escape(advice.verdict)}</h1>\n"
        + "".join(f"<p>{html.escape(text)}</p>\n" for text in told)
        + picture
        + "<table><tr>"
        + "".join(f"<th>{html.escape(head)}</th>" for head in heads)
        + "</tr>\n"
        + "\n".join(map(row, advice.options))
        + "</table></body></html>\n"
    )
