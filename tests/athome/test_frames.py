"""Tables of pandas, polars and pyarrow hold draws as files do: the same table gives the same curves, in and out."""

import importlib.util
import json
import math
import random
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mull import Cost, Params, Run, UsageError
from mull.errors import FileFormatError, MissingExtraError
from mull.files.recording import Recording
from mull.lab import metrics
from mull.lab.frames import read_frame, rows, to_pandas, to_polars
from mull.lab.sources import read_draws, read_source
from mull.strategies.parallel import Best
from mull.testing import FakeModel, FakeVerifier, solve

LONG = [
    {"question": q, "answer": gold, "response": said, "score": score}
    for q, gold, replies in (
        ("1 + 1?", "2", (("The answer is 2.", 0.9), ("Answer: 3", 0.1), ("Answer: 2", None))),
        ("2 + 3?", "5", (("Answer: 6", 0.5), ("Answer: 5", 0.7), ("Answer: 4", 0.2))),
    )
    for said, score in replies
]
WIDE = [
    {"question": "1 + 1?", "answer": 2, "samples": ["The answer is 2.", "Answer: 3", "Answer: 2"]},
    {"question": "2 + 3?", "answer": 5, "samples": ["Answer: 6", "Answer: 5", "Answer: 4"]},
]
N_RIGHT = [2, 1]


def told(recordings: list[Recording]) -> list[tuple[object, ...]]:
    """All that figures are made of."""
    return [(one.prompt, one.gold, one.answers, one.correct, one.scores, one.tokens) for one in recordings]


def made(kind: str, table: list[dict[str, Any]]) -> Any:
    if kind == "list":
        return table
    module = pytest.importorskip(kind)
    return module.Table.from_pylist(table) if kind == "pyarrow" else module.DataFrame(table)


@pytest.mark.parametrize("kind", ["list", "pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("table", [LONG, WIDE], ids=["long", "wide"])
def test_a_table_in_memory_is_read_as_its_file_is(kind: str, table: list[dict[str, Any]], tmp_path: Path) -> None:
    (group,) = read_frame(made(kind, table)).groups.values()
    assert [one.n_correct for one in group.recordings] == N_RIGHT, "counted by hand"
    path = tmp_path / "draws.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in table))
    (same,) = read_draws(path).values()
    assert told(group.recordings) == told(same)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_draws_survive_the_way_out_and_back(kind: str) -> None:
    pytest.importorskip(kind)
    source = read_frame(LONG)
    frame = to_pandas(source) if kind == "pandas" else to_polars(source)
    assert len(frame) == 6
    assert frame["correct"].to_list() == [True, False, True, False, True, False]
    back = read_frame(frame)
    (before,), (after,) = source.groups.values(), back.groups.values()
    assert told(after.recordings) == told(before.recordings)


def test_a_csv_that_pandas_read_is_what_the_file_is(tmp_path: Path) -> None:
    """Lists stand in cells as text, whole numbers beside missing ones as fractions, and missing ones as NaN."""
    pd = pytest.importorskip("pandas")
    table = [{**row, "samples": json.dumps(row["samples"])} for row in WIDE]
    pd.DataFrame([*table, {"question": "3 + 3?", "samples": '["7", "6", "x"]'}]).to_csv(tmp_path / "w.csv", index=False)
    frame = pd.read_csv(tmp_path / "w.csv")
    assert frame["answer"].dtype == float
    (group,), (same,) = read_frame(frame).groups.values(), read_source(tmp_path / "w.csv").groups.values()
    assert [one.n_correct for one in group.recordings] == N_RIGHT == [one.n_correct for one in same.recordings]


def test_figures_are_rows() -> None:
    (group,) = read_frame(LONG).groups.values()
    curves = metrics.curves(group.recordings)
    first = rows(curves)[0]
    point = curves.coverage[0]
    assert first == {
        "curve": "coverage", "k": 1, "value": 0.5, "low": point.ci95[0], "high": point.ci95[1],
    }  # fmt: skip
    run = Run(FakeModel(), verifier=FakeVerifier(), params=Params(max_tokens=48))
    outcome = solve(Best(3), run)
    drawn = rows(outcome)
    assert [row["score"] for row in drawn] == [score.value for score in outcome.scores]
    assert [row["is_best"] for row in drawn].count(True) == 1
    assert sum(row["output_tokens"] for row in drawn) == run.spent.output_tokens


def test_a_sweep_is_a_row_for_each_strategy() -> None:
    from mull.lab import grid
    from mull.run.together import finished
    from mull.strategies.parallel import Majority, Single
    from mull.tasks.synthetic import ChainTask

    plan = grid.Plan(ChainTask(2), FakeModel(), {"single": Single(), "majority:n=2": Majority(2)})
    table = grid.tabulate(plan.task, plan.model, finished(grid.run_plan(plan, None, n_problems=3)))
    found = rows(table)
    assert [row["strategy"] for row in found] == ["single", "majority:n=2"]
    assert [row["cost_calls"] for row in found] == [1, 2]
    assert not any(isinstance(value, dict | list | tuple) for row in found for value in row.values())


@pytest.mark.parametrize("wrong", [5, "draws.csv", [1, 2], {"question": ["a"]}, None])
def test_what_is_no_table_is_told(wrong: object) -> None:
    with pytest.raises(UsageError, match="not from a"):
        read_frame(wrong)


CELLS: list[Any] = [
    None, "", "2", "q", "[1]", "[{", "yes", "\ud800", "\\boxed{2}", 0, 1, -1, 0.5, 10**400, math.nan, math.inf, True,
    [], {}, ["2", "3"], [None], [[[]]], [{"text": "2"}], [{"text": 5, "correct": "x"}], {"a": 1}, (1, 2), {1, 2},
    b"\xff", 3j, object(), date(2020, 1, 1), Decimal("1.5"), Decimal("NaN"),
]  # fmt: skip
NAMES = [
    "question",
    "answer",
    "response",
    "samples",
    "score",
    "correct",
    "id",
    "choices",
    "A",
    "B",
    "outcomes",
    "sweep",
]
NAMES += ["n_samples", "n_correct", "output_tokens", "messages", "a.b", ""]


def test_whatever_stands_in_a_table_it_is_read_or_told_of() -> None:
    """A thousand tables of any cells; another error than one that names the table fails this test."""
    rng, n_read = random.Random(0), 0
    for _ in range(1000):
        names = rng.sample(NAMES, rng.randint(1, 6))
        table = [{name: rng.choice([*CELLS, "2", "q"]) for name in names} for _ in range(rng.randint(0, 4))]
        try:
            rows(read_frame(table))
            n_read += 1
        except FileFormatError as error:
            said = str(error)
            assert said.startswith("DataFrame")
    assert 20 < n_read < 980, "tables of both sorts are among them"


OUTCOME = {
    "answer": "1",
    "correct": True,
    "covered": True,
    "draws": math.inf,
    "stopped": "early",
    "cost": asdict(Cost()),
}


@pytest.mark.parametrize("part", [{"n_samples": math.inf, "n_correct": 1}, {"outcomes": {"single": OUTCOME}}])
def test_endless_counts_in_a_file_are_told_of_too(part: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"question": "q", "answer": "1", **part}) + "\n")
    with pytest.raises(FileFormatError, match=r"t\.jsonl, line 1: "):
        read_source(tmp_path / "t.jsonl")


def test_a_fault_names_its_row() -> None:
    with pytest.raises(FileFormatError, match="DataFrame, line 2: no prompt"):
        read_frame([WIDE[0], {**WIDE[1], "question": ""}])


def test_two_columns_of_one_name_are_told() -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(UsageError, match="two columns"):
        read_frame(pd.DataFrame([["a", "b"]], columns=["question", "question"]))


@pytest.mark.parametrize(("name", "make"), [("pandas", to_pandas), ("polars", to_polars)])
def test_a_missing_package_is_named(name: str, make, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, name, None)
    assert importlib.util.find_spec("mull.lab.frames") is not None
    with pytest.raises(MissingExtraError, match=name):
        make([])
