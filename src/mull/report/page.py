"""The report page: a self-contained HTML file with the advice, its reasons, and how to make it again (extra `lab`)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mull.advice import pilots
from mull.advice.advise import advise_each
from mull.advice.options import Advice
from mull.errors import MissingExtraError, UsageError
from mull.files.output import write_text
from mull.lab.measured import ahead, study, unit_of
from mull.lab.recorded import Group, Source
from mull.report import embed
from mull.report.answer import Answer, answer
from mull.report.html import environment, text
from mull.report.sections import (
    Report,
    Section,
    cost_section,
    curves_section,
    gap_section,
    heat_section,
    law_section,
    limits_section,
    strategies_section,
)

SECTIONS: tuple[Callable[[Report], Section | None], ...] = (
    strategies_section,
    curves_section,
    gap_section,
    limits_section,
    law_section,
    cost_section,
    heat_section,
)
"""The sections between the summary and the table of problems. To add one, write its function and list it here."""


def make(
    sources: Sequence[Source],
    made_by: Mapping[str, str],
    ks: Sequence[int] | None = None,
    seed: int = 0,
    title: str = "",
    tick: Callable[[], None] = lambda: None,
) -> Report:
    """Measures all groups of the sources; `tick` is called after each of `n_steps` steps.

    `made_by` is the command and the versions, shown on the page.
    """
    studies = []
    for group in _named(sources):
        studies.append(study(group, ks, seed))
        tick()
    unit = unit_of([m for s in studies for m in s.strategies])
    leads = [ahead(s.strategies, unit, seed) for s in studies]
    advice: list[Advice | UsageError] = []
    for source in sources:
        advice += _advice(source, seed)
        tick()
    slugs = [
        f"{i + 1}-" + re.sub(r"\W+", "-", s.group.name.lower(), flags=re.ASCII).strip("-")[:40]
        for i, s in enumerate(studies)
    ]
    return Report(studies, unit, advice, leads, list(sources), made_by, seed, title, slugs)


def n_steps(sources: Sequence[Source]) -> int:
    """How often `make` calls its `tick`: once for each group, and once for the advice on each source."""
    return len(sources) + sum(len(source.groups) for source in sources)


def _advice(source: Source, seed: int) -> Sequence[Advice | UsageError]:
    """The advice on each group of a file, compared with the other groups; the error if there is no advice."""
    try:
        return advise_each([pilots.read(group, None) for group in source.groups.values()], seed)
    except UsageError as error:
        return [error] * len(source.groups)


def _named(sources: Sequence[Source]) -> list[Group]:
    """The groups under distinct names: model and task if known, and the file if needed."""
    named = [
        (f"{group.name} on {group.task}" if group.task else group.name, source.path.name, group)
        for source in sources
        for group in source.groups.values()
    ]
    seen = [name for name, *_ in named]
    return [
        Group(f"{name} ({file})" if seen.count(name) > 1 and file not in name else name, group.recordings, group.task)
        for name, file, group in named
    ]


def answers(report: Report) -> list[Answer]:
    """The summary of each group."""
    rows = zip(report.studies, report.advice, report.leads, strict=True)
    return [answer(study, advice, gain) for study, advice, (_, gain) in rows]


def render(report: Report, sections: Sequence[Section], told: Sequence[Answer] | None = None, size: str = "") -> str:
    """The page as HTML; it opens with what is `told`, by default the advice on each group.

    A page without problems has no table of them, and `size` says what it is made of instead.
    """
    page = embed.embed(report.studies)
    script, style = text("page.js"), text("page.css")
    return str(
        environment()
        .get_template("page.html.j2")
        .render(
            title=report.title or "Test-time scaling report",
            answers=answers(report) if told is None else told,
            is_advice=told is None,
            sections=sections,
            studies=report.studies,
            size=size,
            n_problems=sum(len(s.group.recordings) for s in report.studies),
            n_draws=sum(s.n_draws for s in report.studies),
            data=embed.to_json({"groups": page.groups, "problems": page.problems}),
            left_out=page.left_out(),
            sources=[_source(source) for source in report.sources],
            notes=[note for source in report.sources for note in source.notes],
            made_by=report.made_by,
            seed=report.seed,
            script=script,
            style=style,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            figure_data=_data_url,
        )
    )


def sections(report: Report) -> list[Section]:
    """The sections that have content."""
    return [section for section in (make_one(report) for make_one in SECTIONS) if section is not None]


def write_figures(sections: Sequence[Section], folder: Path) -> list[Path]:
    """Writes each figure as SVG, PNG and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    return [path for section in sections for figure in section.figures for path in figure.write(folder)]


def write(path: Path, html: str) -> None:
    """Writes the page atomically; unpaired surrogates become question marks."""
    write_text(path, html, errors="replace")


def check_installed() -> None:
    """Raises `MissingExtraError` unless the extra `lab` is installed, before any work is done."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a report", str(error.name), "lab") from error


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _source(source: Source) -> dict[str, Any]:
    digest = None
    if source.path.is_file():
        with source.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(source.path), "sha256": digest, "sweeps": source.sweeps}
