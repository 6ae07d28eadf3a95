"""The sections of a report, each a function from a `Report` to a `Section`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mull.advice.options import Advice, Recommendation
from mull.errors import UsageError
from mull.files.spool import draw_counts
from mull.lab.gap import difficulty_bins
from mull.lab.measured import UNITS, Measured, Study, amount, at_equal_cost, by_difficulty, by_group, pareto
from mull.lab.recorded import Source
from mull.laws import coverage
from mull.report import figures
from mull.report.answer import known
from mull.report.figures import Figure
from mull.report.heat import heat
from mull.report.table import law_lines, limits
from mull.report.table import power as power_sentence
from mull.report.words import dollars, per_thousand, percent, points, short
from mull.stats.paired import Paired, paired, power

MOST_GROUPS = 12
"""Most groups that get figures of their own."""
MOST_HEAT_ROWS = 12
MOST_BUDGETS = 6
MOST_BINS = 5
LEAST_IN_BIN = 10
"""Problems in a bin of difficulty; with fewer, a cell of the heat map says next to nothing."""
MOST_WHOLE = 5
"""Most columns of a heat map whose full names fit under them."""
N_RESAMPLES = 100
"""For the bands of laws, over problems; few, so that a page with many groups does not take minutes."""


@dataclass(frozen=True, slots=True)
class SectionTable:
    """Rows of text under column heads; `mark` is the index of the highlighted row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """The sentences about one group."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page: a few sentences, then figures, then lines, then tables."""

    id: str
    title: str
    lead: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[SectionTable, ...] = ()
    lines: tuple[Lines, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The content of the page.

    `leads` are the cheapest strategy measured and the gain of the most accurate; `advice` is an error if there is none.
    """

    studies: list[Study]
    unit: str
    advice: list[Advice | UsageError]
    leads: list[tuple[Measured | None, Paired | None]]
    sources: list[Source]
    made_by: Mapping[str, str]
    seed: int = 0
    title: str = ""
    slugs: list[str] = field(default_factory=list)


def strategies_section(report: Report) -> Section:
    """Every strategy with its accuracy, its cost, and its paired difference to the cheapest."""
    rows = list(zip(report.studies, report.advice, report.leads, strict=True))
    tables = tuple(_strategy_table(study, advice, base, report.seed) for study, advice, (base, _) in rows)
    lead = ["Accuracy is what each strategy's own answer reaches, without knowing which draw is right."]
    if any(m.is_replayed for s in report.studies for m in s.strategies):
        lead.append("These strategies were not run one by one: they are averages over subsets of the recorded draws.")
    for study, _, (_, gain) in rows:
        if gain is not None:
            found = power(gain.difference, gain.discordant, gain.problems)
            sentence = power_sentence(found, f"{gain.b} and {gain.a}")
            lead.append(f"{study.group.name}: {sentence}." if len(report.studies) > 1 else f"{sentence}.")
    if any(m.oracle is not None for s in report.studies for m in s.strategies):
        lead.append("The oracle column is not a method: it is what a perfect choice among the same draws would reach.")
    return Section("strategies", "Every strategy", tuple(lead), tables=tables)


def curves_section(report: Report) -> Section | None:
    """Coverage, majority and best-of-k over k."""
    drawn = tuple(figures.curves(slug, s.group.name, s.curves) for s, slug in _with_curves(report) if s.curves)
    lead = (
        "Coverage is the share of problems with a right draw among k: an oracle, out of reach without a perfect check. "
        "The solid lines choose one answer from the same draws. Bands are 95 % intervals over problems.",
    )
    return Section("curves", "What more draws buy", lead, drawn) if drawn else None


def gap_section(report: Report) -> Section | None:
    """Coverage minus the accuracy after selection."""
    drawn = tuple(
        figures.gap(slug, s.group.name, s.curves) for s, slug in _with_curves(report) if s.curves and s.curves.gap
    )
    lead = (
        "The gap is coverage minus the accuracy of the selected answer: what a better verifier could still gain from "
        "the same draws. Where it grows with k, choosing is the bottleneck, not drawing.",
    )
    return Section("gap", "What selection loses", lead, drawn) if drawn else None


def limits_section(report: Report) -> Section | None:
    """The limits of scaling that the recorded draws show."""
    lines = tuple(Lines(s.group.name, tuple(limits(s.limits))) for s, _ in _with_curves(report) if s.limits)
    lead = ("Where the gap comes from, and what neither more draws nor a larger vote can fix.",)
    return Section("limits", "What more draws cannot do", lead, lines=lines) if lines else None


def law_section(report: Report) -> Section | None:
    """Coverage one decade beyond the draws, by laws fitted to their counts."""
    lines, drawn = [], []
    for study, slug in _with_curves(report):
        counts = draw_counts(study.group.recordings)
        n, c = [each.n for each in counts], [each.n_correct for each in counts]
        law = coverage.fit(n, c, resamples=N_RESAMPLES, seed=report.seed)
        k = 10 * law.data.least
        drawn.append(figures.law(slug, study.group.name, law, k))
        lines.append(Lines(study.group.name, tuple(law_lines(law, law.predict(k), law.is_identified(k)))))
    lead = (
        "An extrapolation, not a measurement: coverage laws fitted to the counts, from the line at n on. The band "
        "covers the sampling of problems and the choice of law. Coverage is what a perfect check would reach.",
    )
    if not drawn:
        return None
    return Section("law", "What ten times the draws would cover", lead, tuple(drawn), lines=tuple(lines))


def cost_section(report: Report) -> Section | None:
    """Accuracy over cost with its Pareto front."""
    drawn = []
    for s, slug in zip(report.studies[:MOST_GROUPS], report.slugs, strict=False):
        front = pareto(s.strategies, report.unit)
        if len([m for m in s.strategies if m.accuracy is not None and amount(m.cost, report.unit)]) > 1 and front:
            drawn.append(figures.frontier(slug, s.group.name, s.strategies, front, report.unit))
    unknown = [
        word
        for unit, word in UNITS.items()
        if all(amount(m.cost, unit) is None for s in report.studies for m in s.strategies)
    ]
    lead = [
        f"Cost is in {UNITS[report.unit]}, the mean of a problem. Strategies on the dashed line are those that no "
        "other beats at their cost or less; the bars are 95 % intervals."
    ]
    if unknown:
        lead.append(f"Not recorded, and so unknown: {', '.join(unknown)}.")
    tables = [
        _equal_budget_table(s, unit)
        for s in report.studies[:MOST_GROUPS]
        for unit in UNITS
        if unit != "calls" and len([m for m in s.strategies if amount(m.cost, unit)]) > 1
    ]
    return Section("cost", "What it costs", tuple(lead), tuple(drawn), tuple(tables)) if drawn else None


def _equal_budget_table(study: Study, unit: str) -> SectionTable:
    """The accuracy of each kind of strategy within equal budgets; nothing is interpolated."""
    budgets, reached = at_equal_cost(study.strategies, unit, MOST_BUDGETS)
    columns = ("accuracy % within", *(f"{short(budget)} {UNITS[unit]}" for budget in budgets))
    rows = [(kind, *("–" if value is None else percent(value) for value in row)) for kind, row in reached.items()]
    return SectionTable(columns, tuple(rows), f"{study.group.name}: equal budgets in {UNITS[unit]} a problem")


def heat_section(report: Report) -> Section | None:
    """Accuracy by strategy and group, or by difficulty if there is only one group."""
    if len(report.studies) > 1:
        tiles = dict(list(by_group(report.studies).items())[:MOST_HEAT_ROWS])
        places = [_folded(s.group.task or s.group.name) for s in report.studies]
        if len(set(places)) < len(places):
            places = [_folded(s.group.name) for s in report.studies]
        places, what = _without_prefix(places, "group")
        drawn = [heat("groups", "Accuracy by strategy and group, %", tiles, places, what)]
        lead = ["What works in one place need not work in another: one number for all groups would hide it."]
        return Section("where", "Where it works", tuple(lead), tuple(drawn))
    only = report.studies[0]
    recordings = only.group.recordings
    n_bins = min(MOST_BINS, len(recordings) // LEAST_IN_BIN)
    if n_bins < 2 or not all(n for n, _ in draw_counts(recordings)):
        return None
    bins = difficulty_bins(recordings, report.seed, n_bins)
    by_bin = by_difficulty(only, bins)
    kept = {m.name for m in _fewer(only.strategies)}
    places = ["easiest", *map(str, range(2, n_bins)), "hardest"]
    shown = {name: row for name, row in by_bin.items() if name in kept}
    lead = [
        f"Problems in {n_bins} bins of equal size by the share of right ones among every second draw, an oracle's view "
        "of difficulty. Strategies saw those draws too, so the outer bins look a little more extreme than they are."
    ]
    drawn = [heat("difficulty", "Accuracy by strategy and difficulty, %", shown, places, "difficulty")]
    return Section("where", "Where it works", tuple(lead), tuple(drawn))


def _with_curves(report: Report) -> list[tuple[Study, str]]:
    """The groups with curves, and their slugs."""
    pairs = zip(report.studies, report.slugs, strict=True)
    return [(s, slug) for s, slug in pairs if s.curves is not None][:MOST_GROUPS]


def _fewer(strategies: Sequence[Measured]) -> list[Measured]:
    """Every other width of replayed strategies, so that a heat map stays readable; the widest are kept."""
    kept = list(strategies)
    while len(kept) > MOST_HEAT_ROWS:
        kept = kept[-1::-2][::-1]
    return kept


def _folded(name: str, width: int = 14) -> str:
    """A name broken into lines that fit under a column."""
    lines, words = [""], name.replace(" on ", " ").split(" ")
    for word in words:
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [lines[-1], word]
    return "\n".join(line if len(line) <= width + 4 else line[: width + 2] + "…" for line in lines if line)


def _without_prefix(places: list[str], what: str) -> tuple[list[str], str]:
    """Names without their common prefix, which moves into the label of the axis."""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*places, strict=False))
    alike = re.sub(r"\w*$", "", "".join(letters[0] for letters in same))
    if len(places) <= MOST_WHOLE or not alike or "\n" in alike:
        return places, what
    return [place.removeprefix(alike) for place in places], f"{what} {alike}…"


def _used(advice: Advice | UsageError) -> str | None:
    """The recommended strategy of a group, if it is one of the group's own."""
    if isinstance(advice, UsageError) or advice.verdict not in (Recommendation.SCALE, Recommendation.DO_NOT):
        return None
    return advice.recommendation.strategy


def _strategy_table(study: Study, advice: Advice | UsageError, base: Measured | None, seed: int) -> SectionTable:
    rows, mark, used = [], None, _used(advice)
    for i, m in enumerate(study.strategies):
        if m.name == used:
            mark = i
        versus = None if base is None or m is base else paired(m.name, "", m.correct, base.correct, seed)
        rows.append(
            (
                m.name,
                "unknown" if m.accuracy is None else percent(m.accuracy, m.ci95),
                "–" if versus is None else points(versus.difference, versus.ci95),
                f"{len(m.correct) - m.ungraded:,}" + (f" ({m.ungraded} ungraded)" if m.ungraded else ""),
                known(m.draws, 1),
                known(amount(m.cost, "tokens")),
                "unknown" if m.cost.flops is None else short(m.cost.flops),
                "unknown" if m.cost.usd is None else dollars(m.cost.usd),
                "unknown" if m.cost.usd is None else dollars(per_thousand(m.cost.usd)),
                "unknown" if m.oracle is None else percent(m.oracle),
                "unknown" if not m.cost.retries else f"{m.cost.retries:.3g}",
            )
        )
    cheapest = "the cheapest" if base is None else base.name
    columns = (
        "strategy",
        "accuracy % [95 %]",
        f"points over {cheapest} [95 %]",
        "problems",
        "draws",
        "tokens",
        "FLOPs",
        "dollars a question",
        "dollars per 1,000",
        "oracle %",
        "retries",
    )
    # A column without any known value is left out here (the section on cost says so), as are dollars of free models.
    empty = {"unknown", dollars(0.0)} if not any(m.cost.usd for m in study.strategies) else {"unknown"}
    kept = [i for i, name in enumerate(columns) if i < 5 or any(row[i] not in empty for row in rows)]
    cells = tuple(tuple(row[i] for i in kept) for row in rows)
    return SectionTable(
        tuple(columns[i] for i in kept),
        cells,
        f"{study.group.name}: {len(study.group.recordings):,} problems, {study.n_draws:,} recorded draws",
        mark,
    )
