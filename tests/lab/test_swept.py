"""What a sweep keeps of its outcomes: the same figures and rows in whatever order they end, in memory or not."""

import asyncio
import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from mull.files import spool
from mull.files.records import row_of
from mull.lab import grid, readings
from mull.lab.cells import Cell
from mull.lab.swept import Swept
from mull.models.recorded import RecordedModel
from mull.strategies.adaptive import Adaptive
from mull.strategies.parallel import Majority, Single
from mull.tasks.files import FileTask

STRATEGIES = {"single": Single(), "adaptive:n=4": Adaptive(n=4), "majority:n=6": Majority(6)}


@pytest.fixture
def ran(tmp_path: Path) -> tuple[FileTask, RecordedModel, list[Mapping[str, Cell]]]:
    """Outcomes on ten problems with six recorded draws each; the replies to two of them are empty."""
    rng = random.Random(5)
    task, draws = tmp_path / "task.jsonl", tmp_path / "draws.jsonl"
    with task.open("w") as questions, draws.open("w") as replies:
        for i in range(10):
            row = {"id": f"p{i}", "prompt": f"What is {i} + {i}?", "answer": str(2 * i)}
            texts = ["" if i in (3, 7) else f"The sum is {2 * i + rng.randrange(3)}." for _ in range(6)]
            questions.write(json.dumps(row) + "\n")
            replies.write(json.dumps({**row, "samples": texts}) + "\n")
    plan = grid.Plan(FileTask(path=str(task)), RecordedModel(path=str(draws)), STRATEGIES)
    cells = asyncio.run(grid.run_plan(plan, None, n_problems=None))
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    return FileTask(path=str(task)), RecordedModel(path=str(draws)), rows


@pytest.mark.parametrize("most_bytes", [0, spool.MOST_BYTES])
def test_a_sweep_is_the_same_in_any_order_and_memory(
    ran: tuple[FileTask, RecordedModel, list[Mapping[str, Cell]]], most_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, model, rows = ran
    cells = {name: [row[name] for row in rows] for name in STRATEGIES}
    table, recordings = grid.tabulate(task, model, cells), grid.recordings(model, cells)
    assert [one.id for one in recordings] == [f"p{i}" for i in range(10)]
    assert {one.strategy for one in recordings} == {"majority:n=6"}, "an adaptive one's draws depend on what they say"
    assert all(one.n == 6 and set(one.results) == set(STRATEGIES) for one in recordings)
    monkeypatch.setattr(spool, "MOST_BYTES", most_bytes)
    found, lines = Swept(model), {}
    for place in random.Random(1).sample(range(10), 10):
        lines[place] = row_of(found.add(place, rows[place]))
    assert found.table(task) == table
    assert list(found.recordings()) == recordings
    assert [lines[place] for place in range(10)] == list(map(row_of, recordings)), "and so are lines written on the way"


@pytest.mark.parametrize(("most", "problems"), [(readings.MOST_FIRSTS, ["p0", "p4", "p9"]), (4, ["p0", "p4", "p8"])])
def test_what_is_said_of_replies_does_not_depend_on_the_order_of_outcomes(
    ran: tuple[FileTask, RecordedModel, list[Mapping[str, Cell]]],
    most: int,
    problems: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "MOST_FIRSTS", most)
    task, _, rows = ran
    told = []
    for order in (range(10), random.Random(2).sample(range(10), 10)):
        read = readings.Readings(task)
        for place in order:
            for number, cell in enumerate(rows[place].values()):
                read.add((0, number, place), cell)
        told.append((read.shown(), read.doubts(), read.faults()))
    assert told[0] == told[1]
    shown, _, faults = told[0]
    assert [one.problem for one in shown] == problems
    assert faults == [
        f"all {sum(len(cell.outcome.candidates) for cell in rows[3].values())} replies to problem 'p3' are empty, and "
        "so are those of 1 more problems"
    ]
