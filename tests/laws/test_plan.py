"""Plans of draws: the budget is kept, the unsolved get it, and the published weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.errors import UsageError
from mull.laws.plan import second_stage, variance_weights


def test_the_second_stage_goes_to_the_unsolved_alone() -> None:
    assert list(second_stage(10, [0, 3, 0, 1], 7).draws) == [4, 0, 3, 0]
    assert list(second_stage([10, 10, 20], [0, 1, 0], 14).draws) == [12, 0, 2]
    solved = second_stage(10, [1, 2], 50)
    assert (list(solved.draws), solved.left) == ([0, 0], 50)
    with pytest.raises(UsageError, match="negative"):
        second_stage(10, [0], -1)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2)), min_size=1, max_size=12),
    st.integers(0, 400),
)
def test_a_budget_is_spent_whole_and_levels_the_draws(made: list[tuple[int, int]], budget: int) -> None:
    n = np.array([size for size, _ in made])
    c = np.array([min(size, right) for size, right in made])
    plan = second_stage(n, c, budget)
    assert plan.draws.min() >= 0
    assert plan.draws.sum() + plan.left == budget
    assert not plan.draws[c > 0].any()
    after = (n + plan.draws)[c == 0]
    raised = after[plan.draws[c == 0] > 0]
    if len(raised):
        assert plan.left == 0
        assert raised.max() - after.min() <= 1


@pytest.mark.parametrize(
    ("k", "weights"),
    [
        (10, (0.00408, 0.48545, 0.37964, 0.13083)),
        (100, (0.0, 0.00014, 0.56231, 0.43756)),
        (1000, (0.0, 0.0, 0.00037, 0.99963)),
    ],
)
def test_weights_of_known_rates(k: int, weights: tuple[float, ...]) -> None:
    assert variance_weights([0.5, 0.1, 0.01, 0.001], k) == pytest.approx(weights, abs=5e-6)


def test_a_certain_problem_needs_no_draws() -> None:
    assert list(variance_weights([0.0, 0.5, 1.0], 3)) == [0.0, 1.0, 0.0]
    with pytest.raises(UsageError, match="strictly between"):
        variance_weights([0.0, 1.0], 3)
