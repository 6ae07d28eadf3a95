"""Reinforcement learning of a language model by group-relative policy optimisation (GRPO) and its variants.

mull draws with the current weights, rewards and weighs the draws; TRL's `GRPOTrainer` computes the loss and optimises.
TRL's own hooks for draws and rewards cannot take advantages without subtracting their mean, which objectives of sets
have no use for, nor groups that are drawn again; so `_prepare_inputs` hands its loss whole micro-batches, which are
sorted by length and leave out draws that teach nothing.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

from mull.cost.flops import read_config
from mull.models.embedded import EmbeddedModel
from mull.models.hf import live_of
from mull.runtime.session import Floats
from mull.train.adapters import has_adapters, lora_of, put_back, trained_of, weights_of
from mull.train.batches import batches_of
from mull.train.checkpoint import Marked, last_complete, save_language_model
from mull.train.curve import Row, RunFolder, is_best, trouble
from mull.train.estimate import parts_of, passes_of
from mull.train.lessons import ProblemOrder
from mull.train.rollouts import SEEDS_APART, Rewards, RoundSize, draw_round, figures_of
from mull.types import Task

LOSS_TYPES = {"replies": "grpo", "constant": "dr_grpo", "tokens": "dapo"}
"""The names of TRL for what `Variant.average` averages over."""


@dataclass(frozen=True, slots=True)
class Reinforcement:
    """Options of a training: `updates` optimiser steps after each round of draws, `kl` the weight of the KL penalty.

    `rate` is the learning rate of AdamW after `warmup` steps; `every` steps there is a checkpoint. `threads` are those
    of torch: more than one is slower where other processes use the processor too. `lora` is the rank of adapters, 0 to
    train all weights.
    """

    steps: int
    size: RoundSize
    rewards: Rewards
    updates: int = 1
    kl: float = 0.0
    rate: float = 3e-4
    warmup: int = 5
    every: int = 10
    seed: int = 0
    threads: int = 1
    lora: int = 0
    minutes: float | None = None
    """The run ends after the step in which draws and training have taken so long in all; `None`: after `steps`."""


@dataclass(frozen=True, slots=True)
class Reinforced:
    """The result: the folder of the model, its curve, and why the run stopped early (empty: it did not)."""

    folder: str
    steps: int
    rows: Sequence[Row]
    stopped: str


class RoundTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer on rounds of draws that mull made."""

    rounds: Callable[[], list[dict[str, Tensor]]]
    n_batches: int

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Tensor]:
        place = self._step % self.n_batches
        if place == 0:
            self._buffered_inputs = self.rounds()
        batch = {name: value.to(self.accelerator.device) for name, value in self._buffered_inputs[place].items()}
        if self.beta:
            ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
            mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
            n = batch["completion_ids"].size(1)
            plain = self.accelerator.unwrap_model(self.model)
            with torch.no_grad(), plain.disable_adapter() if has_adapters(plain) else nullcontext():
                model = self.ref_model or self.model
                batch["ref_per_token_logps"] = self._get_per_token_logps_and_entropies(model, ids, mask, n)[0]
        return batch

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, **_: Any
    ) -> tuple[Tensor, Tensor, None]:
        """Log-probabilities of the last `logits_to_keep` tokens of each row, as TRL's own, by a faster way.

        TRL pads prompts on the left, so that all replies begin in one column, and masks the padding. Here rows begin
        with their prompts and padding comes last, where causal attention sees none of it and needs no mask. Entropies
        are 0: those of the draws are known.
        """
        length, n_prompt = attention_mask.sum(1, keepdim=True), attention_mask[:, :-logits_to_keep].sum(1, keepdim=True)
        at = torch.arange(int(length.max()), device=input_ids.device)
        place = attention_mask.argmax(1, keepdim=True) + at
        ids = input_ids.gather(1, place.clamp(max=input_ids.size(1) - 1))
        labels = ids.masked_fill((at < n_prompt) | (at >= length), -100)
        with self.accelerator.autocast():
            found = model(input_ids=ids, labels=labels, fused_lm_head=True).log_probs
        # Column i is the probability of token i + 1.
        column = n_prompt - 1 + torch.arange(logits_to_keep, device=input_ids.device)
        logprobs = found.gather(1, column.clamp(max=found.size(1) - 1))
        return logprobs, torch.zeros_like(logprobs), None


def trainer_of(
    model: Any, tokenizer: Any, folder: Path, options: Reinforcement, parts: int, callbacks: Sequence[TrainerCallback]
) -> RoundTrainer:
    """TRL's trainer with the options of a run, `parts` micro-batches in each update; `rounds` is still to be set."""
    size, variant, has_gpu = options.size, options.rewards.variant, torch.cuda.is_available()
    arguments = GRPOConfig(
        str(folder),
        per_device_train_batch_size=size.groups * size.draws // options.updates // parts,
        gradient_accumulation_steps=parts,
        steps_per_generation=parts * options.updates,
        num_generations=size.draws,
        max_completion_length=size.max_tokens,
        temperature=1.0,
        beta=options.kl,
        epsilon=variant.clip_low,
        epsilon_high=variant.clip_high,
        loss_type=LOSS_TYPES[variant.average],
        scale_rewards="none",
        use_bias_correction_kl=False,
        learning_rate=options.rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=options.warmup * options.updates,
        weight_decay=0.0,
        max_grad_norm=1.0,
        max_steps=options.steps * options.updates,
        save_steps=options.every * options.updates,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        seed=options.seed,
        ignore_data_skip=True,
        bf16=False,
        activation_checkpointing=False,
        use_cpu=not has_gpu,
        dataloader_pin_memory=has_gpu,
    )
    trainer = RoundTrainer(
        model,
        reward_funcs=[_unused],
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": [""] * size.groups}),
        processing_class=tokenizer,
        callbacks=list(callbacks),
        peft_config=lora_of(options.lora),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.n_batches = parts * options.updates
    return trainer


def train_grpo(
    base: EmbeddedModel, tasks: Sequence[Task], run: RunFolder, options: Reinforcement, tick: Callable[[Row], None]
) -> Reinforced:
    """Trains a model on tasks, from the last checkpoint in the run's folder if there is one.

    `tick` receives each step's row of the curve. A run that stops early (`trouble`) keeps the weights of its best
    steps. Raises `UsageError` for tasks without a training split.
    """
    session = _Session(base, tasks, run, options, tick)
    session.train()
    return session.finish()


class _Session:
    """One process's part of a run."""

    def __init__(
        self,
        base: EmbeddedModel,
        tasks: Sequence[Task],
        run: RunFolder,
        options: Reinforcement,
        tick: Callable[[Row], None],
    ) -> None:
        self.base, self.run, self.options, self.tick = base, run, options, tick
        self.order = ProblemOrder(tasks, options.seed)
        self.live = live_of(base)
        self.architecture = read_config(self.live.folder / "config.json")
        self.stopped = ""
        self.checkpoints = run.folder / "checkpoints"
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        logging.disable_progress_bar()
        model = AutoModelForCausalLM.from_pretrained(self.live.folder, dtype=torch.float32)
        self.parts = parts_of(self.architecture, options.size, options.updates)
        tokenizer = AutoTokenizer.from_pretrained(self.live.folder)
        self.trainer = trainer_of(model, tokenizer, self.checkpoints, options, self.parts, [_Follow(self)])
        self.trainer.rounds = self.round

    def train(self) -> None:
        """Trains from the last complete checkpoint to the last step, or until there is trouble."""
        begun = last_complete(self.checkpoints)
        step = 0 if begun is None else int(begun.name.rpartition("-")[2]) // self.options.updates
        self.run.cut(step)
        self.stopped = trouble(self.run.rows)
        if self.stopped or step >= self.options.steps or self._is_late():
            if begun is not None:
                self.trainer._load_from_checkpoint(str(begun))
            return
        self.trainer.train(resume_from_checkpoint=None if begun is None else str(begun))

    def weights(self) -> dict[str, Floats]:
        """The current weights, by the names of the checkpoint."""
        state = weights_of(self.trainer.model)
        return {name: state[name].float().cpu().numpy().copy() for name in self.live.tensors}

    def round(self) -> list[dict[str, Tensor]]:
        """Draws a round with the current weights, and cuts it into micro-batches."""
        options, step = self.options, len(self.run.rows)
        self.drawn_with = trained_of(self.trainer.model)
        began = time.perf_counter()
        model = self.live.use(self.weights())
        position = self.run.rows[-1]["position"] if self.run.rows else 0
        seed = options.seed + SEEDS_APART * step
        drawn = asyncio.run(draw_round(model, self.order, position, options.size, options.rewards, seed))
        self.drawn, self.draw_seconds = drawn, time.perf_counter() - began
        self.logged: list[dict[str, Any]] = []
        self.trained_from = time.perf_counter()
        kept = drawn.all_rollouts if options.kl else drawn.rollouts
        size = options.size
        return batches_of(
            kept,
            size.groups * size.draws,
            self.parts,
            options.updates,
            self.trainer.model.config.pad_token_id or 0,
            random.Random(seed),
            is_tokens=options.rewards.variant.average == "tokens",
        )

    def log(self, logs: dict[str, Any]) -> bool:
        """Takes the figures of one update; returns whether the run must stop."""
        if "grad_norm" not in logs:
            return False
        self.logged.append(logs)
        if len(self.logged) < self.options.updates:
            return False
        row = {"step": len(self.run.rows) + 1, **figures_of(self.drawn), **self._trained()}
        self.run.add(row)
        if is_best(self.run.rows):
            self._keep_best()
        self.tick(row)
        self.stopped = trouble(self.run.rows)
        return bool(self.stopped) or self._is_late()

    def _is_late(self) -> bool:
        seconds = sum(row["draw_seconds"] + row["train_seconds"] for row in self.run.rows)
        return self.options.minutes is not None and seconds >= 60 * self.options.minutes

    def _trained(self) -> dict[str, Any]:
        """The figures of the optimiser in the last step."""
        passes = passes_of(has_kl=self.options.kl > 0, lora=self.options.lora)
        kept = self.drawn.all_rollouts if self.options.kl else self.drawn.rollouts
        flops = sum(
            passes * self.architecture.forward(len(one.prompt) + len(one.tokens), 0, len(one.tokens)) for one in kept
        )
        return {
            "loss": _mean(self.logged, "loss"),
            "grad_norm": _mean(self.logged, "grad_norm"),
            "kl": _mean(self.logged, "kl") if self.options.kl else None,
            "clipped": _mean(self.logged, "clip_ratio/region_mean"),
            "trained": len(kept),
            "train_flops": float(flops),
            "draw_seconds": round(self.draw_seconds, 3),
            "train_seconds": round(time.perf_counter() - self.trained_from, 3),
        }

    def _keep_best(self) -> None:
        from safetensors.torch import save_file

        part = self.run.folder / "best.safetensors.part"
        save_file(self.drawn_with, part)
        part.replace(self.run.folder / "best.safetensors")

    def finish(self) -> Reinforced:
        """Writes the model: the last weights, or those of the best steps if the run was stopped."""
        model = self.trainer.model
        best = self.run.folder / "best.safetensors"
        if self.stopped and best.exists():
            from safetensors.torch import load_file

            put_back(model, load_file(best))
        rows = self.run.rows
        save_language_model(model, self.base, self.run.folder, _card(self.base, self.options, rows, self.stopped))
        return Reinforced(str(self.run.folder), len(rows), rows, self.stopped)


class _Follow(Marked):
    """Hands TRL's figures to the session."""

    def __init__(self, session: _Session) -> None:
        self.session = session

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if self.session.log(logs or {}):
            control.should_training_stop = control.should_save = True


def _unused(*_: Any, **__: Any) -> list[float]:
    raise AssertionError("rewards come with the draws")


def _mean(logged: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [float(one[name]) for one in logged if one.get(name) is not None]
    return math.fsum(values) / len(values) if values else None


def _card(base: EmbeddedModel, options: Reinforcement, rows: Sequence[Row], stopped: str) -> str:
    rewards, size = options.rewards, options.size
    lines = [
        f"# A model trained from {base.name} by reinforcement learning",
        "",
        f"{rewards.variant.name} for {rewards.objective}, {len(rows)} steps of {size.groups} groups of {size.draws} "
        f"draws of at most {size.max_tokens} tokens, {options.updates} updates a step, learning rate {options.rate:g}, "
        f"KL weight {options.kl:g}, seed {options.seed}, {f'adapters of rank {options.lora}, ' * bool(options.lora)}"
        "a row per step in `curve.jsonl`.",
    ]
    if stopped:
        lines += ["", f"The run was stopped, and these are the weights of its best steps: {stopped}."]
    return "\n".join(lines) + "\n"
