"""The options that say what a table's columns hold, the same on every command that reads one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from mull.errors import UnreadableError
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


def refuse(faults: list[str], *, allowed: bool) -> None:
    """Says what makes figures meaningless. Raises `UnreadableError` with the first, unless such are `allowed`."""
    for fault in faults if allowed else faults[1:]:
        typer.echo(fault, err=True)
    if faults and not allowed:
        raise UnreadableError(f"{faults[0]} (--allow-unreadable goes on all the same)")
