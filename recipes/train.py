"""Train a built-in model on generated text: `python recipes/train.py nano`.

`nano` and `mini` begin from scratch and see the same mixture, from the same seed, for the same number of tokens;
`nano-think` goes on from nano, and `nano-base`, which is not built in, has only seen
derivations. The run checkpoints and resumes; it prints its curve and keeps it in `curve.jsonl`, and leaves weights,
tokenizer and configuration in the usual checkpoint format of transformers. A GPU is used where there is one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

import corpus
import derivations
import reviews
import tokens
from mull.runtime import WEIGHTS
from mull.runtime.session import BLOCK
from mull.train.graph import decoder

SIZES = {
    # 14 times the parameters of nano, on the same text: mini is what a bigger model buys.
    "nano": {
        "hidden_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "intermediate_size": 192,
        "head_dim": 32,
    },
    "mini": {
        "hidden_size": 288,
        "num_hidden_layers": 6,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 624,
        "head_dim": 32,
    },
}
SIZES["nano-think"] = SIZES["nano-base"] = SIZES["nano"]
RATE = {"nano": 0.01, "mini": 0.01, "nano-think": 0.004, "nano-base": 0.01}
TOKENS = {"nano": 8e6, "mini": 8e6, "nano-think": 3e6, "nano-base": 4e6}
CONTEXT = {"nano": 512, "mini": 512, "nano-think": 1024, "nano-base": 512}
POOL = 1024
BATCH_TOKENS = {"nano": 2048, "mini": 4096, "nano-think": 2048, "nano-base": 2048}
TEXT = {
    "nano": corpus.examples,
    "mini": corpus.examples,
    "nano-think": reviews.examples,
    "nano-base": derivations.examples,
}
START = {"nano-think": WEIGHTS / "nano"}
"""Checkpoints that training goes on from; the others begin with random weights."""
WARMUP = 100


class Batch(NamedTuple):
    """Token ids and the labels of those to be learned (-100 elsewhere), both [rows, length]."""

    ids: Tensor
    labels: Tensor


def encode(tokenizer: Tokenizer, example: corpus.Example) -> tuple[list[int], list[int]]:
    """Ids and labels of one example, in the form of the chat template."""

    def ids_of(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    ids = ids_of(f"<bos><user>{example.prompt}<assistant>")
    labels = [-100] * len(ids)
    for piece in (*example.reply, corpus.Piece("<eos>")):
        part = ids_of(piece.text)
        ids += part
        labels += part if piece.learn else [-100] * len(part)
    return ids, labels


def batches(tokenizer: Tokenizer, source: Iterator[corpus.Example], seed: int, n_tokens: int) -> Iterator[Batch]:
    """Batches of about `n_tokens` tokens; rows of similar length lie together, so little is padding."""
    shuffle = random.Random(seed)
    while True:
        pool = sorted((encode(tokenizer, e) for e in itertools.islice(source, POOL)), key=lambda e: len(e[0]))
        cut: list[list[tuple[list[int], list[int]]]] = [[]]
        for row in pool:
            if (len(cut[-1]) + 1) * len(row[0]) > n_tokens:
                cut.append([])
            cut[-1].append(row)
        shuffle.shuffle(cut)
        for rows in cut:
            length = max(len(ids) for ids, _ in rows)
            yield Batch(
                torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in rows]),
                torch.tensor([labels + [-100] * (length - len(labels)) for _, labels in rows]),
            )


def orthogonal(update: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, by five Newton-Schulz steps (Jordan et al. 2024, Muon)."""
    tall = update.size(0) > update.size(1)
    x = update.T if tall else update
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Muon with Nesterov momentum in float32; torch's own works in bfloat16, which these processors lack."""

    def __init__(self, parameters: list[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(state["momentum"], group["momentum"]))
                p.add_(update, alpha=-group["lr"] * max(1.0, p.size(0) / p.size(1)) ** 0.5)


def schedule(done: float) -> float:
    """The share of the peak rate when this share of the tokens is done: level, then a line to zero."""
    return 1.0 if done < 0.5 else max(0.0, (1 - done) / 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "size",
    )
    parser.add_argument("--tokens", type=float, default=None, help="how many training tokens")
    parser.add_argument("--out", type=Path, default=None, help="folder of the checkpoint (build/<size>)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="the most time of training")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--lr", type=float, default=None)
    options = parser.parse_args()
    n_wanted: float = options.tokens or TOKENS[options.size]
    out: Path = options.out or Path("build") / options.size
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    tokenizer = tokens.build()
    config = LlamaConfig(
        **SIZES[options.size],
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=CONTEXT[options.size],
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config).to(device)
    if options.size in START:
        begun = LlamaForCausalLM.from_pretrained(START[options.size], dtype=torch.float32)
        model.load_state_dict(begun.state_dict())
    n_parameters = sum(p.numel() for p in model.parameters())
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or "embed" in name]
    peak = options.lr or RATE[options.size]
    optimizers: list[torch.optim.Optimizer]
    if options.optimizer == "muon":
        optimizers = [
            Muon(matrices, lr=peak),
            torch.optim.AdamW(others, lr=0.3 * peak, betas=(0.9, 0.95), weight_decay=0.0),
        ]
    else:
        optimizers = [torch.optim.AdamW(matrices + others, lr=options.lr or 3e-3, betas=(0.9, 0.95), weight_decay=0.01)]
    peaks = [o.param_groups[0]["lr"] for o in optimizers]

    step, n_tokens, seconds = 0, 0, 0.0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(kept["model"])
        for optimizer, state in zip(optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        step, n_tokens, seconds = kept["step"], kept["n_tokens"], kept["seconds"]
        print(f"resuming at step {step}, {n_tokens / 1e6:.2f} M tokens", flush=True)
    else:
        print(f"{options.size}: {n_parameters} parameters on {device}", flush=True)

    def save() -> None:
        state = {
            "model": model.state_dict(),
            "optimizers": [o.state_dict() for o in optimizers],
            "step": step,
            "n_tokens": n_tokens,
            "seconds": seconds,
        }
        torch.save(state, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").replace(checkpoint)

    source = TEXT[options.size](options.seed)
    recent: list[float] = []
    started = saved = time.monotonic()
    for batch in itertools.islice(batches(tokenizer, source, options.seed, BATCH_TOKENS[options.size]), step, None):
        done = max(n_tokens / n_wanted, (seconds + time.monotonic() - started) / 60 / options.minutes)
        if done >= 1:
            break
        factor = schedule(done) * min(1.0, (step + 1) / WARMUP)
        for optimizer, rate in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
        ids, labels = batch.ids.to(device), batch.labels.to(device)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        n_tokens += ids.numel()
        recent.append(loss.item())
        if step % 50 == 0:
            now = time.monotonic()
            seconds += now - started
            started = now
            row = {
                "step": step,
                "tokens": n_tokens,
                "loss": round(math.fsum(recent) / len(recent), 5),
                "seconds": round(seconds, 1),
            }
            recent.clear()
            print(json.dumps(row), flush=True)
            with (out / "curve.jsonl").open("a") as curve:
                curve.write(json.dumps(row) + "\n")
            if now - saved > 60:
                save()
                saved = now
    save()
    model.half().save_pretrained(out)
    graph = decoder(json.loads((out / "config.json").read_text()), BLOCK)
    (out / "decoder.onnx").write_bytes(graph.SerializeToString())
    tokens.save(out)
    (out / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": "<bos>",
                "eos_token": "<eos>",
                "pad_token": "<pad>",
                "unk_token": "<unk>",
                "model_max_length": CONTEXT[options.size],
                "chat_template": tokens.CHAT_TEMPLATE,
            },
            indent=1,
        )
        + "\n"
    )
    print(f"done: {n_tokens} tokens in {seconds / 60:.1f} minutes, weights in {out}", flush=True)


if __name__ == "__main__":
    main()
