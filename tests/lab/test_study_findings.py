"""The findings of a study: shown where the draws show them, and said not to be shown where they do not."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from mull.files.recording import Recording, Result, of_columns
from mull.lab.studied import Bound
from mull.lab.study_findings import StudyFinding, findings
from mull.types import Cost

TASKS = ("chain:ops=1", "chain:ops=2")
N, DRAWS = 30, 8


def model(
    rate: Callable[[int], float],
    *,
    tokens: int = 50,
    spread: int = 20,
    length_of_right: int = 0,
    scores: Callable[[random.Random, bool], float] | None = None,
    seed: int = 0,
) -> list[Recording]:
    """30 problems of 8 draws; `rate` is each problem's chance, wrong answers all differ."""
    rng = random.Random(seed)
    made = []
    for i in range(N):
        right = [rng.random() < rate(i) for _ in range(DRAWS)]
        answers = ["a" if r else f"w{j}" for j, r in enumerate(right)]
        lengths = [max(1, tokens + length_of_right * r + rng.randint(-spread, spread)) for r in right]
        scored = [scores(rng, r) for r in right] if scores else ()
        made.append(of_columns(str(i), right, answers, scored, lengths))
    return made


def asked(groups: dict[str, dict[str, list[Recording]]]) -> dict[str, StudyFinding]:
    return {one.id: one for one in findings(groups)}


def test_all_ten_are_told_whatever_the_study_has() -> None:
    only = asked({TASKS[0]: {"m": model(lambda i: 0.5)}})
    assert len(only) == 10
    assert [id for id, one in only.items() if not one.rows and one.is_shown] == []
    assert "no strategy of this study had perfect feedback" in only["feedback"].sentence
    assert only["thinking"].sentence.startswith("Not shown here")
    assert only["cost"].sentence.startswith("Not shown here")


def test_a_blind_verifier_has_a_gap_and_a_perfect_one_has_none() -> None:
    blind = asked({TASKS[0]: {"m": model(lambda i: 0.3, scores=lambda rng, right: rng.random())}})["gap"]
    assert blind.is_shown
    assert blind.rows[0].value == pytest.approx(1 - 0.7**8 - 0.3, abs=0.15)
    sure = asked({TASKS[0]: {"m": model(lambda i: 0.3, scores=lambda rng, right: float(right))}})["gap"]
    assert (sure.is_shown, sure.rows[0].value) == (False, 0.0)
    assert sure.sentence.startswith("Not shown here")


def test_more_draws_gain_less_and_nothing_on_what_is_out_of_reach() -> None:
    easy = model(lambda i: 0.5)
    found = asked({TASKS[0]: {"m": easy}, TASKS[1]: {"m": model(lambda i: 0.0)}})
    assert found["diminishing"].is_shown
    assert found["difficulty"].is_shown
    assert [row.label for row in found["difficulty"].rows] == list(TASKS)
    assert found["difficulty"].rows[1].value == 0.0
    assert found["reach"].is_shown
    assert [row.value for row in found["reach"].rows][1] == 1.0
    n_never = sum(one.n_correct == 0 for one in easy) + N
    assert f"No draw of any model is right on {n_never} of 60 problems" in found["reach"].sentence
    assert "most often on chain:ops=2: 100.0 %" in found["reach"].sentence


def test_reach_counts_a_problem_that_any_model_solves() -> None:
    found = asked({TASKS[0]: {"never": model(lambda i: 0.0), "half": model(lambda i: float(i % 2))}})["reach"]
    assert found.rows[0].value == 0.5


def test_perfect_feedback_is_compared_with_a_perfect_choice_among_as_many_draws() -> None:
    drawn = model(lambda i: 0.2)
    for solved, is_shown in ((True, True), (False, False)):
        bounds = [Bound(TASKS[0], "m", "revise:n=4,feedback=oracle", one.id, solved) for one in drawn]
        found = {one.id: one for one in findings({TASKS[0]: {"m": drawn}}, 0, bounds)}["feedback"]
        assert found.is_shown == is_shown
        assert found.rows[0].value == pytest.approx(solved - (1 - 0.8**4), abs=0.12)
        assert found.rows[0].label == "m: revise:n=4,feedback=oracle minus coverage of 4"


def test_lengths_within_a_problem() -> None:
    short = asked({TASKS[0]: {"m": model(lambda i: 0.5, length_of_right=-30)}})
    assert short["longer"].is_shown
    assert short["spread"].is_shown
    long = asked({TASKS[0]: {"m": model(lambda i: 0.5, length_of_right=30)}})["longer"]
    assert not long.is_shown
    assert long.sentence.endswith("which is the opposite.")
    steady = asked({TASKS[0]: {"m": model(lambda i: 0.5, spread=0)}})
    assert not steady["spread"].is_shown
    assert steady["longer"].rows == ()


def test_models_are_compared_on_the_problems_that_both_have() -> None:
    groups = {TASKS[0]: {"cheap": model(lambda i: 0.8), "dear": model(lambda i: 0.2, tokens=200, seed=1)}}
    found = asked(groups)["cost"]
    assert found.is_shown
    assert found.rows[0].label.startswith("dear minus cheap, at 4")
    assert found.rows[0].value == pytest.approx(-0.6, abs=0.1)
    other = asked({TASKS[0]: {"cheap": model(lambda i: 0.8)}, TASKS[1]: {"dear": model(lambda i: 0.2, tokens=200)}})
    assert other["cost"].rows == ()


def test_a_thinker_is_compared_with_a_vote_of_as_many_tokens() -> None:
    """One reply of 200 tokens against a vote of four of 50: where wrong answers differ, the vote wins."""
    groups = {TASKS[0]: {"base": model(lambda i: 0.5), "big-think": model(lambda i: 0.5, tokens=200, seed=1)}}
    found = asked(groups)["thinking"]
    assert found.rows[0].label == "big-think minus a vote of 4 of base, equal tokens"
    assert found.rows[0].value < 0
    assert found.is_shown
    named = {TASKS[0]: {"base": model(lambda i: 0.5), "nano-think": model(lambda i: 0.5, tokens=200)}}
    assert len(asked(named)["thinking"].rows) == 1, "`nano-think` has no word `no`"
    for name in ("big-nothink", "Big-Non-Thinking", "big_no_think"):
        none = {TASKS[0]: {"base": model(lambda i: 0.5), name: model(lambda i: 0.5, tokens=200)}}
        assert asked(none)["thinking"].rows == ()


def test_a_sequential_strategy_is_compared_with_a_vote_of_as_many_tokens() -> None:
    def with_force(drawn: Sequence[Recording], correct: bool) -> list[Recording]:
        cost = Cost(1, 10, 200, 0, 0, 0.0, 0.0, 0.0)
        result = Result("a", correct, correct, 1, "done", cost)
        return [
            Recording(one.id, samples=one.samples, answers=one.answers, results={"force:wait=2": result})
            for one in drawn
        ]

    wins = asked({TASKS[0]: {"m": with_force(model(lambda i: 0.5), correct=False)}})["sequential"]
    assert wins.rows[0].label == "m: vote of 4 minus force:wait=2, equal tokens"
    assert wins.is_shown
    assert wins.rows[0].ci95.low > 0
    loses = asked({TASKS[0]: {"m": with_force(model(lambda i: 0.5), correct=True)}})["sequential"]
    assert loses.rows[0].ci95.high < 0


def forced(drawn: Sequence[Recording], tokens: int) -> list[Recording]:
    result = Result("a", False, False, 1, "done", Cost(1, 10, tokens, 0, 0, 0.0, 0.0, 0.0))
    return [replace(one, results={"force:wait=2": result}) for one in drawn]


def test_tokens_are_compared_on_the_same_problems_only() -> None:
    """`m` has short replies on one task and long ones on another, which the others do not have."""
    both = {TASKS[0]: {"m": forced(model(lambda i: 0.5), 200)}, TASKS[1]: {"m": model(lambda i: 0.5, tokens=800)}}
    assert asked(both)["sequential"].rows[0].label == "m: vote of 4 minus force:wait=2, equal tokens"
    half = {TASKS[0]: {**both[TASKS[0]], "big-think": model(lambda i: 0.5, tokens=100)}, TASKS[1]: both[TASKS[1]]}
    found = asked(half)
    assert found["cost"].rows[0].label.startswith("big-think minus m, at 2")
    assert found["thinking"].rows[0].label == "big-think minus a vote of 2 of m, equal tokens"
    alike = {TASKS[0]: {"a": model(lambda i: 0.9, spread=0), "b": model(lambda i: 0.1, tokens=51, spread=0)}}
    assert asked(alike)["cost"].rows == (), "51 tokens for 50 are not more"


def test_levels_count_each_problem_once_and_none_of_a_few_is_not_never() -> None:
    hard = {f"m{i}": model(lambda i: 0.0) for i in range(4)}
    found = asked({TASKS[0]: {"m0": model(lambda i: 0.5)}, TASKS[1]: hard})["difficulty"]
    assert [row.problems for row in found.rows] == [N, N]
    assert (found.rows[1].value, found.rows[1].ci95.low) == (0.0, 0.0)
    assert found.rows[1].ci95.high == pytest.approx(1 - 0.05 ** (1 / N))
    one, four = (
        asked({TASKS[0]: {f"m{i}": model(lambda i: 0.3) for i in range(n)}})["difficulty"].rows[0] for n in (1, 4)
    )
    assert four == one, "four models that do the same tell no more than one"


def test_problems_without_draws_are_no_evidence() -> None:
    whole = model(lambda i: 1.0)
    cut = [
        replace(one, samples=one.samples[:n], answers=one.answers[:n]) for n, one in zip((0, 1), whole, strict=False)
    ]
    found = asked({TASKS[0]: {"m": [*cut, *whole[2:]]}})
    assert found["reach"].rows[0].problems == N - 1
    assert not found["reach"].is_shown
    assert found["gap"].rows[0].problems == N - 2
    assert asked({TASKS[0]: {"m": cut[:1]}})["reach"].rows == ()


def test_the_intervals_of_a_figure_hold_together() -> None:
    """A finding is shown where any row shows it, so that its rows are as many tests."""
    drawn = model(lambda i: 0.5)
    one = asked({TASKS[0]: {"m": drawn}})["diminishing"].rows[0]
    many = asked({TASKS[0]: {f"m{i}": drawn for i in range(10)}})["diminishing"].rows
    assert {row.value for row in many} == {one.value}
    assert many[0].ci95.low < one.ci95.low < one.ci95.high < many[0].ci95.high
