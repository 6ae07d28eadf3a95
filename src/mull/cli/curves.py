"""`mull curves`: coverage, majority and best-of-k over k."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mull.cli.options import (
    JsonOption,
    MaxTokensOption,
    ModelOption,
    SeedOption,
    TemperatureOption,
    print_json,
    stdout,
)
from mull.cli.source import GroupOption, KOption, ProblemsOption, SourceArgument, TaskOption, draws_of, ks_of
from mull.types import Params


def curves(
    source: SourceArgument,
    k: KOption = None,
    group: GroupOption = None,
    task: TaskOption = None,
    model: ModelOption = "nano",
    problems: ProblemsOption = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the curves to a .png or .svg file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Coverage, votes and best-of-k over k with intervals, what their gap is made of, and what draws cannot do.

    Averages over subsets of the draws, never over the first k. Example: mull curves draws.jsonl --plot curves.png
    """
    from mull.lab import gap

    ks = ks_of(k)
    if plot is not None:
        from mull.report import plot as plotting

        plotting.check_format(plot)
    draws = draws_of(source, group, task, model, problems, Params(temperature, max_tokens), seed)
    both = {}
    for name, (pools, about) in draws.items():
        one = gap.measure(pools, ks, seed)
        both[name] = one._replace(limits=one.limits.told(about))
    measured = {name: one.curves for name, one in both.items()}
    if plot is not None:
        plotting.curves(measured, plot)
    if as_json:
        groups = {name: {**asdict(one.curves), "limits": asdict(one.limits)} for name, one in both.items()}
        only = next(iter(groups.values())) if len(groups) == 1 else {}
        print_json({**only, "groups": groups})
        return
    from mull.report import table

    for shown, one in zip(table.curves(measured), both.values(), strict=True):
        stdout().print(shown)
        for line in table.limits(one.limits):
            stdout().print(f"- {line}", style="dim", highlight=False)
    lengths = {name: one.limits.tokens.mean for name, one in both.items() if one.limits.tokens is not None}
    if (equal := table.equal_tokens(measured, lengths)) is not None:
        stdout().print(equal)
