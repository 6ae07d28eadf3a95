"""`mull bank` and `mull list`: what there is."""

from __future__ import annotations

import asyncio
from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer

from mull import spec
from mull.cli.options import (
    JsonOption,
    SeedOption,
    bank_at,
    judge_of,
    print_json,
    stdout,
    verifier_of,
)
from mull.errors import UnknownNameError, UsageError, VerifierError


def stat(
    bank: Annotated[str | None, typer.Argument(help="File or URL. [default: the user's]")] = None,
    as_json: JsonOption = False,
) -> None:
    """What the bank holds of each model."""
    with bank_at(bank) as opened:
        if opened is None:
            raise UsageError("there is no bank to look at")
        url, stats = opened.url, opened.stat()
    if as_json:
        print_json({"bank": url, "models": [s._asdict() for s in stats]})
        return
    from mull.report import table

    typer.echo(url)
    stdout().print(table.bank(stats))


def list_(
    what: Annotated[str, typer.Argument(help="models, strategies, verifiers, judges, executors or tasks.")],
    check: Annotated[
        bool, typer.Option("--check", help="Have verifiers or judges score a right solution and a wrong one.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--verifier", "--judge", help="With --check: these. [default: those that need no options]"),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """What there is to choose from, with every option and its default.

    Example: mull list verifiers --check --verifier countdown
    """
    tables = {
        "models": spec.MODELS, "strategies": spec.STRATEGIES, "verifiers": spec.VERIFIERS, "judges": spec.JUDGES,
        "executors": spec.EXECUTORS, "tasks": spec.TASKS,
    }  # fmt: skip
    if what not in tables:
        raise UnknownNameError("list", what, tables)
    if check:
        _check(what, only or _ready(tables[what]), seed, as_json)
        return
    entries = [_entry(name, spec.load(path)) for name, path in tables[what].items()]
    if as_json:
        print_json({what: entries})
        return
    from rich.markup import escape

    console = stdout()
    for entry in entries:
        options = ", ".join(f"{name}={default}" for name, default in entry["options"].items())
        console.print(f"[bold]{entry['name']}[/bold]  {escape(entry['about'])}")
        if options:
            console.print(f"    {escape(options)}", style="dim")


def _entry(name: str, cls: Any) -> dict[str, Any]:
    about = (cls.__doc__ or "").strip().splitlines()[0]
    options = {f.name: "(required)" if f.default is MISSING else f.default for f in fields(cls) if f.init}
    return {"name": name, "about": about, "options": options}


def _ready(table: dict[str, str]) -> list[str]:
    """What needs no options and knows a problem of its own to be checked with."""
    classes = {name: spec.load(path) for name, path in table.items()}
    return [name for name, cls in classes.items() if hasattr(cls, "contract")]


def _check(what: str, specs: list[str], seed: int, as_json: bool) -> None:
    """Has verifiers or judges score a right and a wrong solution; refuses those that rank them wrongly."""
    if what not in ("verifiers", "judges"):
        raise UsageError(f"--check is for verifiers and judges, not for {what}")
    from mull.verifiers import contract

    async def go() -> list[contract.Finding]:
        if what == "judges":
            return [await contract.check_judge(judge_of(text, seed)) for text in specs]
        return [await contract.check(verifier_of(text, seed)) for text in specs]

    findings = asyncio.run(go())
    if as_json:
        print_json({what: [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            verdict = {True: "right", False: "WRONG", None: "cannot tell"}[finding.is_right]
            good, bad = (_number(value) for value in (finding.good, finding.bad))
            typer.echo(f"{finding.name}: {verdict} (right solution {good}, wrong one {bad})" + _because(finding.why))
    refused = [finding for finding in findings if not finding.is_right]
    if refused:
        raise VerifierError(f"{refused[0].name} is not to be used as it stands: {refused[0].why}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _because(why: str) -> str:
    return f": {why}" if why else ""
