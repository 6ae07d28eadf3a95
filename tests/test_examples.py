"""The examples of the documentation run as they stand."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[object]:
    found: list[object] = []
    for page in PAGES:
        for i, text in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)):
            no_box = "import sandbox" in text and shutil.which("bwrap") is None
            no_torch = "mull train prm" in text and importlib.util.find_spec("torch") is None
            marks = [pytest.mark.skip(reason="bubblewrap is not installed")] if no_box else []
            marks += [pytest.mark.skip(reason="torch is not installed: make test-torch")] if no_torch else []
            found.append(pytest.param(text, id=f"{page.name}-{i}", marks=marks))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: later examples use the files of earlier ones."""
    made = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "tests" / "data" / "logs", made / "logs")
    own = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
    assert own is not None
    (made / "mymodule.py").write_text(own[1])  # as the page says
    return made


def run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "MULL_BANK": str(folder / "bank.db")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", blocks("python"))
def test_python(text: str, folder: Path) -> None:
    run([sys.executable, "-c", text], folder)


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands(text: str, folder: Path) -> None:
    for line in text.splitlines():
        if line.startswith("mull "):
            run(["sh", "-c", f"{sys.executable} -m {line}"], folder)


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"


def test_every_strategy_is_in_the_table_of_papers() -> None:
    from mull import spec

    papers = (ROOT / "docs" / "papers.md").read_text()
    for path in spec.STRATEGIES.values():
        name = path.rpartition(":")[2]
        assert name in papers or name in ("Single", "Adaptive"), f"{name} has no row in docs/papers.md"
