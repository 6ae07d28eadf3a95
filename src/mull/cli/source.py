"""SOURCE, as `curves` and `fit` take it: pools of draws by group."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mull import spec
from mull.cli.options import bank_at, model_of
from mull.errors import UnknownNameError, UsageError
from mull.types import Params

if TYPE_CHECKING:
    from mull.lab.metrics import Pool

SourceArgument = Annotated[
    Path, typer.Argument(help="Recorded samples (JSONL), a sweep's --out, a table of counts (CSV) or a bank (.db).")
]
GroupOption = Annotated[list[str] | None, typer.Option("--group", help="Only these groups (a source's models).")]
TaskOption = Annotated[str | None, typer.Option("--task", help="For a bank: the task whose draws are meant.")]
ProblemsOption = Annotated[int, typer.Option("--problems", "-p", help="For a bank: how many problems to look for.")]


def pools_of(
    source: Path,
    group: Sequence[str] | None,
    task: str | None,
    model: str,
    problems: int,
    params: Params,
    seed: int,
) -> Mapping[str, Sequence[Pool]]:
    """The pools of a source, of the wanted groups only and in the order they were asked for."""
    from mull.lab import sources

    if source.suffix == ".db":
        if task is None:
            raise UsageError("a bank holds draws but no answers: name the task with --task")
        the_task = spec.build("task", spec.TASKS, task)
        with bank_at(str(source)) as bank:
            if bank is None:
                raise UsageError("there is no bank to read")
            pools = asyncio.run(sources.bank_pools(bank, the_task, model_of(model, seed), params, seed, problems))
    else:
        pools = sources.read_pools(source)
    wanted = group or list(pools)
    for name in wanted:
        if name not in pools:
            raise UnknownNameError("group", name, pools)
    return {name: pools[name] for name in wanted}
