"""`mull train select`, `sft` and `distill`: traces chosen to train on, and language models fine-tuned on traces."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull.catalog import model_of, verifier_of
from mull.cli.grpo import BaseOption, LoraOption, base_of, lora_and_rate
from mull.cli.options import BankOption, JsonOption, MaxTokensOption, SeedOption, TemperatureOption, bank_at, task_of
from mull.cli.output import print_json, say, tell
from mull.cli.progress import progress
from mull.errors import MissingExtraError, MullError, UsageError
from mull.files.output import check_folder, check_writable, write_lines
from mull.types import Cost, Params, Problem, Task

if TYPE_CHECKING:
    from mull.files.recording import Recording

TracesArgument = Annotated[
    list[Path], typer.Argument(help="Recorded samples (JSONL): a sweep's --out, a log, what `select` wrote.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the model; run again to resume.")]
EpochsOption = Annotated[float, typer.Option(help="Passes over the traces.")]
RateOption = Annotated[
    float | None, typer.Option(help="Peak learning rate. [default: 1e-3; hf models 2e-4, or 2e-5 without adapters]")
]
ThreadsOption = Annotated[int, typer.Option(help="Threads of torch; results depend on it in the last digits.")]


def select(
    traces: TracesArgument,
    out: Annotated[Path, typer.Option("--out", help="The file of the chosen traces (JSONL).")],
    n: Annotated[int, typer.Option("--n", "-n", help="How many traces to choose.")] = 1000,
    by: Annotated[
        str, typer.Option(help="quality, difficulty and diversity, joined by commas; or random, longest or all.")
    ] = "quality,difficulty,diversity",
    weak: Annotated[
        list[Path] | None, typer.Option(help="Graded draws of a weaker model on the same problems, for difficulty.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Choose traces to fine-tune on, by quality, difficulty and diversity (s1).

    Example: mull train select traces.jsonl --n 1000 --weak nano.jsonl --out chosen.jsonl
    """
    from mull.train import select as choosing

    if n < 1:
        raise UsageError(f"--n must be at least 1, not {n}")
    check_writable(out, "the chosen traces")
    criteria = choosing.criteria_of(by)
    chosen = choosing.select(_read(traces), n, criteria, seed, _read(weak or ()))
    write_lines(out, choosing.rows_of(chosen.traces))
    if as_json:
        print_json({"out": str(out), "left": dict(chosen.left), "domains": len({one.domain for one in chosen.traces})})
        return
    say(" -> ".join(f"{name} {count:,}" for name, count in chosen.left) + f" in {out}")
    if len(chosen.traces) < n and "all" not in criteria:
        say(f"fewer than the {n:,} asked for: there are no more")


def sft(
    traces: TracesArgument,
    out: OutOption,
    base: BaseOption = "nano",
    epochs: EpochsOption = 3.0,
    rate: RateOption = None,
    lora: LoraOption = None,
    threads: ThreadsOption = 2,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a model on traces; the loss is on the replies alone.

    Example: mull train sft chosen.jsonl --base nano --out my-sft
    """
    _fine_tune(_read(traces), out, base, epochs, rate, lora, threads, seed, as_json, Cost())


def distill(
    teacher: Annotated[str, typer.Argument(help="The model whose right traces are learned: mini, trained:FOLDER ...")],
    task: Annotated[list[str], typer.Option("--task", help="Problems, e.g. chain:ops=8,split=train; may be repeated.")],
    out: OutOption,
    into: Annotated[str, typer.Option("--into", help="The model that learns, as --base of `mull train sft`.")] = "nano",
    problems: Annotated[int, typer.Option("--problems", "-p", help="How many problems.")] = 500,
    draws: Annotated[int, typer.Option("--draws", "-n", help="Draws of the teacher per problem.")] = 4,
    verifier: Annotated[
        str | None, typer.Option("--verifier", help="Keep draws it scores at least --bar, not those that are right.")
    ] = None,
    bar: Annotated[float, typer.Option(help="The least score of --verifier that is kept.")] = 0.5,
    temperature: TemperatureOption = 1.0,
    max_tokens: MaxTokensOption = 400,
    epochs: EpochsOption = 3.0,
    rate: RateOption = None,
    lora: LoraOption = None,
    threads: ThreadsOption = 2,
    seed: SeedOption = 0,
    bank: BankOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach a model the right traces of another one; the teacher's draws are counted.

    Example: mull train distill mini --task chain:ops=8,split=train --into nano --out my-distilled
    """
    import asyncio

    from mull.train.lessons import ProblemOrder

    if problems < 1 or draws < 1:
        raise UsageError("--problems and --draws must be at least 1")
    model, scorer = model_of(teacher, seed), verifier_of(verifier, seed)
    order = ProblemOrder([task_of(text) for text in task], seed)
    base_of(into)
    chosen = [order.at(i) for i in range(problems)]
    params = Params(temperature, max_tokens)
    with bank_at(bank) as opened, progress("problems", len(chosen), as_json) as advance:
        found, spent = asyncio.run(_taught(model, scorer, chosen, draws, bar, params, opened, seed, advance))
    n_kept = sum(len(one.samples) for one in found)
    if not as_json:
        tell(f"{n_kept:,} of {len(chosen) * draws:,} draws of {model.name} are kept to learn from")
    if not n_kept:
        raise UsageError(f"no draw of {model.name} is kept: take easier problems, or a better teacher")
    _fine_tune(found, out, into, epochs, rate, lora, threads, seed, as_json, spent)


async def _taught(
    model: Any,
    scorer: Any,
    problems: Sequence[tuple[Task, Problem]],
    n: int,
    bar: float,
    params: Params,
    bank: Any,
    seed: int,
    advance: Any,
) -> tuple[list[Recording], Cost]:
    """The teacher's draws that are kept, and the cost of all of them."""
    import asyncio

    from mull.cost import total
    from mull.files.recording import RecordedSample, Recording
    from mull.run import Run

    gate = asyncio.Semaphore(16)

    async def one(task: Task, problem: Problem) -> tuple[Recording, Cost]:
        async with gate:
            run = Run(model, verifier=scorer, bank=bank, seed=seed, params=params)
            samples = await run.draw(problem.prompt, n)
            if scorer is not None:
                scores = [score.value for score in await run.score(problem, samples)]
                kept = [score is not None and score >= bar for score in scores]
            else:
                kept = [(await task.grade(problem.id, sample)).correct is True for sample in samples]
            told = tuple(
                RecordedSample(sample.text, output_tokens=sample.cost.output_tokens, finish=sample.finish)
                for sample, is_kept in zip(samples, kept, strict=True)
                if is_kept
            )
            advance()
            return Recording(problem.id, prompt=problem.prompt.question, samples=told), run.spent

    try:
        async with asyncio.TaskGroup() as group:
            coming = [group.create_task(one(*asked)) for asked in problems]
    except* MullError as errors:
        raise errors.exceptions[0] from None
    done = [task.result() for task in coming]
    return [recording for recording, _ in done], total(cost for _, cost in done)


def _read(paths: Sequence[Path]) -> list[Recording]:
    """The problems of several files; those of one id are joined."""
    from mull.files.records import read_recordings

    found: dict[tuple[str, str | None], Recording] = {}
    for path in paths:
        for one in read_recordings(path):
            before = found.get((one.id, one.prompt))
            joined = one if before is None else replace(before, samples=(*before.samples, *one.samples), answers=())
            found[one.id, one.prompt] = joined
    return list(found.values())


def _fine_tune(
    recordings: Sequence[Recording],
    out: Path,
    base: str,
    epochs: float,
    rate: float | None,
    lora: int | None,
    threads: int,
    seed: int,
    as_json: bool,
    spent: Cost,
) -> None:
    model = base_of(base)
    lora, rate = lora_and_rate(model, lora, rate, (1e-3, 2e-4, 2e-5))
    if not epochs > 0 or not rate >= 0 or lora < 0 or threads < 1:
        raise UsageError("--epochs must be above 0, --rate and --lora at least 0, and --threads at least 1")
    check_folder(out)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait in a loop take turns with other processes
    try:
        from mull.train import sft as training
        from mull.train.checkpoint import name_of
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", str(error.name), "train") from None
    options = training.FineTuning(epochs, rate, seed=seed, threads=threads, lora=lora)
    done = training.train_sft(
        model, recordings, out, options, lambda share, loss: tell(f"{share:5.0%}  loss {loss:.4f}")
    )
    if as_json:
        print_json({**asdict(done), "teacher": asdict(spent)})
        return
    change = ""
    if done.loss_before is not None and done.loss_after is not None:
        change = f"; loss on held-out problems {done.loss_before:.4f} -> {done.loss_after:.4f}"
    flops = "unknown" if done.flops is None else f"{done.flops:.3g}"
    skipped = f", {done.too_long:,} too long for the model" if done.too_long else ""
    drawn = f", and the teacher's draws took {spent.flops:.3g}" if spent.calls and spent.flops is not None else ""
    say(
        f"{done.traces:,} traces{skipped}, {done.steps:,} steps, {flops} FLOPs{drawn}{change}; the model is "
        f"in {out}: -m {name_of(model, out)}"
    )
