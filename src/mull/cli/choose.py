"""`mull choose`: which of several finished runs of an agent to take."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.catalog import Plans, judge_of, model_of
from mull.cli.options import (
    BankOption,
    ConfigOption,
    FlopsOption,
    JsonOption,
    JudgeOption,
    SecondsOption,
    SeedOption,
    TokensOption,
    UsdOption,
    bank_at,
    budget_of,
    judges_prepared,
    prepared,
)
from mull.cli.output import print_json, print_lines, say, stdout, tell
from mull.cli.progress import progress
from mull.errors import UsageError
from mull.run.needs import check_given, needs_of
from mull.types import Budget, Need

if TYPE_CHECKING:
    from mull.lab.choosing import Choice, FinishedRun

TESTS, PIVOT = "tests", "pivot"


def choose(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Logs of finished runs of one task, or folders of them: mull list formats."),
    ],
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="tests (those that the agents ran themselves), or a strategy that needs a judge, such as "
            "pivot:pivots=3. [default: pivot with --judge, else tests]",
        ),
    ] = None,
    judge: JudgeOption = None,
    task: Annotated[str | None, typer.Option("--task", help="Of runs of several tasks, those of this one.")] = None,
    summariser: Annotated[
        str | None,
        typer.Option("--summariser", help="The model that summarises runs for the judge. [default: from their steps]"),
    ] = None,
    chars: Annotated[
        int, typer.Option("--chars", help="Most characters of a run that the judge reads; longer ones are cut.")
    ] = 6000,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    flops: FlopsOption = None,
    seconds: SecondsOption = None,
    seed: SeedOption = 0,
    bank: BankOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose among finished runs of a coding agent on one task, and say how sure the choice is and what it cost.

    The verdict that a log may hold is never used. The exit status is 1 if no run can be chosen.

    Example: mull choose run-1 run-2 run-3 --judge pairwise:model=NAME
    """
    import asyncio

    by = by or (TESTS if judge is None else PIVOT)
    budget = budget_of(None, tokens, usd, flops, seconds)
    plans = Plans(seed, config, Budget(usd=usd, flops=flops))
    the_judge = judge_of(judge, seed, config)
    if by == TESTS and (judge or summariser):
        raise UsageError("--by tests asks no model: leave out --judge and --summariser, or name a strategy with --by")
    plan = None if by == TESTS else _checked(plans.build(by), by, the_judge)
    from mull.lab import choosing
    from mull.lab.run_summary import LEAST

    if chars < LEAST:
        raise UsageError(f"--chars must be at least {LEAST}, not {chars}")
    found = choosing.gather(runs, task)
    if plan is None:
        _show(choosing.by_tests(found), found, as_json=as_json)
        return
    n = len(choosing.answerable(found)[0])
    plan = plans.build(by, n=n) if hasattr(plan, "n") and n else plan
    if n and getattr(plan, "n", n) != n:
        raise UsageError(f"{n} runs can be compared, and {by} compares {plan.n}: leave its n out")
    the_model = None if summariser is None else model_of(summariser, seed, config, budget=Budget(usd=usd, flops=flops))
    with bank_at(bank) as opened, progress("verdicts", None, as_json) as tick:
        if n > 1:
            for each in filter(None, (the_model, *plans.models)):
                asyncio.run(prepared(each))
            asyncio.run(judges_prepared(the_judge))
        made = asyncio.run(
            choosing.by_judge(
                found,
                the_judge,
                plan,
                spec.describe(spec.STRATEGIES, plan),
                summariser=the_model,
                budget=budget,
                bank=opened,
                seed=seed,
                most=chars,
                tick=tick,
            )
        )
    _show(made, found, as_json=as_json)


def _checked(plan: Any, by: str, judge: Any) -> Any:
    """The strategy, if it compares runs and there is a judge. Raises `UsageError`."""
    if Need.JUDGE not in needs_of(plan):
        raise UsageError(f"--by takes tests, or a strategy that compares runs by a judge, such as {PIVOT}: not {by}")
    check_given(plan, None, judge, None)
    return plan


def _show(choice: Choice, found: list[FinishedRun], *, as_json: bool) -> None:
    if as_json:
        print_json(_told(choice, found))
    else:
        _print(choice, found)
    if choice.chosen is None:
        raise typer.Exit(1)


def _told(choice: Choice, found: list[FinishedRun]) -> dict[str, Any]:
    chosen = None if choice.chosen is None else choice.chosen.name
    rows = []
    for one in found:
        standing = choice.standings.get(one.name)
        rows.append(
            {
                "run": one.name,
                "model": one.model,
                "agent": one.run.agent,
                "ended": one.run.ended,
                "steps": one.n_steps,
                "output_tokens": one.sample.output_tokens,
                "usd": one.run.usd,
                "own_tests": None if one.tests is None else one.tests.passed,
                "left_out": choice.left_out.get(one.name),
                "met": None if standing is None else standing.met,
                "preference": None if standing is None else standing.preference,
            }
        )
    return {
        "chosen": chosen,
        "result": None if choice.chosen is None else choice.chosen.sample.text,
        "task": found[0].task,
        "why": choice.why,
        "by": choice.by,
        "sure": choice.sure,
        "rival": choice.rival,
        "comparisons": choice.comparisons,
        "unjudged": choice.unjudged,
        "notes": list(choice.notes),
        "cost": asdict(choice.cost),
        "runs": rows,
    }


def _print(choice: Choice, found: list[FinishedRun]) -> None:
    from rich.table import Table

    from mull.report import words

    for note in choice.notes:
        tell(note)
    table = Table("run", "ended", "steps", "own tests", "met", "preferred", title=words.escape(found[0].task))
    for one in found:
        standing = choice.standings.get(one.name)
        tests = "" if one.tests is None else f"{'passed' if one.tests.passed else 'failed'} at step {one.tests.step}"
        met = "" if standing is None else str(standing.met)
        mean = "" if standing is None or standing.preference is None else f"{standing.preference:.2f}"
        style = "bold" if one is choice.chosen else "dim" if one.name in choice.left_out else None
        cells = (one.name, one.run.ended or "", str(one.n_steps), tests, met, mean)
        table.add_row(*map(words.escape, cells), style=style)
    stdout().print(table)
    print_lines((f"- {name}: left out, {why}" for name, why in choice.left_out.items()), "dim")
    if choice.chosen is None:
        say(f"cannot tell: {choice.why}")
    else:
        say(f"take {choice.chosen.name}: {choice.why}")
    if choice.sure is not None:
        say(f"how sure: {choice.sure:.2f} over {choice.rival}, the run that came closest (the judge's own figure)")
    if choice.comparisons or choice.unjudged:
        unjudged = f", {choice.unjudged} without a verdict" if choice.unjudged else ""
        what = f"{choice.comparisons} comparisons by {choice.by}{unjudged}"
        spent = f"{words.number(choice.cost.tokens)} generated tokens, {words.dollars(choice.cost.usd)}"
        say(f"{what}; judging cost {spent}")
