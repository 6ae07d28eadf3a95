"""Calibrates logits to probabilities, and measures how well they separate right from wrong solutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def platt(logits: Tensor, values: Tensor) -> tuple[float, float]:
    """The scale and shift that turn logits into calibrated probabilities on these values (Platt scaling)."""
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")
    wide, targets = logits.double(), values.double()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(weights[0] * wide + weights[1], targets)
        loss.backward()
        return loss

    optimizer.step(closure)
    scale, shift = weights.detach().tolist()
    return float(scale), float(shift)


def calibrated_loss(logits: Tensor, values: Tensor) -> float:
    """The cross-entropy of the logits after calibration."""
    scale, shift = platt(logits, values)
    return float(nn.functional.binary_cross_entropy_with_logits(scale * logits + shift, values))


def auc(scores: Tensor, is_positive: Tensor) -> float | None:
    """Area under the ROC curve; `None` unless both classes are present. Ties count half."""
    n_right, n_wrong = int(is_positive.sum()), int((~is_positive).sum())
    if not n_right or not n_wrong:
        return None
    values, places = scores.double().unique(return_inverse=True)
    counts = torch.bincount(places, minlength=len(values)).double()
    mean_rank = counts.cumsum(0) - (counts - 1) / 2
    return float((mean_rank[places][is_positive].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def calibration_error(chances: Tensor, values: Tensor, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width."""
    places = (chances * bins).long().clamp(max=bins - 1)
    total = 0.0
    for place in range(bins):
        mask = places == place
        if mask.any():
            total += float(mask.float().mean() * (chances[mask].mean() - values[mask].mean()).abs())
    return total
