"""A step of reinforcement learning with mull's draws, and with TRL's own: `python bench/bench_grpo.py`.

Both train nano on the same problems with the same loss, group sizes and limit on tokens; TRL draws with `generate` of
transformers. Seconds of wall clock and of the processor a step, and of its draws alone, after one step that is not
counted.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from mull.models.embedded import Nano
from mull.runtime import WEIGHTS
from mull.tasks.synthetic import ChainTask
from mull.train import grpo, rollouts
from mull.train.advantages import VARIANTS
from mull.train.curve import RunFolder
from mull.train.grpo import Reinforcement, train_grpo
from mull.train.objectives import Objective
from mull.train.rollouts import Rewards, RoundSize
from mull.types import Cost, Finish, Sample

TASK = ChainTask(8, split="train")
STEPS, SIZE = 4, RoundSize(8, 16, 300)
STEPS_COUNTED = STEPS - 1


class Clock:
    """Wall-clock and processor seconds between ticks."""

    def __init__(self) -> None:
        self.at = [(time.perf_counter(), time.process_time())]
        self.draws: list[tuple[float, float]] = []

    def tick(self, *_: Any) -> None:
        self.at.append((time.perf_counter(), time.process_time()))

    @property
    def a_step(self) -> tuple[float, float]:
        (wall, cpu), (last_wall, last_cpu) = self.at[1], self.at[-1]
        return (last_wall - wall) / (len(self.at) - 2), (last_cpu - cpu) / (len(self.at) - 2)


def with_mull(folder: Path) -> tuple[Clock, list[Any]]:
    clock = Clock()

    async def draw_round(*values: Any) -> Any:
        before = time.perf_counter(), time.process_time()
        found = await rollouts.draw_round(*values)
        clock.draws.append((time.perf_counter() - before[0], time.process_time() - before[1]))
        return found

    setattr(grpo, draw_round.__name__, draw_round)
    rewards = Rewards(Objective(), VARIANTS["dr-grpo"])
    options = Reinforcement(STEPS, SIZE, rewards, rate=1e-5, every=100, threads=torch.get_num_threads())
    done = train_grpo(Nano(), [TASK], RunFolder(folder, {}), options, clock.tick)
    return clock, list(done.rows)


def with_trl(folder: Path) -> Clock:
    clock = Clock()
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / "nano")
    problems = list(itertools.islice(TASK.problems(), STEPS * SIZE.groups))
    by_text = {problem.prompt.question: problem for problem in problems}

    def checked(prompts: list[Any], completions: list[Any], **_: Any) -> list[float]:
        found = []
        for prompt, completion in zip(prompts, completions, strict=True):
            problem = by_text[prompt[0]["content"]]
            sample = Sample(problem.prompt, completion[0]["content"], Finish.STOP, Cost())
            found.append(float(asyncio.run(TASK.grade(problem.id, sample)).correct or 0))
        return found

    class Timed(GRPOTrainer):  # type: ignore[misc]
        def _generate(self, *values: Any, **named: Any) -> Any:
            before = time.perf_counter(), time.process_time()
            found = super()._generate(*values, **named)
            clock.draws.append((time.perf_counter() - before[0], time.process_time() - before[1]))
            return found

        def log(self, *values: Any, **named: Any) -> None:
            clock.tick()
            super().log(*values, **named)

    n_draws = SIZE.groups * SIZE.draws
    arguments = GRPOConfig(
        str(folder), per_device_train_batch_size=n_draws // 4, gradient_accumulation_steps=4,
        num_generations=SIZE.draws, max_completion_length=SIZE.max_tokens, temperature=1.0, beta=0.0,
        loss_type="dr_grpo", scale_rewards="none", learning_rate=1e-5, max_steps=STEPS, save_strategy="no",
        logging_steps=1, report_to=[], disable_tqdm=True, bf16=False, activation_checkpointing=False, use_cpu=True,
        dataloader_pin_memory=False, generation_kwargs={"pad_token_id": 0, "eos_token_id": 2},
    )  # fmt: skip
    rows = [{"prompt": [{"role": "user", "content": problem.prompt.question}]} for problem in problems]
    trainer = Timed(
        AutoModelForCausalLM.from_pretrained(WEIGHTS / "nano", dtype=torch.float32),
        reward_funcs=[checked],
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.train()
    clock.at.pop()  # TRL logs once more at the end
    return clock


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        mine, rows = with_mull(Path(folder) / "mull")
        theirs = with_trl(Path(folder) / "trl")
    counted = rows[1:]
    draws = sum(row["draw_seconds"] for row in counted)
    whole = draws + sum(row["train_seconds"] for row in counted)
    tokens = sum(row["output_tokens"] for row in counted)
    what = f"{SIZE.groups} groups of {SIZE.draws} draws of {TASK.name}"
    print(f"{what}, {torch.get_num_threads()} threads of torch, load {load:.1f}")
    print(f"mull: draws take {draws / whole:.0%} of a step; {tokens / draws:,.0f} tokens a second while it draws")
    for name, clock in (("mull", mine), ("TRL", theirs)):
        wall, cpu = clock.a_step
        print(f"{name}: {wall:.2f} s a step, {cpu:.2f} s of the processor")
    wall, cpu = (theirs.a_step[i] / mine.a_step[i] for i in (0, 1))
    print(f"ratio of a step: {wall:.1f} by the clock, {cpu:.1f} by the processor")
    own, other = ([sum(one[i] for one in clock.draws[1:]) / STEPS_COUNTED for i in (0, 1)] for clock in (mine, theirs))
    print(
        f"draws of a step: mull {own[0]:.2f} s, {own[1]:.2f} s of the processor; TRL {other[0]:.2f} s, {other[1]:.2f} s"
    )
    print(f"ratio of draws: {other[0] / own[0]:.1f} by the clock, {other[1] / own[1]:.1f} by the processor")


if __name__ == "__main__":
    main()
