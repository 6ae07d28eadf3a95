"""The options that several commands share, and the objects built from them."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.cli.output import tell
from mull.types import Budget, Cost, Sample, Score

if TYPE_CHECKING:
    from mull.bank.sql import SqlBank

from mull.catalog import is_served, served_in
from mull.cost import Price
from mull.errors import ModelError, UsageError

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="nano, mini, recorded:FILE, or a name from mull.toml (or from --base-url).")
]
BaseUrlOption = Annotated[
    str | None, typer.Option("--base-url", help="An OpenAI-compatible server, like http://localhost:8000/v1.")
]
ApiKeyEnvOption = Annotated[
    str | None, typer.Option("--api-key-env", help="The environment variable with the key for --base-url.")
]
UsdInOption = Annotated[
    float | None,
    typer.Option("--usd-per-mtok-in", help="Dollars per million prompt tokens of the model at --base-url."),
]
UsdOutOption = Annotated[
    float | None,
    typer.Option("--usd-per-mtok-out", help="Dollars per million generated tokens of the model at --base-url."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="[default: MULL_CONFIG, ./mull.toml or ~/.config/mull/mull.toml]")
]
VerifierOption = Annotated[
    str | None, typer.Option("--verifier", help="The verifier that scores draws, e.g. countdown.")
]
JudgeOption = Annotated[
    str | None, typer.Option("--judge", help="The judge that compares two draws, e.g. pairwise:model=NAME.")
]
ExecutorOption = Annotated[
    str, typer.Option("--executor", help="The executor that runs programs for a strategy, e.g. python:seconds=4.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed gives the same draws.")]
TemperatureOption = Annotated[float, typer.Option("--temperature", "-t", help="0 is greedy.")]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", help="Maximum tokens of one draw.")]
StopOption = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="A draw ends where it writes this text; may be given several times."),
]
TokensOption = Annotated[int | None, typer.Option("--tokens", help="Ceiling on generated tokens for each problem.")]
UsdOption = Annotated[float | None, typer.Option("--usd", help="Ceiling in dollars for each problem.")]
FlopsOption = Annotated[float | None, typer.Option("--flops", help="Ceiling in FLOPs for each problem.")]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", help="Deadline for each problem; returns the best answer so far.")
]
TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz", ".txt")
"""The ends of the names of tables of problems."""
BankOption = Annotated[
    str | None,
    typer.Option("--bank", help="File or database URL of the bank; `none` keeps nothing. [default: the user's]"),
]
TitleOption = Annotated[str, typer.Option("--title", help="The title of the plot.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def price_at(base_url: str | None, usd_in: float | None, usd_out: float | None) -> Price | None:
    """The price that the options give; `None` without them.

    Raises `UsageError` for one of the two without the other, without `--base-url`, or below 0.
    """
    if usd_in is None and usd_out is None:
        return None
    if base_url is None:
        raise UsageError(
            "--usd-per-mtok-in and --usd-per-mtok-out go with --base-url; a model of mull.toml has usd_per_mtok_in "
            "and usd_per_mtok_out there"
        )
    if usd_in is None or usd_out is None:
        given, lacking = ("in", "out") if usd_out is None else ("out", "in")
        raise UsageError(f"--usd-per-mtok-{given} is given without --usd-per-mtok-{lacking}: a price needs both")
    if not (0 <= usd_in < math.inf and 0 <= usd_out < math.inf):
        raise UsageError(f"prices are dollars from 0 per million tokens, not {usd_in:g} and {usd_out:g}")
    return Price(usd_in, usd_out)


CEILINGS: Mapping[str, str] = {
    "tokens": "the most tokens to generate for a problem, such as --tokens 4000",
    "usd": "the most dollars to spend on a problem, such as --usd 0.05",
    "flops": "the most FLOPs to spend on a problem, such as --flops 1e15",
    "seconds": "the most seconds to wait for a problem, such as --seconds 60",
}


def budget_of(
    calls: int | None, tokens: int | None, usd: float | None, flops: float | None, seconds: float | None
) -> Budget:
    """The budget that the options give. Raises `UsageError` for one that is negative or leaves room for no draw.

    0 dollars is a budget: free models can be drawn from.
    """
    told = {"tokens": tokens, "usd": usd, "flops": flops, "seconds": seconds}
    for name, value in told.items():
        if value is None or value > 0 or (name == "usd" and value == 0):
            continue
        what = "allows no draw" if value == 0 else "cannot be negative" if value < 0 else "must be a number"
        raise UsageError(f"--{name} {value:g} {what}: give {CEILINGS[name]}, or leave it out")
    return Budget(calls, tokens, usd, flops, seconds)


@contextmanager
def bank_at(url: str | None) -> Iterator[SqlBank | None]:
    """Opens the bank that the option names; flushes and closes it on exit, also after an error."""
    if url == "none":
        yield None
        return
    from mull.bank import open_bank

    with open_bank(url) as bank:
        yield bank


async def prepared(model: Any) -> None:
    """Probes what the model's server supports, before the first request."""
    if not is_served(model):
        return
    await model.prepare()
    for remark in model.capabilities.remarks:
        tell(f"{model.name}: {remark}")
    if not model.capabilities.varies:
        tell(f"warning: {model.name} gave the same reply to every draw of the probe: it may not sample")


async def judges_prepared(*judges: Any) -> None:
    """Finds out the same for the models of verifiers and judges; one that is away leaves replies unscored."""
    for model in served_in(*judges):
        try:
            await model.prepare()
        except ModelError as error:
            tell(f"warning: {error}")


def probe_costs(models: Sequence[Any]) -> dict[str, Any]:
    """The cost of probing, once per served model; no problem's cost includes it."""
    return {model.name: asdict(model.capabilities.cost) for model in models if is_served(model)}


def errors_of(samples: Iterable[Sample]) -> Counter[str]:
    """Why draws failed, and how many."""
    return Counter(sample.error for sample in samples if sample.error is not None)


def tell_failures(failed: Counter[str], n_draws: int, spent: Cost) -> bool:
    """Reports on standard error how many requests were retried, how many draws failed, and why.

    Returns whether more than half of the draws failed: what is computed from the others is no result.
    """
    if spent.retries:
        tell(f"{spent.retries:,} requests were retried after failures")
    for reason, n in failed.most_common(3):
        tell(f"{n:,} draws failed: {reason}")
    if len(failed) > 3:
        tell(f"and draws failed for {len(failed) - 3} more reasons")
    is_lost = 2 * failed.total() > n_draws
    if is_lost:
        tell(f"more than half of the draws failed ({failed.total():,} of {n_draws:,})")
    return is_lost


def as_task(text: str) -> str:
    """The spec of a task; the name of a table alone means `file:TABLE`."""
    is_table = Path(text.partition(",")[0]).suffix in TABLES and not spec.is_named("task", spec.TASKS, text)
    return f"file:{text}" if is_table else text


def task_of(text: str) -> Any:
    """The task named on the command line; reports on standard error how its file was read."""
    task = spec.build("task", spec.TASKS, as_task(text))
    for note in getattr(task, "notes", ()):
        tell(note)
    return task


def tell_warnings(warned: Counter[str], n_outcomes: int) -> None:
    """Prints the strategies' warnings on standard error, such as a model that does not do what an option assumes."""
    for words, n in warned.most_common():
        tell(f"warning{f' ({n:,} of {n_outcomes:,} outcomes)' if n_outcomes > 1 else ''}: {words}")


def tell_scores(scores: Sequence[Score]) -> None:
    """Reports on standard error how many draws have no score and why, and the remarks on scored draws."""
    from collections import Counter

    unscored = Counter(score.why for score in scores if score.value is None)
    for why, n in unscored.most_common(3):
        tell(f"{n:,} of {len(scores):,} draws have no score: {why}")
    if len(unscored) > 3:
        tell(f"and draws have no score for {len(unscored) - 3} more reasons")
    noted = Counter(score.why for score in scores if score.value and score.why)
    for why, n in noted.most_common(1):
        tell(f"{n:,} of {len(scores):,} draws: {why}")


def made_by() -> dict[str, str]:
    """What is needed to reproduce a result: the command, with passwords removed, and the versions."""
    import platform
    import shlex

    import numpy as np

    from mull import __version__

    command = shlex.join(["mull", *(re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:***@", word) for word in sys.argv[1:])])
    return {"command": command, "mull": __version__, "python": platform.python_version(), "numpy": np.__version__}
