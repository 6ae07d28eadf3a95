"""`mull solve`: answers one question."""

from __future__ import annotations

import itertools
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.catalog import (
    DEFAULT_MODEL,
    Plans,
    executor_of,
    is_model,
    is_served,
    judge_of,
    model_of,
    parts_of,
    verifier_of,
)
from mull.cli.options import (
    TABLES,
    ApiKeyEnvOption,
    BankOption,
    BaseUrlOption,
    ConfigOption,
    ExecutorOption,
    FlopsOption,
    JsonOption,
    JudgeOption,
    MaxTokensOption,
    ModelOption,
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
    errors_of,
    judges_prepared,
    made_by,
    prepared,
    price_at,
    probe_costs,
    task_of,
    tell_failures,
    tell_scores,
    tell_warnings,
)
from mull.cli.output import print_json, stderr, stdout
from mull.cli.tables import AskOption, with_columns
from mull.cost import total
from mull.errors import UnknownNameError, UsageError
from mull.files.columns import KINDS, Layout
from mull.files.output import check_writable
from mull.run.needs import check_given, check_scorable, needs_of
from mull.shown import shown
from mull.types import (
    AnswerKind,
    Budget,
    Cost,
    Executor,
    Finish,
    Grade,
    Need,
    Outcome,
    Params,
    Problem,
    Sample,
    Task,
)

if TYPE_CHECKING:
    import asyncio

    from rich.live import Live

    from mull.run import Run, Strategy
    from mull.run.events import RunEvent
    from mull.run.trace import Trace

PYTHON = "python"
"""The executor where none is named."""


def solve(
    prompt: Annotated[
        str, typer.Argument(help="The question, or `-` to read it from standard input; with --task a problem's name.")
    ],
    model: ModelOption = DEFAULT_MODEL,
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", help="name:option=value,... as in `mull list strategies`.")
    ] = "adaptive",
    verifier: VerifierOption = None,
    judge: JudgeOption = None,
    executor: ExecutorOption = PYTHON,
    samples: Annotated[
        int | None,
        typer.Option("--samples", "-n", help="Maximum number of draws; also sets the strategy's n, if it has one."),
    ] = None,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    flops: FlopsOption = None,
    seconds: SecondsOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    stop: StopOption = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help=f"Kind of the answer: {', '.join(KINDS)}. [default: text, or what the task's gold answer tells]",
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option("--match", help="How the reply is read: exact or regex:PATTERN; includes with --task file:PATH."),
    ] = None,
    ask: AskOption = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="Answer a problem of this task, and grade it: humaneval:FILE, file:PATH."),
    ] = None,
    seed: SeedOption = 0,
    bank: BankOption = None,
    config: ConfigOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: ApiKeyEnvOption = None,
    usd_per_mtok_in: UsdInOption = None,
    usd_per_mtok_out: UsdOutOption = None,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", help="Write every draw, score and decision to this file; `mull report` plots it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question.

    Example: mull solve 'a:7;b:a*6;b?' --strategy majority:n=16
    """
    import asyncio

    check_writable(trace, "the trace")
    if task is None:
        _check_question(prompt)
    price = price_at(base_url, usd_per_mtok_in, usd_per_mtok_out)
    text = sys.stdin.read() if prompt == "-" else prompt
    defaults: dict[str, Any] = {} if samples is None else {"n": samples}
    budget = budget_of(None, tokens, usd, flops, seconds)
    plans = Plans(seed, config, Budget(usd=usd, flops=flops))
    plan = plans.build(strategy, **defaults)
    from mull.run import Run  # not before the strategy is known: a misspelt name is told of at once

    layout = Layout(kind=kind, match=match)
    the_task = None if task is None else task_of(*with_columns([task], layout, ask))
    problem = _asked(text.strip(), layout, ask) if the_task is None else _named(the_task, text.strip())
    the_verifier = verifier_of(verifier, seed, config)
    is_capped = samples is not None and getattr(plan, "n", None) == samples
    is_more = is_capped and (judge is not None or _makes_calls(the_verifier, problem))
    calls = None if is_more else samples
    the_judge, the_executor = judge_of(judge, seed, config), _executor(executor, plan)
    check_scorable(the_verifier, [problem])
    check_given(plan, the_verifier, the_judge, the_executor)
    budget = replace(budget, calls=calls)
    the_model = model_of(model, seed, config, base_url, api_key_env, budget, price)
    tracer = None if trace is None else _tracer(problem)
    with bank_at(bank) as opened, _Live(problem, as_json) as live:
        for each in filter(is_served, (the_model, *plans.models)):
            asyncio.run(prepared(each))
        asyncio.run(judges_prepared(the_verifier, the_judge))
        run = Run(
            the_model,
            verifier=the_verifier,
            judge=the_judge,
            executor=the_executor,
            bank=opened,
            seed=seed,
            watch=live.see,
            budget=budget,
            params=Params(temperature, max_tokens, stop=tuple(stop or ())),
            rng=random.Random(f"{seed}/{text}".encode(errors="surrogatepass")),
            trace=tracer,
        )
        outcome, grade = asyncio.run(_answered(plan, problem, run, the_task))
    if trace is not None and tracer is not None:
        from mull.run.trace import trace_of, write

        write(trace, trace_of(tracer, outcome, run, spec.describe(spec.STRATEGIES, plan), made_by()))
    is_lost = tell_failures(errors_of(outcome.candidates), len(outcome.candidates), run.spent)
    tell_scores(outcome.scores)
    warning = outcome.notes.get("warning")
    tell_warnings(Counter([str(warning)] if warning else []), 1)
    if as_json:
        graded = {} if grade is None else {"correct": grade.correct, "graded": grade.why}
        models = [the_model, *plans.models]
        print_json({**_solved(problem, outcome, run, models, spec.describe(spec.STRATEGIES, plan), seed), **graded})
    else:
        _show(outcome, run, grade)
    if outcome.best is None or is_lost:
        raise typer.Exit(1)


def _executor(text: str, plan: Strategy) -> Executor | None:
    """What runs programs; where it was not named and the strategy runs none, nothing."""
    return executor_of(text) if text != PYTHON or Need.EXECUTOR in needs_of(plan) else None


def _makes_calls(verifier: Any, problem: Problem) -> bool:
    """Whether scoring makes calls of models or servers; --samples does not limit those."""
    draft = [Sample(problem.prompt, "", Finish.STOP)]
    parts = list(parts_of(verifier))
    quotes = (part.quote(problem, draft) for part in parts if callable(getattr(part, "score", None)))
    return any(map(is_model, parts)) or any(quote.calls for quote in quotes)


def _check_question(text: str) -> None:
    """Raises `UsageError` for a question that is the name of a task or of a file."""
    is_task = re.fullmatch(r"\w+:\S+", text) is not None and _may_be_task(text)
    if is_task or (len(text) < 200 and Path(text).suffix in TABLES and Path(text).is_file()):
        what = "a task" if is_task else "a file"
        raise UsageError(
            f"{text!r} is {what}, not a question: `mull sweep {text} -s majority:n=16` asks all of its questions, and "
            f"`mull solve ID --task {as_task(text)}` one of them"
        )


def _may_be_task(text: str) -> bool:
    """Whether a text names a task; packages, which take long to search, are not looked through for what ends in `?`."""
    return text.partition(":")[0] in spec.TASKS or (not text.endswith("?") and spec.is_named("task", spec.TASKS, text))


def _asked(text: str, layout: Layout, ask: str | None) -> Problem:
    """The problem of a question on the command line; a form of answer is asked for only if one is named."""
    from mull.files.columns import EXACT, INCLUDES
    from mull.replies.kinds import ExactAnswer
    from mull.tasks.golds import prompted

    if layout.match == INCLUDES:
        raise UsageError(
            "--match includes looks for a gold answer, and a question alone has none: use --task file:PATH"
        )
    kind = ExactAnswer() if layout.match == EXACT else AnswerKind(layout.kind or AnswerKind.TEXT)
    return prompted("prompt", text, kind, layout.pattern, ask or "none")


def _named(task: Task, name: str) -> Problem:
    """The task's problem with this name, among its first 10,000 problems, since tasks can be endless."""
    known = {problem.id: problem for problem in itertools.islice(task.problems(), 10_000)}
    if name not in known:
        raise UnknownNameError(f"problem of {task.name}", name, known)
    return known[name]


async def _answered(plan: Strategy, problem: Problem, run: Run, task: Task | None) -> tuple[Outcome, Grade | None]:
    """The outcome, and its grade if the problem's task is known."""
    outcome = await run.solve(plan, problem)
    if task is None or outcome.best is None:
        return outcome, None
    from mull.lab.grid import grade_of

    return outcome, await grade_of(task, problem, outcome.best)


def _tracer(problem: Problem) -> Trace:
    from mull.run.trace import Trace

    return Trace(problem)


def _solved(
    problem: Problem, outcome: Outcome, run: Any, models: Sequence[Any], strategy: str, seed: int
) -> dict[str, Any]:
    from mull.replies.answers import answer_of

    probes = list(probe_costs(models).values())
    scores = outcome.scores or (None,) * len(outcome.candidates)
    return {
        "answer": outcome.answer,
        "text": outcome.best.reply if outcome.best else None,
        "confidence": outcome.confidence,
        "model": run.model.name,
        "models": [model.name for model in models],
        "strategy": strategy,
        "stopped": outcome.stopped.value,
        "notes": dict(outcome.notes),
        "seed": seed,
        "unscored": outcome.n_unscored,
        "cost": asdict(run.spent),
        "probe": asdict(total(Cost(**probe) for probe in probes)) if probes else None,
        "samples": [
            {
                "text": sample.reply,
                "answer": answer_of(problem, sample),
                "score": None if score is None else score.value,
                "steps": None if score is None else list(score.steps),
                "finish": sample.finish.value,
                "cost": asdict(sample.cost),
                **({} if sample.error is None else {"error": sample.error}),
            }
            for sample, score in zip(outcome.candidates, scores, strict=True)
        ],
    }


class _Live:
    """Live progress on a terminal: number of draws, the leading answer and its share, tokens, seconds."""

    def __init__(self, problem: Problem, is_quiet: bool) -> None:
        self._problem = problem
        self._answers: list[str | None] = []
        self._readings: set[asyncio.Future[None]] = set()
        self._tokens: int | None = 0
        self._live: Live | None = None
        if is_quiet or not (console := stderr()).is_terminal:
            return
        from rich.live import Live
        from rich.text import Text

        self._text = Text("starting ...")
        self._live = Live(self._text, console=console, transient=True)

    def __enter__(self) -> _Live:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def see(self, event: RunEvent) -> None:
        """Counts one more draw and updates the display, once its answer is read."""
        from mull.run.events import DrawArrived

        if self._live is not None and isinstance(event, DrawArrived):
            import asyncio

            reading = asyncio.ensure_future(self._count(event.sample))
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)

    async def _count(self, sample: Sample) -> None:
        from mull.replies.answers import answers_of
        from mull.strategies.pick import majority

        self._answers += await answers_of(self._problem, [sample])
        spent = sample.cost.output_tokens
        self._tokens = None if self._tokens is None or spent is None else self._tokens + spent
        ballot = majority(self._answers, random.Random(0))
        leader = f"{ballot.answer} leads with {100 * (ballot.share or 0):.0f} %" if ballot.answer else "no answer yet"
        self._text.plain = shown(
            f"{len(self._answers)} draws, {leader}, {self._tokens if self._tokens is not None else '?'} tokens"
        )


def _show(outcome: Outcome, run: Any, grade: Grade | None) -> None:
    from mull.report import words
    from mull.report.words import escape

    console = stdout()
    if outcome.tally:
        console.print(words.tally(outcome))
        console.print()
    answer = "no answer" if outcome.answer is None else escape(outcome.answer, lines=True)  # a program has lines
    confidence = "" if outcome.confidence is None else f"   (confidence {outcome.confidence:.2f})"
    console.print(f"[bold]{answer}[/bold]{confidence}")
    if grade is not None:
        verdict = {True: "right", False: "wrong", None: "not graded"}[grade.correct]
        console.print(f"graded: {verdict}" + (f" ({escape(grade.why)})" if grade.why else ""))
    if "escalated" in outcome.notes:
        console.print(escape(f"went on to stage {outcome.notes['stages']}: {outcome.notes['escalated']}"), style="dim")
    if (advice := outcome.notes.get("advice")) is not None:
        console.print(f"advice: {escape(str(advice))}")
    console.print(f"{words.cost_line(run.spent, run.seconds)}; stopped: {outcome.stopped.value}", style="dim")
