"""`mull curves`: coverage, majority and best-of-k over k."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mull import spec
from mull.cli.options import (
    JsonOption,
    MaxTokensOption,
    ModelOption,
    SeedOption,
    TemperatureOption,
    bank_at,
    model_of,
    print_json,
    stdout,
)
from mull.errors import UnknownNameError, UsageError
from mull.types import Params


def curves(
    source: Annotated[
        Path, typer.Argument(help="Recorded samples (JSONL), a sweep's --out, a table of counts (CSV) or a bank (.db).")
    ],
    k: Annotated[
        str | None, typer.Option("--k", help="Where to measure, e.g. 1,8,64. [default: powers of 2 and 10]")
    ] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="Only these groups (a source's models).")] = None,
    task: Annotated[str | None, typer.Option("--task", help="For a bank: the task whose draws are meant.")] = None,
    model: ModelOption = "nano",
    problems: Annotated[
        int, typer.Option("--problems", "-p", help="For a bank: how many problems to look for.")
    ] = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the curves to a .png or .svg file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Coverage, votes and best-of-k over k with intervals, what their gap is made of, and what draws cannot do.

    Averages over subsets of the draws, never over the first k. Example: mull curves draws.jsonl --plot curves.png
    """
    from mull.lab import gap, sources

    ks = _ks(k)
    if plot is not None:
        from mull.report import plot as plotting

        plotting.check_format(plot)
    if source.suffix == ".db":
        if task is None:
            raise UsageError("a bank holds draws but no answers: name the task with --task")
        the_task = spec.build("task", spec.TASKS, task)
        with bank_at(str(source)) as bank:
            if bank is None:
                raise UsageError("there is no bank to read")
            pools = asyncio.run(
                sources.bank_pools(
                    bank, the_task, model_of(model, seed), Params(temperature, max_tokens), seed, problems
                )
            )
    else:
        pools = sources.read_pools(source)
    wanted = group or list(pools)
    for name in wanted:
        if name not in pools:
            raise UnknownNameError("group", name, pools)
    both = {name: gap.measure(pools[name], ks, seed) for name in wanted}
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
