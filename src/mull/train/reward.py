"""Process reward models trained on step labels.

The base can be any causal model in the format of transformers; torch, transformers, accelerate and trl come with the
extra `train`. The output folder has a checkpoint in the same format and a model card.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mull.errors import UsageError
from mull.train.calibration import auc, calibrated_loss, calibration_error, platt
from mull.train.data import LabelFile
from mull.train.label import Labelled

Target = Literal["hard", "soft"]
Readout = Literal["class", "next"]
"""Where the logit of a process reward model comes from: a token classifier, or a language model's next tokens."""
HELD_OUT = 0.1
"""The share of held-out problems, used for early stopping and calibration."""


class Encoded(NamedTuple):
    """One tokenized solution: it begins at `start`, `ends[i]` is the position of the last token of step i, `targets[i]`
    its label or `None`."""

    ids: list[int]
    start: int
    ends: list[int]
    targets: list[float | None]
    problem: str
    correct: bool


@dataclass(frozen=True, slots=True)
class Options:
    """Training options; `rate` is the peak of a cosine schedule after a tenth of warm-up."""

    target: Target = "hard"
    epochs: float = 3.0
    rate: float = 1e-4
    batch_tokens: int = 4096
    right_for_wrong: float = 1.0
    """Right solutions kept per wrong one of a problem; labels on right ones are cheap and redundant."""
    readout: Readout = "class"
    text: float = 0.0
    """Weight of a next-token loss on right solutions (GRM, Yang et al. 2024, arXiv 2406.10216); for `next` only."""
    patience: int = 5
    """Training stops after this many evaluations on held-out problems without improvement."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Training:
    """The result of a training; figures are on held-out problems, after calibration."""

    folder: str
    parameters: int
    solutions: int
    tokens: int | None
    """Training tokens; `None` if not counted."""
    loss: float
    auc: float | None
    calibration_error: float
    scale: float
    shift: float


def encode(tokenizer: Any, labelled: Labelled, target: Target) -> Encoded:
    """A solution in the format of the chat template, and where its steps end."""
    messages = [{"role": "user", "content": labelled.prompt}]
    before = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    text = before + "".join(labelled.steps)
    coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ends, at, token = [], len(before), 0
    for step in labelled.steps:
        at += len(step)
        while token + 1 < len(coded["offset_mapping"]) and coded["offset_mapping"][token][1] < at:
            token += 1
        ends.append(token)
    targets: tuple[float | None, ...] = labelled.soft if target == "soft" else labelled.hard
    start = next(i for i, (_, end) in enumerate(coded["offset_mapping"]) if end > len(before))
    return Encoded(list(coded["input_ids"]), start, ends, list(targets), labelled.problem, labelled.correct)


def is_held_out(problem: str) -> bool:
    """Whether a problem is held out, by a hash of its id."""
    return hashlib.blake2b(problem.encode(), digest_size=8).digest()[0] < HELD_OUT * 256


def balanced(labelled: Sequence[Labelled], right_for_wrong: float, seed: int) -> list[Labelled]:
    """All wrong solutions, and per problem `right_for_wrong` right ones for each; one right one if none is wrong."""
    rng = random.Random(seed)
    by_problem: dict[str, tuple[list[Labelled], list[Labelled]]] = {}
    for one in labelled:
        by_problem.setdefault(one.problem, ([], []))[one.correct].append(one)
    kept = []
    for wrong, right in by_problem.values():
        n = min(len(right), max(1, round(right_for_wrong * len(wrong))))
        kept += [*wrong, *rng.sample(right, n)]
    return kept


def check(file: LabelFile, base: str, tokenizer: str, is_forced: bool) -> None:
    """Raises `UsageError` if labels have one class only, or are on another model's solutions."""
    values = [label for one in file.labelled for label in one.hard if label is not None]
    n_right, n_wrong = sum(values), len(values) - sum(values)
    if not n_right or not n_wrong:
        raise UsageError(
            f"nothing to learn from: {n_right:,} steps are labelled right and {n_wrong:,} wrong; "
            "label problems that the model solves sometimes, not always or never"
        )
    if not is_forced and (file.origin.model.partition("@")[0], file.origin.tokenizer) != (base, tokenizer):
        raise UsageError(
            f"the labels are on solutions of {file.origin.model} (tokenizer {file.origin.tokenizer}), but the base is "
            f"{base} (tokenizer {tokenizer}); label with {base}, or allow it with --any-model"
        )


class TokenBatch(NamedTuple):
    """Token ids [rows, length]; starts and correctness of solutions [rows]; positions and values of labels."""

    ids: Tensor
    starts: Tensor
    is_right: Tensor
    rows: Tensor
    places: Tensor
    values: Tensor


def batches(encoded: Sequence[Encoded], n_tokens: int, pad: int, rng: random.Random | None) -> Iterator[TokenBatch]:
    """Batches of rows of similar length, in random order; one pass over all rows."""
    order = sorted(encoded, key=lambda one: len(one.ids) + (rng.random() if rng else 0))
    cut: list[list[Encoded]] = [[]]
    for one in order:
        if cut[-1] and (len(cut[-1]) + 1) * len(one.ids) > n_tokens:
            cut.append([])
        cut[-1].append(one)
    if rng:
        rng.shuffle(cut)
    for part in cut:
        length = max(len(one.ids) for one in part)
        labels = [
            (row, end, target)
            for row, one in enumerate(part)
            for end, target in zip(one.ends, one.targets, strict=True)
            if target is not None
        ]
        if labels:
            rows, places, values = zip(*labels, strict=True)
            ids = torch.tensor([one.ids + [pad] * (length - len(one.ids)) for one in part])
            starts = torch.tensor([one.start for one in part])
            is_right = torch.tensor([one.correct for one in part])
            targets = torch.tensor(values, dtype=torch.float32)
            yield TokenBatch(ids, starts, is_right, torch.tensor(rows), torch.tensor(places), targets)


def train_prm(
    base: str, file: LabelFile, out: Path, options: Options, tick: Callable[[float, float], None] = lambda *_: None
) -> Training:
    """Trains a process reward model: one logit per token, trained at the ends of steps (binary cross-entropy).

    The run checkpoints into `out` and resumes from there; it keeps and calibrates the model with the best held-out
    loss. `tick` receives the finished share and the held-out loss. Raises `UsageError` for labels of one class only.
    """
    from accelerate import Accelerator
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForTokenClassification,
        AutoTokenizer,
        get_cosine_schedule_with_warmup,
    )
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(options.seed)
    accelerator = Accelerator()
    tokenizer = AutoTokenizer.from_pretrained(base)
    model: nn.Module
    if options.readout == "next":
        model = NextTokens(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32))
    else:
        config = AutoConfig.from_pretrained(base, num_labels=1, classifier_dropout=0.0)
        model = LastTokens(AutoModelForTokenClassification.from_pretrained(base, config=config, dtype=torch.float32))
    kept = balanced(file.labelled, options.right_for_wrong, options.seed)
    encoded = [encode(tokenizer, one, options.target) for one in kept]
    limit = model.model.config.max_position_embeddings
    encoded = [one for one in encoded if len(one.ids) <= limit]
    learned = [one for one in encoded if not is_held_out(one.problem)]
    measured = [one for one in encoded if is_held_out(one.problem)]
    if not learned or not measured:
        raise UsageError(f"{len(learned)} solutions to learn from and {len(measured)} held out: label more problems")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    n_tokens = sum(len(one.ids) for one in learned)
    n_steps = max(10, int(options.epochs * n_tokens / options.batch_tokens))
    few = [p for name, p in model.named_parameters() if p.dim() == 0]  # calibration scalars, which have far to move
    many = [p for p in model.parameters() if p.dim() > 0]
    groups = [{"params": many, "lr": options.rate}, {"params": few, "lr": 100 * options.rate}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.01)
    scheduler = get_cosine_schedule_with_warmup(optimizer, n_steps // 10, n_steps)
    model, optimizer = accelerator.prepare(model, optimizer)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    step, best, since, best_state = 0, math.inf, 0, None
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=accelerator.device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        step, best, since, best_state = state["step"], state["best"], state["since"], state["best_state"]
    every = max(10, n_steps // 20)
    seen = 0
    for epoch in range(step * options.batch_tokens // max(1, n_tokens), math.ceil(options.epochs) + 1):
        for batch in batches(learned, options.batch_tokens, pad, random.Random(f"{options.seed}/{epoch}")):
            if step >= n_steps or since > options.patience:
                break
            logits = _logits(model, batch, accelerator.device)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, batch.values.to(accelerator.device))
            if options.text:
                loss = loss + options.text * accelerator.unwrap_model(model).text_loss(batch.is_right)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            seen += batch.ids.numel()
            if step % every == 0 or step == n_steps:
                logits_out, values_out = predict(model, measured, pad, accelerator.device)
                held_out = calibrated_loss(logits_out, values_out)
                if held_out < best:
                    best, since = held_out, 0
                    best_state = {
                        k: v.detach().cpu().clone() for k, v in accelerator.unwrap_model(model).state_dict().items()
                    }
                else:
                    since += 1
                _keep(checkpoint, model, optimizer, scheduler, step, best, since, best_state)
                tick(step / n_steps, held_out)
    plain = accelerator.unwrap_model(model)
    if best_state is not None:
        plain.load_state_dict(best_state)
    logits_out, values_out = predict(plain, measured, pad, accelerator.device)
    scale, shift = platt(logits_out, values_out)
    trained = measures(out, plain, len(encoded), seen, logits_out, values_out, scale, shift)
    if options.readout == "next":
        reading = {"slope": plain.slope.item(), "offset": plain.offset.item()}
    else:
        reading = {"bias": plain.model.score.bias.item()}
    save(plain.model, tokenizer, out, file, options, trained, "process", reading)
    checkpoint.unlink(missing_ok=True)
    return trained


class NextTokens(nn.Module):  # type: ignore[misc]
    """A language model used as a verifier: the logit that everything up to a position is right.

    A token is right with probability `sigmoid(slope * logit(p) + offset)`, where p is its probability as the next
    token, and a prefix is right if all its tokens are. So labels of whole steps teach which of their tokens is wrong,
    and the evidence about a token is used where the model predicts it, before the token is read.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.slope = nn.Parameter(torch.tensor(0.75))
        self.offset = nn.Parameter(torch.tensor(1.5))

    def forward(self, ids: Tensor, starts: Tensor, rows: Tensor, places: Tensor) -> Tensor:
        logits = self.model(input_ids=ids, use_cache=False).logits[:, :-1]
        log_p = logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0].clamp(max=-1e-6)
        token = self.slope * (log_p - torch.log(-torch.expm1(log_p))) + self.offset
        ends = torch.zeros(len(ids), dtype=torch.long, device=ids.device).scatter_reduce(0, rows, places, "amax")
        order = torch.arange(1, ids.size(1), device=ids.device)
        is_solution = order >= starts[:, None]
        self._written = log_p, is_solution & (order <= ends[:, None])
        doubt = (nn.functional.softplus(-token) * is_solution).cumsum(1)  # -log of the probability that all are right
        chosen = doubt[rows, places - 1].clamp(min=1e-6)
        return -chosen - torch.log(-torch.expm1(-chosen))

    def text_loss(self, is_right: Tensor) -> Tensor:
        """The mean loss of the tokens of right solutions in the last pass."""
        log_p, is_written = self._written
        mask = is_written & is_right.to(log_p.device)[:, None]
        return -(log_p * mask).sum() / mask.sum().clamp(min=1)


class LastTokens(nn.Module):  # type: ignore[misc]
    """A token classifier used as a verifier: its logit at the last token of a step."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, starts: Tensor, rows: Tensor, places: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=ids, use_cache=False).logits[rows, places, 0]
        return logits


def _logits(model: nn.Module, batch: TokenBatch, device: torch.device) -> Tensor:
    parts = (part.to(device) for part in (batch.ids, batch.starts, batch.rows, batch.places))
    logits: Tensor = model(*parts)
    return logits


@torch.no_grad()  # type: ignore[untyped-decorator]
def predict(model: nn.Module, encoded: Sequence[Encoded], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logits and targets of all labelled steps, in the order of `batches`."""
    model.eval()
    pairs = [(_logits(model, batch, device).cpu(), batch.values) for batch in batches(encoded, 16384, pad, None)]
    model.train()
    return torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])


def measures(
    out: Path, model: nn.Module, n: int, seen: int | None, logits: Tensor, values: Tensor, scale: float, shift: float
) -> Training:
    adjusted = scale * logits + shift
    loss = float(nn.functional.binary_cross_entropy_with_logits(adjusted, values))
    error = calibration_error(adjusted.sigmoid(), values)
    parameters = sum(p.numel() for p in model.parameters())
    return Training(str(out), parameters, n, seen, loss, auc(logits, values > 0.5), error, scale, shift)


def _keep(
    path: Path, model: nn.Module, optimizer: Any, scheduler: Any, step: int, best: float, since: int, best_state: Any
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "step": step,
        "best": best,
        "since": since,
        "best_state": best_state,
    }
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


_READ = {
    "class": "the output of the classifier at the step's last token.",
    "next": "that of the product of `sigmoid(slope * logit(p) + offset)` over the solution's tokens so far, "
    "where p is a token's probability as the next one.",
}


def save(
    model: Any,
    tokenizer: Any,
    out: Path,
    file: LabelFile,
    options: Options,
    trained: Training,
    kind: str,
    read: dict[str, float],
) -> None:
    """Writes the checkpoint in half precision, its tokenizer, how to read its logits, and a model card."""
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    if model.config.model_type == "llama":
        from mull.runtime.session import BLOCK
        from mull.train.graph import decoder

        raw = json.loads((out / "config.json").read_text())
        (out / "decoder.onnx").write_bytes(decoder(raw, BLOCK).SerializeToString())
    reading = {
        "kind": kind,
        "separator": file.origin.separator,
        "scale": trained.scale,
        "shift": trained.shift,
        "readout": options.readout if kind == "process" else "class",
        **read,
        "labels": asdict(file.origin),
    }
    (out / "reward.json").write_text(json.dumps(reading, indent=1) + "\n")
    measures = {k: v for k, v in asdict(trained).items() if k != "folder"}
    card = [
        f"# {out.name}: {'a process' if kind == 'process' else 'an outcome'} reward model",
        "",
        f"Trained with mull on labels made by {file.origin.method} from solutions of {file.origin.model} to "
        f"{file.origin.task} (steps end with {file.origin.separator!r}).",
        "The probability that all is right up to a step's end is `sigmoid(scale * logit + shift)`, where the logit is "
        + _READ[options.readout]
        if kind == "process"
        else "The probability that a solution is right is `sigmoid(scale * logit + shift)` at its last token.",
        "",
        "| measured on held-out problems | |",
        "|---|---|",
        *(f"| {k} | {v:.5g} |" if isinstance(v, float) else f"| {k} | {v} |" for k, v in measures.items()),
        "",
        "Options: " + ", ".join(f"{k}={v}" for k, v in asdict(options).items()),
    ]
    (out / "README.md").write_text("\n".join(card) + "\n")
