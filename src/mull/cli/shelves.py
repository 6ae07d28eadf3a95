"""`mull bank` and `mull list`: what there is."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer

from mull import spec
from mull.cli.options import (
    JsonOption,
    bank_at,
    print_json,
    stdout,
)
from mull.errors import UnknownNameError, UsageError


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
    what: Annotated[str, typer.Argument(help="models, strategies, verifiers, executors or tasks.")],
    as_json: JsonOption = False,
) -> None:
    """What there is to choose from, with every option and its default."""
    tables = {
        "models": spec.MODELS,
        "strategies": spec.STRATEGIES,
        "verifiers": spec.VERIFIERS,
        "executors": spec.EXECUTORS,
        "tasks": spec.TASKS,
    }
    if what not in tables:
        raise UnknownNameError("list", what, tables)
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
