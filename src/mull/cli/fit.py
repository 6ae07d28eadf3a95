"""`mull fit`: fits coverage laws and predicts coverage at more draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull.cli.options import (
    JsonOption,
    MaxTokensOption,
    ModelOption,
    SeedOption,
    TemperatureOption,
    TitleOption,
)
from mull.cli.output import print_json, print_lines, stdout
from mull.cli.progress import steady
from mull.cli.source import GroupOption, ProblemsOption, SourceArgument, TaskOption, draws_of, source_at
from mull.cli.tables import AllowUnreadableOption, reads_a_table
from mull.errors import MissingExtraError, UsageError
from mull.files.columns import Layout
from mull.files.output import check_writable
from mull.types import Params

if TYPE_CHECKING:
    from mull.files.recording import Recording
    from mull.laws.backtest import BackTest
    from mull.laws.coverage import Law, Reach


@reads_a_table
def fit(
    source: SourceArgument,
    predict: Annotated[
        int | None, typer.Option("--predict", help="The number of draws per problem to predict coverage at.")
    ] = None,
    reach: Annotated[
        float | None, typer.Option("--reach", help="The coverage to find the number of draws for, such as .9.")
    ] = None,
    group: GroupOption = None,
    task: TaskOption = None,
    model: ModelOption = "nano",
    problems: ProblemsOption = 1000,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    draws: Annotated[
        int | None,
        typer.Option("--draws", help="Further draws to allocate. [default: 7/3 of those made, a two-stage design]"),
    ] = None,
    seed: SeedOption = 0,
    plot: Annotated[Path | None, typer.Option("--plot", help="Plot the law to a .png, .svg or .pdf file.")] = None,
    title: TitleOption = "",
    allow_unreadable: AllowUnreadableOption = False,
    as_json: JsonOption = False,
    *,
    layout: Layout,
) -> None:
    """Fit coverage laws to the counts and predict coverage, with a band that includes the choice of law.

    Example: mull fit draws.jsonl --predict 1000
    """
    if predict is None and reach is None:
        raise UsageError("say what to find: --predict K for the coverage of K draws, --reach .9 for the draws it takes")
    if predict is not None and predict < 1:
        raise UsageError(f"--predict takes a number of draws of at least 1, not {predict}")
    if reach is not None and not 0 < reach < 1:
        raise UsageError(f"--reach takes a share above 0 and below 1, not {reach:g}: .9 is 90 %")
    if find_spec("scipy") is None:
        raise MissingExtraError("a fit", "scipy", "lab")
    if plot is not None:
        from mull.report import plot as plotting

        plotting.check_format(plot)
        check_writable(plot, "the plot")
    if draws is not None and draws < 1:
        raise UsageError(f"--draws takes a number of draws of at least 1, not {draws}")
    params = Params(temperature, max_tokens)
    with steady("reading"):
        read = source_at(source, task, model, problems, params, seed, layout, allow_unreadable=allow_unreadable)
        found = draws_of(read, group)
    drawn = {name: one.recordings for name, one in found.items()}
    from mull.laws import backtest, coverage

    laws: dict[str, Law] = {}
    tests: dict[str, BackTest | None] = {}
    with steady("resamples", coverage.N_RESAMPLES * len(drawn)) as advance:
        for name, recordings in drawn.items():
            n, c = [one.n for one in recordings], [one.n_correct for one in recordings]
            laws[name] = coverage.fit(n, c, seed=seed, tick=advance)
    with steady("back-tests", len(drawn)) as advance:
        for name, recordings in drawn.items():
            n, c = [one.n for one in recordings], [one.n_correct for one in recordings]
            tests[name] = backtest.back_test(n, c, seed=seed)
            advance()
    with steady("predicting"):
        reached = {name: None if reach is None else law.reach_of(reach) for name, law in laws.items()}
        at = {name: predict or _shown_at(law, reached[name]) for name, law in laws.items()}
    if plot is not None:
        with steady("plotting"):
            plotting.laws(laws, max(at.values()), plot, title)
    if as_json:
        rows = [
            _row(name, law, at[name], tests[name])
            | {"reach": _reached(law, at[name], reached[name]), "plan": _plan(drawn[name], draws)}
            for name, law in laws.items()
        ]
        print_json({"groups": rows})
        return
    from mull.report import table

    with steady("predicting", len(laws)) as advance:
        told = []
        for name, law in laws.items():
            prediction = law.predict(at[name])
            lines = table.law_lines(law, prediction, law.is_identified(at[name])) + _told(tests[name])
            if (wanted := reached[name]) is not None:
                lines = [*table.reach_lines(law, at[name], wanted), *lines]
            if (plan := _plan(drawn[name], draws)) is not None:
                lines.append(_planned(plan))
            told.append((name, law, prediction, lines))
            advance()
    for name, law, prediction, lines in told:
        if law.fits:
            stdout().print(table.law(name, law, prediction))
        else:
            print_lines([f"{name}: {law.data.problems} problems, {law.data.draws:,} draws"])
        print_lines(f"- {line}" for line in lines)


def _shown_at(law: Law, reached: Reach | None) -> int:
    """The number of draws to show: those that reach the coverage, or the measured ones where none do."""
    return law.data.least if reached is None or reached.draws is None else reached.draws


def _reached(law: Law, k: int, reached: Reach | None) -> dict[str, Any] | None:
    if reached is None:
        return None
    return {**reached._asdict(), "chance": {"k": k, "value": law.chance_of(reached.target, k)}}


def _plan(recordings: Sequence[Recording], draws: int | None) -> dict[str, Any] | None:
    """How many draws to make next on each problem without a success; `None` if every problem has one."""
    from mull.laws.plan import rest_of, second_stage

    n, c = [one.n for one in recordings], [one.n_correct for one in recordings]
    if all(c):
        return None
    plan = second_stage(n, c, rest_of(sum(n)) if draws is None else draws)
    wanted = {one.id: int(more) for one, more in zip(recordings, plan.draws, strict=True) if more}
    return {"draws": sum(wanted.values()), "unsolved": c.count(0), "problems": wanted}


def _planned(plan: dict[str, Any]) -> str:
    low, high = min(plan["problems"].values()), max(plan["problems"].values())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return (
        f"next: {plan['draws']:,} draws, all on the {plan['unsolved']:,} problems without a success, {each} on each of "
        f"{len(plan['problems']):,} (--json names them); then fit again, with unequal draws"
    )


def _told(test: BackTest | None) -> list[str]:
    if test is None:
        return []
    return [
        f"back-test: from {test.draws} draws, coverage at {test.k} was predicted within "
        f"{100 * test.error:.1f} points; that does not validate anything beyond {test.k}"
    ]


def _row(name: str, law: Law, k: int, test: BackTest | None) -> dict[str, Any]:
    from mull.laws.limits import SAYS

    prediction, flags = law.predict(k), law.flags(k)
    return {
        "name": name,
        "problems": law.data.problems,
        "samples": law.data.draws,
        "fits": [{**asdict(one), "value": prediction.families.get(one.family)} for one in law.fits],
        "prediction": {"k": k, "value": prediction.value, "band": prediction.band},
        "identified": law.is_identified(k),
        "flags": flags,
        "notes": [SAYS[flag] for flag in flags],
        "measured": law.data.least,
        "sampling": prediction.sampling,
        "range": prediction.models,
        "aic_average": prediction.aic_average,
        "backtest": None if test is None else {**asdict(test), "error": test.error},
    }
