"""`mull compare`: models and strategies on the same problems, and the checks that continuous integration makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mull.cli.options import JsonOption, MaxTokensOption, ModelOption, SeedOption, TemperatureOption
from mull.cli.output import print_json, print_lines, stdout, tell
from mull.cli.progress import steady
from mull.cli.source import SOURCES, GroupOption, KOption, ProblemsOption, TaskOption, ks_of, source_at, wanted
from mull.cli.tables import AllowUnreadableOption, reads_a_table
from mull.errors import UsageError
from mull.files.columns import Layout
from mull.types import Params

if TYPE_CHECKING:
    from mull.files.recording import Recording

FailUnderOption = Annotated[
    float | None,
    typer.Option("--fail-under", metavar="SHARE", help="Exit with status 1 if any accuracy is lower, such as .6."),
]
CompareToOption = Annotated[
    Path | None,
    typer.Option(
        "--compare-to",
        metavar="FILE",
        help="Exit with status 1 if anything is worse than in this earlier file, beyond chance.",
    ),
]


@reads_a_table
def compare(
    source: Annotated[list[Path], typer.Argument(help=SOURCES + " Several are compared with each other.")],
    k: KOption = None,
    group: GroupOption = None,
    task: TaskOption = None,
    model: ModelOption = "nano",
    problems: ProblemsOption = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    fail_under: FailUnderOption = None,
    compare_to: CompareToOption = None,
    seed: SeedOption = 0,
    allow_unreadable: AllowUnreadableOption = False,
    as_json: JsonOption = False,
    *,
    layout: Layout,
) -> None:
    """Compare models and strategies on the same problems: a ranking, differences over all k, and what would settle.

    Example: mull compare nano.jsonl mini.jsonl --fail-under .5
    """
    from mull.lab import compared

    check_limit(fail_under)
    ks, params = ks_of(k), Params(temperature, max_tokens)
    groups: dict[str, Sequence[Recording]] = {}
    with steady("reading", len(source)) as advance:
        for path in source:
            read = source_at(path, task, model, problems, params, seed, layout, allow_unreadable=allow_unreadable)
            found = wanted(read, group).groups
            groups |= {
                name if name not in groups else f"{name} ({path.name})": g.recordings for name, g in found.items()
            }
            advance()
    with steady("comparing"):
        told = compared.chances(groups, seed)
        is_check = fail_under is not None or compare_to is not None
        made = None if is_check and len(told) < 2 else compared.comparison(groups, ks, seed)
    failed = failures_of(told, fail_under, compare_to, seed)
    if as_json:
        each = {} if made is None else asdict(made)
        curves = [] if made is None else [{"curve": one.curve, **asdict(one.found)} for one in made.curves]
        opened = [] if made is None else [{**one._asdict(), "settling": asdict(one.settling)} for one in made.open]
        print_json({**each, "curves": curves, "open": opened, "failures": failed})
    elif made is not None:
        from mull.report import rankings

        stdout().print(rankings.table(made))
        print_lines(f"- {line}" for line in rankings.lines(made))
    end(failed)


def check_limit(fail_under: float | None) -> None:
    """Raises `UsageError` for a `--fail-under` that is no share."""
    if fail_under is not None and not 0 < fail_under <= 1:
        raise UsageError(f"--fail-under takes a share above 0 and at most 1, not {fail_under:g}: .6 is 60 %")


def failures_of(
    told: Mapping[str, Mapping[str, float]], fail_under: float | None, compare_to: Path | None, seed: int
) -> list[str]:
    """Why the checks of `--fail-under` and `--compare-to` fail; empty where they pass or none was asked for."""
    from mull.lab import compared, sources

    before = None
    if compare_to is not None:
        groups = {name: group.recordings for name, group in sources.read_source(compare_to).groups.items()}
        before = compared.chances(groups, seed)
    return compared.failures(told, fail_under, before, seed)


def end(failed: Sequence[str]) -> None:
    """Tells why checks failed and exits with status 1; returns where none did."""
    for line in failed:
        tell(line)
    if failed:
        raise typer.Exit(1)
