"""`mull solve`: one question."""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mull import spec
from mull.cli.options import (
    DEFAULT_MODEL,
    ApiKeyEnvOption,
    BankOption,
    BaseUrlOption,
    ConfigOption,
    FlopsOption,
    JsonOption,
    JudgeOption,
    MaxTokensOption,
    ModelOption,
    SecondsOption,
    SeedOption,
    TemperatureOption,
    TokensOption,
    UsdOption,
    VerifierOption,
    bank_at,
    judge_of,
    model_of,
    prepared,
    print_json,
    probe_costs,
    stderr,
    stdout,
    tell_failures,
    tell_scores,
    verifier_of,
)
from mull.types import AnswerKind, Budget, Finish, Outcome, Params, Problem, Prompt, Sample


def solve(
    prompt: Annotated[str, typer.Argument(help="The question, or `-` to read it from standard input.")],
    model: ModelOption = DEFAULT_MODEL,
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", help="name:option=value,... as in `mull list strategies`.")
    ] = "adaptive",
    verifier: VerifierOption = None,
    judge: JudgeOption = None,
    samples: Annotated[
        int | None, typer.Option("--samples", "-n", help="Draws at most; also the strategy's n, if it has one.")
    ] = None,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    flops: FlopsOption = None,
    seconds: SecondsOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    kind: Annotated[AnswerKind, typer.Option("--kind", help="What the answer looks like.")] = AnswerKind.TEXT,
    seed: SeedOption = 0,
    bank: BankOption = None,
    config: ConfigOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: ApiKeyEnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question.

    Example: mull solve 'a:7;b:a*6;b?' --strategy majority:n=16
    """
    from mull.run import Run

    text = sys.stdin.read() if prompt == "-" else prompt
    defaults: dict[str, Any] = {} if samples is None else {"n": samples}
    plan = spec.build("strategy", spec.STRATEGIES, strategy, **defaults)
    problem = Problem("prompt", Prompt.user(text.strip()), kind)
    the_verifier = verifier_of(verifier, seed, config)
    is_more = judge is not None or _makes_calls(the_verifier, problem)
    calls = None if is_more and getattr(plan, "n", None) == samples else samples
    budget = Budget(calls, tokens, usd, flops, seconds)
    the_model = model_of(model, seed, config, base_url, api_key_env, budget)

    with bank_at(bank) as opened, _Live(problem, as_json) as live:
        asyncio.run(prepared(the_model))
        run = Run(
            the_model, verifier=the_verifier, judge=judge_of(judge, seed, config), bank=opened, seed=seed,
            watch=live.draw, budget=budget, params=Params(temperature, max_tokens), rng=random.Random(f"{seed}/{text}"),
        )  # fmt: skip
        outcome = asyncio.run(plan(problem, run))
    tell_failures(outcome.candidates, run.spent)
    tell_scores(outcome.scores)
    if as_json:
        print_json(_solved(problem, outcome, run, spec.describe(spec.STRATEGIES, plan), seed))
    else:
        _show(outcome, run)
    if outcome.best is None:
        raise typer.Exit(1)


def _makes_calls(verifier: Any, problem: Problem) -> bool:
    """Whether scoring makes calls of its own, as a judge's does: --samples is no ceiling on those."""
    sample = Sample(problem.prompt, "answer: 0", Finish.STOP)
    return verifier is not None and verifier.quote(problem, [sample]).calls != 0


def _solved(problem: Problem, outcome: Outcome, run: Any, strategy: str, seed: int) -> dict[str, Any]:
    from mull.answers import answer_of

    scores = outcome.scores or (None,) * len(outcome.candidates)
    return {
        "answer": outcome.answer,
        "text": outcome.best.reply if outcome.best else None,
        "confidence": outcome.confidence,
        "model": run.model.name,
        "strategy": strategy,
        "stopped": outcome.stopped.value,
        "notes": dict(outcome.notes),
        "seed": seed,
        "unscored": outcome.n_unscored,
        "cost": asdict(run.spent),
        "probe": probe_costs([run.model]).get(run.model.name),
        "samples": [
            {
                "text": sample.text,
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
    """The draws so far, on a terminal: how many, the leading answer and its share, tokens, seconds."""

    def __init__(self, problem: Problem, is_quiet: bool) -> None:
        from rich.live import Live
        from rich.text import Text

        self._problem = problem
        self._answers: list[str | None] = []
        self._tokens: int | None = 0
        console = stderr()
        self._text = Text("starting ...")
        self._live = Live(self._text, console=console, transient=True) if console.is_terminal and not is_quiet else None

    def __enter__(self) -> _Live:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self, sample: Sample) -> None:
        """Counts one more draw and shows it."""
        if self._live is None:
            return
        from mull.answers import answer_of
        from mull.strategies.pick import majority

        self._answers.append(answer_of(self._problem, sample))
        spent = sample.cost.output_tokens
        self._tokens = None if self._tokens is None or spent is None else self._tokens + spent
        ballot = majority(self._answers, random.Random(0))
        leader = f"{ballot.answer} leads with {100 * (ballot.share or 0):.0f} %" if ballot.answer else "no answer yet"
        self._text.plain = (
            f"{len(self._answers)} draws, {leader}, {self._tokens if self._tokens is not None else '?'} tokens"
        )


def _show(outcome: Outcome, run: Any) -> None:
    from rich.markup import escape

    from mull.report import table

    console = stdout()
    if outcome.tally:
        console.print(table.tally(outcome))
        console.print()
    answer = "no answer" if outcome.answer is None else escape(outcome.answer)
    confidence = "" if outcome.confidence is None else f"   (confidence {outcome.confidence:.2f})"
    console.print(f"[bold]{answer}[/bold]{confidence}")
    console.print(f"{table.cost_line(run.spent, run.seconds)}; stopped: {outcome.stopped.value}", style="dim")
