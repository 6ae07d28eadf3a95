"""The compute-optimal policy: greedy choices, what is learned from a sweep, and the file it is kept in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mull.allocate import policy_file
from mull.allocate.learn import includes_look, learn
from mull.allocate.policy import STOP, Origin, Policy, Step, greedy, hull
from mull.errors import FileFormatError, UsageError
from mull.files.recording import RecordedSample, Recording, Result
from mull.types import Budget, Cost

ORIGIN = Origin("fake", "fake-verifier", ("fake",), ("text",), 1.0, 200, 3200, "2026-11-25")
FAKE = Path(__file__).parents[1] / "data" / "policy.toml"


def test_greedy_choices_are_the_optimum_of_known_chances() -> None:
    """Damani et al. 2024 with chances .9, .5, .2 and .05 and twelve draws: 2, 4, 6 and 0 of them."""
    chances, budget = (0.9, 0.5, 0.2, 0.05), 12
    hulls = [[Step(k, 1 - (1 - p) ** k, k) for k in range(budget + 1)] for p in chances]
    draws = greedy(hulls, [1.0] * 4, budget)[-1]
    assert draws == [2, 4, 6, 0]
    value = sum(1 - (1 - p) ** k for p, k in zip(chances, draws, strict=True))
    assert value == pytest.approx(2.665356, abs=5e-7)
    uniform = sum(1 - (1 - p) ** 3 for p in chances)
    assert uniform == pytest.approx(2.504625, abs=5e-7)


def test_the_hull_leaves_out_what_no_price_makes_the_best() -> None:
    front = hull([1, 2, 3, 4, 5, 1], [0.1, 0.15, 0.5, 0.4, 0.6, 0.05])
    assert [step.place for step in front] == [0, 2, 4]
    assert [step.place for step in hull([3, 1, 2], [0.5, 0.5, 0.4])] == [1], "the cheapest of equals"


def lessons(m: int, seed: int) -> list[Recording]:
    """A sweep with a perfect checker: a third of the problems easy, a third middling, a third hopeless.

    A draw costs 10 tokens. Beside the best of 4 and of 16 draws there is `rebase`, no better than a draw.
    """
    rng = np.random.default_rng(seed)
    made = []
    for i in range(m):
        p = (0.97, 0.35, 0.0)[i % 3]
        right = rng.random(16) < p
        answers = tuple("yes" if r else f"no{rng.integers(9)}" for r in right)
        samples = tuple(RecordedSample("", None, bool(r), float(r), 10) for r in right)
        results = {f"best:n={n}": result(bool(right[:n].any()), 10 * n, draws=n) for n in (4, 16)}
        results["rebase:n=4"] = result(bool(rng.random() < p), 40)
        made.append(Recording(str(i), "?", samples=samples, answers=answers, results=results))
    return made


def result(correct: bool, tokens: int, draws: int = 4) -> Result:
    cost = Cost(1, None, tokens, 0, None, 100.0 * tokens, None)
    return Result(None, correct, None, draws, "complete", cost)


def test_it_spends_where_draws_buy_something() -> None:
    policy = learn(lessons(240, 0), ORIGIN, bins=3, pilot=2)
    easy, middling, hopeless = policy.plan().strategies
    assert easy == STOP
    assert middling == "best:n=16"
    assert hopeless in (STOP, "best:n=16"), "two failures are what a middling problem may show too"
    assert [bin.problems for bin in policy.bins] == [80, 80, 80]
    assert policy.bins[0].pass_at_1 > 0.8
    assert policy.bins[2].pass_at_1 < 0.2
    assert all(o.strategy != "rebase:n=4" for bin in policy.bins for o in bin.options)


def test_evidence_is_of_problems_that_were_not_learned_from() -> None:
    """On the other half of the problems the policy does what one strategy for all does, for two thirds of the cost."""
    policy = learn(lessons(240, 1), ORIGIN, bins=3, pilot=2)
    last = policy.evidence[-1]
    assert last.accuracy >= last.uniform_accuracy - 0.01
    assert last.cost <= 2 / 3 * last.uniform_cost
    assert all(row.cost <= 1.15 * row.budget for row in policy.evidence), "means over the other half differ by chance"
    assert policy.calibration is not None
    assert policy.calibration.error < 0.08
    assert policy.calibration.problems == 240


def test_the_look_is_paid_for_in_every_option() -> None:
    """A draw looked at is the first of `best`, and comes on top of a search."""
    policy = learn(lessons(240, 2), ORIGIN, bins=3, pilot=2)
    stop = policy.bins[0].options[0]
    assert stop.strategy == STOP
    assert stop.cost == {"tokens": 20.0, "flops": 2000.0, "usd": None}
    only_search = [
        replace(one, results={"rebase:n=4": result(True, 40), "all": result(True, 160, 16)}) for one in lessons(240, 2)
    ]
    costs = {o.strategy: o.cost["tokens"] for o in learn(only_search, ORIGIN, bins=3, pilot=2).bins[2].options}
    assert costs == {STOP: 20.0, "rebase:n=4": 60.0}


def test_chance_gains_are_small() -> None:
    """Twenty options as good as a draw: a plan promises .09 too much, the best of each bin alone .15."""
    gains, alone = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        same = []
        for one in lessons(200, seed):
            tries = {f"search{k}": result(bool(rng.random() < 0.5), 10 + k, draws=16) for k in range(20)}
            same.append(replace(one, results=tries, prompt="?" * int(rng.integers(1, 99))))
        policy = learn(same, ORIGIN, pilot=0)
        gains.append(policy.plans[-1].accuracy - 0.5)
        right = np.array([[t.correct for t in one.results.values()] for one in same]).reshape(5, 40, 20)
        alone.append(right.mean(axis=1).max(axis=1).mean() - 0.5)
    assert np.mean(gains) < 0.1
    assert np.mean(alone) > 0.14


def test_as_many_draws_are_looked_at_as_pay() -> None:
    """Where the question itself tells how hard a problem is, and draws tell nothing, none is spent on looking."""
    told = [
        replace(
            one,
            prompt="?" * (10, 100, 1000)[i % 3],
            answers=("same",) * 16,
            samples=tuple(sample._replace(score=None) for sample in one.samples),
        )
        for i, one in enumerate(lessons(240, 6))
    ]
    assert learn(told, ORIGIN, bins=3).pilot == 0
    policy = learn(told, ORIGIN, bins=3, pilot=0)
    assert all(option.strategy != STOP for bin in policy.bins for option in bin.options)
    assert policy.bins[0].look["tokens"] == 0


def test_a_ceiling_takes_the_best_option_that_fits() -> None:
    policy = policy_file.read(FAKE)
    assert policy.choose(3, Budget()).strategy == "until-pass:n=16"
    assert policy.choose(3, Budget(tokens=300)).strategy == STOP
    assert policy.choose(1, Budget(tokens=138)).strategy == "weighted:n=8", "184 tokens, of which 46 are spent"
    assert policy.choose(1, Budget(flops=1.0)).strategy == "weighted:n=8", (
        "what nobody priced is left to the run's ceiling"
    )


def test_a_mean_budget_takes_the_plan_it_pays_for() -> None:
    policy = policy_file.read(FAKE)
    assert policy.plan(100).accuracy == 0.4625
    assert policy.plan(185).strategies[1] == "weighted:n=8"
    with pytest.raises(UsageError, match=r"a budget of 40 tokens per problem is below .* 46, .* 2 pilot"):
        policy.plan(40)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda ls: ls[:50], r"50 problems are too few .* 3 bins of 8 problems in each of two folds need 48|too few"),
        (lambda ls: [one.only(slice(2)) for one in ls], "at most 2 draws"),
        (lambda ls: [], "0 problems are too few"),
    ],
)
def test_a_sweep_too_small_says_how_many_it_takes(change, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=says):
        learn(change(lessons(240, 3)), ORIGIN, bins=5, pilot=2)


def test_a_budget_in_what_nobody_priced_says_what_is_missing() -> None:
    unknown = [
        replace(one, results={n: replace(r, cost=replace(r.cost, flops=None)) for n, r in one.results.items()})
        for one in lessons(240, 4)
    ]
    with pytest.raises(UsageError, match=r"cost of best:n=4 in flops on 240 of 240 problems: give active_params"):
        learn(unknown, ORIGIN, unit="flops")
    assert learn(unknown, ORIGIN, pilot=2).bins[0].options[0].cost["tokens"] == 20.0
    with pytest.raises(UsageError, match="usd_per_mtok"):
        learn(unknown, ORIGIN, unit="usd")


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    policy_file.write(first, learn(lessons(240, 5), replace(ORIGIN, verifier=None, tasks=('of "two"\n', "b")), bins=3))
    policy = policy_file.read(first)
    policy_file.write(second, policy)
    assert policy_file.read(second) == policy
    assert second.read_text() == first.read_text()
    assert policy.origin.verifier is None
    assert policy.origin.tasks == ('of "two"\n', "b")
    assert policy.evidence


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(FAKE.read_text())
    assert policy_file.read(path).pilot == 2
    policy_file.write(path, replace(policy_file.read(path), pilot=3))
    assert policy_file.read(path).pilot == 3


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('format = "mull-policy"', 'format = "other"', "not a policy"),
        ("version = 1", "version = 2", "version 2"),
        ("pilot = 2", "pilot = ", "not TOML"),
        ("pilot = 2", "pilot = -1", "pilot cannot be negative"),
        ('"log_tokens"]', '"charm"]', "unknown feature 'charm'"),
        ("[0.7, 0.45, 0.2]", "[0.7, 0.2]", "4 bins need 3 edges"),
        ("[0.7, 0.45, 0.2]", "[0.2, 0.45, 0.7]", "edges must be descending"),
        ('unit = "tokens"', 'unit = "joules"', "unit must be one of"),
        ('["stop", "stop", "stop", "stop"]', '["stop", "stop", "stop"]', "one strategy for each bin"),
        ("offset = 0.1", "", "not as `mull train policy` writes it: KeyError"),
        ("scales = [0.5, 0.25, 0.6]", "scales = [0.5, 0.25, 0]", "no scale of 0"),
    ],
)
def test_a_malformed_file_says_what_is_wrong(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(FAKE.read_text().replace(old, new))
    with pytest.raises(FileFormatError, match=says) as raised:
        policy_file.read(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="there is no such file in"):
        policy_file.read(tmp_path / "none.toml")


def test_the_policy_of_the_fakes_has_every_kind_of_option() -> None:
    policy: Policy = policy_file.read(FAKE)
    assert [bin.options[-1].strategy for bin in policy.bins] == [STOP, "weighted:n=8", "rebase:n=4", "until-pass:n=16"]


@pytest.mark.parametrize(
    ("name", "unscored", "scored"),
    [
        ("single", True, False),
        ("majority:n=8", True, False),
        ("best:n=8", True, True),
        ("auto:n=8", True, True),
        ("agree:n=8", True, False),
        ("repeat:of=(best:n=3),n=2,pick=best", True, True),
        ("on:of=(best:n=8),model=other", False, False),
        ("on:of=(best:n=8),verifier=other", True, True),
        ("length-reject:tokens=9", False, False),
        ("confidence-vote:n=8", False, False),
        ("rebase:n=8", False, False),
        ("no strategy", False, False),
    ],
)
def test_what_begins_with_the_look(name: str, unscored: bool, scored: bool) -> None:
    """A strategy whose first draws are the question's own has the look among them; scored draws must be scored."""
    assert (includes_look(name, is_scored=False), includes_look(name, is_scored=True)) == (unscored, scored)
