"""`mull curves`: coverage, majority and best-of-k over k, or the gain from longer thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mull.catalog import verifier_of
from mull.cli.options import (
    ConfigOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    SeedOption,
    TemperatureOption,
    TitleOption,
)
from mull.cli.output import print_json, print_lines, stdout
from mull.cli.progress import steady
from mull.cli.source import (
    GroupOption,
    KOption,
    ProblemsOption,
    SourceArgument,
    TaskOption,
    check_ks,
    ks_of,
    source_at,
    wanted,
)
from mull.cli.tables import AllowUnreadableOption, reads_a_table
from mull.errors import UsageError
from mull.files.columns import Layout
from mull.files.output import check_writable
from mull.types import Params

if TYPE_CHECKING:
    from mull.files.recording import Recording
    from mull.lab.recorded import Source
    from mull.lab.verify import Worth


@reads_a_table
def curves(
    source: SourceArgument,
    k: KOption = None,
    group: GroupOption = None,
    task: TaskOption = None,
    model: ModelOption = "nano",
    problems: ProblemsOption = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    verifier: Annotated[
        list[str] | None,
        typer.Option(
            "--verifier",
            help="Measure this verifier on the draws; may be given several times. `recorded`: the scores in the file.",
        ),
    ] = None,
    config: ConfigOption = None,
    seed: SeedOption = 0,
    thinking: Annotated[
        bool,
        typer.Option("--thinking", help="For a sweep of several thinking budgets: the gain from longer thinking."),
    ] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Plot the curves to a .png, .svg or .pdf file.")] = None,
    title: TitleOption = "",
    allow_unreadable: AllowUnreadableOption = False,
    as_json: JsonOption = False,
    *,
    layout: Layout,
) -> None:
    """Estimate coverage, votes and best-of-k over k with intervals, the parts of their gap, and limits of draws.

    Averages over all subsets of k draws, not over the first k. Example: mull curves draws.jsonl --plot curves.png
    """
    from mull.lab import gap, sources
    from mull.lab.reliability import reliability

    ks = ks_of(k)

    def read() -> Source:
        params = Params(temperature, max_tokens)
        with steady("reading"):
            return source_at(source, task, model, problems, params, seed, layout, allow_unreadable=allow_unreadable)

    if thinking:
        if k or verifier or plot:
            raise UsageError("--thinking compares budgets, not numbers of draws: it takes no --k, --verifier or --plot")
        _thinking(wanted(read(), group), seed, as_json)
        return
    if plot is not None:
        from mull.report import plot as plotting

        plotting.check_format(plot)
        check_writable(plot, "the plot")
    found = wanted(read(), group)
    drawn = sources.draws(found)
    check_ks(ks, found)
    worths, both = {}, {}
    with steady("groups", len(drawn)) as advance:
        for name, recordings in drawn.items():
            if verifier:
                worths[name] = _worths(recordings, verifier, seed, config)
            one = gap.measure(recordings, ks, seed)
            both[name] = one._replace(limits=one.limits.told(found.groups[name].about))
            advance()
    measured = {name: one.curves for name, one in both.items()}
    if plot is not None:
        with steady("plotting"):
            plotting.curves(measured, plot, title)
    if as_json:
        groups = {
            name: {
                **asdict(one.curves),
                "limits": asdict(one.limits),
                "reliability": None if (reliable := reliability(drawn[name], seed)) is None else asdict(reliable),
                **({"verifiers": [asdict(w) for w in worths[name]]} if verifier else {}),
            }
            for name, one in both.items()
        }
        only = next(iter(groups.values())) if len(groups) == 1 else {}
        print_json({**only, "groups": groups})
        return
    from mull.laws.counts import counts
    from mull.laws.limits import SAYS, shortcomings
    from mull.report import table

    for shown, (name, one) in zip(table.curves(measured, _prices(drawn)), both.items(), strict=True):
        stdout().print(shown)
        lacks = shortcomings(counts([r.n for r in drawn[name]], [r.n_correct for r in drawn[name]]))
        told = [*(SAYS[flag] for flag in lacks), *table.reliability(reliability(drawn[name], seed))]
        print_lines((f"- {line}" for line in told + table.limits(one.limits)), "dim")
    lengths = {name: one.limits.tokens.mean for name, one in both.items() if one.limits.tokens is not None}
    if (equal := table.equal_tokens(measured, lengths)) is not None:
        stdout().print(equal)
    for name, rows in worths.items():
        stdout().print(table.worths(name, rows))
        print_lines((f"- {line}" for line in table.worth_lines(rows)), "dim")


def _thinking(source: Source, seed: int, as_json: bool) -> None:
    from mull.lab.thinking import measure
    from mull.report import thoughts

    found = {name: measure(group, seed) for name, group in source.groups.items()}
    if as_json:
        groups = {name: {"methods": [asdict(method) for method in methods]} for name, methods in found.items()}
        only = next(iter(groups.values())) if len(groups) == 1 else {}
        print_json({**only, "groups": groups})
        return
    for name, methods in found.items():
        for method in methods:
            stdout().print(thoughts.table(name, method))
            print_lines((f"- {line}" for line in thoughts.lines(method)), "dim")


def _prices(drawn: Mapping[str, Sequence[Recording]]) -> dict[str, tuple[float, float]]:
    """Dollars of a question's first draw and of each further one, for the groups whose costs tell and are not 0."""
    from mull import cost
    from mull.advice.billing import of_results

    found = {}
    for name, recordings in drawn.items():
        if (each := of_results(recordings)) is not None:
            first, further = (cost.mean(column).usd for column in zip(*each, strict=True))
            if first is not None and further is not None and first > 0:
                found[name] = first, further
    return found


def _worths(recordings: Sequence[Recording], verifiers: Sequence[str], seed: int, config: Path | None) -> list[Worth]:
    """Measures each verifier on these draws, and all of them combined if there are enough."""
    import asyncio

    from mull.lab import verify

    columns, rows = {}, []
    for text in verifiers:
        if text == verify.RECORDED:
            scored, why = list(recordings), "not recorded"
        else:
            scored, why = asyncio.run(verify.scored(recordings, verifier_of(text, seed, config)))
        columns[text] = scored
        rows.append(verify.worth(text, scored, why, seed))
    together = verify.combined(columns)
    return rows if together is None else [*rows, verify.worth(verify.COMBINED, together, seed=seed)]
