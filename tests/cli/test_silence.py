"""Long commands show on a terminal what they do, from reading to plotting."""

import os
import pty
import subprocess
import sys
from pathlib import Path


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
