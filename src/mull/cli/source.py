"""The SOURCE argument of `curves`, `fit` and `report`: a file or a bank, and its draws by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mull.catalog import model_of
from mull.cli.options import bank_at, task_of
from mull.cli.output import tell
from mull.cli.tables import refuse, with_columns
from mull.errors import UnknownNameError, UsageError
from mull.files.columns import Layout
from mull.files.records import PLAIN
from mull.files.spool import draw_counts
from mull.types import Params

if TYPE_CHECKING:
    from mull.files.recording import Recording
    from mull.lab.recorded import Source

SOURCES = (
    "Recorded samples or counts (JSONL, JSON, CSV, TSV, Parquet), a sweep's --out, a bank (.db), or a log of another "
    "tool: mull list formats."
)
SourceArgument = Annotated[Path, typer.Argument(help=SOURCES)]
GroupOption = Annotated[list[str] | None, typer.Option("--group", help="Only these groups (a source's models).")]
TaskOption = Annotated[str | None, typer.Option("--task", help="For a bank: the task whose draws to use.")]
ProblemsOption = Annotated[int, typer.Option("--problems", "-p", help="For a bank: how many problems to look for.")]
KOption = Annotated[
    str | None, typer.Option("--k", help="Numbers of draws to measure at, e.g. 1,8,64. [default: powers of 2 and 10]")
]


def source_at(
    path: Path,
    task: str | None,
    model: str,
    problems: int,
    params: Params,
    seed: int,
    layout: Layout = PLAIN,
    *,
    allow_unreadable: bool = False,
) -> Source:
    """Reads a file, or a bank (`.db`), whose draws of `model` it grades by `task`; reports what it leaves out.

    Raises `UnreadableError` if no answer can be read in the file.
    """
    if path.suffix != ".db":
        from mull.lab import sources

        found = sources.read_source(path, layout)
        for note in found.notes:
            tell(note)
        refuse(found.faults, allowed=allow_unreadable)
        return found
    if task is None:
        raise UsageError("a bank holds draws but no answers: name the task with --task")
    import asyncio

    from mull.lab.banked import bank_source

    the_task = task_of(*with_columns([task], layout))
    with bank_at(str(path)) as bank:
        if bank is None:
            raise UsageError("there is no bank to read")
        return asyncio.run(bank_source(bank, the_task, model_of(model, seed), params, seed, problems))


class SourceDraws(NamedTuple):
    """The draws of one group, one recording per problem, and what the source records of their origin."""

    recordings: Sequence[Recording]
    about: Mapping[str, str]


def draws_of(source: Source, group: Sequence[str] | None) -> Mapping[str, SourceDraws]:
    """The draws of a source, restricted to the requested groups and in that order."""
    from mull.lab import sources

    found = wanted(source, group)
    return {name: SourceDraws(drawn, found.groups[name].about) for name, drawn in sources.draws(found).items()}


def wanted(source: Source, group: Sequence[str] | None) -> Source:
    """The source restricted to the requested groups, in that order."""
    for name in group or ():
        if name not in source.groups:
            raise UnknownNameError("group", name, source.groups)
    return replace(source, groups={name: source.groups[name] for name in group}) if group else source


def ks_of(text: str | None) -> list[int] | None:
    """The numbers of draws that `--k` names."""
    if text is None:
        return None
    try:
        ks = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--k takes whole numbers with commas between them, not {text!r}") from None
    if min(ks) < 1:
        raise UsageError(f"--k takes numbers of draws of at least 1, not {min(ks)}")
    return ks


def check_ks(ks: Sequence[int] | None, source: Source) -> None:
    """Reports which `--k` exceed the draws of a group. Raises `UsageError` if no `k` is left."""
    for name, group in source.groups.items() if ks else ():
        least, place = min((n, place) for place, (n, _) in enumerate(draw_counts(group.recordings)))
        too_many = [k for k in sorted(set(ks or ())) if k > least]
        what = f"problem {group.recordings[place].id!r} of {name} has {least} draws"
        if len(too_many) == len(set(ks or ())):
            raise UsageError(f"--k asks for {', '.join(map(str, too_many))} draws, and {what}")
        if too_many:
            tell(f"--k: {', '.join(map(str, too_many))} left out: {what}")
