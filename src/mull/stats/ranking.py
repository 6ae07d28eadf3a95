"""How well scores rank draws, and how well they are calibrated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


N_BINS = 10


def auc(rows: Floats) -> float | None:
    """The area under the ROC curve of rows (score, correct), ties counting half; `None` without both classes."""
    right = np.sort(rows[rows[:, 1] > 0, 0])
    wrong = np.sort(rows[rows[:, 1] == 0, 0])
    if not len(right) or not len(wrong):
        return None
    below, up_to = np.searchsorted(wrong, right, "left"), np.searchsorted(wrong, right, "right")
    return float((below + up_to).sum() / 2 / len(right) / len(wrong))


def calibration_error(rows: Floats) -> float | None:
    """The expected calibration error of rows (score, correct) in ten bins of equal width.

    `None` without scores, or if one of them is not a probability.
    """
    if not len(rows) or rows[:, 0].min() < 0 or rows[:, 0].max() > 1:
        return None
    bins = np.clip((rows[:, 0] * N_BINS).astype(np.int64), 0, N_BINS - 1)
    off = np.bincount(bins, weights=rows[:, 0] - rows[:, 1], minlength=N_BINS)
    return float(np.abs(off).sum() / len(rows))
