"""The options that name a table's columns, shared by every command that reads a table."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from mull.cli.output import tell
from mull.errors import UnreadableError, UsageError
from mull.files.columns import KINDS, Layout

HELPS = {
    "id": "Column of the problem's id.",
    "prompt": "Column of the prompt.",
    "samples": "Column of the replies: one per row, or a list.",
    "gold": "Column of the gold answer.",
    "correct": "Column of the verdict on each reply.",
    "answer": "Column of the answer extracted from each reply.",
    "score": "Column of each reply's score.",
    "score_range": "LOW,HIGH: range of the scores, if not 0 to 1; a score outside it counts as missing.",
    "answer_pattern": "Another name of --match regex:PATTERN.",
    "kind": f"Kind of all answers: {', '.join(KINDS)}. [default: told from each row's gold answer]",
    "match": "How a reply matches its gold answer: exact, includes, or regex:PATTERN: the first group of "
    "the pattern's last match (or the whole match) is the answer.",
}
READING = ("answer_pattern", "kind", "match")
"""Those that say how answers are read, which is a task's own business."""
TABLES = {"file": list(HELPS), "recorded": [name for name in HELPS if name not in READING]}
"""The options of the specs that name a table."""
AskOption = Annotated[
    str | None,
    typer.Option(
        "--ask", help="Form of answer that the prompts of file: ask for: line, boxed or none. [default: by kind]"
    ),
]
DEAF = ("nano", "mini", "nano-r1", "nano-think", "recorded", "banked")
"""Models that cannot do what a prompt asks for: they know their own tasks only, or replied before."""
UNREADABLE = (
    "Go on even if no answer can be read from any reply, all replies to a problem are empty, or none is graded."
)
AllowUnreadableOption = Annotated[bool, typer.Option("--allow-unreadable", help=UNREADABLE)]


def reads_a_table(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of `Layout` to a command and passes them as its argument `layout`."""
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def with_layout(**options: Any) -> Any:
        told = {name: options.pop(name) for name in HELPS}
        return command(**options, layout=Layout(**told))

    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(f"--{name.replace('_', '-')}", help=text)],
        )
        for name, text in HELPS.items()
    ]
    own = [one.replace(kind=one.KEYWORD_ONLY) for name, one in signature.parameters.items() if name != "layout"]
    with_layout.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    with_layout.__annotations__ = {one.name: one.annotation for one in [*own, *options]}
    return with_layout


def with_columns(specs: Sequence[str], layout: Layout, ask: str | None = None, *, is_served: bool = False) -> list[str]:
    """Adds the columns named on the command line to the specs of tasks and models that read tables.

    `is_served`: the models are at a server, whatever their names are.
    Raises `UsageError` if columns are named and no spec reads a table.
    """
    if ask is not None and not any(spec.partition(":")[0] == "file" for spec in specs):
        raise UsageError("--ask is for the questions of a file, file:PATH; other tasks ask in their own words")
    if layout != Layout() and not any(spec.partition(":")[0] in TABLES for spec in specs):
        raise UsageError("column options apply to tables, file:PATH or recorded:PATH, and none is given")
    models = [spec for spec in specs[1:] if spec.partition(":")[0] != "file"]
    if ask is None and not is_served and models and all(model.partition(":")[0] in DEAF for model in models):
        ask = "none"
    return [_with_columns(spec, layout, ask) for spec in specs]


def _with_columns(spec: str, layout: Layout, ask: str | None) -> str:
    names = TABLES.get(spec.partition(":")[0], ())
    told = {name: value for name in names if (value := getattr(layout, name)) is not None}
    if ask is not None and spec.partition(":")[0] == "file" and ",ask=" not in spec:
        told["ask"] = ask
    return ",".join([spec, *(f"{name}=({_escaped(value)})" for name, value in told.items())])


def _escaped(text: str) -> str:
    """Escapes the brackets and commas of a text for use in a spec."""
    return re.sub(r"([(),])", r"\\\1", text)


def refuse(faults: list[str], *, allowed: bool) -> None:
    """Reports faults that make figures meaningless. Raises `UnreadableError` with the first unless `allowed`."""
    for fault in faults if allowed else faults[1:]:
        tell(fault)
    if faults and not allowed:
        raise UnreadableError(f"{faults[0]} (--allow-unreadable goes on anyway)")
