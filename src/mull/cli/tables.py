"""The options that say what a table's columns hold, the same on every command that reads one."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from mull.errors import UnreadableError, UsageError
from mull.files.columns import Layout

HELPS = {
    "id": "The column of a problem's name.",
    "prompt": "The column of its prompt.",
    "samples": "The column of replies: one a row, or a list.",
    "gold": "The column of the gold answer.",
    "correct": "The column of verdicts on replies.",
    "answer": "The column of a reply's own answer.",
    "score": "The column of a reply's score.",
    "score_range": "LOW,HIGH: what scores may be, where that is not 0 to 1; what is outside counts as no score.",
    "answer_pattern": "A regular expression: its last match in a reply is the answer (its first group).",
}
TABLES = {"file": list(HELPS), "recorded": [name for name in HELPS if name != "answer_pattern"]}
"""The options of the specs that name a table."""
UNREADABLE = "Go on where no reply has an answer that can be read, or all replies to a problem are empty."
AllowUnreadableOption = Annotated[bool, typer.Option("--allow-unreadable", help=UNREADABLE)]


def reads_a_table(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of `Layout`, and calls it with `layout`."""
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def with_layout(**options: Any) -> Any:
        told = {name: options.pop(name) for name in HELPS}
        return command(**options, layout=Layout(**told))

    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None,
            annotation=Annotated[str | None, typer.Option(f"--{name.replace('_', '-')}", help=text)],
        )
        for name, text in HELPS.items()
    ]  # fmt: skip
    own = [one.replace(kind=one.KEYWORD_ONLY) for name, one in signature.parameters.items() if name != "layout"]
    with_layout.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    with_layout.__annotations__ = {one.name: one.annotation for one in [*own, *options]}
    return with_layout


def with_columns(specs: Sequence[str], layout: Layout) -> list[str]:
    """Specs of tasks and models, those of tables with the columns that the command line names.

    Raises `UsageError` where columns are named and none is a table.
    """
    if layout != Layout() and not any(spec.partition(":")[0] in TABLES for spec in specs):
        raise UsageError("columns are named for tables, file:PATH or recorded:PATH, and here is none")
    return [_with_columns(spec, layout) for spec in specs]


def _with_columns(spec: str, layout: Layout) -> str:
    names = TABLES.get(spec.partition(":")[0], ())
    told = {name: value for name in names if (value := getattr(layout, name)) is not None}
    return ",".join([spec, *(f"{name}=({_escaped(value)})" for name, value in told.items())])


def _escaped(text: str) -> str:
    """A text whose brackets and commas are not those of a spec."""
    return re.sub(r"([(),])", r"\\\1", text)


def refuse(faults: list[str], *, allowed: bool) -> None:
    """Says what makes figures meaningless. Raises `UnreadableError` with the first, unless such are `allowed`."""
    for fault in faults if allowed else faults[1:]:
        typer.echo(fault, err=True)
    if faults and not allowed:
        raise UnreadableError(f"{faults[0]} (--allow-unreadable goes on all the same)")
