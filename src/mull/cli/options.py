"""The options that several commands share, and what they become."""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec

if TYPE_CHECKING:
    from rich.console import Console

    from mull.bank.sql import SqlBank

ModelOption = Annotated[str, typer.Option("--model", "-m", help="nano, mini, or recorded:FILE.")]
VerifierOption = Annotated[str | None, typer.Option("--verifier", help="What scores the draws, e.g. countdown.")]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed gives the same draws.")]
TemperatureOption = Annotated[float, typer.Option("--temperature", "-t", help="0 is greedy.")]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", help="The most tokens of one draw.")]
TokensOption = Annotated[int | None, typer.Option("--tokens", help="Ceiling on generated tokens for each problem.")]
UsdOption = Annotated[float | None, typer.Option("--usd", help="Ceiling in dollars for each problem.")]
FlopsOption = Annotated[float | None, typer.Option("--flops", help="Ceiling in FLOPs for each problem.")]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", help="Deadline for each problem; the best so far is returned.")
]
BankOption = Annotated[
    str | None,
    typer.Option("--bank", help="File or database URL of the bank; `none` keeps nothing. [default: the user's]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@contextmanager
def bank_at(url: str | None) -> Iterator[SqlBank | None]:
    """The bank that the option names; it is written and closed whatever happens."""
    if url == "none":
        yield None
        return
    from mull.bank import open_bank

    with open_bank(url) as bank:
        yield bank


def model_of(text: str, seed: int) -> Any:
    return spec.build("model", spec.MODELS, text, seed=seed)


def verifier_of(text: str | None) -> Any:
    return None if text is None else spec.build("verifier", spec.VERIFIERS, text)


def made_by() -> dict[str, str]:
    """What it takes to make this again: the command as it was given, but for passwords, and the versions."""
    import numpy as np

    from mull import __version__

    command = shlex.join(["mull", *(re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:***@", word) for word in sys.argv[1:])])
    return {"command": command, "mull": __version__, "python": platform.python_version(), "numpy": np.__version__}


def stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def stdout() -> Console:
    """Standard output, wide enough for a table where it is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


@contextmanager
def progress(what: str, total: int | None, is_quiet: bool) -> Iterator[Callable[[], None]]:
    """One bar with the time left, on a terminal; yields what moves it on by one."""
    console = stderr()
    if is_quiet or not console.is_terminal:
        yield lambda: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda: bars.advance(bar)
