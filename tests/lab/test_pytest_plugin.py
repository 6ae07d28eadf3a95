"""The marker sweeps before its test, hands over the table, and fails the test where the figures do not pass."""

import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

@pytest.mark.mull("chain:ops=1", problems=4, strategy=["single", "majority:n=2"], max_tokens=100, fail_under=0.1)
def test_passes(mull_table):
    assert [row.strategy for row in mull_table.rows] == ["single", "majority:n=2"]

@pytest.mark.mull("chain:ops=12", problems=4, max_tokens=60, fail_under=0.9)
def test_fails():
    raise AssertionError("not reached")

@pytest.mark.mull("chain:ops=1", problem=4)
def test_misspelt():
    pass

def test_unmarked(mull_table):
    pass
"""


def test_a_marked_test_runs_a_sweep(tmp_path: Path) -> None:
    path = tmp_path / "test_marked.py"
    path.write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    plugin = ["-p", "no:mull", "-p", "mull.lab.pytest_plugin"]  # where mull is installed pytest has it by its name
    command = [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", "--tb=short"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed, 2 errors" in done.stdout
    assert "single on nano is right on" in done.stdout
    assert "not reached" not in done.stdout
    assert "unexpected keyword argument 'problem'" in done.stdout
    assert "mull_table is for tests with @pytest.mark.mull(TASK, ...)" in done.stdout
