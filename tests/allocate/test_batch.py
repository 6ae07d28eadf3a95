"""One budget over many problems: exact where the chances are known, and what is left of that where they are not."""

import itertools
import random

import numpy as np
import pytest

from bench_share import ROWS, play
from mull import UsageError
from mull.allocate.batch import Belief, Shared, greedy, greedy_gains, learn, solved

CHANCES = (0.9, 0.5, 0.2, 0.05)


def splits(n: int, budget: int) -> list[tuple[int, ...]]:
    return [b for b in itertools.product(range(budget + 1), repeat=n) if sum(b) == budget]


def test_the_best_split_of_twelve_draws() -> None:
    """Damani et al.'s greedy on four problems, against all 455 splits."""
    assert greedy(CHANCES, 12) == [2, 4, 6, 0]
    assert solved(CHANCES, [2, 4, 6, 0]) == pytest.approx(2.665356, abs=1e-6)
    assert solved(CHANCES, [2, 4, 6, 0]) == max(solved(CHANCES, split) for split in splits(4, 12))
    assert solved(CHANCES, [3, 3, 3, 3]) == pytest.approx(2.504625, abs=1e-6)


def test_greedy_is_exact_on_random_chances() -> None:
    rng = random.Random(0)
    for _ in range(20):
        chances = [rng.random() ** 2 for _ in range(4)]
        assert solved(chances, greedy(chances, 9)) == pytest.approx(max(solved(chances, s) for s in splits(4, 9)))


def test_measured_gains_are_spent_where_they_are_largest() -> None:
    gains = [[p * (1 - p) ** j for j in range(12)] for p in CHANCES]
    assert greedy_gains(gains, 12) == greedy(CHANCES, 12)
    assert greedy_gains([[0.3, 0.1], [0.2]], 5) == [2, 1], "no more draws than there are gains"
    with pytest.raises(UsageError, match="problem 1 increase"):
        greedy_gains([[0.3, 0.1], [0.1, 0.2]], 2)
    with pytest.raises(UsageError, match="between 0 and 1"):
        greedy([0.5, 1.2], 3)
    assert greedy([], 3) == []


TABLE = {
    (0.3, 5.0, 16): (0.3565, 0.4328, 0.3925),
    (0.5, 10.0, 16): (0.3890, 0.4559, 0.4525),
    (1.0, 1.0, 8): (0.8906, 0.9396, 0.9952),
    (0.2, 2.0, 64): (0.5246, 0.5993, 0.5883),
}
"""Uniform, greedy with known chances, and a round over the unsolved, as simulated elsewhere for 130 problems."""


@pytest.mark.parametrize("row", ROWS)
def test_coverage_of_a_shared_budget_as_simulated_elsewhere(row: tuple[float, float, int]) -> None:
    """20 repetitions: the chances alone move coverage by up to .04 a repetition, so a mean is within .035 of the
    table's with a probability over .999; the gains over uniform on the same chances are within .025."""
    a, b, each = row
    uniform, best, ours = [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chances = rng.beta(a, b, 130).tolist()
        uniform.append(solved(chances, [each] * 130) / 130)
        best.append(solved(chances, greedy(chances, each * 130)) / 130)
        first = rng.geometric(np.maximum(chances, 1e-12)).tolist()
        ours.append(play(chances, [Belief()] * 130, each * 130, first))
    table = TABLE[row]
    assert np.mean(uniform) == pytest.approx(table[0], abs=0.035)
    assert np.mean(best) - np.mean(uniform) == pytest.approx(table[1] - table[0], abs=0.01)
    assert np.mean(ours) - np.mean(uniform) == pytest.approx(table[2] - table[0], abs=0.025)


def test_solved_problems_get_no_more_draws_and_the_budget_is_kept() -> None:
    shared = Shared([Belief()] * 3, 8)
    assert sorted(shared.next(5)) == [0, 1, 2], "one draw each at a time"
    assert shared.next(5) == [], "all are under way"
    shared.tell(0, True)
    shared.tell(1, False)
    shared.tell(2, False)
    drawn = []
    while got := shared.next(1):
        drawn += got
        shared.tell(got[0], False)
    assert drawn == [1, 2, 1, 2, 1]
    assert shared.draws == [1, 4, 3]
    assert shared.left == 0


def test_a_draw_that_could_not_be_made_goes_to_another() -> None:
    shared = Shared([Belief()] * 2, 3)
    assert shared.next(2) == [0, 1]
    shared.drop(0)
    shared.tell(1, False)
    assert shared.next(2) == [1]
    shared.tell(1, False)
    assert shared.next(2) == [1]
    shared.tell(1, False)
    assert shared.next(2) == []
    assert shared.draws == [0, 3]


def test_a_floor_is_given_to_what_is_believed_hopeless() -> None:
    """Without one the easy problem takes all eight draws that fail; with one each problem gets two first."""
    beliefs = [Belief(50, 50), Belief(0.01, 50)]

    def spend(floor: int) -> list[int]:
        shared = Shared(beliefs, 8, floor)
        while got := shared.next():
            shared.tell(got[0], False)
        return shared.draws

    assert spend(0) == [8, 0]
    assert spend(2) == [6, 2]


def test_a_failure_makes_the_next_draw_of_a_problem_worth_less() -> None:
    """2 of 4 against 1 of 4: the first is drawn on until it stands at 2 of 8, and then they take turns."""
    shared = Shared([Belief(2, 2), Belief(1, 3)], 7)
    order = []
    while got := shared.next():
        order += got
        shared.tell(got[0], False)
    assert order == [0, 0, 0, 0, 1, 0, 0]


def test_problems_learn_from_each_other() -> None:
    """All problems near one chance: a single failure says little; a spread of chances: it says much."""
    alike = learn([(5, 10), (6, 10), (4, 10), (5, 10)] * 20 + [(0, 1), (0, 0)])
    spread = learn([(0, 10), (10, 10), (0, 10), (10, 10)] * 20 + [(0, 1), (0, 0)])
    assert alike[-1].mean == pytest.approx(0.5, abs=0.05)
    assert alike[-2].mean > 0.45
    assert spread[-2].mean < 0.2
    assert len(set(learn([(0, 0)] * 5))) == 1
    with pytest.raises(UsageError):
        learn([(3, 2)])


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError):
        Shared([Belief(0, 1)], 3)
    with pytest.raises(UsageError):
        Shared([Belief()], -1)
