"""`mull train weights`: learns the weights of an ensemble's members."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mull.cli.options import JsonOption, SeedOption
from mull.cli.output import print_json, say, stdout
from mull.cli.source import GroupOption, wanted
from mull.errors import UnknownNameError, UsageError


def weights(
    source: Annotated[Path, typer.Argument(help="The --out file of a sweep whose strategies are the members.")],
    member: Annotated[
        list[str] | None,
        typer.Option("--member", help="Only this strategy; may be given several times. [default: all]"),
    ] = None,
    group: GroupOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn the weights of an ensemble's members from their accuracy in a sweep, and print the ensemble.

    Example: mull train weights sweep.jsonl
    """
    from mull.lab import sources
    from mull.lab import weights as lab

    groups = wanted(sources.read_source(source), group).groups
    if len(groups) != 1:
        raise UsageError(f"{source} has several groups: name one with --group ({', '.join(groups)})")
    (found,) = groups.values()
    known = list(dict.fromkeys(name for one in found.recordings for name in one.results))
    for name in member or ():
        if name not in known:
            raise UnknownNameError("strategy of the sweep", name, known)
    learnt = lab.learn(lab.rows_of(found.recordings, member or known), seed)
    if as_json:
        print_json({**asdict(learnt), "spec": learnt.spec})
        return
    from rich.table import Table

    from mull.report.words import escape, percent

    shown = Table(title=f"{learnt.problems} problems, {learnt.wrong:.1f} wrong answers to choose among")
    for column in ("member", "answered", "accuracy %", "weight"):
        shown.add_column(column, justify="left" if column == "member" else "right")
    for one in learnt.members:
        shown.add_row(escape(one.spec), f"{one.answered:,}", percent(one.accuracy), f"{one.weight:.2f}")
    console = stdout()
    console.print(shown)
    for what, figure in (("weighted", learnt.weighted), ("weights of 1", learnt.alike), ("best member", learnt.best)):
        console.print(f"{what}, on problems it was not learnt from: {percent(figure.accuracy, figure.ci95)} %")
    say(learnt.spec)
