"""The options that several commands share, and what they become."""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.errors import UnknownNameError, UsageError
from mull.types import Budget, Cost, Outcome, Sample, Score, Served

if TYPE_CHECKING:
    from rich.console import Console

    from mull.bank.sql import SqlBank

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


DEFAULT_MODEL = "nano"


@contextmanager
def bank_at(url: str | None) -> Iterator[SqlBank | None]:
    """The bank that the option names; it is written and closed whatever happens."""
    if url == "none":
        yield None
        return
    from mull.bank import open_bank

    with open_bank(url) as bank:
        yield bank


def model_of(
    text: str, seed: int, config: Path | None = None, base_url: str | None = None, api_key_env: str | None = None,
    budget: Budget | None = None,
) -> Any:  # fmt: skip
    """The model of a name: at a URL, in `mull.toml`, or built in. A budget is checked against the prices there."""
    if base_url is not None:
        return _model_at(base_url, text, api_key_env)
    if api_key_env is not None:
        raise UsageError("--api-key-env goes with --base-url; for a model of mull.toml, api_key_env goes there")
    name = text.strip().partition(":")[0]
    if name in spec.MODELS and config is None:
        return spec.build("model", spec.MODELS, text, seed=seed)
    from mull.config import settings

    known = settings.read(config)
    if name in spec.MODELS:
        return spec.build("model", spec.MODELS, text, seed=seed)
    if text not in known.models:
        raise UnknownNameError("model", text, [*spec.MODELS, *known.models])
    from mull.models.served import configured

    if budget is not None:
        configured.check_priced(known, text, budget)
    return configured.configured(known, text)


def _model_at(base_url: str, text: str, api_key_env: str | None) -> Any:
    import asyncio

    from mull.models.served import configured

    served = asyncio.run(configured.only_model(base_url, api_key_env)) if text == DEFAULT_MODEL else text
    return configured.at_url(base_url, served, api_key_env)


async def prepared(model: Any) -> None:
    """Finds out what the model's server can do before anything is asked of it."""
    if not is_served(model):
        return
    await model.prepare()
    if not model.capabilities.varies:
        typer.echo(f"warning: {model.name} gave the same reply to every draw of the probe: it may not sample", err=True)


def is_served(model: Any) -> bool:
    """Whether a model is behind a server."""
    return isinstance(model, Served)


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


def tell_warnings(outcomes: Sequence[Outcome]) -> None:
    """Says on standard error what strategies warn of, as where a model does not do what an option takes for granted."""
    from collections import Counter

    warned = Counter(str(outcome.notes["warning"]) for outcome in outcomes if outcome.notes.get("warning"))
    for words, n in warned.most_common():
        typer.echo(
            f"warning{f' ({n:,} of {len(outcomes):,} outcomes)' if len(outcomes) > 1 else ''}: {words}", err=True
        )


def verifier_of(text: str | None, seed: int = 0, config: Path | None = None) -> Any:
    """The verifier of a spec, or of a name that `mull.toml` gives to one."""
    return None if text is None else _named("verifier", spec.VERIFIERS, text, seed, config)


def judge_of(text: str | None, seed: int = 0, config: Path | None = None) -> Any:
    """The judge of a spec, or of a name that `mull.toml` gives to one."""
    return None if text is None else _named("judge", spec.JUDGES, text, seed, config)


def _named(kind: str, table: dict[str, str], text: str, seed: int, config: Path | None) -> Any:
    if text.partition(":")[0].strip() not in table:
        from mull.config import settings

        known = settings.read(config)
        named = known.verifiers if kind == "verifier" else known.judges
        if text not in named:
            raise UnknownNameError(kind, text.partition(":")[0], [*table, *named])
        text = named[text]
    return spec.build(kind, table, text, models=lambda name: model_of(name, seed, config), seed=seed)


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


class Plans:
    """Strategies by their specs, and the models that are named in them: each made once, whichever names it."""

    def __init__(self, seed: int, config: Path | None, budget: Budget | None = None) -> None:
        self._seed, self._config, self._budget = seed, config, budget
        self._models: dict[str, Any] = {}

    @property
    def models(self) -> list[Any]:
        """The models that were named inside so far."""
        return list(self._models.values())

    def _model(self, name: str) -> Any:
        if name not in self._models:
            self._models[name] = model_of(name, self._seed, self._config, budget=self._budget)
        return self._models[name]

    def build(self, text: str, **defaults: Any) -> Any:
        """The strategy of a spec; models, verifiers and judges in it may be those of `mull.toml`."""

        def named(kind: str, table: dict[str, str]) -> spec.Make:
            return lambda text: _named(kind, table, text, self._seed, self._config)

        return spec.build(
            "strategy", spec.STRATEGIES, text, models=self._model, verifiers=named("verifier", spec.VERIFIERS),
            judges=named("judge", spec.JUDGES), **defaults,
        )  # fmt: skip


def executor_of(text: str) -> Any:
    return spec.build("executor", spec.EXECUTORS, text)


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
