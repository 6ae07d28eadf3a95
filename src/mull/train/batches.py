"""Micro-batches of a round of draws, in the form that TRL's loss reads."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mull.train.rollouts import Rollout


def batches_of(
    rollouts: Sequence[Rollout],
    n_draws: int,
    parts: int,
    updates: int,
    pad: int,
    rng: random.Random,
    *,
    is_tokens: bool,
) -> list[dict[str, Tensor]]:
    """A round's draws as the micro-batches that TRL's loss reads: `updates` times `parts`, each padded to its longest.

    TRL averages over the rows of a micro-batch. So that the sum over micro-batches is the mean over all `n_draws` of
    an update, also where draws without an advantage are left out, advantages are multiplied by the rows of their
    micro-batch over those of an average one; the loss over tokens has its own divisor.
    """
    order = list(rollouts)
    rng.shuffle(order)
    n_tokens = sum(len(one.tokens) for one in order)
    found = []
    for update in range(updates):
        mine = sorted(order[update::updates], key=lambda one: len(one.prompt) + len(one.tokens))
        for rows in np.array_split(np.arange(len(mine)), parts):
            part = [mine[i] for i in rows]
            scale = 1.0 if is_tokens else len(part) * parts * updates / n_draws
            if not part:  # no draw is left for this one: a draw that has no weight
                part = [Rollout((pad,), (pad,), (0.0,), 0.0)]
            found.append(_batch(part, scale, max(1, n_tokens), pad, is_old=updates > 1))
    return found


def _batch(part: Sequence[Rollout], scale: float, n_tokens: int, pad: int, *, is_old: bool) -> dict[str, Tensor]:
    before = max(len(one.prompt) for one in part)
    after = max(len(one.tokens) for one in part)
    batch = {
        "prompt_ids": torch.tensor([[pad] * (before - len(one.prompt)) + list(one.prompt) for one in part]),
        "prompt_mask": torch.tensor([[0] * (before - len(one.prompt)) + [1] * len(one.prompt) for one in part]),
        "completion_ids": torch.tensor([list(one.tokens) + [pad] * (after - len(one.tokens)) for one in part]),
        "completion_mask": torch.tensor([[1] * len(one.tokens) + [0] * (after - len(one.tokens)) for one in part]),
        "advantages": torch.tensor([one.advantage * scale for one in part], dtype=torch.float32),
        "num_items_in_batch": torch.tensor(n_tokens),
    }
    if is_old:
        logprobs = [list(one.logprobs) + [0.0] * (after - len(one.tokens)) for one in part]
        batch["old_per_token_logps"] = torch.tensor(logprobs, dtype=torch.float32)
    return batch
