"""Weights of an ensemble's members: against Bayes' rule, a simulation, and verdicts counted by hand."""

import json
import math
import random
from dataclasses import asdict
from pathlib import Path

import pytest

from mull import UsageError, spec
from mull.files.recording import Result
from mull.lab import sources, weights
from mull.lab.weights import Row, learn, log_odds, members_of, vote, wrong_answers
from mull.types import Cost


def taken(answer: str | None, gold: str = "1") -> Result:
    return Result(answer, answer == gold, None, 1, "complete", Cost())


def row(**answers: str | None) -> Row:
    return {name: taken(answer) for name, answer in answers.items()}


def simulated(accuracies: dict[str, float], n_wrong: int, n: int, seed: int = 0) -> list[Row]:
    """Members that are right independently, and else give one of `n_wrong` wrong answers alike."""
    rng = random.Random(seed)
    return [
        row(**{name: "1" if rng.random() < p else f"w{rng.randrange(n_wrong)}" for name, p in accuracies.items()})
        for _ in range(n)
    ]


def test_a_weight_is_the_log_odds_of_bayes_rule() -> None:
    """Two answers: exactly Nitzan and Paroush. More: a wrong vote has m answers to fall on."""
    assert log_odds(90, 100, 1.0) == pytest.approx(math.log(90.5 / 10.5))
    assert log_odds(40, 100, 1.0) == 0.0, "worse than a coin on two answers: silent, not turned round"
    assert log_odds(40, 100, 9.0) == pytest.approx(math.log(9 * 40.5 / 60.5))
    # Bayes with three voters on answers x, y, y: the posterior odds of x against y are the difference of the weights.
    p, m = (0.9, 0.6, 0.55), 3
    likelihood = {x: math.prod(q if said == x else (1 - q) / m for q, said in zip(p, "xyy", strict=True)) for x in "xy"}
    w = [math.log(m * q / (1 - q)) for q in p]
    assert math.log(likelihood["x"] / likelihood["y"]) == pytest.approx(w[0] - w[1] - w[2])


def test_the_number_of_wrong_answers_is_what_members_that_err_show() -> None:
    assert wrong_answers([row(a="1", b="2")]) == 2.0, "nothing is known: one agreement in two"
    assert wrong_answers([row(a="2", b="2", c="3"), row(a=None, b="4", c="4")]) == pytest.approx((2 + 3 + 1) / (1 + 2))
    found = wrong_answers(simulated({"a": 0.3, "b": 0.3, "c": 0.3}, 7, 4000))
    assert found == pytest.approx(7, rel=0.1)


def test_weights_beat_one_vote_each_where_one_member_is_far_better() -> None:
    """4,000 simulated problems: the weighted vote is near the best possible, 5 standard errors from the plain one."""
    rows = simulated({"good": 0.9, "x": 0.4, "y": 0.4}, 2, 4000)
    found = learn(rows)
    assert {member.spec: round(member.accuracy, 1) for member in found.members} == {"good": 0.9, "x": 0.4, "y": 0.4}
    assert found.weighted.accuracy > found.alike.accuracy + 0.05
    assert found.weighted.accuracy >= found.best.accuracy - 0.001
    assert found.weighted.ci95.low < found.weighted.accuracy < found.weighted.ci95.high


def test_three_equal_members_vote_better_than_one() -> None:
    """Independent members of .7 with many wrong answers: at least two right with .784."""
    found = learn(simulated({"a": 0.7, "b": 0.7, "c": 0.7}, 50, 4000))
    assert found.best.accuracy == pytest.approx(0.7, abs=0.03)
    # All three differ, one of them right: a third of the time by lot.
    assert found.alike.accuracy == pytest.approx(0.784 + 3 * 0.7 * 0.09 * (49 / 50) / 3, abs=0.03)


def test_a_member_that_gives_no_answer_is_not_wrong_but_silent() -> None:
    rows = [row(a="1", b=None), row(a="2", b="1")] * 10
    members = {member.spec: member for member in members_of(rows)}
    assert (members["b"].answered, members["b"].accuracy) == (10, 1.0)
    assert members["a"].accuracy == 0.5
    assert vote(rows[0], {"a": 1.0, "b": 9.0}) == 1.0
    assert vote(row(a="1", b="2"), {"a": 1.0, "b": 1.0}) == 0.5, "a tie is broken by lot"


def test_a_sweep_becomes_an_ensemble_that_can_be_built(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    names = ["single", "majority:n=4", "on:of=(best:n=4),model=mini"]
    rng = random.Random(1)
    lines = []
    for i in range(30):
        outcomes = {}
        for name, p in zip(names, (0.6, 0.8, 0.9), strict=True):
            answer = "1" if rng.random() < p else str(rng.randrange(2, 6))
            outcomes[name] = {**asdict(taken(answer)), "covered": True}
        lines.append({"problem_id": str(i), "prompt": f"q{i}", "model": "nano", "samples": [], "outcomes": outcomes})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (group,) = sources.read_source(path).groups.values()
    found = learn(weights.rows_of(group.recordings, names))
    built = spec.strategy(found.spec)
    assert [spec.describe(spec.STRATEGIES, member) for member in built.members] == names
    assert built.weights == pytest.approx([member.weight for member in found.members], rel=0.01)
    with pytest.raises(UsageError, match="at least two strategies"):
        weights.rows_of(group.recordings, names[:1])
    with pytest.raises(UsageError, match="9 problems are graded for every member: at least 10"):
        weights.rows_of(group.recordings[:9], names)


def test_members_that_only_guess_are_refused() -> None:
    with pytest.raises(UsageError, match="has no value"):
        learn([row(a="2", b="2")] * 40)
