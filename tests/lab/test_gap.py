"""The gap is taken apart without a rest, and each limit of scaling is a number that can be checked by hand."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull.files.recording import Recording, of_columns, of_counts
from mull.lab import gap, lengths
from mull.lab.metrics import by_problem, majority_at_k
from mull.lab.sources import read_source
from mull.stats.estimators import none_in
from mull.strategies import pick
from mull.types import Score


def pool(
    answers: str, right: str = "a", scores: list[float | None] | None = None, tokens: list[int] | None = None
) -> Recording:
    """A problem whose draws answered with these letters, `-` for no answer."""
    given = tuple(None if letter == "-" else letter for letter in answers)
    correct = tuple(letter == right for letter in answers)
    return of_columns("p", correct, given, scores or (), tokens or ())


def causes(pools: list[Recording], selector: str) -> dict[str, float]:
    return dict(gap.loss(pools, selector, None).causes)


def test_each_cause_of_a_lost_vote_is_told_apart() -> None:
    unread = of_columns("p", (False, False, True), ("b", "b", None))
    assert causes([pool("aab"), pool("ab"), pool("abb"), unread], "majority") == pytest.approx(
        {gap.TIE: 1 / 8, gap.WRONG_MODE: 1 / 4, gap.NO_ANSWER: 1 / 4}
    )
    assert causes([pool("bb")], "majority") == {}, "what nobody covers is no gap"


def test_each_cause_of_a_missed_best_is_told_apart() -> None:
    pools = [
        pool("ab", scores=[0.9, 0.1]),
        pool("ab", scores=[0.1, 0.9]),
        pool("ab", scores=[0.5, 0.5]),
        pool("ab", scores=[None, 0.5]),
    ]
    assert causes(pools, "best") == pytest.approx({gap.RANKED_WRONG: 1 / 4, gap.TIE: 1 / 8, gap.UNSCORED: 1 / 4})
    assert causes(pools, "weighted") == pytest.approx({gap.RANKED_WRONG: 1 / 4, gap.TIE: 1 / 8, gap.UNSCORED: 1 / 4})


letters = st.text("abc-", min_size=1, max_size=8)


@settings(max_examples=60)
@given(st.lists(letters, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_causes_add_up_to_coverage_minus_the_selectors_own_choice(rows: list[str], rng: random.Random) -> None:
    """Against the selection functions that strategies use, averaged over ties by many seeds."""
    pools = [pool(row, scores=[rng.choice([None, 0.25, 0.5, 1.0]) for _ in row]) for row in rows]
    for selector in ("majority", "weighted", "best"):
        chosen = 0.0
        for p in pools:
            rights = []
            for seed in range(60):
                scores = [Score(s) for s in p.scores]
                if selector == "best":
                    place = pick.best(scores, random.Random(seed))
                    rights.append(place is not None and p.correct[place])
                else:
                    ballot = (
                        pick.majority(p.answers, random.Random(seed))
                        if selector == "majority"
                        else pick.weighted(p.answers, scores, random.Random(seed))
                    )
                    rights.append(ballot.answer == "a")
            chosen += float(np.mean(rights))
        covered = sum(p.n_correct > 0 for p in pools)
        found = gap.loss(pools, selector, None)
        assert found.gap == pytest.approx(math.fsum(found.causes.values()))
        # 60 coin tosses a problem: 5 deviations of at most .065 each.
        assert found.gap == pytest.approx((covered - chosen) / len(pools), abs=0.33 / math.sqrt(len(pools)))


def test_a_weighted_vote_over_all_draws_is_the_strategys() -> None:
    answers, scores = ("a", "b", "b", "c", None), (0.9, 0.3, 0.4, None, 1.0)
    correct = (True, False, False, False, False)
    assert majority_at_k(answers, correct, [1, 5], weights=scores) == pytest.approx([1 / 5, 1.0])
    assert majority_at_k(answers, correct, [1, 5]) == pytest.approx([1 / 5, 0.0])


def test_a_plateau_is_found_where_the_curve_turns() -> None:
    ks = [1, 2, 4, 8, 16, 32, 64]
    rng = np.random.default_rng(0)
    turned = np.minimum(np.log2(ks), 3)[None] * 0.2 + rng.normal(0, 0.02, (200, len(ks)))
    found = gap.plateau(turned, ks)
    assert found is not None
    assert (found.k, found.is_reached) == (8, True)
    assert found.ci95.low <= 8 <= found.ci95.high < 64
    rising = np.log2(ks)[None] * 0.1 + rng.normal(0, 0.02, (200, len(ks)))
    still = gap.plateau(rising, ks)
    assert still is not None
    assert not still.is_reached
    assert gap.plateau(rising[:, :3], ks[:3]) is None


def test_a_level_curve_is_level_from_the_beginning() -> None:
    found = gap.plateau(np.full((10, 6), 0.5), [1, 2, 4, 8, 16, 32])
    assert found is not None
    assert (found.k, found.is_reached) == (1, True)


def test_an_imperfect_verifier_has_a_ceiling() -> None:
    """t = 1, f = .05: p = .1 gives .68966 and p = .01 gives .16807, not 1."""
    scores: list[float | None] = [1.0] * 100 + [1.0] * 45 + [0.0] * 855
    tenth = of_columns("p", (True,) * 100 + (False,) * 900, (), scores)
    found = gap.ceiling([tenth])
    assert found is not None
    assert (found.t, found.f) == (1.0, 0.05)
    assert found.value == pytest.approx(0.68966, abs=5e-6)
    rare = of_columns("p", (True,) * 100 + (False,) * 9900, (), (1.0,) * 100 + (1.0,) * 495 + (0.0,) * 9405)
    assert gap.ceiling([rare]).value == pytest.approx(0.16807, abs=5e-6)  # type: ignore[union-attr]
    assert gap.ceiling([pool("ab")]) is None
    blind = gap.ceiling([pool("bb", scores=[1.0, None])])
    assert blind is not None
    assert (blind.t, blind.value, blind.scored, blind.unscored) == (None, None, 1, 1)


def test_no_success_in_256_draws_bounds_the_rate() -> None:
    assert none_in(256) == pytest.approx(0.011634, abs=5e-7)


def test_best_average_worst_and_majority_of_five() -> None:
    """p = .6 of 10,000 draws: best .98976, average .6, worst .07776, a vote between two answers .68256."""
    big = of_columns("p", (True,) * 6000 + (False,) * 4000)
    values = by_problem([big], [1, 5])
    assert values["coverage"][0] == pytest.approx([0.6, 0.98976], abs=2e-4)
    assert values["worst"][0] == pytest.approx([0.6, 0.07776], abs=2e-4)
    votes = majority_at_k(["a"] * 600 + ["b"] * 400, [True] * 600 + [False] * 400, [1, 5])
    assert votes == pytest.approx([0.6, 0.68256], abs=0.08)


def test_the_mode() -> None:
    assert gap.mode_is_wrong(pool("abb")) is True
    assert gap.mode_is_wrong(pool("aab")) is False
    assert gap.mode_is_wrong(pool("ab")) is None
    assert gap.mode_is_wrong(pool("bc")) is True
    assert gap.mode_is_wrong(pool("--")) is None


def test_difficulty_is_not_judged_by_the_draws_that_are_measured() -> None:
    """Problems all alike at p = .5: sorted by the same draws the bins would differ by far more than .1."""
    rng = np.random.default_rng(4)
    rows = ["".join(rng.choice(list("ab"), 40)) for _ in range(200)]
    found = gap.bins([pool(row) for row in rows])
    assert [b.problems for b in found] == [40] * 5
    assert max(abs(b.accuracy - 0.5) for b in found) < 0.06
    assert gap.bins([pool("ab")] * 3) == ()


def test_difficulty_has_five_bins_also_where_most_problems_are_alike() -> None:
    draws = ["bbbb"] * 15 + ["aabb"] * 2 + ["aaaa"] * 5
    pools = [replace(pool(each), id=f"p{i}") for i, each in enumerate(draws)]
    bins = gap.difficulty_bins(pools, seed=1)
    assert [len(part) for part in bins] == [5, 5, 4, 4, 4]
    assert sorted(i for part in bins for i in part) == list(range(22))
    assert set(bins[0]) == set(range(17, 22)), "the easiest come first"
    assert gap.difficulty_bins(pools, seed=2)[-1] != bins[-1], "which of the alike is hardest is the seed's choice"
    turned = gap.difficulty_bins(pools[::-1], seed=1)
    assert [{21 - i for i in part} for part in turned] == [{*part} for part in bins], "and not that of the rows' order"
    counts = [of_counts(str(c), 10, c) for c in range(10)]
    assert gap.difficulty_bins(counts) == [[9, 8], [7, 6], [5, 4], [3, 2], [1, 0]]


def test_lengths_of_replies_to_one_prompt() -> None:
    longer_wrong = pool("aabb", tokens=[10, 12, 30, 34])
    solved = pool("aaaa", tokens=[10, 20, 30, 40])
    found = lengths.tokens([longer_wrong, solved])
    assert found is not None
    assert found.mean == pytest.approx((21.5 + 25) / 2)
    assert found.sd_when_solved == pytest.approx(np.std([10, 20, 30, 40], ddof=1))
    assert found.correlation == pytest.approx(np.corrcoef([10, 12, 30, 34], [1, 1, 0, 0])[0, 1])
    assert lengths.tokens([pool("ab")]) is None


def test_limits_of_counts_alone() -> None:
    found = gap.measure([of_counts("a", 100, 30), of_counts("b", 100, 0)])[1]
    assert found.accuracy == pytest.approx(0.15)
    assert found.never_solved == 1
    assert found.p_bound == pytest.approx(1 - 0.05**0.01)
    assert found.losses == found.bins == found.guess_floor == ()
    assert (found.mode_wrong, found.tokens, found.ceiling) == (None, None, None)


def test_the_floor_of_guessing() -> None:
    found = gap.measure([pool("abcdabcd")] * 6)[1]
    assert found.n_answers == 4
    assert dict(found.guess_floor)[8] == pytest.approx(1 - 0.75**8)


def test_a_problem_without_any_answer_is_one_that_no_vote_solves(tmp_path: Path) -> None:
    """A sweep writes `null` for a reply that was cut before its answer; the vote on the others is measured still."""

    def row(name: str, *samples: tuple[str | None, bool]) -> str:
        drawn = [{"text": "so", "final_answer": answer, "correct": right} for answer, right in samples]
        return json.dumps({"problem_id": name, "prompt": name, "samples": drawn}) + "\n"

    path = tmp_path / "draws.jsonl"
    solved, cut = row("solved", ("4", True), ("4", True), ("5", False)), row("cut", *[(None, False)] * 3)
    path.write_text(solved + cut)
    (group,) = read_source(path).groups.values()
    measured = gap.measure(group.recordings, [1, 3]).curves
    assert [point.value for point in measured.majority] == pytest.approx([1 / 3, 1 / 2])
    path.write_text(solved + row("told", (None, True), (None, False), (None, False)))
    (group,) = read_source(path).groups.values()
    assert not gap.measure(group.recordings, [1, 3]).curves.majority, "the answer of a right draw is unknown"
