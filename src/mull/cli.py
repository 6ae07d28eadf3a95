"""The command line: `mull solve`, `sweep`, `curves`, `bank`, `list`."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.errors import MullError, UsageError
from mull.types import AnswerKind, Budget, Outcome, Params, Problem, Prompt, Sample

if TYPE_CHECKING:
    from rich.console import Console

    from mull.bank_sql import SqlBank

app = typer.Typer(
    name="mull",
    help="Spend inference compute where it pays: draw, verify, vote and stop, with every token counted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bank_app = typer.Typer(help="Look after the bank, where every draw that was paid for is kept.", no_args_is_help=True)
app.add_typer(bank_app, name="bank")

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


def main() -> None:
    """Runs the command line; errors become one line on standard error and an exit status."""
    try:
        app()
    except UsageError as error:
        typer.echo(f"mull: {error}", err=True)
        raise SystemExit(2) from None
    except MullError as error:
        typer.echo(f"mull: {error}", err=True)
        raise SystemExit(1) from None


@contextmanager
def _bank(url: str | None) -> Iterator[SqlBank | None]:
    """The bank that the option names; it is written and closed whatever happens."""
    if url == "none":
        yield None
        return
    from mull.bank import open_bank

    with open_bank(url) as bank:
        yield bank


def _model(text: str, seed: int) -> Any:
    return spec.build("model", spec.MODELS, text, seed=seed)


def _verifier(text: str | None) -> Any:
    return None if text is None else spec.build("verifier", spec.VERIFIERS, text)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


@app.command()
def solve(
    prompt: Annotated[str, typer.Argument(help="The question, or `-` to read it from standard input.")],
    model: ModelOption = "nano",
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", help="name:option=value,... as in `mull list strategies`.")
    ] = "adaptive",
    verifier: VerifierOption = None,
    samples: Annotated[
        int | None, typer.Option("--samples", "-n", help="Draws at most; also the strategy's n, if it has one.")
    ] = None,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    flops: FlopsOption = None,
    seconds: SecondsOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    kind: Annotated[AnswerKind, typer.Option("--kind", help="What the answer looks like.")] = AnswerKind.TEXT,
    seed: SeedOption = 0,
    bank: BankOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question.

    Example: mull solve 'a:7;b:a*6;b?' --strategy majority:n=16
    """
    from mull.run import Run

    text = sys.stdin.read() if prompt == "-" else prompt
    defaults = {} if samples is None else {"n": samples}
    plan = spec.build("strategy", spec.STRATEGIES, strategy, **defaults)
    problem = Problem("prompt", Prompt.user(text.strip()), kind)
    with _bank(bank) as opened, _Live(problem, as_json) as live:
        run = Run(
            _model(model, seed), verifier=_verifier(verifier), bank=opened, seed=seed, watch=live.draw,
            budget=Budget(samples, tokens, usd, flops, seconds), params=Params(temperature, max_tokens),
            rng=random.Random(f"{seed}/{text}"),
        )  # fmt: skip
        outcome = asyncio.run(plan(problem, run))
    if as_json:
        _print_json(_solved(problem, outcome, run, spec.describe(spec.STRATEGIES, plan), seed))
    else:
        _show(outcome, run)
    if outcome.best is None:
        raise typer.Exit(1)


def _solved(problem: Problem, outcome: Outcome, run: Any, strategy: str, seed: int) -> dict[str, Any]:
    from mull.answers import answer_of

    scores = outcome.scores or (None,) * len(outcome.candidates)
    return {
        "answer": outcome.answer,
        "text": outcome.best.reply if outcome.best else None,
        "confidence": outcome.confidence,
        "model": run.model.name,
        "strategy": strategy,
        "stopped": outcome.stopped.value,
        "seed": seed,
        "cost": asdict(run.spent),
        "samples": [
            {
                "text": sample.text,
                "answer": answer_of(problem, sample),
                "score": None if score is None else score.value,
                "steps": None if score is None else list(score.steps),
                "finish": sample.finish.value,
                "cost": asdict(sample.cost),
            }
            for sample, score in zip(outcome.candidates, scores, strict=True)
        ],
    }


class _Live:
    """The draws so far, on a terminal: how many, the leading answer and its share, tokens, seconds."""

    def __init__(self, problem: Problem, is_quiet: bool) -> None:
        from rich.live import Live
        from rich.text import Text

        self._problem = problem
        self._answers: list[str | None] = []
        self._tokens: int | None = 0
        console = _console()
        self._text = Text("starting ...")
        self._live = Live(self._text, console=console, transient=True) if console.is_terminal and not is_quiet else None

    def __enter__(self) -> _Live:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self, sample: Sample) -> None:
        """Counts one more draw and shows it."""
        if self._live is None:
            return
        from mull.answers import answer_of
        from mull.strategies.pick import majority

        self._answers.append(answer_of(self._problem, sample))
        spent = sample.cost.output_tokens
        self._tokens = None if self._tokens is None or spent is None else self._tokens + spent
        ballot = majority(self._answers, random.Random(0))
        leader = f"{ballot.answer} leads with {100 * (ballot.share or 0):.0f} %" if ballot.answer else "no answer yet"
        self._text.plain = (
            f"{len(self._answers)} draws, {leader}, {self._tokens if self._tokens is not None else '?'} tokens"
        )


def _show(outcome: Outcome, run: Any) -> None:
    from rich.console import Console
    from rich.markup import escape

    from mull.report import table

    console = Console(highlight=False)
    if outcome.tally:
        console.print(table.tally(outcome))
        console.print()
    answer = "no answer" if outcome.answer is None else escape(outcome.answer)
    confidence = "" if outcome.confidence is None else f"   (confidence {outcome.confidence:.2f})"
    console.print(f"[bold]{answer}[/bold]{confidence}")
    console.print(f"{table.cost_line(run.spent, run.seconds)}; stopped: {outcome.stopped.value}", style="dim")


@app.command()
def sweep(
    task: Annotated[str, typer.Argument(help="chain:ops=4, countdown:numbers=4 or file:PATH.")],
    strategy: Annotated[list[str], typer.Option("--strategy", "-s", help="May be given several times.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="May be given several times. [default: nano]")
    ] = None,
    verifier: VerifierOption = None,
    problems: Annotated[
        int | None, typer.Option("--problems", "-p", help="How many; all of a file without it. [default: 100]")
    ] = None,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    flops: FlopsOption = None,
    seconds: SecondsOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    bank: BankOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the draws as JSONL, for `mull curves`.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare strategies and models on a task. Run the same command again to go on after an interruption.

    Example: mull sweep chain:ops=4 -s single -s majority:n=16 --problems 200
    """
    from mull.lab import grid, sources

    if problems is not None and problems < 1:
        raise UsageError(f"--problems must be at least 1, not {problems}")
    the_task = spec.build("task", spec.TASKS, task)
    if problems is None and not task.startswith("file"):
        problems = 100
    plans = {spec.describe(spec.STRATEGIES, plan): plan for plan in map(spec.strategy, strategy)}
    models = [_model(name, seed) for name in model or ["nano"]]
    the_verifier = _verifier(verifier)
    tables, lines = [], []
    n_cells = None if problems is None else problems * len(plans) * len(models)
    with _bank(bank) as opened, _progress(n_cells, as_json) as advance:
        for the_model in models:
            cells = asyncio.run(
                grid.run_grid(
                    the_task,
                    the_model,
                    plans,
                    n_problems=problems,
                    verifier=the_verifier,
                    bank=opened,
                    seed=seed,
                    budget=Budget(None, tokens, usd, flops, seconds),
                    params=Params(temperature, max_tokens),
                    tick=advance,
                )  # fmt: skip
            )
            tables.append(grid.tabulate(the_task, the_model, cells, seed))
            lines += list(sources.recording_rows(the_model, cells)) if out else []
    if out:
        sources.write_lines(out, lines)
    rows = [asdict(row) for table in tables for row in table.rows]
    pairs = [asdict(pair) for table in tables for pair in table.pairs]
    if as_json:
        _print_json({"rows": rows, "pairs": pairs})
        return
    _show_tables(tables)


def _show_tables(tables: list[Any]) -> None:
    from rich.console import Console

    from mull.report import table as shown

    console = Console(highlight=False)
    for table in tables:
        console.print(shown.sweep(table))
        for line in shown.pairs(table):
            console.print(line, style="dim")


@contextmanager
def _progress(total: int | None, is_quiet: bool) -> Iterator[Any]:
    """One bar with the time left, on a terminal; yields what moves it on by one."""
    console = _console()
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
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("outcomes", total=total)
        yield lambda: progress.advance(bar)


@app.command()
def curves(
    source: Annotated[
        Path, typer.Argument(help="Recorded samples (JSONL), a sweep's --out, a table of counts (CSV) or a bank (.db).")
    ],
    k: Annotated[
        str | None, typer.Option("--k", help="Where to measure, e.g. 1,8,64. [default: powers of 2 and 10]")
    ] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="Only these groups (a source's models).")] = None,
    task: Annotated[str | None, typer.Option("--task", help="For a bank: the task whose draws are meant.")] = None,
    model: ModelOption = "nano",
    problems: Annotated[
        int, typer.Option("--problems", "-p", help="For a bank: how many problems to look for.")
    ] = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the curves to a .png or .svg file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Coverage, majority@k, best@k and their gap, each with an interval.

    Averages over subsets of the draws, never over the first k. Example: mull curves draws.jsonl --plot curves.png
    """
    from mull.lab import metrics, sources

    ks = _ks(k)
    if plot is not None:
        from mull.report import plot as plotting

        plotting.check_format(plot)
    if source.suffix == ".db":
        if task is None:
            raise UsageError("a bank holds draws but no answers: name the task with --task")
        the_task = spec.build("task", spec.TASKS, task)
        with _bank(str(source)) as bank:
            if bank is None:
                raise UsageError("there is no bank to read")
            pools = asyncio.run(
                sources.bank_pools(bank, the_task, _model(model, seed), Params(temperature, max_tokens), seed, problems)
            )
    else:
        pools = sources.read_pools(source)
    wanted = group or list(pools)
    for name in wanted:
        if name not in pools:
            from mull.errors import UnknownNameError

            raise UnknownNameError("group", name, pools)
    measured = {name: metrics.curves(pools[name], ks, seed) for name in wanted}
    if plot is not None:
        plotting.curves(measured, plot)
    if as_json:
        groups = {name: asdict(curve) for name, curve in measured.items()}
        only = next(iter(groups.values())) if len(groups) == 1 else {}
        _print_json({**only, "groups": groups})
        return
    from rich.console import Console

    from mull.report import table

    for shown in table.curves(measured):
        Console(highlight=False).print(shown)


def _ks(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        ks = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--k takes whole numbers with commas between them, not {text!r}") from None
    if min(ks) < 1:
        raise UsageError(f"--k takes numbers of draws of at least 1, not {min(ks)}")
    return ks


@bank_app.command()
def stat(
    bank: Annotated[str | None, typer.Argument(help="File or URL. [default: the user's]")] = None,
    as_json: JsonOption = False,
) -> None:
    """What the bank holds of each model."""
    with _bank(bank) as opened:
        if opened is None:
            raise UsageError("there is no bank to look at")
        url, stats = opened.url, opened.stat()
    if as_json:
        _print_json({"bank": url, "models": [s._asdict() for s in stats]})
        return
    from rich.console import Console

    from mull.report import table

    typer.echo(url)
    Console(highlight=False).print(table.bank(stats))


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="models, strategies, verifiers or tasks.")], as_json: JsonOption = False
) -> None:
    """What there is to choose from, with every option and its default."""
    tables = {"models": spec.MODELS, "strategies": spec.STRATEGIES, "verifiers": spec.VERIFIERS, "tasks": spec.TASKS}
    if what not in tables:
        from mull.errors import UnknownNameError

        raise UnknownNameError("list", what, tables)
    entries = [_entry(name, spec.load(path)) for name, path in tables[what].items()]
    if as_json:
        _print_json({what: entries})
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    for entry in entries:
        options = ", ".join(f"{name}={default}" for name, default in entry["options"].items())
        console.print(f"[bold]{entry['name']}[/bold]  {escape(entry['about'])}")
        if options:
            console.print(f"    {escape(options)}", style="dim")


def _entry(name: str, cls: Any) -> dict[str, Any]:
    from dataclasses import MISSING

    about = (cls.__doc__ or "").strip().splitlines()[0]
    options = {f.name: "(required)" if f.default is MISSING else f.default for f in fields(cls) if f.init}
    return {"name": name, "about": about, "options": options}


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    if show:
        from mull import __version__

        typer.echo(f"mull {__version__}")
        raise typer.Exit


if __name__ == "__main__":
    main()
