"""Supervised fine-tuning of a language model on traces, by TRL's `SFTTrainer`: the loss is on the replies alone.

The traces are tokenized as mull's runtime reads prompts, so that nothing in a trace is taken for a special token.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from mull.errors import PromptError, UsageError
from mull.files.recording import Recording
from mull.models.embedded import EmbeddedModel, Texts
from mull.models.hf import texts_of
from mull.train.adapters import lora_of
from mull.train.checkpoint import Marked, last_complete, save_language_model
from mull.train.reward import is_held_out
from mull.types import Message


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Options; `rate` is the peak of a cosine schedule after a tenth of warm-up, `batch_tokens` about a batch's."""

    epochs: float = 3.0
    rate: float = 1e-3
    batch_tokens: int = 4096
    seed: int = 0
    threads: int = 1
    lora: int = 0
    """Rank of adapters; 0: all weights are trained."""


@dataclass(frozen=True, slots=True)
class FineTuned:
    """The result: losses per token on the traces of held-out problems, before and after; `None`: none was held out."""

    folder: str
    traces: int
    too_long: int
    """Traces that the model's context is too short for, which were left out."""
    steps: int
    tokens: int
    """Training tokens, prompts included."""
    flops: float | None
    """`None` for an architecture whose FLOPs are not known."""
    loss_before: float | None
    loss_after: float | None


class EncodedTrace(NamedTuple):
    """The tokens of a prompt and a reply, and the length of the prompt."""

    problem: str
    ids: list[int]
    start: int


def encoded(recordings: Sequence[Recording], tokens: Texts, end: int) -> list[EncodedTrace]:
    """All traces as tokens, replies up to the token that ends them.

    Raises `UsageError` for one without a prompt, or with text that the model cannot read.
    """
    found = []
    for one in recordings:
        if one.prompt is None:
            raise UsageError(f"{one.id}: the trace has no prompt, so that it cannot be learned from")
        for sample in one.samples:
            try:
                prompt = tokens.conversation([Message("user", one.prompt)])
                reply = tokens.encode(sample.text)
            except PromptError as error:
                raise UsageError(
                    f"{one.id}: the base lacks tokens for a trace: {error}; take traces of a model with its tokenizer"
                ) from error
            found.append(EncodedTrace(one.id, [*prompt, *reply, end], len(prompt)))
    return found


def train_sft(
    base: EmbeddedModel,
    recordings: Sequence[Recording],
    out: Path,
    options: FineTuning,
    tick: Callable[[float, float], None] = lambda *_: None,
) -> FineTuned:
    """Fine-tunes a model on traces; resumes from the last checkpoint in `out`.

    `tick` receives the share done and the training loss. A tenth of the problems is held out, by a hash of their ids.
    Raises `UsageError` if there is nothing to learn from.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    logging.disable_progress_bar()
    folder = Path(base.folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token_id is None:
        raise UsageError(f"the tokenizer of {folder} names no token that ends a reply: give it an eos_token")
    context = getattr(model.config, "max_position_embeddings", None)
    every = encoded(recordings, texts_of(base), tokenizer.eos_token_id)
    fitting = [one for one in every if context is None or len(one.ids) <= context]
    held_out = [one for one in fitting if is_held_out(one.problem)]
    learned = [one for one in fitting if not is_held_out(one.problem)]
    if not learned:
        raise UsageError(f"{len(every)} traces, {len(fitting)} within {context} tokens, and none to learn from")
    n_tokens = sum(len(one.ids) for one in learned)
    rows = max(1, min(len(learned), round(options.batch_tokens * len(learned) / n_tokens)))
    n_steps = max(1, math.ceil(options.epochs * len(learned) / rows))
    checkpoints = out / "checkpoints"
    has_gpu = torch.cuda.is_available()
    arguments = SFTConfig(
        str(checkpoints),
        per_device_train_batch_size=rows,
        learning_rate=options.rate,
        lr_scheduler_type="cosine",
        warmup_steps=n_steps // 10,
        weight_decay=0.0,
        max_steps=n_steps,
        save_steps=max(1, n_steps // 10),
        save_total_limit=2,
        logging_steps=max(1, n_steps // 20),
        max_length=context,
        completion_only_loss=True,
        packing=False,
        report_to=[],
        disable_tqdm=True,
        seed=options.seed,
        bf16=False,
        activation_checkpointing=False,
        use_cpu=not has_gpu,
        dataloader_pin_memory=has_gpu,
    )
    trainer = SFTTrainer(
        model,
        args=arguments,
        train_dataset=_dataset(learned),
        processing_class=tokenizer,
        callbacks=[Marked(), _Ticks(n_steps, tick)],
        peft_config=lora_of(options.lora),
    )
    trainer.remove_callback(PrinterCallback)
    before = loss_of(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), held_out)
    begun = last_complete(checkpoints)
    trainer.train(resume_from_checkpoint=None if begun is None else str(begun))
    plain = trainer.accelerator.unwrap_model(trainer.model)
    after = loss_of(plain, held_out)
    once = _flops(folder, learned, options.lora)
    passes = n_steps * rows / len(learned)
    card = f"# {base.name}, fine-tuned on {len(learned)} traces\n\nOptions: {options}. Loss per token on held-out "
    card += f"problems: {before} before, {after} after.\n"
    save_language_model(plain, base, out, card)
    return FineTuned(
        str(out),
        len(learned),
        len(every) - len(fitting),
        n_steps,
        round(passes * n_tokens),
        None if once is None else passes * once,
        before,
        after,
    )


def _flops(folder: Path, traces: Sequence[EncodedTrace], lora: int) -> float | None:
    """FLOPs of learning all traces once."""
    from mull.cost.flops import DENSE, MIXTURES, read_config
    from mull.train.estimate import passes_of

    if json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") not in DENSE + MIXTURES:
        return None
    model = read_config(folder / "config.json")
    forward = sum(model.forward(len(one.ids), 0, len(one.ids) - one.start) for one in traces)
    return float(passes_of(has_kl=False, lora=lora) * forward)


def _dataset(traces: Sequence[EncodedTrace]) -> Any:
    masks = [[0] * one.start + [1] * (len(one.ids) - one.start) for one in traces]
    return Dataset.from_dict({"input_ids": [one.ids for one in traces], "completion_mask": masks})


@torch.no_grad()  # type: ignore[untyped-decorator]
def loss_of(model: Any, traces: Sequence[EncodedTrace]) -> float | None:
    """The mean loss of a token of the replies, in nats; `None` without traces."""
    model.eval()
    total, n = 0.0, 0
    for one in traces:
        ids = torch.tensor([one.ids], device=model.device)
        logits = model(input_ids=ids).logits[0, one.start - 1 : -1]
        total += float(torch.nn.functional.cross_entropy(logits, ids[0, one.start :], reduction="sum"))
        n += len(one.ids) - one.start
    return total / n if n else None


class _Ticks(TrainerCallback):  # type: ignore[misc]
    def __init__(self, n_steps: int, tick: Callable[[float, float], None]) -> None:
        self.n_steps, self.tick = n_steps, tick

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.tick(state.global_step / self.n_steps, float(logs["loss"]))
