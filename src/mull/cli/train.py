"""`mull train`: step labels, and reward models trained on them."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mull import spec
from mull.cli.options import (
    BankOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    SeedOption,
    TemperatureOption,
    TokensOption,
    bank_at,
    model_of,
    print_json,
    progress,
)
from mull.errors import UsageError
from mull.types import Budget, Cost, Params, Problem

train_app = typer.Typer(help="Train verifiers: label steps, then an outcome or a process reward model.")
N_AT_ONCE = 48
"""Problems under way at the same time."""


@train_app.command()
def label(
    task: Annotated[str, typer.Argument(help="What to label solutions of, e.g. chain:ops=4,split=train.")],
    out: Annotated[Path, typer.Option("--out", help="The file of labels (JSONL).")],
    method: Annotated[
        Literal["math-shepherd", "omega"], typer.Option(help="Complete every prefix, or look for the first error.")
    ] = "omega",
    model: ModelOption = "nano",
    problems: Annotated[int, typer.Option("--problems", "-p", help="How many problems.")] = 100,
    solutions: Annotated[int, typer.Option(help="Solutions of each problem (omega: searches).")] = 8,
    k: Annotated[int, typer.Option("-k", help="Completions of each prefix.")] = 8,
    separator: Annotated[str, typer.Option(help="What ends a step.")] = "\n",
    revision: Annotated[
        str, typer.Option(help="What the model says when it takes back a step: such completions tell nothing.")
    ] = "Wait",
    tokens: TokensOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    bank: BankOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label the steps of solutions by completing their prefixes. Run it again to go on after an interruption.

    Example: mull train label chain:ops=4,split=train --problems 200 --out labels.jsonl
    """
    from mull.cost import total
    from mull.run import Run
    from mull.train import data
    from mull.train import label as labels

    separator = separator.encode().decode("unicode_escape")
    the_task, the_model = spec.build("task", spec.TASKS, task), model_of(model, seed)
    search = labels.OmegaPRM(k=k, searches=solutions, separator=separator, revision=revision)
    params = Params(temperature, max_tokens)
    done: dict[str, tuple[list[labels.Labelled], Cost]] = {}

    async def one(problem: Problem, opened: Any, gate: asyncio.Semaphore, advance: Any) -> None:
        async with gate:
            run = Run(the_model, bank=opened, seed=seed, params=params, budget=Budget(tokens=tokens))

            async def right(sample: Any) -> bool | None:
                return (await the_task.grade(problem.id, sample)).correct  # type: ignore[no-any-return]

            if method == "omega":
                labelled = await search(problem, run, right)
            else:
                labelled = await labels.math_shepherd(
                    problem, run, right, solutions=solutions, k=k, separator=separator, revision=revision
                )
            done[problem.id] = labelled, run.spent
            advance()

    async def every(opened: Any, advance: Any) -> None:
        gate = asyncio.Semaphore(N_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for problem in itertools.islice(the_task.problems(), problems):
                group.create_task(one(problem, opened, gate, advance))

    try:
        with bank_at(bank) as opened, progress("problems", problems, as_json) as advance:
            asyncio.run(every(opened, advance))
    except* UsageError as errors:
        raise errors.exceptions[0] from None
    origin = data.Origin(the_model.identity, _tokenizer(the_model), method, the_task.name, separator, seed)
    with out.open("w", encoding="utf-8") as file:
        data.write_line(file, data.header(origin))
        for problem_id, (labelled, cost) in done.items():
            data.write_line(file, data.row(problem_id, labelled, cost))
    everything = [one for labelled, _ in done.values() for one in labelled]
    cost = total(cost for _, cost in done.values())
    summary: dict[str, Any] = {
        "out": str(out), "method": method, "problems": len(done), "solutions": len(everything),
        "labels": sum(x is not None for one in everything for x in one.hard),
        "labels_per_million_tokens": labels.labels_per_million(everything, cost), "cost": asdict(cost),
        "agreement": None,
    }  # fmt: skip
    if hasattr(the_task, "check_steps"):
        truths = [the_task.check_steps(one.problem, one.steps) for one in everything]
        agreed = labels.agreement(everything, truths)
        summary["agreement"] = {
            **asdict(agreed), "share": agreed.share, "first_error_share": agreed.first_error_share,
        }  # fmt: skip
    if as_json:
        print_json(summary)
        return
    per_million = summary["labels_per_million_tokens"]
    typer.echo(
        f"{summary['labels']:,} labels on {len(everything):,} solutions of {len(done):,} problems in {out}"
        + (f"; {per_million:,.0f} labels a million tokens" if per_million else "")
    )
    if summary["agreement"] and agreed.share is not None:
        found = "" if agreed.first_error_share is None else f"; first error found in {agreed.first_error_share:.1%}"
        typer.echo(f"{agreed.share:.2%} of the labels agree with the exact truth of the steps{found}")


def _tokenizer(model: Any) -> str:
    """What tells a tokenizer apart: the built-in models' files by content, else the model's name."""
    import hashlib

    folder = getattr(model, "folder", None)
    path = None if folder is None else Path(folder) / "tokenizer.json"
    if path is None or not path.exists():
        return str(model.name)
    return "b2:" + hashlib.blake2b(path.read_bytes(), digest_size=10).hexdigest()
