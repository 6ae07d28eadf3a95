"""Advantages of group-relative policy optimisation (GRPO): what a group of draws of one problem teaches.

Three published variants: `grpo` (Shao et al. 2024, arXiv 2402.03300) divides by the group's standard deviation and
averages the loss over each reply; `dr-grpo` (Liu et al. 2025, arXiv 2503.20783) does neither, because the first favours
very easy and very hard problems and the second long wrong replies; `dapo` (Yu et al. 2025, arXiv 2503.14476) averages
over all tokens, clips ratios above at a higher bound, and draws again for groups that teach nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mull.errors import UnknownNameError
from mull.train.objectives import Objective, Wide, gains

Loss = Literal["grpo", "dr-grpo", "dapo"]


@dataclass(frozen=True, slots=True)
class Variant:
    """What distinguishes a published variant of GRPO.

    `clip_low` and `clip_high` bound the ratio of new to old probability between `1 - clip_low` and `1 + clip_high`;
    `average` is what the loss is averaged over: each reply and then the replies, all tokens of a step, or the replies
    and the largest number of tokens of one.
    """

    name: Loss
    average: Literal["replies", "tokens", "constant"]
    is_scaled: bool
    """Whether advantages are divided by their standard deviation in the group."""
    draws_again: bool
    """Whether groups that teach nothing are replaced (dynamic sampling)."""
    clip_low: float = 0.2
    clip_high: float = 0.2


VARIANTS: dict[str, Variant] = {
    "grpo": Variant("grpo", "replies", is_scaled=True, draws_again=False),
    "dr-grpo": Variant("dr-grpo", "constant", is_scaled=False, draws_again=False),
    "dapo": Variant("dapo", "tokens", is_scaled=True, draws_again=True, clip_high=0.28),
}


def variant_of(name: str) -> Variant:
    """The variant of a name. Raises `UnknownNameError`."""
    if name not in VARIANTS:
        raise UnknownNameError("loss", name, VARIANTS)
    return VARIANTS[name]


@dataclass(frozen=True, slots=True)
class Rewarded:
    """What is known of one draw of a group: `reward` is `None` if the checker could not decide."""

    reward: float | None
    answer: Hashable | None = None
    score: float | None = None
    bonus: float = 0.0
    """Added to the reward of the draw itself, whatever the objective: for its format, or against its length."""


def advantages(group: Sequence[Rewarded], variant: Variant, objective: Objective) -> Wide:
    """The advantage of each draw of a group: [n], 0 for draws without a verdict, and all 0 if the group is all equal.

    For `pass@1` the reward minus the group's mean; for other objectives the gain by the draw (`gains`), which has its
    baseline. Scaled variants divide by the sample standard deviation, without a constant added to it. A draw without
    a score is below all others for `best@k`.
    """
    known = [one for one in group if one.reward is not None]
    found = np.zeros(len(group))
    if len(known) < max(2, objective.k):
        return found
    rewards = np.array([one.reward for one in known], dtype=np.float64)
    bonus = np.array([one.bonus for one in known])
    if np.ptp(rewards) == 0 and np.ptp(bonus) == 0:
        return found
    scores = [-np.inf if one.score is None else one.score for one in known]
    gained = gains(objective, rewards.tolist(), [one.answer for one in known], scores)
    if objective.k == 1:
        gained = gained - gained.mean()
    gained = gained + bonus - bonus.mean()
    spread = gained.std(ddof=1)
    if variant.is_scaled and spread > 0:
        gained = gained / spread
    found[[i for i, one in enumerate(group) if one.reward is not None]] = gained
    return found


def overlong(n_tokens: int, most: int, soft: int) -> float:
    """DAPO's soft penalty on length: 0 up to `most - soft` tokens, then a line down to -1 at `most` and beyond."""
    if soft <= 0 or n_tokens <= most - soft:
        return 0.0
    return max(-1.0, (most - soft - n_tokens) / soft)
