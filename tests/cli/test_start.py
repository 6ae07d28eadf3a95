"""Commands start with what they need: the others' modules, validation and the laboratory stay where they are."""

import inspect
import subprocess
import sys

import pytest
import typer

from mull.cli import VERBS

IDLE = ("pydantic", "scipy", "sqlalchemy", "aiohttp", "rich", "mull.lab", "mull.advice", "mull.report", "mull.sandbox")
SOLVE = ["solve", "a:1;b:a+2;b?", "--strategy", "single", "--bank", "none", "--json", "--seed", "3"]


def loaded(*words: str) -> set[str]:
    """The modules that a command has imported when it is done."""
    code = (
        "import sys; sys.argv = ['mull', *sys.argv[1:]]\n"
        "from mull.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout
    return set(done.stderr.split())


def test_one_draw_imports_neither_the_laboratory_nor_validation() -> None:
    modules = loaded(*SOLVE)
    assert "mull.runtime.engine" in modules
    assert sorted(name for name in modules if name.startswith(IDLE)) == []


def test_the_help_imports_no_command() -> None:
    modules = loaded("--help")
    assert not {verb.path.partition(":")[0] for verb in VERBS.values()} & modules
    assert not {"numpy", "asyncio", "pydantic"} & modules


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_command_is_the_one_in_the_list(name: str) -> None:
    verb = VERBS[name]
    command = verb.load(name)
    assert isinstance(command, typer.core.TyperCommand | typer.core.TyperGroup)
    assert inspect.cleandoc(command.help or "").split("\n\n")[0] == verb.about
