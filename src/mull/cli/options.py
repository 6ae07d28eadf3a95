"""The options that several commands share, and what they become."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.types import Cost, Outcome, Sample, Score

if TYPE_CHECKING:
    from rich.console import Console

    from mull.bank.sql import SqlBank

from mull.catalog import is_served

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="nano, mini, recorded:FILE, or a name from mull.toml (or from --base-url).")
]
BaseUrlOption = Annotated[
    str | None, typer.Option("--base-url", help="An OpenAI-compatible server, like http://localhost:8000/v1.")
]
ApiKeyEnvOption = Annotated[
    str | None, typer.Option("--api-key-env", help="The environment variable with the key for --base-url.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="[default: MULL_CONFIG, ./mull.toml or ~/.config/mull/mull.toml]")
]
VerifierOption = Annotated[str | None, typer.Option("--verifier", help="What scores the draws, e.g. countdown.")]
JudgeOption = Annotated[str | None, typer.Option("--judge", help="What compares two draws, e.g. pairwise:model=NAME.")]
ExecutorOption = Annotated[
    str, typer.Option("--executor", help="What runs programs, where a strategy needs it, e.g. python:seconds=4.")
]
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


async def prepared(model: Any) -> None:
    """Finds out what the model's server can do before anything is asked of it."""
    if not is_served(model):
        return
    await model.prepare()
    if not model.capabilities.varies:
        typer.echo(f"warning: {model.name} gave the same reply to every draw of the probe: it may not sample", err=True)


def probe_costs(models: Sequence[Any]) -> dict[str, Any]:
    """What finding out took, once for each model behind a server; it is in no problem's cost."""
    return {model.name: asdict(model.capabilities.cost) for model in models if is_served(model)}


def tell_failures(samples: Sequence[Sample], spent: Cost) -> None:
    """Says on standard error how many requests were repeated and how many draws came to nothing, and why."""
    from collections import Counter

    if spent.retries:
        typer.echo(f"{spent.retries:,} attempts were made again after failures", err=True)
    failed = Counter(sample.error for sample in samples if sample.error is not None)
    for reason, n in failed.most_common(3):
        typer.echo(f"{n:,} draws failed: {reason}", err=True)
    if len(failed) > 3:
        typer.echo(f"and draws failed for {len(failed) - 3} more reasons", err=True)


def task_of(text: str) -> Any:
    """The task that a command line names; says on standard error what was made of its file."""
    task = spec.build("task", spec.TASKS, text)
    for note in getattr(task, "notes", ()):
        typer.echo(note, err=True)
    return task


def tell_warnings(outcomes: Sequence[Outcome]) -> None:
    """Says on standard error what strategies warn of, as where a model does not do what an option takes for granted."""
    from collections import Counter

    warned = Counter(str(outcome.notes["warning"]) for outcome in outcomes if outcome.notes.get("warning"))
    for words, n in warned.most_common():
        typer.echo(
            f"warning{f' ({n:,} of {len(outcomes):,} outcomes)' if len(outcomes) > 1 else ''}: {words}", err=True
        )


def tell_scores(scores: Sequence[Score]) -> None:
    """Says on standard error how many draws have no score and why, and what there is to say of the others."""
    from collections import Counter

    unscored = Counter(score.why for score in scores if score.value is None)
    for why, n in unscored.most_common(3):
        typer.echo(f"{n:,} of {len(scores):,} draws have no score: {why}", err=True)
    if len(unscored) > 3:
        typer.echo(f"and draws have no score for {len(unscored) - 3} more reasons", err=True)
    noted = Counter(score.why for score in scores if score.value and score.why)
    for why, n in noted.most_common(1):
        typer.echo(f"{n:,} of {len(scores):,} draws: {why}", err=True)


def made_by() -> dict[str, str]:
    """What it takes to make this again: the command as it was given, but for passwords, and the versions."""
    import platform
    import shlex

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
