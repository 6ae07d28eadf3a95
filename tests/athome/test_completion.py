"""Shells complete verbs, options, names, specs and files, each shell that is installed by its own machinery."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from mull import spec
from mull.cli import completing, completion
from mull.cli.app import VERBS
from mull.cli.completion import SCRIPTS, words

known = cache(words)


def found(line: str) -> list[str]:
    """The words that may stand at the end of a line."""
    before, last, _ = completing.parted(line)
    return list(completing.completed(known(), before[1:], last))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mull so", ["solve"]),
        ("mull bank rec", ["recover"]),
        ("mull solve --see", ["--seed"]),
        ("mull solve --seed 3 --strat", ["--strategy"]),
        ("mull sweep chain:ops=4 -s adap", ["adaptive", "adaptive:"]),
        ("mull sweep chain:ops=4 -s majority:", ["majority:n="]),
        ("mull sweep chain:spl", ["chain:split="]),
        ("mull sweep chain:ops=4,split=", ["chain:ops=4,split=train", "chain:ops=4,split=test"]),
        ("mull solve -s 'repeat:of=adap", ["repeat:of=adaptive", "repeat:of=adaptive:"]),
        ("mull solve -s 'ensemble:members=((majority:n=4),sing", ["ensemble:members=((majority:n=4),single"]),
        ("mull solve -s 'ensemble:members=((best:", ["ensemble:members=((best:n="]),
        ("mull solve -m nan", ["nano", "nano-r1", "nano-think"]),
        ("mull solve --model=min", ["--model=mini"]),
        ("mull sweep 'recorded", [""]),
        ("mull curves ", [""]),
        ("mull curves draws.jsonl ", []),
        ("mull curves draws.jsonl --plot ", [""]),
        ("mull list ver", ["verifiers"]),
        ("mull train label --method ", ["math-shepherd", "omega"]),
        ("mull completion z", ["zsh"]),
        ("mull solve --seed ", []),
        ("mull solve -- --se", []),
        ("mull nothing ", []),
    ],
)
def test_a_line_goes_on(line: str, expected: list[str]) -> None:
    assert found(line) == expected


def test_every_verb_and_every_name_of_the_tables_is_offered() -> None:
    assert found("mull ") == list(VERBS)
    assert (
        {"single", "best", "auto"}
        <= set(found("mull solve -s "))
        == set(spec.STRATEGIES) | set(spec.installed("strategy"))
    )
    assert set(spec.VERIFIERS) <= set(found("mull curves x.jsonl --verifier "))
    assert set(spec.JUDGES) <= set(found("mull solve x --judge "))
    assert set(spec.TASKS) <= set(found("mull sweep "))


def test_names_of_models_are_those_of_the_configuration_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        '[models."big/one"]\nbase_url = "http://localhost:1/v1"\n[models."x\\u001b[2J"]\n[verifiers]\nmine = "tests"\n'
    )
    (tmp_path / "mull.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MULL_CONFIG", raising=False)
    assert found("mull solve --model big") == ["big/one"]
    assert found("mull curves x --verifier min") == ["mine"]
    (tmp_path / "other.toml").write_text('[models.other]\nbase_url = "http://localhost:1/v1"\n')
    assert found("mull solve --config other.toml --model ot") == ["other"]
    (tmp_path / "mull.toml").write_text("[models")
    assert found("mull solve --model big") == []


def test_files_in_specs_are_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quiz.csv").touch()
    (tmp_path / "quizzes").mkdir()
    (tmp_path / "quizzes" / "a b.csv").touch()
    (tmp_path / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    assert found("mull sweep file:quiz") == ["file:quiz.csv", "file:quizzes/"]
    assert found("mull sweep file:quizzes/") == ["file:quizzes/a b.csv"]
    assert found("mull solve x --model gguf:file=") == ["gguf:file=quiz.csv", "gguf:file=quizzes/"]
    assert "gguf:slots=" in found("mull solve x --model gguf:")
    assert found("mull sweep file:nowhere/") == []


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with `mull` on the path, and the environment of a shell there."""
    tmp_path = tmp_path_factory.mktemp("home")
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "mull"
    command.write_text(f"#!{sys.executable}\nimport sys\nfrom mull.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    (tmp_path / "my quiz.csv").touch()
    (tmp_path / "mull.toml").write_text('[models.bigmodel]\nbase_url = "http://localhost:1/v1"\n')
    for shell, script in SCRIPTS.items():
        (tmp_path / f"completion.{shell}").write_text(script + "\n")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb", "LANG": "C.UTF-8"}
    return tmp_path, {**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")}


LINES = {
    "mull swe": ["sweep"],
    "mull solve --strat": ["--strategy"],
    "mull solve -s majority:": ["majority:n="],
    "mull solve -s 'ensemble:members=((majority:n=4),sin": ["ensemble:members=((majority:n=4),single"],
    "mull solve -m bigm": ["bigmodel"],
    "mull sweep chain:ops=4,split=tr": ["chain:ops=4,split=train"],
}


RC = {
    "bash": (
        ".bashrc",
        "PS1=\nsource ./completion.bash\n"
        "tell() { printf '<<%s>>' \"$READLINE_LINE\"; READLINE_LINE=; READLINE_POINT=0; }\nbind -x '\"\\C-x\": tell'\n",
    ),
    "zsh": (
        ".zshrc",
        "autoload -Uz compinit && compinit -u -D\nsource ./completion.zsh\nPS1=\n"
        "tell() { print -r -- \"<<$BUFFER>>\"; zle kill-buffer }\nzle -N tell\nbindkey '^X' tell\n",
    ),
}
"""The file that a shell reads at its start, in which control-X prints the line that was typed."""
DRIVE = r"""
import os, pty, re, sys
shell, folder, *lines = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.chdir(folder)
    os.execvp(shell, [shell, "-i"])
seen = b""
def until(pattern):
    global seen
    while not (found := re.search(pattern, seen, re.DOTALL)):
        seen += os.read(fd, 65536)
    seen = seen[found.end():]
    return found
os.write(fd, b"printf '%s%s\\n' rea dy\n")
until(rb"ready\r?\n")
for line in lines:
    os.write(fd, line.encode() + b"\t\x18")
    print(until(rb"<<(.*?)>>")[1].decode())
os.write(fd, b"exit\n")
os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("shell", RC)
def test_a_tab_completes_in_a_shell_on_a_terminal(shell: str, at_home: tuple[Path, dict[str, str]]) -> None:
    """A shell of its own in a pseudo-terminal is typed each line and a tab; what then stands there is whole."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    folder, environment = at_home
    name, text = RC[shell]
    (folder / name).write_text(text)
    lines = {**LINES, "mull curves my": ["my\\ quiz.csv"]}
    done = subprocess.run(
        [sys.executable, "-c", DRIVE, shell, folder, *lines],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    for line, told, (expected,) in zip(lines, done.stdout.splitlines(), lines.values(), strict=True):
        before = line[: max(line.rfind(" "), line.rfind("'")) + 1]
        assert told.startswith(before + expected)
        ends = ("",) if expected.endswith("=") else ("", " ", "'", "' ")
        assert told.removeprefix(before + expected) in ends, "what goes on has no blank behind it"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(at_home: tuple[Path, dict[str, str]]) -> None:
    folder, environment = at_home
    for line, expected in LINES.items():
        script = f"source completion.fish; complete --do-complete {json.dumps(line)}"
        done = subprocess.run(["fish", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
        assert [one.partition("\t")[0] for one in done.stdout.splitlines()] == expected, done.stderr
    script = 'source completion.fish; complete --do-complete "mull curves my"'
    done = subprocess.run(["fish", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert "my quiz.csv" in done.stdout.replace("\\", "")


def test_an_answer_imports_nothing_that_commands_need(at_home: tuple[Path, dict[str, str]]) -> None:
    """The first question makes the index; every later one reads it."""
    folder, environment = at_home
    environment |= {"MULL_COMPLETE": "fish", "MULL_LINE": "mull solve -s best:"}
    code = "from mull.cli import main; main(); import sys; print(*sys.modules, file=sys.stderr)"
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "best:n=\n"
    heavy = {"typer", "asyncio", "dataclasses", "pydantic", "numpy", "logging", "mull.types", "mull.spec"}
    assert not heavy & set(done.stderr.split())


def test_a_damaged_index_is_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(completion, "words", known)  # it takes half a second each time
    for damaged in ("", "{", '{"stamp": 1}', "[]", "[" * 100_000):
        (tmp_path / "mull").mkdir(exist_ok=True)
        (tmp_path / "mull" / "completion.json").write_text(damaged)
        assert completing.index()["root"]["verbs"].keys() == VERBS.keys()
    assert json.loads((tmp_path / "mull" / "completion.json").read_text())["index"] == known()


def test_the_command_prints_the_script_and_knows_no_other_shell() -> None:
    done = subprocess.run([sys.executable, "-m", "mull", "completion", "fish"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, SCRIPTS["fish"] + "\n")
    done = subprocess.run([sys.executable, "-m", "mull", "completion", "fsh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "fish" in done.stderr
