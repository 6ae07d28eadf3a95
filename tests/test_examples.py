"""The commands and examples of the documentation run as they stand; a stand-in answers where a page shows a server."""

import asyncio
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fault_server import FaultServer
from gguf_files import gguf_file
from hosted_server import HostedServer
from score_server import Fake, serving
from warm import Warm

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NOT_RUN = {
    "mull train prm labels.jsonl --base nano --out my-prm": "takes torch; tests/cli/test_train.py trains one",
    'mull solve "a:7;b:a*6;c:b-10;d:c+5;d?" -s beam:n=8,width=4 --verifier trained:my-prm,fold=min': (
        "takes what the command above makes"
    ),
    "mull train grpo chain:ops=8,split=train --base nano --out my-r1 --dry-run": (
        "draws to tell the cost of a long run; tests/cli/test_grpo.py has a short one"
    ),
    "mull train grpo chain:ops=8,split=train --base nano --out my-r1 --steps 300 --updates 2": (
        "takes torch and minutes; tests/cli/test_grpo_torch.py trains for a few steps"
    ),
    "mull train select traces.jsonl --n 1000 --weak nano.jsonl --out chosen.jsonl": (
        "takes thousands of traces; tests/cli/test_traces.py chooses among a few"
    ),
    "mull solve 'What is 17 * 23?' --model hf:Qwen2.5-0.5B-Instruct,dtype=bfloat16 --strategy majority:n=16": (
        "takes torch and a model; tests/models/test_hf.py draws from small ones"
    ),
    "mull train grpo file:sums.jsonl --base hf:SmolLM2-135M-Instruct --out my-smol --group 8 --max-tokens 64 "
    "--dry-run": ("takes torch and a model; tests/train/test_hf_base.py trains a small one"),
    "mull train sft chosen.jsonl --base hf:SmolLM2-135M-Instruct --out my-sft": (
        "takes torch and a model; tests/train/test_hf_base.py trains a small one"
    ),
    "mull train sft chosen.jsonl --base nano --out my-sft": "takes torch; tests/train/test_sft.py",
    "mull train distill mini --task chain:ops=7,split=train --task chain:ops=8,split=train --into nano "
    "--out my-distilled": ("takes torch and minutes; tests/cli/test_traces.py has a short one"),
    "mull sweep chain:ops=8 -m nano -m trained:my-r1 -s single -s majority:n=16 --problems 200": (
        "takes what the command above makes"
    ),
    "mull choose run-1 run-2 run-3 --judge pairwise:model=NAME,k=1 --usd 0.50": (
        "takes a model that can judge; tests/lab/test_choosing.py has one that is told what to say"
    ),
    "mull demo real --out draws.jsonl": "tests/cli/test_demo.py writes and reads the file",
    "mull sweep humaneval:HumanEval.jsonl -m recorded:draws.jsonl --verifier tests -s single -s until-pass:n=16,wave=1"
    "      -s cluster:n=16,tests=0 -s mbr:n=16,tests=0": "takes a file of HumanEval and minutes",
    "mull sweep humaneval:HumanEval.jsonl -m hf:Qwen2.5-Coder-0.5B-Instruct,dtype=bfloat16,context=1536"
    "      -s best:n=16 --verifier tests -t 0.8 --max-tokens 400 --stop $'\\n```\\n' --out draws.jsonl": (
        "takes torch, a model and an hour"
    ),
    "mull serve --model nano": "runs until it is stopped; the tests of the gateway start it",
    "mull train confidence chain:ops=8 --preset nano@majority-16 --out curve.json --bank none": (
        "answers 200 questions; tests/serve/test_confidence.py asks fewer"
    ),
    "mull sweep chain:ops=4 -s majority:n=64 --problems 1000 --bank postgresql://bank/mull --ray head:6379": (
        "takes a cluster and a database server; tests/lab/test_cluster.py and tests/test_bank_postgres.py have both"
    ),
}
"""Commands that are shown and not run, and why."""


def commands(text: str) -> list[str]:
    """The commands of mull in a block, lines that go on after a backslash joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in map(str.strip, lines) if re.match(r"(\$ )?mull ", line)]


def blocks(language: str) -> list[object]:
    found: list[object] = []
    for page in PAGES:
        texts = [text for name, text in FENCE.findall(page.read_text()) if name == language]
        for i, text in enumerate(texts):
            no_box = "import sandbox" in text and shutil.which("bwrap") is None
            no_torch = "mull train prm" in text and importlib.util.find_spec("torch") is None
            marks = [pytest.mark.skip(reason="bubblewrap is not installed")] if no_box else []
            marks += [pytest.mark.skip(reason="torch is not installed: make test-torch")] if no_torch else []
            found.append(pytest.param(text, id=f"{page.name}-{i}", marks=marks))
    return found


def knows(told: list[str]) -> float:
    """A reward model that knows how much change Tom gets, as `mull list verifiers --check` asks."""
    return 3.0 * told.count("8") - 3.0 * told.count("27")


@pytest.fixture(scope="module")
def stand_ins() -> Iterator[dict[str, str]]:
    """Servers that answer in this process, by the address that the pages give them."""
    urls: dict[str, str] = {}
    began, loop = threading.Event(), asyncio.new_event_loop()

    async def serve(ended: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            own = await stack.enter_async_context(FaultServer(models=("Qwen/Qwen3-8B",)))
            hosted = await stack.enter_async_context(FaultServer(models=("big-one", "small-one"), key="a key"))
            for host, name in (("anthropic", "claude-opus-4-8"), ("openai", "gpt-5.6")):
                maker = await stack.enter_async_context(HostedServer(models=(name,), n_thought=3))
                urls[f"https://api.{host}.com/v1"] = maker.url
            scoring = Fake()
            scoring.goodness = knows
            urls["http://localhost:8000/v1"] = own.url
            urls["https://api.example.com/v1"] = hosted.url
            urls["http://localhost:8001"] = await stack.enter_async_context(serving(scoring))
            began.set()
            await ended.wait()

    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(ended),))
    thread.start()
    assert began.wait(60)
    yield urls
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, stand_ins: dict[str, str]) -> Path:
    """One folder for all: later examples use the files of earlier ones."""
    made = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "tests" / "data" / "logs", made / "logs")
    own = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
    assert own is not None
    (made / "mymodule.py").write_text(own[1])  # as the page says
    (made / "problems.jsonl").write_text(
        '{"prompt": "Which letter?", "answer": "a"}\n{"prompt": "Which other letter?", "answer": "b"}\n'
    )
    (made / "questions.csv").write_text("question,answer\nWhich letter?,a\nWhich other letter?,b\n")
    (plan,) = (text for name, text in FENCE.findall((ROOT / "docs" / "study.md").read_text()) if name == "toml")
    (made / "plan.toml").write_text(re.sub(r"^problems = .*", "problems = 2", plan, flags=re.MULTILINE))
    tables = {
        page: "\n".join(text for name, text in FENCE.findall((ROOT / "docs" / page).read_text()) if name == "toml")
        for page in ("servers.md", "verifiers.md")
    }
    named = tables["verifiers.md"].partition("[verifiers]")[2]
    named = re.sub(r"^(checked|duel) = .*\n", "", named, flags=re.MULTILINE)  # no stand-in can judge
    settings = f"{tables['servers.md']}\n[verifiers]{named}"
    for shown, url in stand_ins.items():
        settings = settings.replace(shown, url)
    (made / "mull.toml").write_text(settings)
    return made


def environment(folder: Path) -> dict[str, str]:
    keys = dict.fromkeys(("EXAMPLE_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"), "a key")
    return {**os.environ, "MULL_BANK": str(folder / "bank.db"), **keys}


def in_a_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a user has who types the command: a process that starts from nothing."""
    words = ["sh", "-c", f"{sys.executable} -m {command}"]
    return subprocess.run(words, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300)


def words(command: str) -> list[str] | None:
    """The words of a command that needs no shell; `None`: it redirects, expands or joins."""
    outside = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
    return None if "$" in command or re.search(r"[*?~<>|&;()]", outside) else shlex.split(command)


@pytest.mark.parametrize("text", blocks("python"))
def test_python(text: str, folder: Path, warm: Warm) -> None:
    done = warm.run([], code=text, cwd=folder, env=environment(folder))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands(text: str, folder: Path, stand_ins: dict[str, str], warm: Warm) -> None:
    """Those that need a shell, and the first of a block of the README, are processes that start from nothing."""
    is_first = text in (ROOT / "README.md").read_text()
    for command in commands(text):
        for shown, url in stand_ins.items():
            command = command.replace(shown, url)
        if "gguf:" in command:  # any model file will do, and few and short draws
            command = re.sub(r"gguf:[\w.\-]+", f"gguf:{gguf_file()},threads=1", command)
            command = re.sub(r"slots=\d+|majority:n=\d+", lambda m: m[0].partition("=")[0] + "=2", command)
            command += " --max-tokens 24"
        told = words(command)
        if told is None or is_first:
            done = in_a_shell(command, folder)
        else:
            done = warm.mull(*told[1:], cwd=folder, env=environment(folder))
        assert done.returncode == 0, done.stderr
        is_first = False


def test_every_command_that_is_shown_is_run() -> None:
    """Outside of blocks of `sh`, which `test_commands` runs, no block shows a command, save those of `NOT_RUN`."""
    found = []
    for page in PAGES:
        text = page.read_text()
        plain = FENCE.sub("", text)
        elsewhere = [block for name, block in FENCE.findall(text) if name != "sh"]
        elsewhere += re.findall(r"^ {4,}(.*)$", plain, re.MULTILINE)
        found += [command for block in elsewhere for command in commands(block)]
    assert set(found) == set(NOT_RUN)


OPTIONS = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def test_every_option_that_is_shown_is_one_of_its_command() -> None:
    """Also in commands within sentences, which are not run."""
    from typer.main import get_command

    from mull.cli.app import VERBS, app

    root = get_command(app)
    shown = [(page.name, text) for page in PAGES for text in re.findall(r"`(mull [^`]+)`", page.read_text())]
    assert len(shown) > 20
    for page, text in shown:
        words = text.split()[1:]
        if words[0] not in VERBS:
            assert words[0].startswith("-"), f"{page}: there is no {text!r}"
            continue
        _, command, rest = root.resolve_command(None, words)  # type: ignore[attr-defined]
        if hasattr(command, "commands") and rest:
            assert rest[0] in command.commands, f"{page}: there is no {text!r}"
            command = command.commands[rest[0]]
        known = {name for parameter in getattr(command, "params", ()) for name in parameter.opts}
        unknown = set(OPTIONS.findall(text)) - known
        assert not unknown, f"{page}: {text!r} has no {unknown}"


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links(page: Path) -> list[tuple[Path, str]]:
    """The local links of a page: the file that each leads to, and the anchor in it."""
    text = FENCE.sub("", page.read_text())
    found = [link.partition("#") for link in re.findall(r"\]\(([^):]+)\)", text)]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in found]


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for path, anchor in links(page):
            assert path.exists(), f"{page.name} links to {path}, which is not there"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)
                assert anchor in map(slug, headings), f"{page.name} links to #{anchor} of {path.name}"


def test_the_page_of_papers_names_files_that_are_there() -> None:
    named = re.findall(r"`([a-z_/]+\.py)`", (ROOT / "docs" / "papers.md").read_text())
    assert len(named) > 50
    places = (ROOT / "src" / "mull", ROOT)
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").resolve()
    direct = {path for path, _ in links(index)}
    left_out = [page.name for page in PAGES if page.resolve() not in {index, *direct}]
    assert not left_out, f"docs/index.md does not link to {left_out}"


def test_the_page_of_the_installation_names_every_extra() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "install.md").read_text()
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|.*\|(.*)\|$", page, re.MULTILINE)
    listed = {tuple(re.findall(r"\w+", names)): packages for names, packages in rows}
    assert sorted(name for names in listed for name in names) == sorted(extras)
    for names, packages in listed.items():
        if names[0] not in ("all", "dev"):
            named = {re.split(r"[\[><=]", package)[0] for name in names for package in extras[name]}
            assert set(packages.strip().split(", ")) == named, f"docs/install.md lists other packages of {names}"


def test_the_changelog_begins_with_this_version_and_repeats_nothing() -> None:
    from mull import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[0] == __version__
    entries = [" ".join(entry.split()) for entry in re.split(r"^(?:- |#)", text, flags=re.MULTILINE)[1:]]
    begins = [entry[:40] for entry in entries]
    assert [entry for entry in entries if begins.count(entry[:40]) > 1 and len(entry) >= 40] == []


def test_every_strategy_is_in_the_table_of_papers() -> None:
    from mull import spec

    papers = (ROOT / "docs" / "papers.md").read_text()
    for path in spec.STRATEGIES.values():
        name = path.rpartition(":")[2]
        assert name in papers or name in ("Single", "Adaptive"), f"{name} has no row in docs/papers.md"
