"""Imports go down only, packages on one row never import each other, and importing mull is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import mull

SOURCE = Path(mull.__file__).parent
ROWS = [
    {"types", "errors", "equal"},
    {"cost", "stats", "files", "config", "replies", "wire", "bank", "sandbox", "runtime"},
    {"run", "programs", "allocate", "laws", "models"},
    {"spec", "tasks", "verifiers", "train", "testing"},
    {"strategies", "catalog"},
    {"lab", "serve"},
    {"advice"},
    {"report"},
    {"cli"},
    {"__main__"},
]


def row_of(name: str) -> int:
    return next(i for i, row in enumerate(ROWS) if name in row)


def imports(path: Path) -> set[str]:
    """The parts of mull that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "mull":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mull.")}
    return found


def test_imports_go_down_only() -> None:
    for path in SOURCE.rglob("*.py"):
        part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for used in imports(path) - {part, "__version__"}:
            assert row_of(used) < row_of(part), f"{path}: {part} may not import {used}"


def test_gold_is_out_of_reach_of_what_chooses() -> None:
    for part in ("strategies", "verifiers", "allocate"):
        for path in (SOURCE / part).rglob("*.py"):
            assert "tasks" not in imports(path), f"{path} imports tasks"


def test_importing_mull_pulls_in_nothing_heavy() -> None:
    heavy = [
        "torch",
        "ray",
        "matplotlib",
        "scipy",
        "onnxruntime",
        "tokenizers",
        "sqlalchemy",
        "numpy",
        "aiohttp",
        "rich",
    ]
    code = f"import sys, mull; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_no_file_is_long() -> None:
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 420, f"{path} should be two files"
