"""Long commands show what they do, from reading to plotting: as bars on a terminal, as lines elsewhere."""

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mull.cli import progress


def on_a_terminal(*words: object) -> tuple[int, str]:
    """The exit status of a command, and what its standard error shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "mull", *map(str, words)], stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            told += part
    os.close(ours)
    return process.returncode, told.decode(errors="replace")


def test_each_part_of_a_long_command_is_shown(tmp_path: Path) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("problem_idx,n_samples,n_correct\n" + "".join(f"p{i},40,{i % 11}\n" for i in range(20)))
    picture = tmp_path / "picture.pdf"
    code, told = on_a_terminal("curves", counts, "--plot", picture, "--title", "A title")
    assert code == 0, told
    assert picture.read_bytes().startswith(b"%PDF")
    places = [told.find(step) for step in ("reading", "groups", "plotting")]
    assert -1 not in places, told
    assert places == sorted(places)


def test_without_a_terminal_lines_tell_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    told = threading.Event()

    def tell(line: str) -> None:
        lines.append(line)
        told.set()

    monkeypatch.setattr(progress, "tell", tell)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    for what, total in (("groups", 3), ("plotting", None)):
        with progress.steady(what, total) as advance:
            advance()
            told.clear()
            assert told.wait(60)
    assert any(re.fullmatch(r"groups: 1 of 3, \d+ s", line) for line in lines), lines[:3]
    assert re.fullmatch(r"plotting: \d+ s", lines[-1])
    assert "progress" not in {thread.name for thread in threading.enumerate()}, "the teller has ended"


def test_the_parts_of_a_command_share_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are short each are told of once they are long together."""
    now, lines = 0.0, []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    monkeypatch.setattr(progress, "tell", lines.append)
    clock = progress._Lines()

    class Waited(threading.Event):
        """Ends a part at once; the clock has then moved on by how long the part took."""

        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.ends_at = now + seconds

        def wait(self, timeout: float | None = None) -> bool:
            nonlocal now
            assert timeout is not None
            now = min(self.ends_at, now + timeout)
            return now >= self.ends_at

    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 1.5)
    for seconds in (0.9, 0.9, 0.9, 2.0):
        clock.until(Waited(seconds), lambda _: f"{now:.2f}")
    assert lines == ["1.65", "3.45"], "none within half an interval of a part's beginning"
