"""A bad day: full disks, closed pipes, killed processes. One line says what is wrong, and nothing paid for is lost."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mull.errors import FileFormatError
from mull.files.lines import CutOffError, read_jsonl
from mull.files.output import GrowingFile, check_writable, write_lines
from mull.lab.sources import read_source

SWEEP = ("sweep", "chain:ops=2", "-s", "single", "-s", "majority:n=3", "-p", "6")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error on standard error."""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mull: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def run(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `mull` with its standard output in another place."""

    def call(*arguments: object, out: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mull", *map(str, arguments)]
        return subprocess.run(
            command, stdout=out, stderr=subprocess.PIPE, text=True, env=environment, timeout=300, **options
        )

    return call


@needs_full
def test_a_full_file_of_results_is_told_before_a_draw(mull, tmp_path: Path) -> None:
    done = mull(*SWEEP, "--out", FULL)
    assert done.returncode == 1
    assert said(done) == "mull: /dev/full cannot be written: No space left on device"
    assert mull("bank", "stat", "--json").stdout.count('"draws"') == 0


@pytest.mark.parametrize(
    "command",
    [
        (*SWEEP, "--out"),
        ("curves", "RECORDING", "--plot"),
        ("fit", "RECORDING", "--predict", "99", "--plot"),
        ("report", "RECORDING", "--out"),
        ("advise", "RECORDING", "--out"),
        ("solve", "a:7;b:a*6;b?", "--trace"),
        ("train", "stop", "RECORDING", "--out"),
    ],
)
def test_a_path_that_cannot_be_written_is_told_first(mull, recording: Path, tmp_path: Path, command) -> None:
    words = [str(recording) if word == "RECORDING" else word for word in command]
    done = mull(*words, tmp_path / "none" / ("page.html" if command[0] == "report" else "plot.svg"))
    assert done.returncode == 2
    assert "there is no folder" in said(done)
    assert not done.stdout


@needs_full
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_table_that_standard_output_does_not_take_is_shown_on_standard_error(run, is_closed: bool) -> None:
    def close() -> None:
        os.close(1)

    with FULL.open("w") as full:
        done = run(*SWEEP, out=full, preexec_fn=close if is_closed else None)
    assert done.returncode == 1
    assert "standard output cannot be written" in said(done)
    assert "majority:n=3" in done.stderr


def test_a_closed_pipe_is_told_and_the_table_shown(run) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(*SWEEP, "--json", out=writing)
    os.close(writing)
    assert done.returncode == 1
    assert "Broken pipe" in said(done)
    assert json.loads(next(line for line in done.stderr.splitlines() if line.startswith("{")))["rows"]


def test_a_sweep_whose_file_grows_too_large_shows_its_table_and_keeps_whole_lines(run, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    done = run(*SWEEP, "--out", out, "--bank", "none", out=subprocess.PIPE, preexec_fn=limit)
    assert done.returncode == 1
    assert said(done) == f"mull: {out} cannot be written: File too large"
    assert "majority:n=3" in done.stdout
    found = read_source(out)
    assert 0 < len(found.groups["nano"].recordings) < 6
    assert "cut off" in found.notes[0]


def test_the_file_of_a_finished_sweep_is_in_order_and_nothing_else_is_left(mull, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("something else\n")
    assert mull(*SWEEP, "--out", out).returncode == 0
    rows = [row for _, row in read_jsonl(out)][1:]
    assert len({row["problem_id"] for row in rows}) == len(rows) == 6
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]


# Files that grow


def test_every_line_is_in_the_file_as_soon_as_it_was_added(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    file = GrowingFile(path, {"i": 0})
    for i in range(1, 5):
        file.add({"i": i, "text": "é\ud800 \n"})
        assert [row["i"] for _, row in read_jsonl(path)] == [*range(i + 1)]
    file.finish([{"i": 9}])
    assert path.read_text() == '{"i": 9}\n'


def test_what_was_there_is_kept_until_the_new_file_is_whole(tmp_path: Path) -> None:
    path, before = tmp_path / "rows.jsonl", tmp_path / "rows.jsonl.before"
    write_lines(path, [{"old": 1}])
    for _ in range(2):  # the second begins on what the first, which did not end, has left
        GrowingFile(path, {"new": 1}).close()
        assert before.read_text() == '{"old": 1}\n'
    GrowingFile(path, {"new": 1}).finish([{"new": 2}])
    assert (path.read_text(), before.exists()) == ('{"new": 2}\n', False)


def test_a_cut_last_line_is_told_and_the_rest_read_wherever_it_is_cut(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    samples = [{"text": "Ünïcödé \n answer: 7", "final_answer": "7", "correct": True}]
    write_lines(whole, [{"problem_id": f"p{i}", "prompt": "é", "answer": "7", "samples": samples} for i in range(3)])
    data = whole.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for end in range(ends[1] + 1, ends[2] - 1):
        path.write_bytes(data[:end])
        found = read_source(path)
        assert len(found.groups[path.name].recordings) == 2, end
        assert f"{path}, line 3: the line is cut off" in found.notes[0]
        with pytest.raises(CutOffError):
            list(read_jsonl(path))


def test_a_bad_line_in_the_middle_or_alone_is_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    for text in ('{"a": 1}\n{"b": \n{"c": 1}\n', '{"a": ', '{"a": 1}\n{"b"\n'):
        path.write_text(text)
        with pytest.raises(FileFormatError) as told:
            list(read_jsonl(path))
        assert not isinstance(told.value, CutOffError)


def test_a_check_leaves_no_file_and_changes_none(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("kept")
    check_writable(new)
    check_writable(old)
    assert (new.exists(), old.read_text()) == (False, "kept")


# Files that are no draws


def test_an_export_of_a_bank_is_refused_at_its_first_line_with_what_works(mull, tmp_path: Path) -> None:
    assert mull("solve", "a:7;b:a*6;b?", "--strategy", "majority:n=2").returncode == 0
    out = tmp_path / "export.jsonl"
    assert mull("bank", "export", out).returncode == 0
    with out.open("a") as file:
        file.write("what follows is not read\n")
    done = mull("curves", out)
    assert done.returncode == 2
    assert said(done).startswith(f"mull: {out}, line 1: this is the export of a bank, which holds draws and no gold")
    assert "`mull curves BANK.db --task TASK`" in done.stderr


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ({"prompt": "q", "samples": ["answer: 1"]}, "a sample has no `correct` and the row has no `answer`"),
        ({"prompt": "q", "response": "answer: 1"}, "a sample has no `correct` and the row has no `answer`"),
        ({"level": "info", "event": "started"}, "no prompt"),
    ],
)
def test_a_file_that_holds_nothing_to_measure_is_refused_at_its_first_line(tmp_path: Path, first, told: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(json.dumps(first) + "\nwhat follows is not read\n")
    with pytest.raises(FileFormatError, match=f"line 1: {told}"):
        read_source(path)


def test_sweeps_survive_being_killed_and_tell_faults_in_one_line() -> None:
    """A few of the bad days of `bench/bench_kills.py`, which has hundreds."""
    bench = Path(__file__).parents[2] / "bench" / "bench_kills.py"
    command = [sys.executable, str(bench), "--sqlite", "5", "--postgres", "0", "--faults", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 wrong") == 4
