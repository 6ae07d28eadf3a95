"""`mull list`: what there is to choose from."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer

from mull import spec
from mull.cli.options import (
    JsonOption,
    print_json,
    stdout,
)
from mull.errors import UnknownNameError


def list_(
    what: Annotated[str, typer.Argument(help="models, strategies, verifiers or tasks.")], as_json: JsonOption = False
) -> None:
    """What there is to choose from, with every option and its default."""
    tables = {"models": spec.MODELS, "strategies": spec.STRATEGIES, "verifiers": spec.VERIFIERS, "tasks": spec.TASKS}
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
