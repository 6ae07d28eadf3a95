"""`mull sweep`: compares strategies and models on a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import cost, spec
from mull.catalog import DEFAULT_MODEL, Plans, executor_of, judge_of, model_of, verifier_of
from mull.cli.compare import CompareToOption, FailUnderOption, check_limit, end, failures_of
from mull.cli.options import (
    ApiKeyEnvOption,
    BankOption,
    BaseUrlOption,
    ConfigOption,
    ExecutorOption,
    FlopsOption,
    JsonOption,
    JudgeOption,
    MaxTokensOption,
    SecondsOption,
    SeedOption,
    StopOption,
    TemperatureOption,
    TokensOption,
    UsdInOption,
    UsdOption,
    UsdOutOption,
    VerifierOption,
    as_task,
    bank_at,
    budget_of,
    judges_prepared,
    made_by,
    prepared,
    price_at,
    probe_costs,
    task_of,
    tell_failures,
    tell_warnings,
)
from mull.cli.output import print_json, print_lines, stdout, tell
from mull.cli.progress import progress
from mull.cli.tables import AllowUnreadableOption, AskOption, reads_a_table, refuse, with_columns
from mull.errors import MullError, UsageError
from mull.files.columns import Layout
from mull.files.output import GrowingFile, check_writable
from mull.run.needs import check_given, check_scorable
from mull.types import Budget, Params

if TYPE_CHECKING:
    from mull.lab.cells import Cell
    from mull.lab.pool import RayPool
    from mull.lab.readings import Readings
    from mull.lab.swept import Swept


@reads_a_table
def sweep(
    task: Annotated[
        str,
        typer.Argument(help="chain:ops=4, countdown:numbers=4, humaneval:FILE, mbpp:FILE, stdio:FILE or file:PATH."),
    ],
    strategy: Annotated[list[str], typer.Option("--strategy", "-s", help="May be given several times.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="May be given several times. [default: nano]")
    ] = None,
    verifier: VerifierOption = None,
    judge: JudgeOption = None,
    executor: ExecutorOption = "python",
    problems: Annotated[
        int | None,
        typer.Option("--problems", "-p", help="Number of problems. [default: all, or 100 of an endless task]"),
    ] = None,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    flops: FlopsOption = None,
    seconds: SecondsOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    stop: StopOption = None,
    seed: SeedOption = 0,
    bank: BankOption = None,
    config: ConfigOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: ApiKeyEnvOption = None,
    usd_per_mtok_in: UsdInOption = None,
    usd_per_mtok_out: UsdOutOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write draws and outcomes as JSONL, for `mull curves` and `mull report`."),
    ] = None,
    share: Annotated[
        int | None,
        typer.Option(
            "--share",
            metavar="N",
            help="Also share a budget of N draws per problem among the problems not yet passed by the --verifier.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Run on a Ray cluster, or on this machine's processors.",
        ),
    ] = None,
    ask: AskOption = None,
    fail_under: FailUnderOption = None,
    compare_to: CompareToOption = None,
    allow_unreadable: AllowUnreadableOption = False,
    as_json: JsonOption = False,
    *,
    layout: Layout,
) -> None:
    """Compare strategies and models on a task. Run the same command again to resume after an interruption.

    Example: mull sweep chain:ops=4 -s single -s majority:n=16 --problems 200
    """
    import asyncio

    if problems is not None and problems < 1:
        raise UsageError(f"--problems must be at least 1, not {problems}")
    check_writable(out, "the sweep")
    check_limit(fail_under)
    price = price_at(base_url, usd_per_mtok_in, usd_per_mtok_out)
    budget = budget_of(None, tokens, usd, flops, seconds)
    named = Plans(seed, config, Budget(usd=usd, flops=flops))
    plans = {spec.describe(spec.STRATEGIES, plan): plan for plan in map(named.build, strategy)}
    # Not before the strategies are known: a misspelt name is told of at once.
    from mull.files.records import row_of
    from mull.lab import grid, readings, shared, swept

    named_models = model or [DEFAULT_MODEL]
    asked, *specs = with_columns([as_task(task), *named_models], layout, ask, is_served=base_url is not None)
    the_task = task_of(asked)
    problems = grid.how_many(the_task, problems)
    the_verifier, the_judge = verifier_of(verifier, seed, config), judge_of(judge, seed, config)
    the_executor = executor_of(executor)
    check_scorable(the_verifier, islice(the_task.problems(), problems))
    for plan in plans.values():
        check_given(plan, the_verifier, the_judge, the_executor)
    params = Params(temperature, max_tokens, stop=tuple(stop or ()))
    models = [model_of(name, seed, config, base_url, api_key_env, budget, price) for name in specs]
    if share is not None and (the_verifier is None or share < 1):
        raise UsageError("--share is a number of draws a problem, and needs a --verifier that says what is solved")
    about = {
        **made_by(),
        "task": the_task.name,
        "strategies": list(plans),
        "models": [m.name for m in models],
        "data_date": getattr(the_task, "date", None),
        "verifier": verifier,
        "judge": judge,
        "seed": seed,
        "identities": {m.name: m.identity for m in models},
        "verifier_identity": None if the_verifier is None else the_verifier.identity or the_verifier.name,
        "kinds": sorted({problem.kind.value for problem in islice(the_task.problems(), problems)}),
        "params": asdict(params),
        "budget": asdict(budget),
    }
    n_cells = problems * (len(plans) + (share is not None)) * len(models)
    found: list[Swept] = []
    read = readings.Readings(the_task)
    failed: MullError | None = None
    file: GrowingFile | None = None
    try:
        with bank_at(bank) as opened, progress("outcomes", n_cells, as_json) as advance, _pool(ray) as pool:
            file = None if out is None else GrowingFile(out, {"sweep": about})
            for each in named.models:
                asyncio.run(prepared(each))
            asyncio.run(judges_prepared(the_verifier, the_judge))
            for the_model in models:
                asyncio.run(prepared(the_model))
                plan = grid.Plan(
                    the_task, the_model, plans, the_verifier, the_judge, the_executor, budget, params, seed
                )
                found.append(swept.Swept(the_model))
                done = _Done(len(found) - 1, found[-1], read, file)
                run = grid.run_each if pool is None else pool.run_each
                asyncio.run(run(plan, opened, done, n_problems=problems, tick=advance))
                if share is not None:
                    cells = asyncio.run(shared.run_shared(plan, opened, share, n_problems=problems, tick=advance))
                    done.also(f"shared:n={share}", cells)
    except KeyboardInterrupt:
        tell("interrupted; what was drawn is kept: run the same command again to go on")
        raise typer.Exit(130) from None
    except MullError as error:
        found = [one for one in found if len(one)]
        if not found:
            raise
        n_done = sum(column.n for one in found for column in one.columns.values())
        tell(f"stopped after {n_done:,} of {n_cells:,} outcomes, which are shown")
        failed = error
    finally:
        if file is not None:
            file.close()
    if file is not None and failed is None:
        file.finish(chain([{"sweep": about}], (row_of(one) for each in found for one in each.recordings())))
        failed = file.error
    tables = [each.table(the_task, seed) for each in found]
    columns = [column for each in found for column in each.columns.values()]
    fresh, spent = sum(column.n_fresh for column in columns), sum(column.n_spent for column in columns)
    tell(f"{fresh:,} draws made now, {spent - fresh:,} from the bank")
    errors: Counter[str] = sum((column.errors for column in columns), Counter())
    warnings: Counter[str] = sum((column.warnings for column in columns), Counter())
    n_draws = sum(column.n_candidates for column in columns)
    is_lost = tell_failures(errors, n_draws, cost.total(column.spent.total for column in columns))
    tell_warnings(warnings, sum(column.n for column in columns))
    for doubt in read.doubts():
        tell(doubt)
    rows = [asdict(row) for table in tables for row in table.rows]
    pairs = [asdict(pair) for table in tables for pair in table.pairs]
    if as_json:
        print_json({"rows": rows, "pairs": pairs, "probes": probe_costs([*named.models, *models])})
    else:
        if fresh:
            for one in read.shown():
                tell(one.line())
        _show_tables(tables)
    if failed is not None:
        raise failed
    refuse(read.faults(), allowed=allow_unreadable)
    if fail_under is not None or compare_to is not None:
        from mull.lab.compared import chances

        groups = {each.model.name: each.recordings() for each in found}
        end(failures_of(chances(groups, seed), fail_under, compare_to, seed))
    if is_lost:
        raise typer.Exit(1)


class _Done:
    """Takes the finished problems of one model; they are written to the sweep's file as they come."""

    def __init__(self, number: int, found: Swept, read: Readings, file: GrowingFile | None) -> None:
        self._number, self._found, self._read, self._file = number, found, read, file

    def __call__(self, place: int, cells: Mapping[str, Cell]) -> None:
        from mull.files.records import row_of

        one = self._found.add(place, cells)
        self._see(place, cells)
        if self._file is not None:
            self._file.add(row_of(one))

    def also(self, name: str, cells: Sequence[Cell]) -> None:
        """Takes the outcomes of a strategy that runs after the others."""
        for place, cell in enumerate(cells):
            self._found.also(place, name, cell)
            self._see(place, {name: cell})

    def _see(self, place: int, cells: Mapping[str, Cell]) -> None:
        names = list(self._found.columns)
        for name, cell in cells.items():
            self._read.add((self._number, names.index(name), place), cell)


def _pool(address: str | None) -> AbstractContextManager[RayPool | None]:
    from mull.lab.pool import RayPool

    return nullcontext() if address is None else RayPool(address)


def _show_tables(tables: list[Any]) -> None:
    from mull.report import table as shown

    console = stdout()
    for table in tables:
        console.print(shown.sweep(table))
        print_lines(shown.pairs(table), "dim")
