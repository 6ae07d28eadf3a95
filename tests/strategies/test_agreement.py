"""Selection by behaviour against the worked examples of its papers, its traps and its invariants."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from mull.strategies import agreement

matrices = st.integers(0, 6).flatmap(
    lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=12)
)


def groups(*sizes: tuple[int, int]) -> tuple[list[list[bool]], list[str]]:
    """A matrix with such sets of (programs, tests that they pass), on tests of their own."""
    n_tests = sum(tests for _, tests in sizes)
    rows, start = [], 0
    for programs, tests in sizes:
        rows += [[start <= j < start + tests for j in range(n_tests)]] * programs
        start += tests
    return rows, [f"p{i}" for i in range(len(rows))]


def test_the_score_is_programs_times_tests() -> None:
    """(3, 4), (1, 10), (5, 1): 12, 10 and 5, so the first; the square root of the programs would choose the second."""
    passes, names = groups((3, 4), (1, 10), (5, 1))
    sets = agreement.consensus(passes, names)
    assert [one.score for one in sets] == [12, 10, 5]
    assert sets[0].programs == (0, 1, 2)
    assert sets[0].tests == (0, 1, 2, 3)
    roots = [math.sqrt(len(one.programs)) * len(one.tests) for one in sets]
    assert max(roots) == roots[1]


def test_programs_that_pass_nothing_are_a_set_of_score_zero() -> None:
    sets = agreement.consensus([[False, False]] * 9 + [[True, False]], list("abcdefghij"))
    assert [(len(one.programs), one.score) for one in sets] == [(1, 1.0), (9, 0.0)]


def test_sets_are_of_programs_that_pass_the_identical_tests_not_as_many() -> None:
    sets = agreement.consensus([[True, False], [False, True], [False, True]], ["a", "b", "c"])
    assert sets[0].programs == (1, 2)


def test_a_trivial_program_does_not_agree_with_itself() -> None:
    """40 draws of `pass` and a test that expects nothing, against 5 programs and 3 tests: 40 or 1, against 15."""
    passes = [[True, False, False, False]] * 40 + [[False, True, True, True]] * 5
    names = ["pass"] * 40 + [f"p{i}" for i in range(5)]
    assert agreement.consensus(passes, names, "samples")[0].programs == tuple(range(40))
    distinct = agreement.consensus(passes, names, "distinct")
    assert [one.score for one in distinct] == [15, 1]


def test_draws_without_a_program_are_in_no_set() -> None:
    assert agreement.consensus([[True], [True]], ["a", None])[0].programs == (0,)
    assert agreement.consensus([[True]], [None]) == []


def test_a_risk_is_the_number_of_programs_that_differ() -> None:
    """Outputs (1,2,3), (1,2,3), (1,2,4), (9,9,9): hard losses 2, 2, 3, 3, the first is chosen."""
    outputs = [["1", "2", "3"], ["1", "2", "3"], ["1", "2", "4"], ["9", "9", "9"]]
    assert agreement.losses(outputs, list("abcd")) == [2, 2, 3, 3]
    soft = agreement.losses(outputs, list("abcd"), "soft")
    assert [round(3 * loss) for loss in soft if loss is not None] == [4, 4, 5, 9]


def test_the_least_hard_loss_is_the_largest_cluster() -> None:
    outputs = [[random.Random(i).choice("12"), random.Random(i + 50).choice("12")] for i in range(40)]
    names = [str(i) for i in range(40)]
    losses = agreement.losses(outputs, names)
    least = min(loss for loss in losses if loss is not None)
    assert tuple(i for i, loss in enumerate(losses) if loss == least) == agreement.clusters(outputs, names)[0].programs


def test_programs_without_any_output_are_in_no_cluster_and_agree_with_nobody() -> None:
    outputs = [[None, None]] * 5 + [["1", None], ["1", "2"], ["1", "2"]]
    names = list("abcdefgh")
    assert [one.programs for one in agreement.clusters(outputs, names)] == [(6, 7), (5,)]
    assert agreement.losses(outputs, names) == [None] * 5 + [7, 6, 6]


def test_a_cluster_counts_draws_or_programs() -> None:
    outputs = [["1"]] * 3 + [["2"]] * 2
    names = ["a", "a", "a", "b", "c"]
    assert agreement.clusters(outputs, names)[0].programs == (0, 1, 2)
    assert agreement.clusters(outputs, names, "distinct")[0].programs == (3, 4)


def test_inputs_that_separate() -> None:
    outputs = [["1", "2", None, "4"], ["1", "3", "3", "5"]]
    assert agreement.separating(outputs, 0, 1) == [1, 3]


@given(matrices, st.randoms(use_true_random=False))
def test_no_choice_depends_on_the_order(passes: list[list[bool]], shuffle: random.Random) -> None:
    names: list[str | None] = [str(i // 2) for i in range(len(passes))]
    places = list(range(len(passes)))
    shuffle.shuffle(places)
    again, renamed = [passes[i] for i in places], [names[i] for i in places]
    one, other = agreement.consensus(passes, names), agreement.consensus(again, renamed)
    assert [(s.tests, s.score) for s in one] == [(s.tests, s.score) for s in other]
    assert [set(s.programs) for s in one] == [{places[i] for i in s.programs} for s in other]
    outputs = [["x" if p else None for p in row] for row in passes]
    losses = agreement.losses(outputs, names)
    assert [losses[i] for i in places] == agreement.losses([outputs[i] for i in places], renamed)


@given(matrices)
def test_every_program_is_in_one_set(passes: list[list[bool]]) -> None:
    sets = agreement.consensus(passes, [str(i) for i in range(len(passes))], "samples")
    assert sorted(i for one in sets for i in one.programs) == list(range(len(passes)))
    assert all(one.score == len(one.programs) * len(one.tests) for one in sets)
    assert sets[0].score == max(one.score for one in sets)
