"""Advantages of each published variant of GRPO, by hand."""

import numpy as np
import pytest

from mull.errors import UnknownNameError
from mull.train.advantages import VARIANTS, Rewarded, advantages, overlong, variant_of
from mull.train.objectives import Objective

PASS_1 = Objective()


def group(*rewards: float | None) -> list[Rewarded]:
    return [Rewarded(reward) for reward in rewards]


def test_each_variant_by_hand() -> None:
    """Rewards 1, 0, 0, 0: mean 1/4, sample standard deviation 1/2."""
    one_of_four = group(1, 0, 0, 0)
    for name in ("grpo", "dapo"):
        assert advantages(one_of_four, VARIANTS[name], PASS_1) == pytest.approx([1.5, -0.5, -0.5, -0.5])
    assert advantages(one_of_four, VARIANTS["dr-grpo"], PASS_1) == pytest.approx([0.75, -0.25, -0.25, -0.25])


@pytest.mark.parametrize("objective", [PASS_1, Objective("pass", 3), Objective("maj", 3), Objective("best", 2)])
@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_group_with_equal_rewards_teaches_nothing(name: str, objective: Objective) -> None:
    for reward in (0.0, 1.0, 0.3):
        assert not advantages(group(*[reward] * 6), VARIANTS[name], objective).any()


def test_a_draw_without_a_verdict_is_left_out_and_teaches_nothing() -> None:
    found = advantages(group(1, None, 0, 0, 0), VARIANTS["dr-grpo"], PASS_1)
    assert found == pytest.approx([0.75, 0, -0.25, -0.25, -0.25])
    assert not advantages(group(1, None, None), VARIANTS["grpo"], PASS_1).any(), "one known draw has no baseline"


def test_pass_at_k_moves_no_draw_that_is_wrong_and_weighs_rare_successes_most() -> None:
    plain = VARIANTS["dr-grpo"]
    rare, common = (advantages(group(*[1.0] * n, *[0.0] * (8 - n)), plain, Objective("pass", 4)) for n in (1, 4))
    assert rare[0] > common[0] > 0
    assert rare[1:] == pytest.approx([0.0] * 7)
    assert common[4:] == pytest.approx([0.0] * 4)


def test_a_bonus_counts_for_its_draw_alone_whatever_the_objective() -> None:
    bonus = [Rewarded(1.0, bonus=0.0), Rewarded(0.0, bonus=0.2), Rewarded(0.0), Rewarded(0.0)]
    found = advantages(bonus, VARIANTS["dr-grpo"], PASS_1)
    assert found == pytest.approx([0.75 - 0.05, -0.25 + 0.15, -0.25 - 0.05, -0.25 - 0.05])
    equal = [Rewarded(0.0, bonus=0.2), Rewarded(0.0)]
    assert advantages(equal, VARIANTS["dr-grpo"], PASS_1) == pytest.approx([0.1, -0.1])


def test_scaled_advantages_of_one_problem_have_a_spread_of_1() -> None:
    for n_right in range(1, 16):
        found = advantages(group(*[1.0] * n_right, *[0.0] * (16 - n_right)), VARIANTS["grpo"], PASS_1)
        assert np.std(found, ddof=1) == pytest.approx(1.0)


def test_the_soft_penalty_on_length() -> None:
    """DAPO's figures: at most 20,480 tokens, the last 4,096 of them soft."""
    lengths = (100, 16_384, 18_432, 20_480, 30_000)
    assert [overlong(n, 20_480, 4_096) for n in lengths] == pytest.approx([0, 0, -0.5, -1, -1])
    assert overlong(30_000, 20_480, 0) == 0


def test_variants_are_those_of_the_papers() -> None:
    assert [(v.clip_low, v.clip_high) for v in VARIANTS.values()] == [(0.2, 0.2), (0.2, 0.2), (0.2, 0.28)]
    assert [name for name, variant in VARIANTS.items() if variant.draws_again] == ["dapo"]
    with pytest.raises(UnknownNameError, match="dr-grpo"):
        variant_of("drgrpo")
