"""`mull advise`: which strategy and how many draws to use, estimated from a pilot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.catalog import DEFAULT_MODEL, Plans, model_of, verifier_of
from mull.cli.options import (
    ApiKeyEnvOption,
    BankOption,
    BaseUrlOption,
    ConfigOption,
    JsonOption,
    MaxTokensOption,
    SeedOption,
    TemperatureOption,
    UsdInOption,
    UsdOutOption,
    VerifierOption,
    bank_at,
    judges_prepared,
    prepared,
    price_at,
    task_of,
)
from mull.cli.output import print_json, print_lines, stdout, tell
from mull.cli.progress import progress
from mull.cli.source import SOURCES, GroupOption, TaskOption, source_at, wanted
from mull.cli.tables import AllowUnreadableOption, AskOption, reads_a_table, with_columns
from mull.errors import UnknownNameError, UsageError
from mull.files.columns import Layout
from mull.types import Cost, Params

if TYPE_CHECKING:
    from mull.advice.options import Advice, KnownModel, Option, Wish
    from mull.advice.pilots import Made, Size

BANK_PROBLEMS = 1000
DEFAULT_N = "4,8,16,32,64"
TARGETED_N = "2,3,4,6,8,12,16,24,32,48,64,96,128"
"""Close enough that the fewest draws for an accuracy are known to about a third."""


@reads_a_table
def advise(
    source: Annotated[
        list[str],
        typer.Argument(help="A task to run a pilot on (chain:ops=6, file:PATH), or existing draws: " + SOURCES),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", help="Models of the pilot: the first is the one to advise on, the others are bigger ones."
        ),
    ] = None,
    pilot: Annotated[str, typer.Option("--pilot", help="Size of the pilot to run: problems x draws.")] = "50x8",
    tokens: Annotated[
        int | None, typer.Option("--tokens", help="Ceiling on generated tokens of the whole pilot.")
    ] = None,
    verifier: VerifierOption = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            "-s",
            help="Also run this on the pilot: a strategy that plain draws cannot predict, like force, beam, auto.",
        ),
    ] = None,
    bigger: Annotated[
        str | None,
        typer.Option(
            "--bigger",
            help="A bigger model to compare with: piloted, a group of the source, or given by --bigger-accuracy.",
        ),
    ] = None,
    bigger_accuracy: Annotated[
        float | None, typer.Option("--bigger-accuracy", help="The bigger model's accuracy with one draw, if known.")
    ] = None,
    bigger_usd: Annotated[
        float | None, typer.Option("--bigger-usd", help="Dollars per draw of the bigger model.")
    ] = None,
    accuracy: Annotated[float | None, typer.Option("--accuracy", help="Target accuracy, such as 0.9.")] = None,
    usd: Annotated[float | None, typer.Option("--usd", help="Ceiling in dollars per question.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Ceiling in seconds of computing per question.")
    ] = None,
    queries: Annotated[int | None, typer.Option("--queries", help="Questions a month.")] = None,
    worth: Annotated[float | None, typer.Option("--worth", help="Value of a right answer, in dollars.")] = None,
    outlay: Annotated[
        float, typer.Option("--outlay", help="Fixed cost of a bigger model, in dollars per month.")
    ] = 0.0,
    usd_per_draw: Annotated[
        float | None, typer.Option("--usd-per-draw", help="Dollars per draw, if the source does not record them.")
    ] = None,
    n: Annotated[
        str | None,
        typer.Option("--n", help="Numbers of draws to compare. [default: 4,8,16,32,64; more of them with --accuracy]"),
    ] = None,
    on: Annotated[
        int | None,
        typer.Option(
            "--on", help="Give intervals for this many new questions, each asked once. [default: in the long run]"
        ),
    ] = None,
    checker: Annotated[
        bool,
        typer.Option(
            "--checker",
            help="A checker that never errs is available: predict until-pass from the share of right draws.",
        ),
    ] = False,
    group: GroupOption = None,
    task: TaskOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    bank: BankOption = None,
    config: ConfigOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: ApiKeyEnvOption = None,
    usd_per_mtok_in: UsdInOption = None,
    usd_per_mtok_out: UsdOutOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a plot (.png, .svg, .pdf) or a page (.html).")
    ] = None,
    ask: AskOption = None,
    allow_unreadable: AllowUnreadableOption = False,
    as_json: JsonOption = False,
    *,
    layout: Layout,
) -> None:
    """Advise on more compute: whether it helps, which strategy, how many draws or a bigger model, and the cost.

    Uses a pilot that it runs now, under a ceiling of tokens, or existing draws. Example:
    mull advise chain:ops=6 --pilot 50x8 --tokens 60000
    """
    from mull.advice import advise as laws
    from mull.advice import pilots
    from mull.advice.options import Wish

    wish = Wish(accuracy, usd, seconds, queries, worth, outlay)
    usual = DEFAULT_N if accuracy is None else TARGETED_N
    ns, size, params = _ns(usual if n is None else n), pilots.size_of(pilot), Params(temperature, max_tokens)
    if on is not None and on < 1:
        raise UsageError(f"--on takes a number of questions of at least 1, not {on}")
    if out is not None:
        from mull.report import advice_page as drawing

        drawing.check_out(out)
    price = price_at(base_url, usd_per_mtok_in, usd_per_mtok_out)
    given = _given(bigger, bigger_accuracy, bigger_usd)
    named = None if given else bigger
    tasks = [text for text in source if spec.is_named("task", spec.TASKS, text) and not Path(text).exists()]
    if tasks and len(source) > 1:
        raise UsageError("a pilot is made of one task; several sources are files of draws")
    if tasks:
        models = [*(model or [DEFAULT_MODEL]), *([named] if named else [])]
        asked, first, *others = with_columns([*tasks, *models], layout, ask, is_served=base_url is not None)
        built = [model_of(first, seed, config, base_url, api_key_env, price=price)]
        built += [model_of(name, seed, config) for name in others]
        made = _make(asked, built, size, verifier, strategy, tokens, params, seed, bank, config, as_json)
    else:
        if strategy or verifier or tokens is not None or base_url is not None:
            raise UsageError(
                "--strategy, --verifier, --tokens and --base-url are for a pilot of a task; a file has what it has"
            )
        made = _read(
            source, group, named, task, model, params, seed, usd_per_draw, layout, allow_unreadable=allow_unreadable
        )
    if ask is not None and not tasks:
        raise UsageError("--ask is for a pilot of a task; the replies in a file were asked for before")
    if usd_per_draw is not None and tasks:
        raise UsageError("--usd-per-draw is for files; a pilot's draws are priced by mull.toml or --usd-per-mtok-in")
    measured = {one.pilot.model: one.measured for one in made}
    advice = laws.advise(
        [one.pilot for one in made], wish, measured=measured, given=given, ns=ns, on=on, oracle=checker, seed=seed
    )
    if out is not None:
        drawing.write(advice, wish, out)
    if as_json:
        print_json(_object(advice, made, wish))
        return
    from mull.report import advice as report

    stdout().print(report.table(advice))
    print_lines(report.sentences(advice, wish))


def _ns(text: str) -> list[int]:
    try:
        ns = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"--n takes whole numbers with commas between them, not {text!r}") from None
    if ns[0] < 2 or ns[-1] > 1024:
        raise UsageError(f"--n takes numbers of draws from 2 to 1024, not {text}")
    return ns


def _given(name: str | None, accuracy: float | None, usd: float | None) -> list[KnownModel]:
    from mull.advice.options import KnownModel

    if accuracy is None:
        if usd is not None:
            raise UsageError(
                "--bigger-usd goes with --bigger-accuracy: what a pass costs says nothing without what it is worth"
            )
        return []
    if name is None or not 0 <= accuracy <= 1:
        raise UsageError("--bigger-accuracy is a share from 0 to 1, of the model that --bigger names")
    return [KnownModel(name, accuracy, Cost(1, None, None, 0, None, None, usd, None))]


def _make(
    text: str,
    built: Sequence[Any],
    size: Size,
    verifier: str | None,
    strategies: list[str] | None,
    tokens: int | None,
    params: Params,
    seed: int,
    bank: str | None,
    config: Path | None,
    as_json: bool,
) -> list[Made]:
    """Runs a pilot of each model on one task."""
    import asyncio

    from mull.advice import pilots

    the_task = task_of(text)
    named = Plans(seed, config)
    plans = {spec.describe(spec.STRATEGIES, plan): plan for plan in map(named.build, strategies or ())}
    the_verifier = verifier_of(verifier, seed, config)
    share = None if tokens is None else tokens // len(built)
    most = size.problems * size.draws * params.max_tokens * len(built) if tokens is None else tokens
    tell(f"a pilot of {size.problems} problems x {size.draws} draws, at most {most:,} tokens")
    made = []
    runs = size.problems * (1 + len(plans)) * len(built)
    with bank_at(bank) as opened, progress("problems", runs, as_json) as advance:
        for one in named.models:
            asyncio.run(prepared(one))
        asyncio.run(judges_prepared(the_verifier))
        for one in built:
            asyncio.run(prepared(one))
            made.append(
                pilots.make(
                    the_task,
                    one,
                    size,
                    verifier=the_verifier,
                    strategies=plans,
                    tokens=share,
                    params=params,
                    seed=seed,
                    bank=opened,
                    tick=advance,
                )
            )
    return made


def _read(
    sources: Sequence[str],
    group: Sequence[str] | None,
    bigger: str | None,
    task: str | None,
    model: Sequence[str] | None,
    params: Params,
    seed: int,
    usd: float | None,
    layout: Layout,
    *,
    allow_unreadable: bool,
) -> list[Made]:
    """Every group of the files as a pilot; the first is the one to advise on."""
    from mull.advice import pilots

    made = []
    for text in sources:
        path = Path(text)
        if not path.exists():
            kinds = ", ".join(sorted([*spec.TASKS, *spec.installed("task")]))
            raise UsageError(f"{text!r} is neither a file nor a task to run a pilot on ({kinds})")
        found = source_at(
            path,
            task,
            (model or [DEFAULT_MODEL])[0],
            BANK_PROBLEMS,
            params,
            seed,
            layout,
            allow_unreadable=allow_unreadable,
        )
        chosen = [*group, *([bigger] if bigger else [])] if group else None
        if bigger is not None and bigger not in found.groups and len(sources) == 1:
            raise UnknownNameError("group", bigger, found.groups)
        made += [pilots.read(one, usd) for one in wanted(found, chosen).groups.values()]
    return made


def _object(advice: Advice, made: Sequence[Made], wish: Wish) -> dict[str, Any]:
    from mull import cost
    from mull.advice.target import reaches

    return {
        "verdict": advice.verdict,
        "route": advice.route,
        "recommendation": _row(advice.recommendation),
        "options": [_row(one) for one in advice.options],
        "meets": advice.meets,
        "reach": None if wish.accuracy is None else [one._asdict() for one in reaches(advice, wish.accuracy)],
        "unit": advice.unit,
        "more_problems": advice.more,
        "reasons": list(advice.reasons),
        "facts": asdict(advice.facts),
        "pilot": {
            "problems": advice.facts.problems,
            "draws": advice.facts.draws,
            "spent": asdict(cost.total(one.spent for one in made)),
        },
    }


def _row(one: Option) -> dict[str, Any]:
    row = asdict(one)
    names = ("strategy", "model", "accuracy", "ci90", "cost", "why", "known_by", "gain", "gain_ci90", "chance")
    return {name: row[name] for name in names}
