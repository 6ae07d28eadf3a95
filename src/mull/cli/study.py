"""`mull study`: a whole study of test-time scaling, from a plan in one file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mull.cli.options import BankOption, ConfigOption, JsonOption, bank_at, judges_prepared, made_by, prepared
from mull.cli.output import print_json, print_lines, stdout, tell
from mull.cli.progress import progress, steady
from mull.errors import MullError, UsageError
from mull.files.output import check_folder, write_lines, write_text

if TYPE_CHECKING:
    from mull.files.recording import Recording
    from mull.lab.studied import Estimate, Studied
    from mull.lab.study_plan import StudyCell, StudyPlan


def study(
    plan: Annotated[
        Path, typer.Argument(help="The plan, a TOML file: models, tasks with levels, strategies, ceiling.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder for the draws and the page. [default: the name of the plan, beside it]"),
    ] = None,
    bank: BankOption = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Run on a Ray cluster; local: this machine's processors."),
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Tell what the study takes, and end.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a study from a plan: models on tasks at levels, strategies side by side, under one ceiling.

    Run the same command again to resume: what is in the bank is not drawn again. Example: mull study plan.toml
    """
    import asyncio

    from mull.lab import studied
    from mull.lab.grid import run_each
    from mull.lab.study_plan import cells_of, read_plan

    the_plan = read_plan(plan)
    cells = cells_of(the_plan, config)
    studied.check_ceiling(the_plan, cells)
    folder = plan.with_suffix("") if out is None else out
    if folder.is_file():
        raise UsageError(f"{folder} is a file, and a study is written to a folder: name another with --out")
    check_folder(folder)
    if bank == "none":
        raise UsageError("a study keeps its draws in a bank, so that it can be resumed: leave --bank out or name one")
    with bank_at(bank or str(folder / "bank.db")) as opened:
        if opened is None:
            raise UsageError("there is no bank to keep the draws of the study in")
        for model in {id(cell.model): cell.model for cell in cells}.values():
            try:
                asyncio.run(prepared(model))
            except UsageError:
                raise
            except MullError as error:
                tell(f"{model.name}: {error}")  # the study tells of its holes
        asyncio.run(judges_prepared(*{id(c.verifier): c.verifier for c in cells}.values()))
        told = studied.probe(cells, opened, the_plan.seed)
        for line in studied.unreadable(studied.unread(cells)):
            tell(line)
        tell(_estimated(told, studied.readable(cells)))
        if may_cut := studied.tight(the_plan, cells):
            tell(may_cut)
        if estimate:
            if as_json:
                print_json({"estimate": asdict(told), "cells": len(studied.readable(cells))})
            return
        from mull.lab.pool import RayPool

        with (
            progress("outcomes", sum(cell.n_runs for cell in studied.readable(cells)), as_json) as advance,
            nullcontext() if ray is None else RayPool(ray) as pool,
        ):
            made = studied.run_study(
                the_plan,
                cells,
                opened,
                run=run_each if pool is None else pool.run_each,
                tick=advance,
                began=lambda cell: tell(f"{cell.name}: {cell.problems} problems"),
            )
    _write(the_plan, plan, made, folder)
    if made.groups:
        _page(the_plan, made, folder)
    _show(made, told, folder, as_json=as_json)
    if not made.groups:
        raise typer.Exit(1)


def _estimated(found: Estimate, cells: Sequence[StudyCell]) -> str:
    from mull.report.words import dollars, short

    tokens = f"at most {short(found.most)}" if found.tokens is None else f"about {short(found.tokens)}"
    usd = "an unknown price" if found.usd is None else "no dollars" if not found.usd else f"about {dollars(found.usd)}"
    flops = "" if found.flops is None else f", about {short(found.flops)}FLOP"
    return (
        f"{len(cells)} cells (a model on a task at a level), {found.calls:,} draws, {tokens} tokens of at most "
        f"{short(found.most)}, {usd}{flops}, about {found.hours:.2g} hours; draws in the bank are not made again"
    )


def _write(plan: StudyPlan, path: Path, made: Studied, folder: Path) -> None:
    """Writes the draws of each task at each level, the plan, and what is missing."""
    from mull.files.records import row_of

    check_folder(folder / "draws")
    slugs = _slugs(made.groups)
    for text, models in made.groups.items():
        about = {**made_by(), "task": text, "models": list(models), "seed": plan.seed, "study": plan.title}
        rows: list[Recording] = [one for recordings in models.values() for one in recordings]
        write_lines(folder / "draws" / f"{slugs[text]}.jsonl", [{"sweep": about}, *map(row_of, rows)])
    write_text(folder / "plan.toml", path.read_text(encoding="utf-8"))
    holes = [asdict(hole) for hole in made.holes]
    write_text(folder / "holes.json", json.dumps(holes, indent=1, ensure_ascii=False) + "\n", errors="backslashreplace")


def _page(plan: StudyPlan, made: Studied, folder: Path) -> None:
    """Writes the page of the study; tells which extra it takes where that is missing."""
    from mull.errors import MissingExtraError
    from mull.lab.recorded import Source
    from mull.report import page

    try:
        page.check_installed()
    except MissingExtraError as error:
        tell(f"no page is written: {error}")
        return
    from mull.report import study_page

    with steady("drawing the page"):
        paths = [folder / "draws" / f"{slug}.jsonl" for slug in _slugs(made.groups).values()]
        sources = [Source(path, {}) for path in paths]
        html = study_page.page(made.groups, sources, made.holes, plan.title, made_by(), plan.seed, made.bounds)
        page.write(folder / "study.html", html)


def _slugs(tasks: Iterable[str]) -> dict[str, str]:
    """A file name for each task, its end if it is long; names that are alike, whatever their case, get a number."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for text in tasks:
        plain = re.sub(r"[^\w.]+", "-", text).strip("-")[-100:].strip("-")
        slug, n = plain, 1
        while slug.lower() in seen:
            n += 1
            slug = f"{plain}-{n}"
        seen.add(slug.lower())
        found[text] = slug
    return found


def _show(made: Studied, told: Estimate, folder: Path, *, as_json: bool) -> None:
    from mull.lab.findings import summary
    from mull.lab.study_findings import findings
    from mull.report import study as shown

    rows = summary(made.groups)
    if as_json:
        print_json(
            {
                "out": str(folder),
                "estimate": asdict(told),
                "rows": [row._asdict() for row in rows],
                "findings": [asdict(one) for one in findings(made.groups, 0, made.bounds)] if made.groups else [],
                "holes": [asdict(hole) for hole in made.holes],
                "cost": asdict(made.spent),
                "fresh": asdict(made.fresh),
            }
        )
        return
    stdout().print(shown.table(rows))
    print_lines(f"- {line}" for line in shown.lines(rows, made.holes))
    page = "; open study.html there" if made.groups and (folder / "study.html").is_file() else ""
    fresh, spent = made.fresh.calls or 0, made.spent.calls or 0
    tell(f"{fresh:,} draws made now, {spent - fresh:,} uses of draws that were there; written to {folder}{page}")
