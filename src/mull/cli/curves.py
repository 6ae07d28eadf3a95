"""`mull curves`: coverage, majority and best-of-k over k."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from mull.lab.cases import Source


SOURCES = (
    "Recorded samples (JSONL), a sweep's --out, a table of counts (CSV), a bank (.db), an inspect_ai log "
    "(.eval, .json) or lm-evaluation-harness's samples_*.jsonl."
)


def curves(
    source: Annotated[Path, typer.Argument(help=SOURCES)],
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
    """Coverage, majority@k, best@k and their gap, each with an interval.

    Averages over subsets of the draws, never over the first k. Example: mull curves draws.jsonl --plot curves.png
    """
    from mull.lab import metrics, sources

    ks = ks_of(k)
    if plot is not None:
        from mull.report import plot as plotting

        plotting.check_format(plot)
    found = source_at(source, task, model, problems, Params(temperature, max_tokens), seed)
    for note in found.notes:
        typer.echo(note, err=True)
    pools = sources.pools(found)
    wanted = group or list(pools)
    for name in wanted:
        if name not in pools:
            raise UnknownNameError("group", name, pools)
    measured = {name: metrics.curves(pools[name], ks, seed) for name in wanted}
    if plot is not None:
        plotting.curves(measured, plot)
    if as_json:
        groups = {name: asdict(curve) for name, curve in measured.items()}
        only = next(iter(groups.values())) if len(groups) == 1 else {}
        print_json({**only, "groups": groups})
        return
    from mull.report import table

    for shown in table.curves(measured):
        stdout().print(shown)


def source_at(path: Path, task: str | None, model: str, problems: int, params: Params, seed: int) -> Source:
    """What a file tells, or a bank (`.db`), whose draws of `model` are graded by `task`."""
    from mull.lab import sources

    if path.suffix != ".db":
        return sources.read_source(path)
    if task is None:
        raise UsageError("a bank holds draws but no answers: name the task with --task")
    the_task = spec.build("task", spec.TASKS, task)
    with bank_at(str(path)) as bank:
        if bank is None:
            raise UsageError("there is no bank to read")
        return asyncio.run(sources.bank_source(bank, the_task, model_of(model, seed), params, seed, problems))


def ks_of(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        ks = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--k takes whole numbers with commas between them, not {text!r}") from None
    if min(ks) < 1:
        raise UsageError(f"--k takes numbers of draws of at least 1, not {min(ks)}")
    return ks
