"""What thinking longer is worth: the measures of s1, and of over- and underthinking, against numbers by hand."""

import asyncio
import json
from pathlib import Path

import pytest

from mull import spec
from mull.errors import UsageError
from mull.files.recording import Recording, Result
from mull.files.records import row_of
from mull.lab import grid, thinking
from mull.lab.recorded import Group
from mull.lab.thinking import Round, control, performance, scaling, underthinking
from mull.stats.frontier import Spent
from mull.types import Cost, Params
from warm import Warm


def test_scaling_is_the_mean_slope_over_all_pairs_of_budgets() -> None:
    # s1 (arXiv 2501.19393), section 3.2; worked out by hand, and by the slope of the ends alone, which it is not.
    points = [Spent(1000, 0.30), Spent(2000, 0.40), Spent(4000, 0.50), Spent(8000, 0.55)]
    assert scaling(points) == pytest.approx(4.8313e-05, rel=1e-4)
    assert scaling([points[0], points[-1]]) == pytest.approx(3.5714e-05, rel=1e-4)
    assert performance(points) == 0.55


def test_a_pair_of_budgets_that_came_to_the_same_tokens_has_no_slope() -> None:
    assert scaling([Spent(100, 0.2), Spent(100, 0.9), Spent(200, 0.9)]) == pytest.approx((0.007 + 0) / 2)
    assert scaling([Spent(100, 0.2), Spent(100, 0.9)]) is None


def test_control_is_the_share_within_the_bounds() -> None:
    lengths = [900, 1500, 2100, 4000]
    assert control(lengths, most=2000) == 0.5
    assert control(lengths, least=1000, most=2100) == 0.5
    assert control(lengths) == 1.0


def test_underthinking_is_what_wrong_chains_spent_after_they_had_been_right() -> None:
    # arXiv 2501.18585: (250 of 1000) and (800 of 800, never right) come to .375; the chain that ends right is left out.
    wasted = [Round(250, True), Round(1000, False)]
    never = [Round(400, False), Round(800, False)]
    ended_right = [Round(100, False), Round(150, True), Round(600, True)]
    assert underthinking([wasted, never, ended_right]) == pytest.approx(0.375)
    assert underthinking([ended_right]) is None


def taken(tokens: int, *, correct: bool | None, **notes: float) -> Result:
    spent = Cost(1, 10, tokens + 5, 0, 0, None, None, None)
    return Result("1", correct, correct, 1, "complete", spent, {"thinking_tokens": tokens, **notes})


def group(*problems: dict[str, Result]) -> Group:
    return Group("m", [Recording(str(i), results=row) for i, row in enumerate(problems)])


def forced(*rights: bool | None) -> dict[str, Result]:
    """A chain gone on with: 100 tokens, and 50 more each time."""
    names = ["force", *(f"force:wait={i}" for i in range(1, len(rights)))]
    return {
        n: taken(100 + 50 * i, correct=right, rounds=i) for i, (n, right) in enumerate(zip(names, rights, strict=True))
    }


def test_rounds_mend_and_break_and_the_first_right_answer_is_found() -> None:
    chains = [
        forced(False, True, True),
        forced(True, False, False),
        forced(True, True, True),
        forced(False, False, True),
    ]
    (found,) = thinking.measure(group(*chains, forced(False, False, False)))
    assert [budget.strategy for budget in found.budgets] == ["force", "force:wait=1", "force:wait=2"]
    assert [budget.tokens for budget in found.budgets] == [100, 150, 200]
    assert [budget.accuracy for budget in found.budgets] == [0.4, 0.4, 0.6]
    assert [(budget.mended, budget.broken) for budget in found.budgets] == [(None, None), (1, 1), (1, 0)]
    assert found.budgets[2].gain is not None
    assert found.budgets[2].gain.difference == pytest.approx(0.2)
    assert found.scaling == pytest.approx((0 + 0.2 / 100 + 0.2 / 50) / 3)
    assert found.scaling_ci95 is not None
    assert found.scaling_ci95.low < found.scaling < found.scaling_ci95.high
    assert (found.performance, found.control) == (0.6, 1.0)
    # First right at 150, 100, 100 and 200 tokens; of 200 right chains wasted 50, 100 and 0, wrong ones 100 and 0.
    assert (found.first_right.value, found.first_right.problems) == (137.5, 4)
    assert found.overthinking.value == pytest.approx((0.25 + 0.5 + 0) / 3)
    assert (found.underthinking.value, found.underthinking.problems) == (0.25, 2)


def test_an_outcome_that_did_not_do_what_was_asked_is_not_under_control() -> None:
    row = {
        "force:at_most=80": taken(81, correct=False, rounds=0),
        "force": taken(100, correct=True, rounds=0),
        "force:wait=2": taken(140, correct=True, rounds=1),
        "force:at_least=120": taken(150, correct=True, rounds=1),
    }
    (found,) = thinking.measure(group(row))
    told = {budget.strategy: budget.control for budget in found.budgets}
    assert told == {"force:at_most=80": 0.0, "force": None, "force:wait=2": 0.0, "force:at_least=120": 1.0}
    assert found.control == pytest.approx(1 / 3)
    # What has a token limit is another draw: nothing that it got wrong was mended by the next.
    assert [budget.mended for budget in found.budgets] == [None, None, 0, 0]


def test_what_is_another_method_is_measured_on_its_own_and_ungraded_problems_are_left_out() -> None:
    first = {
        **forced(True, False),
        "force:string=Hmm": taken(90, correct=True),
        "majority:n=4": taken(400, correct=True),
    }
    first |= {"force:wait=1,string=Hmm": taken(180, correct=True, rounds=1)}
    (plain, hmm) = thinking.measure(group(first, {**first, **forced(True, None)}))
    assert (plain.name, plain.budgets[0].problems) == ("force", 1)
    assert (hmm.name, hmm.budgets[0].problems) == ("force:string=Hmm", 2)


def test_tokens_are_those_of_the_whole_outcome_where_not_all_tell_of_thoughts() -> None:
    rows = {f"majority:n={n}": Result("1", True, True, n, "complete", taken(50 * n, correct=True).cost) for n in (1, 4)}
    (found,) = thinking.measure(group(rows))
    assert (found.unit, [budget.tokens for budget in found.budgets]) == ("output tokens", [55, 205])
    assert found.first_right.value is None


def test_one_budget_is_refused_with_the_command_that_makes_more() -> None:
    with pytest.raises(UsageError, match=r"mull sweep .* -s force:wait=1"):
        thinking.measure(group({"force": taken(10, correct=True)}))


def test_a_sweep_of_budgets_is_measured_from_its_file(warm: Warm, tmp_path: Path) -> None:
    # The real thing: nano, forced; figures of the file are counted again by hand.
    task, model = spec.build("task", spec.TASKS, "chain:ops=2"), spec.build("model", spec.MODELS, "nano")
    plans = {s: spec.strategy(s) for s in ("force", "force:wait=1", "force:at_most=20")}
    cells = asyncio.run(
        grid.run_plan(grid.Plan(task, model, plans, params=Params(max_tokens=200)), None, n_problems=12)
    )
    file = tmp_path / "draws.jsonl"
    rows = list(map(row_of, grid.recordings(model, cells)))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = json.loads(warm.mull("curves", file, "--thinking", "--json").stdout)
    (method,) = told["methods"]
    by_name = {budget["strategy"]: budget for budget in method["budgets"]}
    for name in plans:
        right = [row["outcomes"][name]["correct"] for row in rows]
        assert by_name[name]["accuracy"] == pytest.approx(sum(right) / 12)
    before, after = ([row["outcomes"][n]["correct"] for row in rows] for n in ("force", "force:wait=1"))
    flips = list(zip(before, after, strict=True))
    again = by_name["force:wait=1"]
    assert (again["mended"], again["broken"]) == (flips.count((False, True)), flips.count((True, False)))
    assert method["control"] == 1.0
    assert "control 100.0 %" in warm.mull("curves", file, "--thinking").stdout


def test_thinking_takes_no_numbers_of_draws(warm: Warm, tmp_path: Path) -> None:
    ran = warm.mull("curves", tmp_path / "x.jsonl", "--thinking", "--k", "4")
    assert ran.returncode == 2
    assert "--thinking compares budgets" in ran.stderr
