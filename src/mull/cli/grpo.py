"""`mull train grpo`: reinforcement learning of a language model on a task."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mull import spec
from mull.catalog import model_of, verifier_of
from mull.cli.options import JsonOption, SeedOption, made_by, task_of
from mull.cli.output import print_json, say, tell
from mull.errors import MissingExtraError, UsageError
from mull.files.output import check_folder
from mull.types import Task

if TYPE_CHECKING:
    from mull.models.embedded import EmbeddedModel
    from mull.train.estimate import FewDraws, RunCost
    from mull.train.rollouts import Rewards, RoundSize

PILOT = 4
"""Groups drawn before a run to tell its cost."""

BaseOption = Annotated[
    str,
    typer.Option(
        "--base", help="Built-in model, a folder that `mull train` wrote, or hf:FOLDER in transformers' format."
    ),
]
LoraOption = Annotated[
    int | None,
    typer.Option(help="Rank of LoRA adapters; 0: all weights are trained. [default: 16 for hf models, else 0]"),
]
LORA = 16


def grpo(
    tasks: Annotated[list[str], typer.Argument(help="Tasks that take turns, e.g. chain:ops=8,split=train.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run and its model; run again to resume.")],
    base: BaseOption = "nano",
    loss: Annotated[Literal["grpo", "dr-grpo", "dapo"], typer.Option(help="The variant of GRPO.")] = "dr-grpo",
    objective: Annotated[
        str, typer.Option(help="What to train for: pass@k, maj@k (a vote of k) or best@k (best of k by --verifier).")
    ] = "pass@1",
    steps: Annotated[int, typer.Option(help="Rounds of draws.")] = 100,
    groups: Annotated[int, typer.Option(help="Problems per step.")] = 16,
    group: Annotated[int, typer.Option(help="Draws per problem.")] = 16,
    max_tokens: Annotated[int, typer.Option(help="Maximum length of a reply.")] = 400,
    updates: Annotated[int, typer.Option(help="Optimiser steps per round, each on its own part of the draws.")] = 1,
    kl: Annotated[float, typer.Option(help="Weight of the KL penalty to the base; 0: none.")] = 0.0,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate. [default: 3e-4; hf models 1e-4, or 1e-5 without adapters]")
    ] = None,
    lora: LoraOption = None,
    minutes: Annotated[
        float | None, typer.Option(help="End after the step in which draws and training have taken so long in all.")
    ] = None,
    rollouts: Annotated[
        str | None, typer.Option(help="A server that draws instead of this process; its weights must be replaceable.")
    ] = None,
    format: Annotated[float, typer.Option(help="Reward of a reply that ends by itself with an answer.")] = 0.0,
    soft: Annotated[int, typer.Option(help="Tokens before the maximum over which a penalty on length grows.")] = 0,
    reward: Annotated[str | None, typer.Option(help="A verifier that rewards instead of the task's checker.")] = None,
    verifier: Annotated[str | None, typer.Option("--verifier", help="The verifier that best@k chooses by.")] = None,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 10,
    threads: Annotated[int, typer.Option(help="Threads of torch; results depend on it in the last digits.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the run would cost, and end.")] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a model by reinforcement learning (GRPO) on its own draws of a task.

    Example: mull train grpo chain:ops=8,split=train --base nano --out my-r1 --dry-run
    """
    from mull.models.hf import live_of
    from mull.train import objectives
    from mull.train.advantages import variant_of
    from mull.train.curve import RunFolder
    from mull.train.lessons import ProblemOrder
    from mull.train.rollouts import Rewards, RoundSize

    check_rollouts(rollouts)
    model = base_of(base)
    lora, rate = lora_and_rate(model, lora, rate, (3e-4, 1e-4, 1e-5))
    counts = {"--steps": steps, "--updates": updates, "--every": every, "--threads": threads}
    others = {"--rate": rate, "--kl": kl, "--soft": soft, "--lora": lora, "--minutes": minutes or 0}
    least_of = {**dict.fromkeys(counts, 1), **dict.fromkeys(others, 0)}
    for name, value in {**counts, **others}.items():
        if not value >= (least := least_of[name]):
            raise UsageError(f"{name} must be at least {least}, not {value}")
    size = RoundSize(groups, group, max_tokens)
    aim = objectives.objective_of(objective, group)
    rewards = Rewards(aim, variant_of(loss), verifier_of(reward, seed), verifier_of(verifier, seed), format, soft)
    the_tasks: list[Task] = [task_of(text) for text in tasks]
    ProblemOrder(the_tasks, seed)  # refuses tasks without a training split
    live = live_of(model)
    pilot, cost = _expected(live, the_tasks, steps, size, rewards, updates, kl, lora, seed)
    if not as_json:
        _tell_cost(pilot, cost)
    if dry_run:
        if as_json:
            print_json({"pilot": asdict(pilot), "expected": asdict(cost)})
        return
    _check_memory(cost)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait in a loop take turns with other processes
    try:
        from mull.train import grpo as training
        from mull.train.checkpoint import name_of
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", str(error.name), "train") from None
    options = training.Reinforcement(
        steps, size, rewards, updates, kl, rate, every=every, seed=seed, threads=threads, lora=lora, minutes=minutes
    )
    check_folder(out)
    told = {
        "base": live.use(live.tensors).identity,
        "tasks": tasks,
        "loss": loss,
        "objective": str(aim),
        "size": asdict(size),
        "updates": updates,
        "kl": kl,
        "rate": rate,
        "format": format,
        "soft": soft,
        "reward": reward,
        "verifier": verifier,
        "seed": seed,
        "threads": threads,
        **({"lora": lora} if lora else {}),
    }
    run = RunFolder(out, told)
    progress = _Progress(steps)
    done = training.train_grpo(model, the_tasks, run, options, progress.tick)
    page = _page(out)
    if as_json:
        print_json({"out": done.folder, "steps": done.steps, "stopped": done.stopped or None, "last": done.rows[-1]})
    else:
        first, last = (done.rows[i] for i in (0, -1))
        say(
            f"{done.steps} steps, reward {first['reward']:.3f} -> {last['reward']:.3f}, length {first['length']:.0f} "
            f"-> {last['length']:.0f} tokens; the model is in {out}: -m {name_of(model, out)}"
        )
        tell(page)
    if done.stopped:
        raise UsageError(f"stopped after {done.steps} steps, and kept the weights of the best: {done.stopped}")


def base_of(name: str) -> EmbeddedModel:
    """The model that training begins with. Raises `UsageError` for one whose weights mull cannot read."""
    from mull.models.embedded import EmbeddedModel
    from mull.models.live import Checkpoint

    if name.partition(":")[0] in (*spec.MODELS, "hf", "trained") and isinstance(
        found := model_of(name, 0), EmbeddedModel
    ):
        return found
    if not Path(name).exists() and "/" not in name:
        raise UsageError(
            f"{name!r} cannot be trained: the base is nano, mini, nano-r1, nano-think, a folder that `mull train` "
            "wrote, or hf:FOLDER, a folder in the format of transformers"
        )
    return Checkpoint(name)


def lora_and_rate(
    model: EmbeddedModel, lora: int | None, rate: float | None, rates: tuple[float, float, float]
) -> tuple[int, float]:
    """The rank of adapters and the learning rate: those asked for, or the defaults of a model of its kind.

    `rates` are those of built-in models, of hf models with adapters, and of hf models without.
    """
    from mull.models.hf import Hf

    is_hf = isinstance(model, Hf)
    rank = (LORA if is_hf else 0) if lora is None else lora
    return rank, (rates[is_hf * (1 if rank else 2)] if rate is None else rate)


def check_rollouts(server: str | None) -> None:
    """Raises `UsageError` for a server: mull cannot give it the weights after each step."""
    if server is not None:
        raise UsageError(
            f"{server} cannot draw for the training: each step draws with new weights, and mull has no way to replace "
            "those of a server; leave out --rollouts, and mull draws with its own engine (--base hf:FOLDER for a model "
            "of transformers)"
        )


def _expected(
    live: Any,
    tasks: Sequence[Task],
    steps: int,
    size: RoundSize,
    rewards: Rewards,
    updates: int,
    kl: float,
    lora: int,
    seed: int,
) -> tuple[FewDraws, RunCost]:
    """What a few draws say of the run's cost."""
    import asyncio
    from dataclasses import replace

    from mull.cost.flops import read_config
    from mull.train.estimate import estimate, parts_of, pilot_of
    from mull.train.lessons import ProblemOrder
    from mull.train.rollouts import draw_round

    architecture = read_config(live.folder / "config.json")
    rows = size.groups * size.draws // updates // parts_of(architecture, size, updates)
    model = live.use(live.tensors)
    few = replace(size, groups=min(PILOT, size.groups), most=1)
    drawn = asyncio.run(draw_round(model, ProblemOrder(tasks, seed), 0, few, rewards, seed))
    pilot = pilot_of(drawn.groups, drawn.seconds)
    cost = estimate(
        architecture,
        steps,
        size,
        pilot,
        draws_again=rewards.variant.draws_again,
        has_kl=kl > 0,
        rows=rows,
        n_parameters=live.loaded.engine.session.n_parameters,
        lora=lora,
    )
    return pilot, cost


def _tell_cost(pilot: FewDraws, cost: RunCost) -> None:
    tell(
        f"expected: {cost.draws:,} draws, {cost.tokens:,} tokens (at most {cost.most_tokens:,}), "
        f"{cost.draw_flops:.3g} FLOPs of draws and {cost.train_flops:.3g} of training; {_clock(cost.draw_seconds)} of "
        f"draws at {pilot.tokens_per_second:,.0f} tokens a second; {cost.memory / 2**20:,.0f} MiB"
    )
    if not pilot.taught:
        tell("in the few groups drawn to tell this, all rewards were equal: such groups teach nothing")


def _check_memory(cost: RunCost) -> None:
    from mull.train.estimate import available_memory

    free = available_memory()
    if free is not None and cost.memory > free:
        raise UsageError(
            f"training takes about {cost.memory / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free: lower "
            "--max-tokens, train adapters (--lora 16), take a smaller base, or end other programs"
        )


def _page(out: Path) -> str:
    """Writes the report of a run into its folder; returns what was done."""
    from mull.report.training import write_page

    try:
        return f"its curves are in {write_page(out, made_by())}"
    except MissingExtraError as error:
        return f"its curves are not drawn: {error}; later: mull report {out}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"


class _Progress:
    """A line on standard error for each step."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.seconds: list[float] = []

    def tick(self, row: Any) -> None:
        self.seconds.append(row["draw_seconds"] + row["train_seconds"])
        left = (self.steps - row["step"]) * sum(self.seconds[-20:]) / len(self.seconds[-20:])
        kl = "" if row["kl"] is None else f"  KL {row['kl']:.4f}"
        entropy = "" if row["entropy"] is None else f"  entropy {row['entropy']:.3f}"
        rate = row["output_tokens"] / max(1e-9, row["draw_seconds"])
        tell(
            f"{row['step']:4d}/{self.steps}  reward {row['reward']:.3f}  length {row['length']:5.1f}  Wait "
            f"{row['waits']:4.0%}{entropy}{kl}  taught {row['taught']}/{row['groups']}  {rate:,.0f} tokens/s  "
            f"{_clock(left)} left"
        )
