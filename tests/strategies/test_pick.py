"""Selection against the worked examples of the papers' methods, and its invariants."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import Score
from mull.strategies import pick

answers_lists = st.lists(st.none() | st.sampled_from("abcd"), max_size=30)


def rng() -> random.Random:
    return random.Random(7)


def scores(*values: float | None) -> list[Score]:
    return [Score(value) for value in values]


def test_majority_counts_answers_and_leaves_out_those_who_gave_none() -> None:
    ballot = pick.majority(["a", None, "b", "a", None, None], rng())
    assert ballot.answer == "a"
    assert ballot.tally == (("a", 2.0), ("b", 1.0))
    assert ballot.share == pytest.approx(2 / 3)


def test_nobody_voted() -> None:
    assert pick.majority([None, None], rng()) == pick.Ballot(None, ())
    assert pick.majority([], rng()).share is None


def test_best_of_n_and_weighted_best_of_n_disagree_where_they_should() -> None:
    """Scores A .9, B .5 and .45: best-of-n takes A, the weighted vote B with .95."""
    answers, values = ["A", "B", "B"], scores(0.9, 0.5, 0.45)
    assert pick.best(values, rng()) == 0
    ballot = pick.weighted(answers, values, rng())
    assert ballot.answer == "B"
    assert dict(ballot.tally)["B"] == pytest.approx(0.95)


def test_unscored_candidates_are_out() -> None:
    assert pick.best(scores(None, 0.1, None), rng()) == 1
    assert pick.best(scores(None, None), rng()) is None
    assert pick.weighted(["a", "b"], scores(None, 0.1), rng()).answer == "b"


def test_best_of_majority_takes_the_best_of_the_frequent() -> None:
    """f = {A .5, B .3, C .02}, reward {A .6, B .7, C .99}, alpha .1: B. Best-of-n says C, the majority A."""
    answers = ["A"] * 25 + ["B"] * 15 + ["C"] + [f"other {i}" for i in range(9)]
    values = scores(*[0.6] * 25, *[0.7] * 15, 0.99, *[0.0] * 9)
    assert pick.best_of_majority(answers, values, 0.1, rng()) == "B"
    assert answers[pick.best(values, rng()) or 0] == "C"
    assert pick.majority(answers, rng()).answer == "A"


def test_best_of_majority_falls_back_to_the_mode() -> None:
    answers = ["a", "b", "b", "c"]
    assert pick.best_of_majority(answers, scores(0.9, 0.1, 0.1, 0.8), 0.9, rng()) == "b"
    assert pick.best_of_majority(answers, scores(None, None, None, None), 0.1, rng()) == "b"


def test_ties_are_broken_by_the_seed_and_evenly() -> None:
    """A fair tie over 2,000 seeds: outside 1000 +- 150 with a probability under 1e-10."""
    wins = sum(pick.majority(["a", "b"], random.Random(i)).answer == "a" for i in range(2000))
    assert 850 < wins < 1150
    wins = sum(pick.best(scores(0.5, 0.5), random.Random(i)) == 0 for i in range(2000))
    assert 850 < wins < 1150


@given(answers_lists, st.randoms(use_true_random=False), st.integers(0, 99))
def test_a_vote_does_not_depend_on_the_order(answers: list[str | None], shuffle: random.Random, seed: int) -> None:
    values = scores(*(None if a is None else len(a) / 7 + ord(a) % 3 / 5 for a in answers))
    places = list(range(len(answers)))
    shuffle.shuffle(places)
    again, again_values = [answers[i] for i in places], [values[i] for i in places]
    assert pick.majority(answers, random.Random(seed)) == pick.majority(again, random.Random(seed))
    assert pick.weighted(answers, values, random.Random(seed)) == pick.weighted(
        again, again_values, random.Random(seed)
    )
    assert pick.best_of_majority(answers, values, 0.2, random.Random(seed)) == pick.best_of_majority(
        again, again_values, 0.2, random.Random(seed)
    )


@given(answers_lists)
def test_the_winner_has_the_most_votes(answers: list[str | None]) -> None:
    ballot = pick.majority(answers, rng())
    if ballot.answer is not None:
        assert answers.count(ballot.answer) == max(answers.count(a) for a in answers if a is not None)
        assert ballot.tally[0] == (ballot.answer, answers.count(ballot.answer))


def test_the_representative_is_the_best_scored_of_its_answer() -> None:
    answers = ["a", "b", "a", "a"]
    assert pick.representative("a", answers) == 0
    assert pick.representative("a", answers, scores(0.1, 0.9, 0.7, None)) == 2
    assert pick.representative(None, answers) is None


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "values",
    [(0.9, 0.8, 0.8, 0.1, 0.5), (0.5, 0.5, 0.5, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5), (0.7, 0.1, 0.7, 0.1, 0.7)],
)
def test_the_majority_of_bests_counts_all_bootstraps(m: int, values: tuple[float, ...]) -> None:
    """Every way to draw m of five with replacement; equals of one bootstrap share its choice."""
    answers = ["a", "b", "a", "c", "b"]
    expected = dict.fromkeys("abc", 0.0)
    for subset in itertools.product(range(5), repeat=m):
        tied = [i for i in subset if values[i] == max(values[j] for j in subset)]
        for i in tied:
            expected[answers[i]] += 1 / len(tied) / 5**m
    ballot = pick.bests_of_subsets(answers, scores(*values), m, rng())
    assert dict(ballot.tally) == pytest.approx({a: w for a, w in expected.items() if w > 0})
    assert ballot.answer in [a for a, w in expected.items() if w == pytest.approx(max(expected.values()))]


def test_the_majority_of_bests_lies_between_the_majority_and_best_of_n() -> None:
    """A lone wrong answer has the best score by a hair: best-of-16 falls for it, small bootstraps do not."""
    answers = ["wrong", *["right"] * 7, *["other"] * 8]
    values = scores(0.95, *[0.9] * 7, *[0.1] * 8)
    won = {m: pick.bests_of_subsets(answers, values, m, rng()).answer for m in (1, 4, 1000)}
    assert won == {1: "other", 4: "right", 1000: "wrong"}
    assert pick.bests_of_subsets([None, "a"], scores(0.9, None), 2, rng()) == pick.Ballot(None, ())


def test_borda_weights_fall_with_the_rank_and_equals_share_theirs() -> None:
    assert pick.borda([0.3, 0.9, 0.1], 1) == pytest.approx([2 / 3, 1, 1 / 3])
    assert pick.borda([5, 5, 1, 9], 2) == pytest.approx([(2.5 / 4) ** 2, (2.5 / 4) ** 2, (1 / 4) ** 2, 1])
    assert pick.borda([1, 2, 3], 0) == [1, 1, 1]
    assert pick.borda([], 1) == []
