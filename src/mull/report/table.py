"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table as RichTable

from mull.lab.gap import Plateau, ScalingLimits
from mull.lab.grid import Table
from mull.lab.metrics import Curves, Point
from mull.lab.reliability import Reliability
from mull.lab.verify import Worth
from mull.laws.coverage import FARTHEST, Law, Prediction, Reach
from mull.laws.limits import SAYS
from mull.report.words import dollars, ends, escape, number, per_thousand, percent, points, short
from mull.stats.frontier import Spent, at_equal_cost
from mull.stats.paired import Power

if TYPE_CHECKING:
    from mull.bank.sql import Judged, Stat

MONEY = ("$ a question", "$ per 1,000")


def sweep(table: Table) -> RichTable:
    """A sweep's rows. The oracle column is the accuracy of a perfect choice among the draws, which is not a method."""
    shown = RichTable(title=escape(table.rows[0].task) if table.rows else None, caption=escape(table.caption) or None)
    is_priced = any(row.cost.usd for row in table.rows)  # nothing has a price where all are free
    money = MONEY if is_priced else ()
    for name in ("model", "strategy", "problems", "accuracy % [95 %]", "draws", "tokens", "FLOPs", *money, "oracle %"):
        shown.add_column(name, justify="left" if name in ("model", "strategy") else "right")
    for row in table.rows:
        shown.add_row(
            escape(row.model),
            escape(row.strategy),
            str(row.problems),
            percent(row.accuracy, row.ci95),
            number(row.samples, 1),
            number(row.cost.output_tokens),
            short(row.cost.flops),
            *((dollars(row.cost.usd), dollars(per_thousand(row.cost.usd))) if is_priced else ()),
            percent(row.oracle),
        )
    return shown


def pairs(table: Table) -> list[str]:
    """The paired differences as sentences."""
    return [
        f"{p.a} - {p.b}: {points(p.difference)} points {ends(p.ci95, is_signed=True)}, "
        f"paired over {p.problems} problems, p = {p.p_adjusted:.2g}"
        for p in table.pairs
    ]


def curves(groups: Mapping[str, Curves], prices: Mapping[str, tuple[float, float]] | None = None) -> list[RichTable]:
    """One table of curves for each group.

    `prices` are dollars of a question's first draw and of each further one, by group, where they are known.
    """
    tables = []
    for name, group in groups.items():
        shown = RichTable(title=escape(f"{name}: {group.problems} problems, {group.samples} samples"))
        columns: dict[str, Sequence[Point]] = {
            "coverage (oracle)": group.coverage,
            "majority": group.majority,
            "weighted": group.weighted,
            "best": group.best,
            "gap": group.gap,
        }
        present = {title: points for title, points in columns.items() if points}
        shown.add_column("k", justify="right")
        price = (prices or {}).get(name)
        for title in (*(f"{title} % [95 %]" for title in present), *(MONEY if price else ())):
            shown.add_column(title, justify="right")
        for i, point in enumerate(group.coverage):
            usd = None if price is None else price[0] + (point.k - 1) * price[1]
            shown.add_row(
                str(point.k),
                *(percent(points[i].value, points[i].ci95) for points in present.values()),
                *(() if usd is None else (dollars(usd), dollars(per_thousand(usd)))),
            )
        tables.append(shown)
    return tables


def equal_tokens(groups: Mapping[str, Curves], each: Mapping[str, float], most: int = 6) -> RichTable | None:
    """The accuracy of every group within budgets of tokens per problem; `each` is the mean length of a draw.

    `None` if fewer than two groups have known lengths.
    """
    rows = {}
    for name, tokens in each.items():
        curves = groups[name]
        picked = curves.best or curves.weighted or curves.majority
        rows[f"{name}: coverage (oracle)"] = [Spent(p.k * tokens, p.value) for p in curves.coverage]
        if picked:
            kind = "best" if curves.best else "weighted" if curves.weighted else "majority"
            rows[f"{name}: {kind}"] = [Spent(p.k * tokens, p.value) for p in picked]
    if len(each) < 2:
        return None
    ends = [points[0].cost for points in rows.values()] + [points[-1].cost for points in rows.values()]
    budgets = [float(b) for b in np.geomspace(min(ends), max(ends), most)]
    shown = RichTable(title="at equal tokens a problem, %")
    shown.add_column("")
    for budget in budgets:
        shown.add_column(f"{short(budget)} tokens", justify="right")
    for name, reached in at_equal_cost(rows, [b * (1 + 1e-9) for b in budgets]).items():
        shown.add_row(escape(name), *("–" if value is None else percent(value) for value in reached))
    return shown


def limits(found: ScalingLimits) -> list[str]:
    """The limits of scaling on a group of problems, as sentences; unknown values are left out."""
    lines = [
        f"{loss.selector} loses {100 * loss.gap:.1f} points of coverage"
        + (": " if loss.causes else "")
        + ", ".join(f"{cause} {100 * share:.1f}" for cause, share in loss.causes.items())
        + (f"; {_plateau(loss.plateau)}" if loss.plateau else "")
        for loss in found.losses
    ]
    if found.ceiling is not None and found.ceiling.value is not None:
        t, f, value = found.ceiling.t, found.ceiling.f, found.ceiling.value
        lines.append(
            f"the verifier passes {percent(t)} % of right and {percent(f)} % of wrong draws: drawing until one passes "
            f"cannot exceed {percent(value)} %"
        )
    if found.p_bound is not None:
        lines.append(
            f"{found.never_solved} problems were never solved: each one's rate is below {percent(found.p_bound)} %"
        )
    if found.mode_wrong:
        shown = percent(found.mode_wrong, found.mode_wrong_ci95)
        lines.append(f"on {shown} % of the problems the most frequent answer is wrong: no vote of any size helps there")
    if found.guess_floor:
        k, floor = found.guess_floor[-1]
        lines.append(f"guessing among the {found.n_answers} answers seen would cover {percent(floor)} % at k = {k}")
    lines.append(
        f"all {found.worst.k} of {found.worst.k} draws right: {percent(found.worst.value, found.worst.ci95)} %"
    )
    if found.tokens is not None:
        lines.append(
            f"a reply has {found.tokens.mean:.0f} tokens, for one prompt ± {found.tokens.sd:.0f} (95 % of them under "
            f"{found.tokens.p95:.0f})"
            + (
                f"; longer ones are {'more' if found.tokens.correlation > 0 else 'less'} often right "
                f"(r = {found.tokens.correlation:+.2f} [{found.tokens.ci95.low:+.2f}, {found.tokens.ci95.high:+.2f}])"
                if found.tokens.correlation is not None and found.tokens.ci95 is not None
                else ""
            )
        )
    if found.power is not None and found.losses:
        lines.append(power(found.power, f"one draw and {found.losses[0].selector} of {found.worst.k}"))
    lines.append(_where_from(found))
    for i, part in enumerate(found.bins):
        vote = "" if part.majority is None else f", majority {percent(part.majority)} %"
        ease = ("easiest", "easy", "middle", "hard", "hardest")[i]
        lines.append(
            f"{ease} fifth: one draw {percent(part.accuracy)} %{vote}, coverage (oracle) {percent(part.coverage)} %"
        )
    return lines


def reliability(found: Reliability | None) -> list[str]:
    """How reliable draws are, as a sentence."""
    if found is None:
        return []
    parts = (
        ("any right (pass@k)", found.any),
        ("half of them", found.half),
        ("three quarters", found.three_quarters),
        ("all (pass^k)", found.all),
        ("mean above half (mG-Pass@k)", found.mean),
    )
    told = ", ".join(f"{name} {percent(point.value, point.ci95)} %" for name, point in parts)
    return [f"of {found.k} draws: {told}"]


def _where_from(found: ScalingLimits) -> str:
    """The age of the problems, whether the model can have read them, and the feedback between draws."""
    feedback = "unknown" if found.feedback is None else found.feedback
    date, cutoff = found.data_date, found.model_cutoff
    if date is None or cutoff is None:
        age = "whether it has read them is unknown"
    else:
        age = "it may have read them" if date <= cutoff else "it cannot have read them"
    dates = f"date of the problems {date or 'unknown'}, cut-off of the model {cutoff or 'unknown'}: {age}"
    return f"{dates}; feedback between draws: {feedback}"


def power(found: Power, what: str) -> str:
    """The statistical power of a number of problems, as a sentence."""
    shown = "no difference" if found.shown is None else f"a difference of {100 * found.shown:.1f} points or more"
    needed = "" if found.needed is None else f"; one as large as seen takes {found.needed:,} problems"
    return f"{found.problems:,} problems show {shown} between {what} with a chance of 80 %{needed}"


def worths(name: str, rows: Sequence[Worth]) -> RichTable:
    """The value of verifiers on a group's draws."""
    k = rows[0].k
    shown = RichTable(title=escape(f"{name}: verifiers, {rows[0].problems} problems"))
    for column in (
        "verifier",
        "scored",
        "accuracy % [95 %]",
        "ROC area [95 %]",
        "calibration error",
        "calibrated",
        "ceiling %",
        f"best of {k} %",
        "gap to coverage",
    ):
        shown.add_column(column, justify="left" if column == "verifier" else "right")
    for row in rows:
        area = "?" if row.auc is None else f"{row.auc:.3f}"
        between = "" if row.auc_ci95 is None else f" [{row.auc_ci95.low:.3f}, {row.auc_ci95.high:.3f}]"
        shown.add_row(
            escape(row.verifier),
            f"{row.scored:,} of {row.scored + row.unscored:,}",
            percent(row.accuracy, row.accuracy_ci95),
            area + between,
            number(row.calibration_error, 3),
            number(row.calibrated_error, 3),
            percent(row.ceiling.value) if row.ceiling else "?",
            percent(row.best),
            percent(row.gap),
        )
    return shown


def worth_lines(rows: Sequence[Worth]) -> list[str]:
    """Sentences on what the table of verifiers leaves out."""
    lines = [
        f"{row.verifier} could not score {row.unscored:,} draws: {row.why_unscored or 'it does not say why'}"
        for row in rows
        if row.unscored
    ]
    lines += [
        f"{row.verifier} gives scores outside 0 to 1, which are not probabilities; .5 or more is taken as acceptance"
        for row in rows
        if row.scored and row.calibration_error is None
    ]
    return [*lines, f"coverage (oracle) of {rows[0].k} draws: {percent(rows[0].coverage)} %"]


def _plateau(turn: Plateau) -> str:
    if turn.is_reached:
        return f"it stops rising near k = {turn.k} [{turn.ci95.low:.0f}, {turn.ci95.high:.0f}]"
    return "it is still rising at the last k"


def bank(stats: Sequence[Stat]) -> RichTable:
    """The contents of a bank."""
    shown = RichTable()
    for name in ("model", "questions", "draws", "output tokens"):
        shown.add_column(name, justify="left" if name == "model" else "right")
    for stat in stats:
        shown.add_row(escape(stat.model), number(stat.questions), number(stat.draws), number(stat.output_tokens))
    return shown


def verdicts(judged: Sequence[Judged]) -> RichTable:
    """The results in a bank of each verifier and judge."""
    shown = RichTable()
    for name in ("judged by", "kind", "verdicts"):
        shown.add_column(name, justify="right" if name == "verdicts" else "left")
    for each in judged:
        shown.add_row(escape(each.judged_by), each.kind, number(each.verdicts))
    return shown


def law(name: str, law: Law, prediction: Prediction) -> RichTable:
    """The fits to one group of problems with their values at k; the range over fits is not an error of any of them."""
    data = law.data
    title = f"{name}: {data.problems} problems, {data.draws:,} draws, measured to {data.least:,}"
    shown = RichTable(title=escape(title))
    for column in ("law", "parameters", "AIC", "weight", f"coverage at {prediction.k:,} %"):
        shown.add_column(column, justify="left" if column in ("law", "parameters") else "right")
    for fit in law.fits:
        shown.add_row(
            fit.family,
            ", ".join(f"{key} = {value:.4g}" for key, value in fit.params.items()),
            number(fit.aic, 1),
            percent(fit.weight),
            percent(prediction.families.get(fit.family)),
        )
    return shown


def law_lines(law: Law, prediction: Prediction, is_identified: bool) -> list[str]:
    """The prediction and its limits as sentences."""
    kind = "measured" if prediction.k <= law.data.least else "predicted"
    value = f"{percent(prediction.value)} %" if prediction.value is not None else "unknown, within"
    lines = [f"coverage at {prediction.k:,} draws, {kind}: {value} {_band(prediction.band)}"]
    if prediction.models is not None:
        lines.append(f"of which sampling {_band(prediction.sampling)}, choice of law {_band(prediction.models)}")
    if not is_identified:
        lines.append("not identified by these counts")
    return lines + [SAYS[flag] for flag in law.flags(prediction.k)]


def reach_lines(law: Law, k: int, reached: Reach) -> list[str]:
    """How many draws a coverage takes, and how likely k draws reach it, as sentences."""
    target = f"{100 * reached.target:g} % coverage"
    never = f"more than {FARTHEST:,}"
    low, high = (never if n is None else f"{n:,}" for n in (reached.at_best, reached.at_worst))
    draws = f"{never} draws" if reached.draws is None else f"{reached.draws:,} draws"
    lines = [f"{target} takes {draws} a problem; by the ends of the band between {low} and {high}"]
    chance = law.chance_of(reached.target, k)
    if chance is not None and k != reached.draws:
        lines.append(
            f"{k:,} draws reach {target} on {percent(chance)} % of problem sets like this one, if the laws hold"
        )
    return lines


def _band(band: tuple[float, float] | None) -> str:
    return "?" if band is None else f"{ends(band)} %"
