"""Objectives of reinforcement learning: gains equal those of all sets of draws, one by one, and estimate gradients."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest

from mull.errors import UsageError
from mull.train.objectives import Objective, gains, objective_of


def value(aim: str, chosen: list[int], rewards: list[float], answers: list[str | None], scores: list[float]) -> float:
    """The value of a set of draws, as the objectives are defined."""
    if not chosen:
        return 0.0
    if aim == "pass":
        return max(rewards[i] for i in chosen)
    if aim == "best":
        return rewards[max(chosen, key=lambda i: (scores[i], -i))]
    votes = Counter("right" if rewards[i] else answers[i] for i in chosen if rewards[i] or answers[i] is not None)
    most = max(votes.values(), default=0)
    return (votes["right"] == most) / sum(n == most for n in votes.values()) if most else 0.0


def enumerated(
    objective: Objective, rewards: list[float], answers: list[str | None], scores: list[float]
) -> list[float]:
    n, k = len(rewards), objective.k
    found = [0.0] * n
    for chosen in itertools.combinations(range(n), k):
        whole = value(objective.aim, list(chosen), rewards, answers, scores)
        for i in chosen:
            rest = [j for j in chosen if j != i]
            found[i] += whole - value(objective.aim, rest, rewards, answers, scores)
    return [one * n / math.comb(n, k) for one in found]


@pytest.mark.parametrize("aim", ["pass", "maj", "best"])
def test_gains_are_those_of_all_sets_one_by_one(aim: str) -> None:
    rng = random.Random(5)
    for _ in range(60):
        n = rng.randint(2, 8)
        k = rng.randint(2, n)
        answers = [rng.choice(["a", "b", "c", None]) for _ in range(n)]
        rewards = (
            [float(one == "a") for one in answers] if aim == "maj" else [float(rng.random() < 0.4) for _ in range(n)]
        )
        scores = [rng.choice([0.1, 0.5, 0.5, 0.9]) for _ in range(n)]
        objective = Objective(aim, k)  # type: ignore[arg-type]
        expected = enumerated(objective, rewards, answers, scores)
        assert gains(objective, rewards, answers, scores) == pytest.approx(expected, abs=1e-9)


def test_gains_of_rewards_that_are_not_only_0_and_1() -> None:
    rng = random.Random(6)
    for k in range(2, 8):
        rewards = [rng.choice([-1.0, 0.0, 0.25, 1.0, 1.1]) for _ in range(7)]
        assert gains(Objective("pass", k), rewards) == pytest.approx(
            enumerated(Objective("pass", k), rewards, [None] * 7, []), abs=1e-9
        )


def test_pass_at_k_of_many_draws_needs_no_enumeration() -> None:
    """The closed form of the paper for rewards of 0 and 1: a right draw counts where it is alone."""
    n, n_right, k = 64, 5, 32
    found = gains(Objective("pass", k), [1.0] * n_right + [0.0] * (n - n_right))
    alone = n * math.comb(n - n_right, k - 1) / math.comb(n, k)
    assert found == pytest.approx([alone] * n_right + [0.0] * (n - n_right))


@pytest.mark.parametrize("aim", ["pass", "maj", "best"])
def test_gains_estimate_the_gradient_of_the_objective(aim: str) -> None:
    """Exactly: over all groups that a policy of three answers can draw, weighted by their probabilities."""
    p, names, scores = np.array([0.3, 0.5, 0.2]), ["a", "b", None], [0.4, 0.6, 0.1]
    n, objective = 4, Objective(aim, 3)  # type: ignore[arg-type]

    def expected_value(q: np.ndarray) -> float:
        total = 0.0
        for group in itertools.product(range(3), repeat=3):
            drawn = [names[i] for i in group]
            rewards = [float(one == "a") for one in drawn]
            total += float(np.prod(q[list(group)])) * value(aim, [0, 1, 2], rewards, drawn, [scores[i] for i in group])
        return total

    estimate = np.zeros(3)
    for group in itertools.product(range(3), repeat=n):
        drawn = [names[i] for i in group]
        found = gains(objective, [float(one == "a") for one in drawn], drawn, [scores[i] for i in group])
        for i, gain in zip(group, found / n, strict=True):
            estimate[i] += float(np.prod(p[list(group)])) * gain / p[i]  # d log p_i / d p_i
    step = 1e-6
    gradient = [(expected_value(p + step * one) - expected_value(p - step * one)) / (2 * step) for one in np.eye(3)]
    # Probabilities sum to 1, so that a constant added to all parts changes nothing.
    assert estimate - estimate.mean() == pytest.approx(np.array(gradient) - np.mean(gradient), abs=1e-5)


def test_objectives_are_read_from_text() -> None:
    assert objective_of("pass@4", 16) == Objective("pass", 4)
    assert objective_of("best@1", 16) == Objective("pass", 1), "one draw is not chosen from"
    assert str(objective_of("maj@5", 8)) == "maj@5"
    for text in ("pass", "pass@0", "top@3", "pass@-1", "pass@4.5", ""):
        with pytest.raises(UsageError, match="such as pass@4"):
            objective_of(text, 16)
    with pytest.raises(UsageError, match="raise --group"):
        objective_of("pass@32", 16)
    with pytest.raises(UsageError, match="maj@3"):
        objective_of("maj@2", 16)
