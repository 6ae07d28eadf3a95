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
from mull.cli.source import GroupOption, ProblemsOption, SourceArgument, TaskOption, pools_of
from mull.errors import UsageError
from mull.types import Params


def curves(
    source: SourceArgument,
    k: Annotated[
        str | None, typer.Option("--k", help="Where to measure, e.g. 1,8,64. [default: powers of 2 and 10]")
    ] = None,
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

    ks = _ks(k)
    if plot is not None:
        from mull.report import plot as plotting

        plotting.check_format(plot)
    pools = pools_of(source, group, task, model, problems, Params(temperature, max_tokens), seed)
    both = {name: gap.measure(pool, ks, seed) for name, pool in pools.items()}
    measured = {name: curve for name, (curve, _) in both.items()}
    if plot is not None:
        plotting.curves(measured, plot)
    if as_json:
        groups = {name: {**asdict(curve), "limits": asdict(found)} for name, (curve, found) in both.items()}
        only = next(iter(groups.values())) if len(groups) == 1 else {}
        print_json({**only, "groups": groups})
        return
    from mull.report import table

    for shown, (_, found) in zip(table.curves(measured), both.values(), strict=True):
        stdout().print(shown)
        for line in table.limits(found):
            stdout().print(f"- {line}", style="dim", highlight=False)


def _ks(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        ks = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--k takes whole numbers with commas between them, not {text!r}") from None
    if min(ks) < 1:
        raise UsageError(f"--k takes numbers of draws of at least 1, not {min(ks)}")
    return ks
