"""`mull report`: one self-contained HTML page."""

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
)
from mull.cli.output import print_json, say, tell
from mull.cli.progress import steady
from mull.cli.source import SOURCES, KOption, ProblemsOption, TaskOption, check_ks, ks_of, source_at
from mull.cli.tables import AllowUnreadableOption, reads_a_table
from mull.errors import MissingExtraError, UsageError
from mull.files.columns import Layout
from mull.files.output import check_folder, check_writable
from mull.types import Params

PAGE = b'<meta name="generator" content="mull">'
"""Marks a page that mull wrote, near its beginning."""


@reads_a_table
def report(
    source: Annotated[list[Path], typer.Argument(help=SOURCES + " Several sources are compared as groups.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page, an .html file. [default: report.html beside SOURCE]")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="A folder for the figures, each as SVG, PNG and CSV.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="The title of the page.")] = "",
    k: KOption = None,
    task: TaskOption = None,
    model: ModelOption = "nano",
    problems: ProblemsOption = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    allow_unreadable: AllowUnreadableOption = False,
    as_json: JsonOption = False,
    *,
    layout: Layout,
) -> None:
    """Write one self-contained page: the recommendation, gains, costs and intervals, curves, and every problem.

    For a trace, the page shows the search tree, the vote or the chain of one question, and how the winner was chosen;
    for folders of training runs, their curves.

    Example: mull report draws.jsonl --out report.html
    """
    ks = ks_of(k)
    out = _beside(source[0]) if out is None else out
    if out.suffix not in (".html", ".htm"):
        raise UsageError(f"a report is written to a file that ends in .html, not {str(out)!r}")
    check_writable(out, "the report")
    check_folder(figures)
    from mull.run.trace import is_trace

    if any(is_trace(path) for path in source):
        _report_trace(source, out, title, as_json)
        return
    from mull.train.curve import is_run

    if any(is_run(path) for path in source):
        _report_runs(source, out, title, as_json)
        return
    from mull.report import page

    page.check_installed()
    params = Params(temperature, max_tokens)
    with steady("reading", len(source)) as advance:
        sources = []
        for path in source:
            found = source_at(path, task, model, problems, params, seed, layout, allow_unreadable=allow_unreadable)
            sources.append(found)
            advance()
    for found in sources:
        check_ks(ks, found)
    with steady("measuring", page.n_steps(sources)) as advance:
        made = page.make(sources, made_by(), ks, seed, title, advance)
    with steady("drawing the page"):
        sections = page.sections(made)
        html = page.render(made, sections)
        page.write(out, html)
        written = [] if figures is None else page.write_figures(sections, figures)
    answers = page.answers(made)
    if as_json:
        groups = [
            {"name": a.group, "verdict": a.verdict, "strategy": a.strategy, "model": a.model, "headline": a.headline}
            for a in answers
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
        say(f"{a.group}: {a.headline}. {a.why}")
    tell(f"written to {out}" + (f", {len(written)} files in {figures}" if written else ""))


def _beside(source: Path) -> Path:
    """`report.html` beside a source. Raises `UsageError` if a file that is no report of mull has this name."""
    page = (source if source.is_dir() else source.parent) / "report.html"
    if page.is_file():
        with page.open("rb") as file:
            if PAGE not in file.read(400):
                raise UsageError(f"{page} is there already and is no report of mull's: name another file with --out")
    return page


def _report_trace(source: list[Path], out: Path, title: str, as_json: bool) -> None:
    if len(source) > 1:
        raise UsageError("a trace has a page of its own: give `mull report` one trace and nothing beside it")
    from mull.run.trace import read

    trace = read(source[0])
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a report", str(error.name), "lab") from error
    from mull.report.page import write
    from mull.report.trace import grow, reason, render

    html = render(trace, title)
    write(out, html)
    why = reason(trace, grow(trace))
    if as_json:
        size = len(html.encode(errors="replace"))
        print_json({"out": str(out), "bytes": size, "answer": trace.answer, "why": why, "events": len(trace.events)})
        return
    say(f"{trace.answer if trace.answer is not None else 'no answer'}: {' '.join(why)}")
    tell(f"written to {out}")


def _report_runs(source: list[Path], out: Path, title: str, as_json: bool) -> None:
    from mull.train.curve import is_run, read_run

    for path in source:
        if not is_run(path):
            raise UsageError(f"{path} is not the folder of a training run, and others here are: give them apart")
    from mull.report import training
    from mull.report.page import check_installed, write

    check_installed()
    runs = [read_run(path) for path in source]
    html = training.page(runs, made_by(), title)
    write(out, html)
    if as_json:
        told = [{"folder": str(run.folder), "steps": len(run.rows), "stopped": run.trouble or None} for run in runs]
        print_json({"out": str(out), "bytes": len(html.encode(errors="replace")), "runs": told})
        return
    tell(f"written to {out}")
