"""Imports go down only, packages on one row never import each other, and importing mull is cheap."""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import mull
from mull import spec

SOURCE = Path(mull.__file__).parent
ROWS = [
    {"shown"},
    {"types", "errors", "equal"},
    {"cost", "stats", "files", "config", "replies", "wire", "bank", "sandbox", "runtime"},
    {"run", "programs", "laws", "models"},
    {"spec", "tasks", "verifiers", "train", "testing"},
    {"allocate"},
    {"strategies", "catalog"},
    {"lab"},
    {"advice"},
    {"report"},
    {"serve"},
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


def named(path: Path) -> str:
    """The name that a file of the source is imported by."""
    return ".".join(("mull", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def files_used(path: Path, files: Mapping[str, Path]) -> set[str]:
    """The files that a file imports, wherever in it: late and under TYPE_CHECKING too. Names are absolute."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [part if part in files else str(node.module) for part in parts]
        else:
            continue
        found |= {name for name in names if name in files}
    return found


def test_no_two_files_import_each_other_in_a_circle() -> None:
    """Files that import nothing which is left are taken away in turn; what stays is in a circle or above one.

    A package's face hands on what its files have, so it is no file of its own here.
    """
    files = {named(path): path for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}
    left = {name: files_used(path, files) - {name} for name, path in files.items()}
    while free := {name for name, used in left.items() if not used & left.keys()}:
        left = {name: used for name, used in left.items() if name not in free}
    while tops := left.keys() - set().union(*left.values()):
        left = {name: used for name, used in left.items() if name not in tops}
    assert sorted(left) == [], "these files import each other in a circle"


def test_imports_go_down_only() -> None:
    for path in SOURCE.rglob("*.py"):
        part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for used in imports(path) - {part, "__version__"}:
            assert row_of(used) < row_of(part), f"{path}: {part} may not import {used}"


def test_the_table_of_rows_in_the_guide_is_the_one_enforced() -> None:
    guide = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text()
    told = re.findall(r"^(\d+) +(\w.*)$", guide, re.MULTILINE)
    assert [(int(number), set(names.split())) for number, names in told] == [*enumerate(ROWS)][::-1]


def test_every_room_of_the_source_is_on_the_map() -> None:
    told = (SOURCE.parents[1] / "docs" / "source.md").read_text()
    rooms = {path.relative_to(SOURCE).parts[0] for path in SOURCE.rglob("*.py")} - {"__init__.py", "__main__.py"}
    assert [room for room in rooms if f"`{room}" not in told and room not in ("errors.py", "weights")] == []


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
    """As the formatter writes them: nothing is kept short by leaving it unformatted."""
    texts = {path: path.read_text() for path in SOURCE.rglob("*.py")}
    assert [str(path) for path, text in texts.items() if "fmt: skip" in text or "fmt: off" in text] == []
    lengths = sorted((len(text.splitlines()), str(path)) for path, text in texts.items())
    assert lengths[-1][0] <= 420, f"{lengths[-1][1]} should be two files"
    assert lengths[int(len(lengths) * 0.9)][0] < 300, f"too many long files: {lengths[int(len(lengths) * 0.9) :]}"


def test_a_class_name_means_one_thing() -> None:
    found: dict[str, list[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(str(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_no_list_of_strategies_is_kept_beside_the_table() -> None:
    """Strategies say themselves what they are. `best`, `majority` and `weighted` are also names of ways to choose."""
    table = set(spec.STRATEGIES)
    ways = {"best", "majority", "weighted"}
    for path in SOURCE.rglob("*.py"):
        if path.name in ("tables.py", "repair.py"):  # the table, and a strategy whose option names two others
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            keys = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            named = {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)} & table
            assert len(named) < 2 or named <= ways, f"{path}:{node.lineno} lists strategies: {sorted(named)}"
