"""mull is typed for those who use it: its own examples pass a strict check against the installed package."""

import importlib
import importlib.util
import re
import subprocess
import sys
import zipfile
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from mull import spec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


SETTINGS = """[mypy]
strict = True
[mypy-numpy.*]
ignore_missing_imports = True
"""


def uses_of_all() -> str:
    """A module in which each class of the tables stands for its protocol, made without options where it needs none."""
    kinds = {
        "Strategy": spec.STRATEGIES,
        "Verifier": spec.VERIFIERS,
        "Judge": spec.JUDGES,
        "Executor": spec.EXECUTORS,
        "Model": spec.MODELS,
        "Task": spec.TASKS,
    }
    lines = [f"from mull import {', '.join(kinds)}"]
    for kind, table in kinds.items():
        for path in table.values():
            module, _, name = path.partition(":")
            needs = any(
                f.init and f.default is MISSING and f.default_factory is MISSING for f in fields(spec.load(path))
            )
            value = f"one: {kind}" + ("" if needs else f" = {name}()")
            lines.append(f"def {kind}_{name}(made: {name}) -> {kind}:\n    {value}\n    one = made\n    return one")
            lines.insert(1, f"from {module} import {name}")
    return "\n".join(lines) + "\n"


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")
def test_the_examples_are_typed_for_one_who_installed_the_wheel(tmp_path: Path) -> None:
    """Mypy has one environment of its own, with the files of the wheel and nothing of the checkout. mull's dependencies
    are not there: mypy would spend most of its time on them. Of other packages numpy is in an example, whose types are
    not read, and pytest, whose marks are.
    """
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    assert (site / "mull" / "py.typed").exists()
    for name in ("pytest", "_pytest", "pluggy", "iniconfig"):
        (site / name).symlink_to(Path(str(importlib.import_module(name).__file__)).parent)
    own = tmp_path / "own"
    own.mkdir()
    (own / "mypy.ini").write_text(SETTINGS)
    n = 0
    for page in PAGES:
        for i, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)):
            is_module = page.stem == "extending" and i == 0  # as that page says
            name = "mymodule" if is_module else f"{re.sub(r'[^a-z]', '_', page.stem.lower())}_{i}"
            (own / f"{name}.py").write_text(text)
            n += 1
    assert n > 20
    (own / "builtin.py").write_text(uses_of_all())
    python, cache = tmp_path / "env" / "bin" / "python", tmp_path / "cache"
    command = [sys.executable, "-m", "mypy", "--python-executable", python, "--cache-dir", cache, "."]
    done = subprocess.run(command, cwd=own, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    (own / "wrong.py").write_text("from mull.models.embedded import Nano\n\nNano().quote(5)\n")
    done = subprocess.run(command, cwd=own, capture_output=True, text=True)
    assert done.returncode == 1, "types of the installed package count"
    assert "wrong.py:3" in done.stdout
