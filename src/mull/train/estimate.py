"""What a run of reinforcement learning will cost, from a few draws made before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mull.cost.flops import Architecture
from mull.train.rollouts import DrawnGroup, RoundSize, micro_batches

BYTES = 4
BATCH_TOKENS = 16_384
"""The most tokens of a micro-batch, if a prompt is no longer than the longest reply."""
BATCH_BYTES = 2 * 2**30
"""The most memory for the activations of a micro-batch."""


@dataclass(frozen=True, slots=True)
class FewDraws:
    """Means over draws made before a run: tokens of a prompt and of a reply, the rate, and the groups that teach."""

    n_prompt: float
    n_output: float
    tokens_per_second: float
    taught: float
    """The share of groups that teach something."""


def pilot_of(groups: Sequence[DrawnGroup], seconds: float) -> FewDraws:
    """What some groups say of those to come."""
    n_draws = sum(len(group.samples) for group in groups)
    n_tokens = sum(len(sample.tokens or ()) for group in groups for sample in group.samples)
    n_prompt = sum(len(group.prompt) for group in groups) / len(groups)
    taught = sum(group.teaches for group in groups) / len(groups)
    return FewDraws(n_prompt, n_tokens / n_draws, n_tokens / seconds, taught)


@dataclass(frozen=True, slots=True)
class RunCost:
    """The expected cost of a run, and the most tokens that it can draw; `memory` is in bytes."""

    draws: int
    tokens: int
    most_tokens: int
    draw_flops: float
    train_flops: float
    draw_seconds: float
    memory: int


def estimate(
    model: Architecture,
    steps: int,
    size: RoundSize,
    pilot: FewDraws,
    *,
    draws_again: bool,
    has_kl: bool,
    rows: int,
    n_parameters: int,
    lora: int = 0,
) -> RunCost:
    """The cost of `steps` steps that go as the pilot did.

    A training pass costs `passes_of` forward passes. Draws of groups that teach nothing are not trained on, unless
    there is a KL penalty. `rows` is the number of draws of a micro-batch, and `lora` the rank of adapters.
    """
    n_groups = float(size.groups)
    if draws_again:
        n_groups = size.groups * min(size.most, 1 / pilot.taught if pilot.taught else size.most)
    n_trained = n_groups * (1.0 if has_kl else pilot.taught) * size.draws
    draws = round(steps * n_groups * size.draws)
    n_prompt, n_output = round(pilot.n_prompt), round(pilot.n_output)
    of_draws = steps * n_groups * model.draw(n_prompt, n_output)
    of_draws += steps * n_groups * (size.draws - 1) * model.draw(n_prompt, n_output, n_prompt)
    of_training = (
        steps * n_trained * passes_of(has_kl=has_kl, lora=lora) * model.forward(n_prompt + n_output, 0, n_output)
    )
    most = steps * size.groups * (size.most if draws_again else 1) * size.draws * size.max_tokens
    seconds = draws * pilot.n_output / pilot.tokens_per_second
    memory = memory_of(model, n_parameters, rows, n_prompt + size.max_tokens, has_kl=has_kl, lora=lora)
    return RunCost(draws, round(draws * pilot.n_output), most, of_draws, of_training, seconds, memory)


def passes_of(*, has_kl: bool, lora: int) -> int:
    """What a training pass costs in forward passes.

    The backward pass costs two, and one with adapters, since the weights below them get no gradient; with a KL penalty
    there is a forward pass of the reference model.
    """
    return 3 + has_kl - bool(lora)


def parts_of(model: Architecture, size: RoundSize, updates: int) -> int:
    """The number of micro-batches of an update, such that the activations of one fit into memory.

    Raises `UsageError` if the updates do not divide the draws.
    """
    n_tokens = min(BATCH_TOKENS, BATCH_BYTES // (BYTES * _activations(model)))
    return micro_batches(size.groups * size.draws, updates, n_tokens // (2 * size.max_tokens))


def memory_of(model: Architecture, n_parameters: int, rows: int, length: int, *, has_kl: bool, lora: int = 0) -> int:
    """About how many bytes training takes: weights, gradients, Adam's two moments, and one micro-batch's activations.

    The weights are there four times, those of mull's engine and those on their way to it included, and with a KL
    penalty once more if all are trained; gradients and moments are of the trained ones.
    """
    trained = adapter_size(model, lora) if lora else n_parameters
    weights = n_parameters * (4 + (has_kl and not lora)) + 4 * trained
    attention = 2 * model.layers * model.heads * rows * length * length
    return BYTES * (weights + rows * length * _activations(model) + attention)


def _activations(model: Architecture) -> int:
    """Numbers kept for a token: 8 vectors of the model's width a layer, 4 of the feed-forward's, 3 of the outputs."""
    return model.layers * (8 * model.width + 4 * model.hidden) + 3 * model.outputs


def adapter_size(model: Architecture, rank: int) -> int:
    """The number of parameters of adapters on all linear layers but the output's."""
    queries, keys = model.heads * model.head, model.kv_heads * model.head
    attention = 2 * (model.width + queries) + 2 * (model.width + keys)
    return rank * model.layers * (attention + 3 * (model.width + model.hidden))


def available_memory() -> int | None:
    """The bytes of memory that are free for use on this machine; `None` if it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None
