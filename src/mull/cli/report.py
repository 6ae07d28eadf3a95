"""`mull report`: one page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mull.cli.options import (
    JsonOption,
    MaxTokensOption,
    ModelOption,
    SeedOption,
    TemperatureOption,
    made_by,
    print_json,
)
from mull.cli.source import SOURCES, KOption, ProblemsOption, TaskOption, ks_of, source_at
from mull.errors import UsageError
from mull.types import Params


def report(
    source: Annotated[list[Path], typer.Argument(help=SOURCES + " Several are groups beside each other.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page, an .html file.")],
    figures: Annotated[
        Path | None, typer.Option("--figures", help="A folder for each figure as SVG, PNG and CSV.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="What the page is called.")] = "",
    k: KOption = None,
    task: TaskOption = None,
    model: ModelOption = "nano",
    problems: ProblemsOption = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """One self-contained page: what to use, what it buys and costs, how sure; curves, and every problem.

    Example: mull report draws.jsonl --out report.html
    """
    ks = ks_of(k)
    if out.suffix not in (".html", ".htm"):
        raise UsageError(f"a report is written to a file that ends in .html, not {str(out)!r}")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {str(out.parent)!r} to write the report to")
    from mull.report import page

    page.check_installed()
    params = Params(temperature, max_tokens)
    sources = [source_at(path, task, model, problems, params, seed) for path in source]
    made = page.make(sources, made_by(), ks, seed, title)
    sections = page.sections(made)
    html = page.render(made, sections)
    page.write(out, html)
    written = [] if figures is None else page.write_figures(sections, figures)
    answers = page.answers(made)
    if as_json:
        groups = [
            {"name": a.group, "verdict": a.verdict, "strategy": c.chosen.name if c else None, "headline": a.headline}
            for a, c in zip(answers, made.choices, strict=True)
        ]
        print_json(
            {
                "out": str(out),
                "bytes": len(html.encode(errors="replace")),
                "groups": groups,
                "figures": [str(p) for p in written],
            }
        )
        return
    for a in answers:
        typer.echo(f"{a.group}: {a.headline}. {a.why}")
    typer.echo(f"written to {out}" + (f", {len(written)} files in {figures}" if written else ""), err=True)
