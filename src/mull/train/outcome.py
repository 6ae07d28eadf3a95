"""Outcome reward models trained on right and wrong solutions of the same problem."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mull.errors import UsageError
from mull.train.calibration import platt
from mull.train.data import LabelFile
from mull.train.reward import (
    Encoded,
    Options,
    TokenBatch,
    Training,
    balanced,
    batches,
    encode,
    is_held_out,
    measures,
    save,
)


def train_orm(
    base: str, file: LabelFile, out: Path, options: Options, tick: Callable[[float, float], None] = lambda *_: None
) -> Training:
    """Trains an outcome reward model on pairs of a right and a wrong solution of one problem (Bradley-Terry, by TRL).

    The run checkpoints into `out` and resumes from there. Its logit is calibrated on held-out solutions. Raises
    `UsageError` for labels without a pair.
    """
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, EarlyStoppingCallback
    from transformers.trainer_utils import get_last_checkpoint
    from trl import RewardConfig, RewardTrainer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id or 0
    limit = model.config.max_position_embeddings
    encoded = [encode(tokenizer, one, "hard") for one in balanced(file.labelled, 1.0, options.seed)]
    encoded = [one for one in encoded if len(one.ids) <= limit]
    learned, measured = pairs(encoded, options.seed)
    if not learned or not measured:
        raise UsageError(f"{len(learned)} pairs to learn from and {len(measured)} held out: label more problems")
    length = sum(len(a.ids) + len(b.ids) for a, b in learned) / len(learned)
    rows = max(1, round(options.batch_tokens / length))
    n_steps = max(10, math.ceil(options.epochs * len(learned) / rows))
    every = max(5, n_steps // 20)
    arguments = RewardConfig(
        str(out / "runs"),
        per_device_train_batch_size=rows,
        per_device_eval_batch_size=rows,
        learning_rate=options.rate,
        lr_scheduler_type="cosine",
        warmup_steps=n_steps // 10,
        max_steps=n_steps,
        eval_strategy="steps",
        eval_steps=every,
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        report_to=[],
        metric_for_best_model="eval_loss",
        seed=options.seed,
        disable_tqdm=True,
        logging_steps=every,
        max_length=limit,
        center_rewards_coefficient=0.01,
        bf16=False,
        activation_checkpointing=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = RewardTrainer(
        model,
        arguments,
        train_dataset=_dataset(Dataset, learned),
        eval_dataset=_dataset(Dataset, measured),
        processing_class=tokenizer,
        callbacks=[EarlyStoppingCallback(options.patience), _ticker(n_steps, tick)],
    )
    (out / "runs").mkdir(parents=True, exist_ok=True)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out / "runs")))
    held_out = [one for one in encoded if is_held_out(one.problem)]
    whole = [one._replace(ends=[len(one.ids) - 1], targets=[float(one.correct)]) for one in held_out]
    logits, values = _last_logits(trainer.model, whole)
    scale, shift = platt(logits, values)
    seen = int(trainer.state.num_input_tokens_seen) or None
    trained = measures(out, trainer.model, len(encoded), seen, logits, values, scale, shift)
    save(trainer.model, tokenizer, out, file, options, trained, "outcome", {"bias": 0.0})
    shutil.rmtree(out / "runs")
    return trained


def pairs(encoded: Sequence[Encoded], seed: int) -> tuple[list[tuple[Encoded, Encoded]], list[tuple[Encoded, Encoded]]]:
    """Pairs of a right and a wrong solution of one problem, each solution used at most once: training, and held out."""
    rng = random.Random(seed)
    by_problem: dict[str, tuple[list[Encoded], list[Encoded]]] = {}
    for one in encoded:
        by_problem.setdefault(one.problem, ([], []))[one.correct].append(one)
    learned: list[tuple[Encoded, Encoded]] = []
    measured: list[tuple[Encoded, Encoded]] = []
    for problem, (wrong, right) in by_problem.items():
        rng.shuffle(right)
        (measured if is_held_out(problem) else learned).extend(zip(right, wrong, strict=False))
    return learned, measured


def _dataset(kind: Any, found: Sequence[tuple[Encoded, Encoded]]) -> Any:
    return kind.from_dict({"chosen_ids": [a.ids for a, _ in found], "rejected_ids": [b.ids for _, b in found]})


def _ticker(n_steps: int, tick: Callable[[float, float], None]) -> Any:
    from transformers import TrainerCallback

    class Ticker(TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
            if metrics and "eval_loss" in metrics:
                tick(state.global_step / n_steps, float(metrics["eval_loss"]))

    return Ticker()


@torch.no_grad()  # type: ignore[untyped-decorator]
def _last_logits(model: Any, encoded: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """The logit at the end of each solution, and whether the solution is right."""
    model.eval()
    device = next(model.parameters()).device
    logits = [
        model(input_ids=batch.ids.to(device), attention_mask=_mask(batch).to(device)).logits[:, 0].cpu()
        for batch in batches(encoded, 16384, model.config.pad_token_id, None)
    ]
    values = [batch.values for batch in batches(encoded, 16384, model.config.pad_token_id, None)]
    return torch.cat(logits), torch.cat(values)


def _mask(batch: TokenBatch) -> Tensor:
    """Ones up to the labelled position of each row, which is its last token."""
    return (torch.arange(batch.ids.size(1)) <= batch.places[:, None]).long()
