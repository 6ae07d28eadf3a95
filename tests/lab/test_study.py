"""A study from a plan: what it runs, what it resumes, what it tells of holes, and what a bad plan gets."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mull.bank.sql import SqlBank
from mull.cli.app import app
from mull.cli.study import _slugs
from mull.errors import ModelError, UsageError
from mull.lab.findings import summary, unsolved
from mull.lab.studied import check_ceiling, n_draws, probe, run_study, tight, unreadable
from mull.lab.study_plan import StudyCell, StudyPlan, cells_of, read_plan
from mull.models.embedded import Nano
from mull.types import Budget, Draw, Params, Prompt, Purse, Sample

ROOT = Path(__file__).parents[2]
PLAN = """
title = "Small"
models = ["nano"]
strategies = ["single", "majority:n={n}"]
draws = [2, 3]
problems = 3
max_tokens = 120

[[tasks]]
spec = "chain:ops={level}"
levels = [1, 16]
"""


def plan_at(folder: Path, text: str = PLAN) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


class Dead(Nano):
    """A model whose server does not answer."""

    @property
    def name(self) -> str:
        return "dead"

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncIterator[Sample]:
        raise ModelError("the server is gone")
        yield


def test_a_plan_is_read_as_it_is_written(tmp_path: Path) -> None:
    plan = read_plan(plan_at(tmp_path))
    (task,) = plan.tasks
    assert (plan.models, plan.ceiling, task.problems) == (("nano",), Budget(), 3)
    assert task.strategies == ("single", "majority:n=2", "majority:n=3")
    assert [task.at(level) for level in task.levels] == ["chain:ops=1", "chain:ops=16"]
    cells = cells_of(plan)
    assert [cell.name for cell in cells] == ["nano on chain:ops=1", "nano on chain:ops=16"]
    assert n_draws(cells[0]) == 3, "strategies that choose among plain draws share them"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "problems = 3",
            "problem = 3",
            "plan.toml, line 6: unknown setting 'problem': did you mean 'problems'? a plan takes ceiling, draws,",
        ),
        ('"nano"', '"nanno"', "unknown model 'nanno': did you mean 'nano'?"),
        ("majority:n={n}", "best:n={n}", "best:n=2 on chain:ops={level}: this strategy needs a verifier"),
        ("majority:n={n}", "majorty:n={n}", "did you mean 'majority'?"),
        ("chain:ops", "chian:ops", "did you mean 'chain'?"),
        ("levels = [1, 16]", "", "{level} in its spec and its list of levels go together"),
        (
            "levels = [1, 16]",
            "level = [1]",
            "line 11: unknown setting 'tasks.0.level': did you mean 'levels'? a table [[tasks]] takes",
        ),
        ("problems = 3", "problems = 0", "line 6: problems: Input should be greater than or equal to 1"),
        ("problems = 3", 'problems = "3"', "line 6: problems must be a whole number"),
        ('["nano"]', '["nano", "nano"]', "a model is named twice"),
        ("[[tasks]]", "[ceiling]\\ntoken = 3\\n[[tasks]]", "unknown setting 'ceiling.token': did you mean 'tokens'?"),
        ("draws = [2, 3]", "", "strategies with {n} take their numbers of draws from draws = [2, 4, 8]"),
        ("draws = [2, 3]", "draws = 2", "draws must be a list"),
        ("[1, 16]", "[true]", "levels are texts or numbers"),
        ('spec = "chain:ops={level}"', "", "[tasks.0] has no spec, which it needs"),
        ("title = ", "title ", "plan.toml, line 2: not TOML"),
    ],
)
def test_a_bad_plan_is_told_before_anything_runs(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = plan_at(tmp_path, PLAN.replace(old, new.replace("\\n", "\n"), 1))
    done = CliRunner().invoke(app, ["study", str(path)])
    assert words in str(done.exception or done.output)
    assert isinstance(done.exception, UsageError)
    assert not (tmp_path / "plan").exists()


def test_the_plans_that_are_shown_and_shipped_are_right(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "study.md").read_text(), re.DOTALL)
    assert shown is not None
    for path in (plan_at(tmp_path, shown[1]), ROOT / "recipes" / "study" / "small.toml"):
        plan = read_plan(path)
        check_ceiling(plan, cells_of(plan))


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyPlan:
    """The large plan, with the word problems that it names, on the built-in model alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").mkdir()
    for level in ("1-2", "3", "4-5", "6-9"):
        row = {"question": f"What is {level[0]} + 1?", "answer": f"#### {int(level[0]) + 1}"}
        (tmp_path / "words" / f"steps-{level}.jsonl").write_text(json.dumps(row) + "\n")
    return replace(read_plan(ROOT / "recipes" / "study" / "large.toml"), models=("nano",))


def test_the_large_plan_has_eight_tasks_at_four_levels_within_its_tokens(large: StudyPlan) -> None:
    cells = cells_of(large)
    check_ceiling(large, cells)
    levels = Counter((task.name, level) for task in large.tasks for level in task.levels)
    assert set(levels.values()) == {1}
    assert list(Counter(name for name, _ in levels).values()) == [4] * 8
    plain = sum(8 * cell.study_task.problems * cell.params.max_tokens for cell in cells)
    assert plain < 700_000, "tokens of the draws that strategies share, if each is of full length"


def test_a_model_is_not_asked_what_it_cannot_read_and_has_not_failed(large: StudyPlan, tmp_path: Path) -> None:
    """nano reads chains and countdowns; the six tasks in plain English come first here and do not end it."""
    order = sorted(large.tasks, key=lambda task: task.name in ("chain", "countdown"))
    tasks = [replace(task, problems=1, levels=task.levels[:1], strategies=("single",)) for task in order]
    plan = replace(large, tasks=tuple(replace(task, upper_bounds=()) for task in tasks))
    cells = cells_of(plan)
    with SqlBank.file(tmp_path / "bank.db") as bank:
        told = probe(cells, bank, 0)
        made = run_study(plan, cells, bank)
    assert (told.calls, told.tokens is None) == (3, False), "draws of what it can read are estimated"
    assert [task.partition(":")[0] for task in made.groups] == ["chain", "chain", "countdown"]
    assert (len(made.holes), {hole.is_unreadable for hole in made.holes}) == (7, {True})
    (sentence,) = unreadable(made.holes)
    assert "nano cannot read the prompts of spatial, calendar, 3sat, tsp, file and maze, and is not asked" in sentence


def test_a_ceiling_below_the_least_says_what_it_is_enough_for(tmp_path: Path) -> None:
    """3 strategies, 5 problems, 120 tokens a draw: 1,800 tokens a cell."""
    plan = read_plan(plan_at(tmp_path))
    cells = cells_of(plan)
    check_ceiling(replace(plan, ceiling=Budget(tokens=3600)), cells)
    with pytest.raises(UsageError, match="it is enough for the first 1 of them"):
        check_ceiling(replace(plan, ceiling=Budget(tokens=2000)), cells)
    with pytest.raises(UsageError, match="not enough for any of them"):
        check_ceiling(replace(plan, ceiling=Budget(tokens=100)), cells)


def study(folder: Path, ceiling: Budget | None = None) -> tuple[Any, list[StudyCell], Any]:
    plan = read_plan(plan_at(folder))
    plan = plan if ceiling is None else replace(plan, ceiling=ceiling)
    cells = cells_of(plan)
    with SqlBank.file(folder / "bank.db") as bank:
        return plan, cells, run_study(plan, cells, bank)


def test_a_second_run_is_paid_by_the_bank_and_has_the_same_figures(tmp_path: Path) -> None:
    _, _, first = study(tmp_path)
    _, _, again = study(tmp_path)
    assert first.fresh.calls == 2 * 3 * 3, "two levels, three problems, three shared draws"
    assert again.fresh.calls == 0
    assert again.groups == first.groups
    assert summary(again.groups) == summary(first.groups)
    assert first.holes == []


def test_no_more_is_spent_than_the_ceiling_of_the_whole(tmp_path: Path) -> None:
    _, _, made = study(tmp_path, Budget(calls=20))
    assert made.spent.calls is not None
    assert made.spent.calls <= 20
    assert "the ceiling cut off" in made.holes[0].why


def test_a_model_that_dies_leaves_holes_and_the_others_go_on(tmp_path: Path) -> None:
    plan = read_plan(plan_at(tmp_path, PLAN.replace("[1, 16]", "[1, 2, 3]")))
    cells = [each for cell in cells_of(plan) for each in (replace(cell, model=Dead()), cell)]
    with SqlBank.file(tmp_path / "bank.db") as bank:
        assert probe(cells, bank, 0).calls == 6 * 9
        made = run_study(plan, cells, bank)
    assert [hole.model for hole in made.holes] == ["dead"] * 3
    assert [hole.done for hole in made.holes] == [0, 0, 0]
    assert "the server is gone" in made.holes[0].why
    assert made.holes[2].why == "not run: dead failed before"
    assert [list(models) for models in made.groups.values()] == [["nano"]] * 3


def test_the_command_writes_draws_and_tells_of_levels_that_nobody_solves(tmp_path: Path) -> None:
    path = plan_at(tmp_path)
    told = CliRunner().invoke(app, ["study", str(path), "--estimate"])
    assert told.exit_code == 0, told.output
    assert "2 cells (a model on a task at a level), 18 draws" in told.stderr
    done = CliRunner().invoke(app, ["study", str(path)])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "plan"
    assert {one.name for one in (folder / "draws").iterdir()} == {"chain-ops-1.jsonl", "chain-ops-16.jsonl"}
    assert json.loads((folder / "holes.json").read_text()) == []
    again = CliRunner().invoke(app, ["study", str(path), "--json"])
    found = json.loads(again.stdout)
    assert found["fresh"]["calls"] == 0
    assert [row["task"] for row in found["rows"]] == ["chain:ops=1", "chain:ops=16"]
    hard = found["rows"][1]
    assert ("no draw of any model solves any problem" in done.output) == (hard["coverage"] == 0)


def test_upper_bounds_stand_beside_the_strategies_and_not_among_them(tmp_path: Path) -> None:
    text = PLAN.replace("levels = [1, 16]", 'levels = [1]\nupper_bounds = ["revise:n=2,chain=2,feedback=oracle"]')
    plan = read_plan(plan_at(tmp_path, text))
    cells = cells_of(plan)
    with SqlBank.file(tmp_path / "bank.db") as bank:
        made = run_study(plan, cells, bank)
    assert {one.strategy for one in made.bounds} == {"revise:n=2,chain=2,feedback=oracle"}
    assert len(made.bounds) == 3
    names = {name for one in made.groups["chain:ops=1"]["nano"] for name in one.results}
    assert names == {"single", "majority:n=2", "majority:n=3"}
    assert made.holes == []


def test_levels_without_any_solved_problem_are_named(tmp_path: Path) -> None:
    _, _, made = study(tmp_path)
    rows = summary(made.groups)
    none = [row._replace(coverage=0.0, single=0.0) for row in rows]
    assert unsolved(none) == ["chain:ops=1", "chain:ops=16"]
    assert unsolved([none[0], rows[0]._replace(coverage=0.5)]) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "levels = [1, 16]",
            "levels = [2, 2]",
            "has twice, where one table with all its strategies is meant, the task",
        ),
        ("levels = [1, 16]", 'levels = [1]\n[[tasks]]\nspec = "chain:ops=1"', "'chain:ops=1'"),
        ('["nano"]', '["nano", "nano:"]', "nano"),
    ],
)
def test_two_of_one_name_are_refused_since_one_would_replace_the_other(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        cells_of(read_plan(plan_at(tmp_path, PLAN.replace(old, new))))


def test_a_plan_of_an_editor_on_windows_is_the_same_plan(tmp_path: Path) -> None:
    known = read_plan(plan_at(tmp_path))
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + PLAN.replace("\n", "\r\n").encode())
    assert read_plan(path) == known


def test_each_task_has_a_file_of_its_own_however_long_its_name_is() -> None:
    deep = "file:/" + "a-folder/" * 20
    found = _slugs([f"{deep}level-1.jsonl", f"{deep}level-2.jsonl", "a:b", "a;b", "A-b"])
    assert len({name.lower() for name in found.values()}) == 5
    assert all(len(name) < 110 for name in found.values())


def test_draws_that_the_ceiling_cut_off_are_not_wrong_ones(tmp_path: Path) -> None:
    """A ceiling of 45 tokens a run is enough for one chain of one operation, and cuts the second one."""
    plan, cells, made = study(tmp_path, Budget(tokens=45 * 18))
    assert "the ceiling cut off 6 of 9 runs" in made.holes[0].why
    most = 3 * cells[0].params.max_tokens
    assert (
        f"leaves each run 45 tokens, draws from the bank included, and majority:n=3 on chain:ops=1 may take {most}:"
        in (tight(plan, cells))
    )
    assert not tight(replace(plan, ceiling=Budget(tokens=most * 18)), cells)
    recordings = made.groups["chain:ops=1"]["nano"]
    assert [one.results["majority:n=3"].correct for one in recordings] == [None] * 3, "votes of fewer draws than three"
    assert [one.n for one in recordings] == [1] * 3
    assert all("answer:" in sample.text for one in recordings for sample in one.samples)
    assert summary(made.groups)[0].best == "single"


def test_a_file_with_fewer_problems_than_the_plan_asks_for_is_run_whole(tmp_path: Path) -> None:
    lines = [json.dumps({"id": str(i), "question": f"b:a+{i};a:9;b?", "answer": str(9 + i)}) for i in range(2)]
    (tmp_path / "two.jsonl").write_text("\n".join(lines))
    text = PLAN.replace("chain:ops={level}", f"file:{tmp_path}/two.jsonl").replace("levels = [1, 16]", "")
    (cell,) = cells_of(read_plan(plan_at(tmp_path, text)))
    assert (cell.problems, cell.n_runs) == (2, 6)
