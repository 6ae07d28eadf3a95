"""Nothing that a model, a server or a file says reaches a terminal, a page or a figure with its controls in force.

Every verb is walked with a model name, ids, prompts, answers, replies and errors that hold them.
"""

import io
import json
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.cli import main
from mull.cli.app import VERBS
from mull.cli.output import print_lines, say, stdout
from mull.shown import shown, shown_json

WILD = "\x00\x07\x08\x1b[2J\x7f\x85\x9b31m\r\u200b\u202e\u2066\u2028\u2029\ufeff\ud800"
HOSTILE = f"a{WILD}\nINJECTED [bold]b[/bold] [link=http://x]c[/link] <script>d</script> $\\frac$"
"""Controls, escapes, directions, breaks, markup of consoles and pages, and a formula that is none."""
LEFT = "".join(c for c in WILD if c not in "\r")


def is_inert(text: str) -> bool:
    """Whether nothing in a text of several lines controls what shows it."""
    return all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)


@given(st.text())
def test_what_is_shown_is_one_inert_line_and_tells_texts_apart(text: str) -> None:
    line = shown(text)
    assert "\n" not in line
    assert "\t" not in line
    assert is_inert(line.replace("\u200c", "").replace("\u200d", ""))
    assert shown(line) == line
    line.encode()
    assert is_inert(shown(text, lines=True).replace("\u200c", "").replace("\u200d", ""))


def test_what_people_write_is_left_as_it_is() -> None:
    for text in ("naïve café", "日本語", "می‌خواهم", "x\u202f=\u00a05", "🙂 👩‍👩‍👧", "∑ ½ \\frac{1}{2}"):
        assert shown(text) == text
    assert shown("a\n\tb\r\nc", lines=True) == "a\n\tb\nc"
    assert shown("a\tb\nc") == r"a\tb\nc"


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_json_is_inert_and_reads_back_the_same(value: object) -> None:
    line = shown_json(value)
    assert json.loads(line) == value
    assert is_inert(line.replace("\u200c", "").replace("\u200d", ""))


def test_lines_and_tables_of_the_console_hold_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    say(HOSTILE)
    print_lines([HOSTILE], "dim")
    table = Table(title=WILD)  # as a table would that forgot to make its cells visible
    table.add_row(HOSTILE)
    stdout().print(table)
    printed = capsys.readouterr().out
    assert is_inert(printed)
    assert printed.count("[bold]b[/bold]") == 2
    assert len([line for line in printed.splitlines() if line.startswith("INJECTED")]) == 0


class Walk:
    """Runs commands in a folder; holds everything that they print and write against the rule."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys

    def __call__(self, *words: object, status: int | None = 0) -> str:
        self.monkeypatch.setattr(sys, "argv", ["mull", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self.capsys.readouterr()
        both = printed.out + printed.err
        assert status is None or (ended.value.code or 0) == status, both
        assert is_inert(both), repr(both)
        assert not [line for line in both.splitlines() if line.startswith("INJECTED")], both
        assert "mull: unexpected " not in both
        return both

    def page(self, name: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert is_inert(text), [c for c in text if not is_inert(c)][:5]
        assert "<script>d" not in text


@pytest.fixture
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Walk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULL_BANK", str(tmp_path / "bank.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    samples = [
        {"text": f"{HOSTILE}\nanswer: {HOSTILE if k else 1}", "final_answer": HOSTILE if k else "1", "correct": k == 1,
         "score": k / 4} for k in range(4)
    ]  # fmt: skip
    rows = [
        {"problem_id": f"{i}{HOSTILE}", "prompt": f"{i}{HOSTILE}", "answer": HOSTILE, "model": HOSTILE,
         "samples": samples} for i in range(6)
    ]  # fmt: skip
    (tmp_path / "draws.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Walk(tmp_path, monkeypatch, capsys)


VERBS_WALKED = {
    "solve", "sweep", "curves", "fit", "advise", "compare", "study", "report", "list", "bank", "train", "completion",
    "serve", "demo", "choose",
}  # fmt: skip


def test_every_verb_is_walked() -> None:
    assert set(VERBS) == VERBS_WALKED


def test_completion(walk: Walk) -> None:
    walk("completion", "bash")
    walk("completion", HOSTILE, status=2)


def test_demo(walk: Walk) -> None:
    """The programs in it are a model's own text; only figures are shown."""
    for options in ((), ("--json",), ("--out", "d.jsonl")):
        walk("demo", "real", *options)
    walk("demo", HOSTILE, status=2)


def test_serve(walk: Walk) -> None:
    walk("serve", "--model", HOSTILE, status=2)
    walk("serve", "--host", HOSTILE, status=2)


def test_solve_and_sweep(walk: Walk) -> None:
    recorded = "recorded:draws.jsonl"
    for options in ((), ("--json",)):
        walk("solve", f"0{HOSTILE}", "-m", recorded, "-s", "majority:n=4", "--trace", "t.json", *options)
    walk("report", "t.json", "--out", "t.html")
    walk.page("t.html")
    walk("solve", f"x{HOSTILE}", "-m", recorded, "--task", "file:draws.jsonl", status=2)
    for options in ((), ("--json",)):
        walk("sweep", "draws.jsonl", "-m", recorded, "-s", "single", "-s", "majority:n=3", "--out", "o.jsonl",
             "--allow-unreadable", *options)  # fmt: skip
    walk("report", "o.jsonl", "--out", "o.html", "--allow-unreadable")
    walk.page("o.html")


def test_curves_fit_report_and_advise(walk: Walk) -> None:
    for command in (("curves",), ("fit", "--predict", "8")):
        for suffix in ("svg", "png"):
            walk(command[0], "draws.jsonl", *command[1:], "--plot", f"{command[0]}.{suffix}")
        walk.page(f"{command[0]}.svg")
        walk(command[0], "draws.jsonl", *command[1:], "--json")
    walk("curves", "draws.jsonl", "--group", HOSTILE + "!", status=2)
    walk("curves", "draws.jsonl", "--verifier", "recorded")
    walk("report", "draws.jsonl", "--out", "r.html", "--figures", "figures", "--title", HOSTILE)
    walk.page("r.html")
    for figure in (walk.folder / "figures").glob("*.svg"):
        walk.page(f"figures/{figure.name}")
    walk("report", "draws.jsonl", "--out", "r.html", "--json")
    for name in ("a.html", "a.svg"):
        walk("advise", "draws.jsonl", "--n", "4", "--out", name)
        walk.page(name)


def test_compare(walk: Walk) -> None:
    rows = [json.loads(line) for line in (walk.folder / "draws.jsonl").read_text().splitlines()]
    for row in rows:
        row["model"] += "2"
    (walk.folder / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for options in ((), ("--json",), ("--compare-to", "draws.jsonl")):
        walk("compare", "draws.jsonl", *(() if options[1:] else ("other.jsonl",)), *options)
    walk("compare", "draws.jsonl", "other.jsonl", "--fail-under", "1", status=1)
    walk("compare", "draws.jsonl", "other.jsonl", "--group", HOSTILE, status=2)


def test_choose(walk: Walk) -> None:
    """Names of folders, tasks, commands, outputs, ends and patches of runs that agents wrote."""
    for number in (1, 2):
        called = {"id": "c", "function": {"name": HOSTILE, "arguments": json.dumps({"command": f"pytest {HOSTILE}"})}}
        turns = [
            {"role": "user", "content": f"<task>{HOSTILE}"},
            {"role": "assistant", "content": HOSTILE, "tool_calls": [called]},
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": f"{HOSTILE}\n{number - 1} failed {LEFT} in 0.1s\n1 passed in 1s",
            },
        ]
        info = {"exit_status": "Submitted", "submission": f"{number}{HOSTILE}", "mini_version": HOSTILE}
        log = {"info": info, "messages": turns, "instance_id": HOSTILE, "trajectory_format": "mini-swe-agent-1.1"}
        folder = walk.folder / f"run\x1b[2J{number}"
        folder.mkdir()
        (folder / f"{HOSTILE[3:20].replace(chr(0xD800), '')}.traj.json").write_text(json.dumps(log))
    runs = sorted(walk.folder.glob("run*"))
    for options in ((), ("--json",)):
        assert "cannot tell" in walk("choose", runs[1], *options, status=1) or options
        walk("choose", *runs, *options, status=None)
        judged = walk("choose", *runs, "--judge", "scores:verifier=countdown", *options, status=1)
        assert "the judge gave no verdict" in judged
    walk("choose", *runs, "--task", f"{HOSTILE}!", status=2)
    walk("choose", walk.folder / "draws.jsonl", status=2)
    walk("choose", *runs, "--by", HOSTILE, status=2)
    walk("report", runs[0], "--out", "c.html", status=2)


def test_study(walk: Walk) -> None:
    """A plan of one's own may run a task and a model that others wrote."""
    plan = {
        "title": HOSTILE, "models": ["recorded:draws.jsonl"], "strategies": ["single", "majority:n=3"], "problems": 6,
        "tasks": [{"spec": "file:draws.jsonl"}],
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(value).replace(chr(127), '')}" for name, value in plan.items() if name != "tasks"]
    told = "\n".join(lines).replace("\\ud800", "")
    (walk.folder / "plan.toml").write_text(told + '\n[[tasks]]\nspec = "file:draws.jsonl"\n')
    walk("study", "plan.toml")
    for page in walk.folder.glob("plan/*.html"):
        walk.page(str(page.relative_to(walk.folder)))
    assert list(walk.folder.glob("plan/*.html"))
    walk("study", "plan.toml", "--json")
    (walk.folder / "bad.toml").write_text(
        f"models = [{json.dumps(HOSTILE)}]".replace("\\ud800", "").replace("\x7f", "")
    )
    walk("study", "bad.toml", status=2)


def test_bank_list_and_train(walk: Walk) -> None:
    walk("bank", "import", "draws.jsonl")
    for verb in ("stat", "verify"):
        walk("bank", verb)
        walk("bank", verb, "--json")
    walk("bank", "export", "x.jsonl", "--model", f"{HOSTILE}!", status=2)
    walk("bank", "export", "x.jsonl")
    (walk.folder / "mull.toml").write_text(f"[models.{json.dumps(HOSTILE[:-8].replace(chr(0xD800), ''))}]\nx = 1\n")
    walk("list", "models", status=2)
    walk("train", "stop", "draws.jsonl", "--out", "prior.toml", status=None)
    walk("train", "weights", "draws.jsonl", "-s", "single", "-s", HOSTILE, status=2)
    walk("train", "orm", "draws.jsonl", "--out", "m", status=2)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"prompt": "q", HOSTILE: 1, "samples": [{HOSTILE: 2}]}),
        json.dumps({HOSTILE: "q"}),
        json.dumps({"prompt": "q", "samples": [{"text": "t", "correct": HOSTILE}]}),
        json.dumps({"prompt": "q", "samples": [{"text": "t", "score": HOSTILE}]}),
        json.dumps({"n_samples": HOSTILE, "n_correct": 1}),
        '{"prompt": "' + LEFT.replace("\ud800", "") + "\n",
        f"prompt,{LEFT[1:].replace(chr(0xD800), '')}\n1,2,3\n",
    ],
)
def test_a_bad_file_tells_its_fault_in_an_inert_line(walk: Walk, content: str) -> None:
    (walk.folder / "bad.jsonl").write_text(content)
    told = walk("curves", "bad.jsonl", status=2)
    assert len(told.splitlines()) == 1


async def test_progress_on_a_terminal_is_inert(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from mull.cli import solve
    from mull.run.events import DrawArrived
    from mull.types import Cost, Finish, Problem, Prompt, Sample

    screen = io.StringIO()
    consoles: Callable[[], Console] = lambda: Console(file=screen, force_terminal=True, width=300)  # noqa: E731
    monkeypatch.setattr(solve, "stderr", consoles)
    problem = Problem("p", Prompt.user("q"))
    with solve._Live(problem, False) as live:
        sample = Sample(problem.prompt, f"answer: {HOSTILE}", Finish.STOP)
        live.see(DrawArrived(sample, "m", False, Cost(), Cost(), 0.0))
    told = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).replace("\r", "")
    assert is_inert(told), repr(told)
