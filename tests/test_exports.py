"""What `mull` exports, spelled out."""

import ast
from pathlib import Path

import pytest

import mull

EXPORTS = {
    "AnswerKind", "Bank", "Behaviour", "Budget", "Cost", "Draw", "Executor", "Finish", "Grade", "Judge", "MemoryBank",
    "Message", "Model", "MullError", "Outcome", "Pair", "Params", "Preference", "Problem", "Prompt", "Run", "Sample",
    "Score", "Stopped", "Strategy", "Task", "Trial", "UsageError", "Verifier",
}  # fmt: skip


def test_exports() -> None:
    assert set(mull.__all__) == EXPORTS
    assert set(dir(mull)) >= EXPORTS


def test_type_checkers_see_the_same() -> None:
    tree = ast.parse(Path(mull.__file__).read_text())
    seen = {alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen - {None} == EXPORTS


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_every_export_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(mull, name).__doc__
    assert getattr(mull, name).__module__.startswith("mull.")


def test_anything_else_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Strateg'"):
        _ = mull.Strateg
