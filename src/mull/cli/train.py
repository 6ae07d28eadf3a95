"""`mull train`: step labels, reward models trained on them, and policies that allocate compute."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mull import spec
from mull.catalog import model_of
from mull.cli.fitting import calibrate, combine, confidence
from mull.cli.grpo import grpo
from mull.cli.options import (
    BankOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    SeedOption,
    TemperatureOption,
    TokensOption,
    bank_at,
    budget_of,
    task_of,
)
from mull.cli.output import print_json, say, tell
from mull.cli.progress import progress
from mull.cli.source import GroupOption
from mull.cli.traces import distill, select, sft
from mull.cli.weights import weights
from mull.errors import MissingExtraError, UnknownNameError, UsageError
from mull.files.output import check_writable, write_text, written
from mull.types import Cost, Params, Problem

train_app = typer.Typer(
    help="Train verifiers: label steps, train reward models. Learn stopping rules, weights and compute policies.",
    add_completion=False,
    rich_markup_mode=None,
)
PRICE = 0.0075
"""Default price of a draw, as in `mull.strategies.adaptive.Adaptive`."""
N_AT_ONCE = 48
"""Problems under way at the same time."""


@train_app.command()
def label(
    task: Annotated[str, typer.Argument(help="The task to label solutions of, e.g. chain:ops=4,split=train.")],
    out: Annotated[Path, typer.Option("--out", help="The file of labels to write (JSONL).")],
    method: Annotated[
        Literal["math-shepherd", "omega"], typer.Option(help="Complete every prefix, or search for the first error.")
    ] = "omega",
    model: ModelOption = "nano",
    problems: Annotated[int, typer.Option("--problems", "-p", help="How many problems.")] = 100,
    solutions: Annotated[int, typer.Option(help="Solutions per problem (omega: searches).")] = 8,
    k: Annotated[int, typer.Option("-k", help="Completions per prefix.")] = 8,
    separator: Annotated[str, typer.Option(help="The string that ends a step.")] = "\n",
    revision: Annotated[
        str, typer.Option(help="Text by which the model retracts a step; completions with it are not counted.")
    ] = "Wait",
    tokens: TokensOption = None,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    seed: SeedOption = 0,
    bank: BankOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label the steps of solutions by completing their prefixes. Run it again to resume after an interruption.

    Example: mull train label chain:ops=4,split=train --problems 200 --out labels.jsonl
    """
    import asyncio

    from mull.cost import total
    from mull.run import Run
    from mull.train import data
    from mull.train import label as labels

    check_writable(out, "the labels")
    separator = separator.encode().decode("unicode_escape")
    the_task, the_model = task_of(task), model_of(model, seed)
    search = labels.OmegaPRM(k=k, searches=solutions, separator=separator, revision=revision)
    params = Params(temperature, max_tokens)
    budget = budget_of(None, tokens, None, None, None)
    chosen = list(itertools.islice(the_task.problems(), problems))
    done: dict[str, tuple[list[labels.Labelled], Cost]] = {}

    async def one(problem: Problem, opened: Any, gate: asyncio.Semaphore, advance: Any) -> None:
        async with gate:
            run = Run(the_model, bank=opened, seed=seed, params=params, budget=budget)

            async def right(sample: Any) -> bool | None:
                return (await the_task.grade(problem.id, sample)).correct  # type: ignore[no-any-return]

            if method == "omega":
                labelled = await search(problem, run, right)
            else:
                labelled = await labels.math_shepherd(
                    problem, run, right, solutions=solutions, k=k, separator=separator, revision=revision
                )
            done[problem.id] = labelled, run.spent
            advance()

    async def every(opened: Any, advance: Any) -> None:
        gate = asyncio.Semaphore(N_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for problem in chosen:
                group.create_task(one(problem, opened, gate, advance))

    try:
        with bank_at(bank) as opened, progress("problems", problems, as_json) as advance:
            asyncio.run(every(opened, advance))
    except* UsageError as errors:
        raise errors.exceptions[0] from None
    done = {problem.id: done[problem.id] for problem in chosen}  # in problem order, whichever finished first
    origin = data.LabelOrigin(the_model.identity, _tokenizer(the_model), method, the_task.name, separator, seed)
    with written(out) as part, part.open("w", encoding="utf-8") as file:
        data.write_line(file, data.header(origin))
        for problem_id, (labelled, cost) in done.items():
            data.write_line(file, data.row(problem_id, labelled, cost))
    everything = [one for labelled, _ in done.values() for one in labelled]
    cost = total(cost for _, cost in done.values())
    summary: dict[str, Any] = {
        "out": str(out),
        "method": method,
        "problems": len(done),
        "solutions": len(everything),
        "labels": sum(x is not None for one in everything for x in one.hard),
        "labels_per_million_tokens": labels.labels_per_million(everything, cost),
        "cost": asdict(cost),
        "agreement": None,
    }
    if getattr(the_task, "step_truth", False):
        truths = [the_task.check_steps(one.problem, one.steps) for one in everything]
        agreed = labels.agreement(everything, truths)
        summary["agreement"] = {
            **asdict(agreed),
            "share": agreed.share,
            "first_error_share": agreed.first_error_share,
        }
    if as_json:
        print_json(summary)
        return
    per_million = summary["labels_per_million_tokens"]
    say(
        f"{summary['labels']:,} labels on {len(everything):,} solutions of {len(done):,} problems in {out}"
        + (f"; {per_million:,.0f} labels a million tokens" if per_million else "")
    )
    if summary["agreement"] and agreed.share is not None:
        found = "" if agreed.first_error_share is None else f"; first error found in {agreed.first_error_share:.1%}"
        say(f"{agreed.share:.2%} of the labels agree with the exact truth of the steps{found}")


LabelsArgument = Annotated[list[Path], typer.Argument(help="Files of labels, all on solutions of one model.")]
BaseOption = Annotated[
    str, typer.Option("--base", help="Built-in model, or a name or folder in the format of transformers.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the checkpoint; run again to resume.")]
EpochsOption = Annotated[float, typer.Option(help="Maximum number of passes over the labels.")]
RateOption = Annotated[float, typer.Option(help="Peak learning rate.")]
AnyModelOption = Annotated[bool, typer.Option("--any-model", help="Accept labels on another model's solutions.")]


@train_app.command()
def prm(
    labels: LabelsArgument,
    out: OutOption,
    base: BaseOption = "nano",
    target: Annotated[
        Literal["hard", "soft"],
        typer.Option(help="A step's label: whether any completion is right, or the share that is."),
    ] = "hard",
    readout: Annotated[
        Literal["class", "next"],
        typer.Option(help="A classification head, or the base's next-token probabilities, which suit small models."),
    ] = "class",
    epochs: EpochsOption = 3.0,
    rate: RateOption = 1e-4,
    any_model: AnyModelOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a process reward model (PRM) on step labels.

    Example: mull train prm labels.jsonl --base nano --out my-prm
    """
    _train("prm", labels, out, base, target, readout, epochs, rate, any_model, seed, as_json)


@train_app.command()
def orm(
    labels: LabelsArgument,
    out: OutOption,
    base: BaseOption = "nano",
    epochs: EpochsOption = 3.0,
    rate: RateOption = 1e-4,
    any_model: AnyModelOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train an outcome reward model (ORM) on right and wrong solutions.

    Example: mull train orm labels.jsonl --base nano --out my-orm
    """
    _train("orm", labels, out, base, "hard", "class", epochs, rate, any_model, seed, as_json)


@train_app.command()
def stop(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Recorded samples (JSONL), a sweep's --out or a log: draws of other problems, no labels."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file of the prior to write (TOML).")],
    group: GroupOption = None,
    n: Annotated[int, typer.Option("--n", "-n", help="The maximum number of draws to report expectations for.")] = 40,
    price: Annotated[float, typer.Option(help="The price of a draw to report expectations for.")] = PRICE,
    as_json: JsonOption = False,
) -> None:
    """Learn when a vote can stop, from draws without labels, for `adaptive:rule=learned,prior=FILE`.

    Example: mull train stop draws.jsonl --out stop.toml
    """
    from datetime import date

    from mull import __version__
    from mull.allocate import optimal, prior
    from mull.lab import sources as lab

    if not 0 < price < 1 or n < 1:
        raise UsageError("--n must be at least 1, and --price between 0 and 1")
    check_writable(out, "the prior")
    tallies, told, known = [], [], set()
    for path in sources:
        for name, problems in lab.read_answers(path).items():
            known.add(name)
            if group is None or name in group:
                tallies += [prior.tally(answers) for answers in problems]
                told.append(f"{name}: {len(problems)} problems, {sum(map(len, problems))} draws ({path.name})")
    for name in group or ():
        if name not in known:
            raise UnknownNameError("group", name, known)
    about = {
        "made": str(date.today()),
        "mull": __version__,
        "problems": len(tallies),
        "draws": sum(tally.n for tally in tallies),
        "sources": told,
    }
    fitted = prior.fit(tallies, about)
    write_text(out, prior.text_of(fitted))
    expected = optimal.policy(prior.read(out), n, price)
    summary = {
        "out": str(out),
        "problems": about["problems"],
        "draws": about["draws"],
        "kinds": len(fitted.atoms),
        "expected": {"n": n, "price": price, "draws": expected.draws, "disagreement": expected.disagreement},
    }
    if as_json:
        print_json(summary)
        return
    say(
        f"{len(fitted.atoms)} kinds of problems from {len(tallies):,} problems and {about['draws']:,} draws in {out}; "
        f"of at most {n} draws it expects to make {expected.draws:.1f}, and an answer that the full vote does not "
        f"elect in {expected.disagreement:.1%}"
    )


@train_app.command()
def policy(
    sweeps: Annotated[list[Path], typer.Argument(help="What `mull sweep --out` wrote, of one model and verifier.")],
    out: Annotated[Path, typer.Option("--out", help="The policy file to write (TOML).")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model whose rows to use, if there are several.")
    ] = None,
    pilot: Annotated[
        int | None,
        typer.Option(help="Draws that estimate a problem's difficulty. [default: chosen by two-fold cross-validation]"),
    ] = None,
    bins: Annotated[int, typer.Option(help="Bins of difficulty, of equal size.")] = 5,
    unit: Annotated[Literal["tokens", "flops", "usd"], typer.Option(help="The unit of cost.")] = "tokens",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn which strategy to use at which difficulty and cost, for `--strategy auto:policy=FILE`.

    Example: mull train policy sweep.jsonl --out policy.toml
    """
    from mull.allocate import policy_file
    from mull.allocate.learn import learn
    from mull.lab.lessons import read_lessons

    check_writable(out, "the policy")
    lessons, origin = read_lessons(sweeps, model)
    learned = learn(lessons, origin, pilot=pilot, bins=bins, unit=unit, seed=seed)
    policy_file.write(out, learned)
    if as_json:
        print_json({"out": str(out), **asdict(learned)})
        return
    say(f"{origin.problems} problems, {len(learned.plans)} plans in {out}; {learned.pilot} draws tell how hard one is")
    for number, bin in enumerate(learned.bins, 1):
        options = ", then ".join(f"{o.strategy} ({o.accuracy:.0%})" for o in bin.options)
        say(f"bin {number}: pass@1 {bin.pass_at_1:.0%}: {options}")
    if learned.calibration is not None:
        say(f"predicted pass@1 is off by {learned.calibration.error:.3f} on problems it was not fitted on")
    for row in learned.evidence:
        say(
            f"at {row.budget:,.0f} {unit} a problem: {row.accuracy:.1%} (cost {row.cost:,.0f}), "
            f"one strategy for all {row.uniform_accuracy:.1%} (cost {row.uniform_cost:,.0f})"
        )


def _train(
    how: str,
    paths: list[Path],
    out: Path,
    base: str,
    target: Any,
    readout: Any,
    epochs: float,
    rate: float,
    any_model: bool,
    seed: int,
    as_json: bool,
) -> None:
    from mull.train import data

    file = data.read_all(paths)
    folder, tokenizer = _base(base)
    try:
        from mull.train import outcome, reward
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", str(error.name), "train") from None
    reward.check(file, base, tokenizer, any_model)
    options = reward.Options(target=target, readout=readout, epochs=epochs, rate=rate, seed=seed)

    def tick(done: float, loss: float) -> None:
        tell(f"{done:5.0%}  held-out loss {loss:.4f}")

    train = reward.train_prm if how == "prm" else outcome.train_orm
    trained = train(folder, file, out, options, tick)
    if as_json:
        print_json(asdict(trained))
        return
    area = "unknown" if trained.auc is None else f"{trained.auc:.3f}"
    say(
        f"{trained.parameters:,} parameters in {out}; on held-out problems: ROC area {area}, "
        f"loss {trained.loss:.4f}, calibration error {trained.calibration_error:.3f}"
    )


def _base(name: str) -> tuple[str, str]:
    """The folder or hub name of a base model, and the identifier of its tokenizer."""
    if name in spec.MODELS and name != "recorded":
        model = model_of(name, 0)
        return str(model.folder), _tokenizer(model)
    return name, name


def _tokenizer(model: Any) -> str:
    """Identifier of a tokenizer: a hash of the file for built-in models, else the model's name."""
    import hashlib

    folder = getattr(model, "folder", None)
    path = None if folder is None else Path(folder) / "tokenizer.json"
    if path is None or not path.exists():
        return str(model.name)
    return "b2:" + hashlib.blake2b(path.read_bytes(), digest_size=10).hexdigest()


for _verb in (grpo, select, sft, distill, weights, combine, calibrate, confidence):
    train_app.command()(_verb)
