"""Commands start with what they need: the others' modules, validation and the laboratory stay where they are."""

import inspect
import subprocess
import sys

import pytest
import typer

from mull.cli.app import VERBS

IDLE = (
    "pydantic",
    "scipy",
    "sqlalchemy",
    "aiohttp",
    "rich",
    "mull.lab",
    "mull.advice",
    "mull.report",
    "mull.sandbox",
    "starlette",
    "uvicorn",
    "mull.serve",
)
SOLVE = ["solve", "a:1;b:a+2;b?", "--strategy", "single", "--bank", "none", "--json", "--seed", "3"]


def loaded(*words: str, status: int = 0) -> set[str]:
    """The modules that a command has imported when it is done."""
    code = (
        "import sys; sys.argv = ['mull', *sys.argv[1:]]\n"
        "from mull.cli import main\n"
        "try: main()\n"
        f"except SystemExit as end: assert (end.code or 0) == {status}, end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout or status
    return set(done.stderr.split())


def test_one_draw_imports_neither_the_laboratory_nor_validation() -> None:
    modules = loaded(*SOLVE)
    assert "mull.runtime.engine" in modules
    assert "importlib.metadata" not in modules, "no installed package is looked through"
    assert sorted(name for name in modules if name.startswith(IDLE)) == []


def test_the_help_imports_no_command() -> None:
    modules = loaded("--help")
    assert not {verb.path.partition(":")[0] for verb in VERBS.values()} & modules
    assert not {"numpy", "asyncio", "pydantic"} & modules


@pytest.mark.parametrize("words", [[*VERBS], ["train label"], ["bank import"]], ids=["verbs", "train", "bank"])
def test_the_help_of_a_command_imports_nothing_that_it_runs_with(words: list[str]) -> None:
    """One process shows them one after another: what any of them imports is seen at the end."""
    code = (
        "import sys; from mull.cli.app import app\n"
        f"for words in {words}: app([*words.split(), '--help'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("--help") == len(words)
    modules = set(done.stderr.split())
    assert sorted(name for name in modules if name in ("numpy", "asyncio") or name.startswith(IDLE)) == []


def test_a_list_imports_neither_arrays_nor_rich() -> None:
    modules = loaded("list", "strategies")
    assert "mull.strategies.parallel" in modules
    assert sorted(name for name in modules if name == "numpy" or name.startswith(IDLE)) == []


@pytest.mark.parametrize("words", [("solve", "a:1;a?"), ("sweep", "chain:ops=2")])
def test_a_misspelt_strategy_is_told_of_before_anything_is_imported(words: tuple[str, str]) -> None:
    modules = loaded(*words, "--strategy", "majorty", "--bank", "none", status=2)
    assert (
        sorted(name for name in modules if name.startswith((*IDLE, "numpy", "mull.strategies", "mull.run.run"))) == []
    )


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_command_is_the_one_in_the_list(name: str) -> None:
    verb = VERBS[name]
    command = verb.load(name)
    assert isinstance(command, typer.core.TyperCommand | typer.core.TyperGroup)
    assert inspect.cleandoc(command.help or "").split("\n\n")[0] == verb.about
