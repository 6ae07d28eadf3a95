"""Files of many draws are read a problem at a time: figures do not depend on it, and memory does not grow with them."""

import csv
import json
import random
import tempfile
import tracemalloc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mull.errors import FileFormatError, OutputError
from mull.files import gathering, spool
from mull.files.columns import Layout
from mull.files.recording import DrawCounts, RecordedSample, Recording, Result, Samples, Settings, of_counts
from mull.files.spool import Spool
from mull.lab import gap
from mull.lab.recorded import Source
from mull.lab.sources import read_source
from mull.replies.kinds import ExactAnswer
from mull.types import AnswerKind, Cost, Finish, Message


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets memory hold next to nothing, so that small files are spooled too."""

    def crowd() -> None:
        monkeypatch.setattr(spool, "MOST_BYTES", 2000)
        monkeypatch.setattr(gathering, "MOST_LOOSE", 3)

    return crowd


def every_field() -> list[Recording]:
    whole = Recording(
        "p\udcff",
        "What is 1 + 1?",
        "2",
        (
            RecordedSample("two", "2", True, 0.5, 7, -0.25, Finish.STOP, "I count."),
            RecordedSample("three\udcff", None, False, None, None, None, Finish.LENGTH),
        ),
        ("2", None),
        ExactAnswer(),
        {"single": Result("2", True, None, 1, "complete", Cost(1, 2, 3, 0, None, 1.5, 0.25, None), {"note": 1})},
        group="number",
        strategy="best:n=2",
        line=4,
        about={"data_date": "2026-01-01"},
        sweep={"task": "sums"},
        messages=(Message("system", "Be brief."), Message("user", "What is 1 + 1?")),
        settings=Settings(0.5, 100, stop=("\n",)),
        n_right=1,
    )
    bare = Recording("q", kind=AnswerKind.NUMBER)
    return [whole, bare, of_counts("r", 5, 2), replace(whole, id="s", kind=AnswerKind.NUMBER, sweep={}), whole]


def test_recordings_come_back_from_a_file_as_they_were(crowded: Callable[[], None]) -> None:
    crowded()
    told = every_field() * 5
    kept = Spool(told)
    assert kept.done() is kept, "memory does not hold them"
    assert len(kept) == 25
    assert list(kept) == told
    assert list(kept) == told, "and once more"
    assert kept[3] == told[3]
    assert kept[-1] == told[-1]
    assert kept[2:9:3] == told[2:9:3]
    assert kept.counts[:3] == [DrawCounts(2, 1), DrawCounts(0, 0), DrawCounts(5, 2)]
    with pytest.raises(IndexError):
        kept[25]


def test_a_few_recordings_stay_the_same_objects() -> None:
    told = every_field()
    assert Spool(told).done()[0] is told[0]


def test_a_folder_that_cannot_hold_draws_is_told(
    crowded: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crowded()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match="TMPDIR"):
        Spool(every_field() * 5)


def lines(path: Path) -> Path:
    """Scored draws with verdicts of two models, as a sweep writes them."""
    rng = random.Random(3)
    with path.open("w") as file:
        file.write(json.dumps({"sweep": {"task": "sums"}}) + "\n")
        for i in range(60):
            right = rng.random()
            samples = [
                {"text": f"It is {x}.", "final_answer": str(x), "correct": x == i, "score": s, "output_tokens": 3 + x}
                for x, s in ((i if rng.random() < right else rng.randrange(9), rng.random()) for _ in range(12))
            ]
            row = {"problem_id": f"p{i}", "prompt": f"What is {i}?", "model": "ab"[i % 2], "samples": samples}
            file.write(json.dumps(row) + "\n")
    return path


def cells(path: Path, is_shuffled: bool, has_ids: bool = False) -> Path:
    """One ungraded draw in each row, those of a problem beside each other or not."""
    rng = random.Random(4)
    rows = [(f"What is {i} + {i}?", str(2 * i), f"It is {2 * i + (rng.random() < 0.4)}.") for i in range(30)] * 6
    rows = rows if is_shuffled else sorted(rows)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["question", "answer", "response", *(["id"] if has_ids else [])])
        out.writerows([*row, *([f"r{n}"] if has_ids else [])] for n, row in enumerate(rows))
    return path


def choices(path: Path) -> Path:
    """Questions with choices, whose golds are numbers of choices."""
    with path.open("w") as file:
        for i in range(40):
            options = [f"thing {i + j}" for j in range(4)]
            samples = [f"The answer is {'ABCD'[(i + j) % 4]}." for j in range(5)]
            row = {"question": f"Which is {i}?", "choices": options, "answer": i % 4, "samples": samples}
            file.write(json.dumps(row) + "\n")
    return path


FILES: dict[str, tuple[Callable[[Path], Path], Layout]] = {
    "sweep.jsonl": (lines, Layout()),
    "range.jsonl": (lines, Layout(score_range="0,2")),
    "sorted.csv": (lambda path: cells(path, is_shuffled=False), Layout()),
    "mixed.csv": (lambda path: cells(path, is_shuffled=True), Layout()),
    "ids.csv": (lambda path: cells(path, is_shuffled=True, has_ids=True), Layout()),
    "choices.jsonl": (choices, Layout()),
}


def figures(source: Source) -> dict[str, object]:
    return {name: gap.measure(group.recordings, None, 0)[:2] for name, group in source.groups.items()}


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_does_not_depend_on_how_much_memory_holds(
    tmp_path: Path, crowded: Callable[[], None], name: str
) -> None:
    write, layout = FILES[name]
    path = write(tmp_path / name)
    held = read_source(path, layout)
    assert all(isinstance(group.recordings, list) for group in held.groups.values())
    crowded()
    spooled = read_source(path, layout)
    assert all(isinstance(group.recordings, Spool) for group in spooled.groups.values())
    assert (spooled.notes, spooled.faults, spooled.sweeps) == (held.notes, held.faults, held.sweeps)
    assert {n: list(g.recordings) for n, g in spooled.groups.items()} == {
        n: g.recordings for n, g in held.groups.items()
    }
    assert figures(spooled) == figures(held)


def test_a_row_that_contradicts_an_earlier_one_far_away_is_refused(tmp_path: Path, crowded: Callable[[], None]) -> None:
    crowded()
    path = cells(tmp_path / "mixed.csv", is_shuffled=True)
    with path.open("a") as file:
        file.write("What is 3 + 3?,7,It is 7.\n")
    with pytest.raises(FileFormatError, match=r"line 182.*another gold answer than on line 5"):
        read_source(path, Layout(id="question"))


def test_reading_many_draws_holds_a_problem_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.jsonl"
    samples = [{"text": f"draw {i:090}", "final_answer": str(i % 7), "correct": i % 7 == 0} for i in range(100)]
    with path.open("w") as file:
        for i in range(200):
            file.write(json.dumps({"problem_id": f"p{i}", "prompt": f"question {i}", "samples": samples}) + "\n")
    monkeypatch.setattr(spool, "MOST_BYTES", 200_000)
    read_source(path)  # imports
    tracemalloc.start()
    try:
        group = read_source(path).groups["many.jsonl"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(n for n, _ in spool.draw_counts(group.recordings)) == 20_000
    assert peak < 100 * 20_000, "draws as objects take 500 bytes each"
    seen, most = list[weakref.ref[Recording]](), 0
    for one in group.recordings:
        seen.append(weakref.ref(one))
        most = max(most, sum(each() is not None for each in seen))
    assert most <= 8


def test_draws_field_by_field_are_those_of_a_tuple() -> None:
    rows = every_field()[0].samples
    packed = Samples(2, packed=Samples.of(rows).packed())
    assert set(Samples.of(rows).packed()) == {*RecordedSample._fields} - {"run"}, "what no draw has takes no room"
    for found in (Samples.of(rows), packed):
        assert found == rows
        assert rows == found
        assert (found[1], found[-2], found[::-1]) == (rows[1], rows[0], rows[::-1])
        assert found.column("run") == (None, None)
    other = packed.with_column("score", (None, 1.0))
    assert other == (rows[0]._replace(score=None), rows[1]._replace(score=1.0))
    assert Samples(2, packed=other.packed()) == other
    assert packed != other
