"""Ordinary mistakes: each message says what is wrong and what to do, in one or two lines, before anything is drawn."""

import gzip
import json
import shlex
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mull.cli import main

Call = Callable[[str], tuple[int, str, str]]

ROWS = [{"id": f"p{i}", "prompt": f"What is {i}+1?", "answer": str(i + 1)} for i in range(5)]
OWN = """
from dataclasses import dataclass
from mull import Cost

@dataclass(frozen=True)
class NoName:
    identity = None
    def quote(self, problem, samples): return Cost()
    async def score(self, problem, samples, calls): return []

@dataclass(frozen=True)
class NoScore:
    name, identity = "mine", None
    def quote(self, problem, samples): return Cost()

class Plain:
    async def __call__(self, problem, run): ...

@dataclass(frozen=True)
class NoProblems:
    name = "mine"
    async def grade(self, problem_id, sample): ...

@dataclass(frozen=True)
class NoSample:
    name, identity = "mine", None
    def quote(self, prompt, params): return Cost()
"""
SERVER = '[models.a]\nbase_url = "http://127.0.0.1:9/v1"\n'


def jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


FILES: dict[str, str | bytes] = {
    "questions.jsonl": jsonl([*ROWS]),
    "draws.jsonl": jsonl([
        {"problem_id": i, "prompt": f"q{i}", "answer": "1", "samples": [{"text": f"answer: {k}", "correct": k == 1}
         for k in (1, 2)]} for i in range(4)
    ]),
    "columns.jsonl": jsonl([{"nr": 1, "frage": "Wie viel ist 1+1?", "antwort": "2"}]),
    "broken.jsonl": '{"question": "1+1?", "answer": "2"}\n{"question": "2+2?", answer: "4"}\n',
    "cut.jsonl": '{"question": "1+1?", "answer": "2"}\n{"question": "2+2?",\n',
    "texts.jsonl": '"1+1?"\n"2+2?"\n',
    "empty.jsonl": "",
    "latin.jsonl": b'{"question": "1+1?", "answer": "2"}\n{"question": "caf\xe9?", "answer": "2"}\n',
    "wide.csv": "question,answer\n1+1?,2,3\n",
    "comma.jsonl": '{"question": "1+1?", "answer": "2"},\n{"question": "2+2?", "answer": "4"}\n',
    "headless.csv": "1+1?,2\n2+2?,4\n",
    "blank.csv": "question,answer\n,2\n",
    "bare.toml": "[models.a]\nbase_url = http://localhost:8000/v1\n",
    "counts.csv": "problem,n,c\na,10,3\nb,10,0\n",
    "numbers.csv": "nr,samples,right\n1,10,3\n2,10,0\n",
    "more.csv": "id,n_samples,n_correct\na,10,11\n",
    "paper.jsonl": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
    "sheet.xlsx": b"PK\x03\x04\x14\x00\x06\x00and so on",
    "page.jsonl": "<!DOCTYPE html><html></html>",
    "taken/draws.jsonl": "",
    "taken/report.html": "<html>my own page</html>",
    "packed.jsonl": b"\x28\xb5\x2f\xfd rest",
    "unknown.toml": SERVER + "temprature = 1\n",
    "misspelt.toml": SERVER + "retrys = 1\n",
    "strange.toml": SERVER + "colour = 1\n",
    "table.toml": '[model.a]\nbase_url = "http://localhost:8000/v1"\n',
    "type.toml": SERVER + 'concurrency = "many"\n',
    "broken.toml": '[models.a\nbase_url = "http://x/v1"\n',
    "nourl.toml": '[models.a]\nmodel = "x"\n',
    "key.toml": SERVER + 'api_key_env = "NO_SUCH_KEY"\n',
    "away.toml": SERVER,
    "own.py": OWN,
    "ownbad.py": "class V(:\n",
    "ownraises.py": "x = 1\nraise RuntimeError('boom')\n",
}  # fmt: skip
MISTAKES = [
    # strategies
    ("sweep chain -s majority=4", ["'majority=4'", "majority:n=4"]),
    ("sweep chain -s majority(n=4)", ["'majority(n=4)'", "majority:n=4"]),
    ("sweep chain -s 'majority n=4'", ["'majority n=4'", "majority:n=4"]),
    ("sweep chain -s majority:4", ["'4'", "majority:n=4"]),
    ("sweep chain -s majority:n:4", ["'n:4'", "majority:n=4"]),
    ("sweep chain -s majority@4", ["'majority@4'", "majority:n=4"]),
    ("sweep chain -s majority:n", ["'n'", "majority:n=..."]),
    ("sweep chain -s single,majority:n=4", ["one strategy at a time", "-s single -s majority"]),
    ("sweep chain -s majority:samples=4", ["'samples'", "'n'"]),
    ("sweep chain -s majority:n=four", ["majority:n", "whole number", "'four'"]),
    ("sweep chain -s majority:n=0", ["n must be at least 1"]),
    ("sweep chain -s majority:n=999999999", ["999,999,999", "at most 1,000,000"]),
    ("sweep chain -s Majority:n=4", ["'Majority'", "did you mean 'majority'"]),
    ("sweep chain -s bon:n=4", ["'bon'", "did you mean 'best'"]),
    ("sweep chain -s self-consistency", ["did you mean 'majority'"]),
    ("sweep chain -s best_of_majority:n=4", ["did you mean 'best-of-majority'"]),
    # words of commands
    ("solve", ["'prompt'", "for example: mull solve"]),
    ("list", ["'what'", "for example: mull list models"]),
    ("sweep chain", ["'--strategy'", "for example: mull sweep chain:ops=4 -s single"]),
    ("fit draws.jsonl", ["--predict K", "--reach .9"]),
    ("train prm", ["'labels'", "for example: mull train prm"]),
    ("slove q", ["'slove'", "Did you mean 'solve'"]),
    ("solve what is 1", ["(is 1)", "quote a text that has blanks"]),
    ("sweep chain -s single majority", ["(majority)", "each strategy with -s"]),
    ("solve q --sample 4", ["--sample", "did you mean --samples?"]),
    ("solve chain:ops=2", ["'chain:ops=2' is a task", "mull sweep chain:ops=2", "--task chain:ops=2"]),
    ("solve questions.jsonl", ["is a file, not a question", "mull sweep questions.jsonl"]),
    ("sweep chain -s majority --n 8", ["--n", "option of a strategy", "-s majority:n=8"]),
    ("sweep chain -s majority --num-samples 8", ["--num-samples", "option of a strategy", "-s majority:n=8"]),
    ("sweep questions.jsonl -s majority --samples 8", ["--samples", "option of a strategy", "-s majority:n=8"]),
    ("sweep chain -s single --api-key sk-abcdef", ["--api-key-env", "environment variable"]),
    ("sweep chain -s single --problems all", ["--problems takes a whole number", "default: all"]),
    ("curves draws.jsonl --plot", ["--plot takes a value, which is missing"]),
    ("list strategies majority", ["(majority)", "mull list takes no more words"]),
    ("sweep questions.jsonl -s single --ask json", ["'json'", "boxed, line, none"]),
    ("solve q --n 4", ["--n", "did you mean -n?"]),
    ("solve q -n many", ["--samples takes a whole number", "'many'"]),
    ("solve q --temperature warm", ["--temperature takes a number", "'warm'"]),
    ("solve q --temperature -1", ["temperature must be 0 or more"]),
    ("solve q --tokens -5", ["cannot be negative", "tokens"]),
    ("solve q --tokens 0", ["--tokens 0", "allows no draw", "such as --tokens 4000"]),
    ("solve q --seconds 0", ["--seconds 0", "allows no draw", "such as --seconds 60"]),
    ("solve q --seconds -1.5", ["--seconds -1.5", "cannot be negative", "such as --seconds 60"]),
    ("solve q --seconds nan", ["--seconds nan", "must be a number"]),
    ("solve q --flops 0", ["--flops 0", "allows no draw", "--flops 1e15"]),
    ("sweep chain -s single --tokens 0", ["--tokens 0", "allows no draw", "such as --tokens 4000"]),
    ("sweep chain -s single --usd -1", ["--usd -1", "cannot be negative", "such as --usd 0.05"]),
    ("solve q --kind numbr", ["unknown kind 'numbr'", "did you mean 'number'"]),
    ("sweep questions.jsonl -s single --kind numbr", ["unknown kind 'numbr'", "did you mean 'number'"]),
    ("fit draws.jsonl --predict 1k", ["--predict takes a whole number", "'1k'"]),
    ("curves draws.jsonl --k 1,two", ["--k takes whole numbers", "'1,two'"]),
    ("curves draws.jsonl --group gpt", ["'gpt'", "draws.jsonl"]),
    ("curves draws.jsonl --plot x.jpg", ["'x.jpg'", ".png, .svg, .pdf"]),
    ("curves draws.jsonl --plot no/dir/x.png", ["no folder", "no/dir'"]),
    ("report page.jsonl", ["a web page, not a table"]),
    ("report taken/draws.jsonl", ["taken/report.html is there already", "no report of mull's", "--out"]),
    ("report draws.jsonl --out x.pdf", ["'x.pdf'", ".html"]),
    ("report draws.jsonl --out no/dir/x.html", ["no folder", "no/dir'"]),
    ("advise draws.jsonl --accuracy 90", ["above 0 and at most 1", "not 90"]),
    ("advise chain --pilot 50", ["50x8", "'50'"]),
    ("list model", ["did you mean 'models'"]),
    # files
    ("sweep comma.jsonl -s single", ["line 1", "column 36", "a comma after the object"]),
    ("sweep headless.csv -s single", ["line 1 is the header", "question,answer"]),
    ("sweep blank.csv -s single", ["line 2", "`question` is empty", "leave the row out"]),
    ("sweep chain -s single --bank .", ["is a folder", "name a file in it"]),
    ("curves counts.csv", ["line 2", "it has problem, n, c", "n_samples and n_correct"]),
    ("fit counts.csv --predict 100", ["line 2", "it has problem, n, c", "n_samples and n_correct"]),
    ("advise counts.csv", ["line 2", "it has problem, n, c", "n_samples and n_correct"]),
    ("report counts.csv", ["line 2", "it has problem, n, c", "n_samples and n_correct"]),
    ("curves numbers.csv", ["line 2", "it has nr, samples, right", "n_samples and n_correct"]),
    ("curves more.csv", ["line 2", "n_samples is 10 and n_correct 11"]),
    ("curves questions.jsonl", ["line 1", "no draws: it has id, prompt, answer", "file:questions.jsonl"]),
    ("advise questions.jsonl", ["line 1", "no draws: it has id, prompt, answer", "file:questions.jsonl"]),
    ("sweep file:quetions.jsonl -s single", ["no such file", "did you mean 'questions.jsonl'?"]),
    ("sweep quetions.jsonl -s single", ["no such file", "did you mean 'questions.jsonl'?"]),
    ("curves no/dir/draws.jsonl", ["no such file", "no folder 'no/dir'"]),
    ("curves .", ["is a folder", "name a file in it"]),
    ("bank import drws.jsonl", ["no such file", "did you mean 'draws.jsonl'?"]),
    ("solve q -m recorded:drws.jsonl", ["no such file", "did you mean 'draws.jsonl'?"]),
    ("sweep file:columns.jsonl -s single", ["line 1", "nr, frage, antwort", "--prompt frage", "--gold"]),
    ("sweep file:questions.jsonl --gold antwort -s single", ["'antwort'", "--gold", "id, prompt, answer"]),
    ("sweep file:broken.jsonl -s single", ["broken.jsonl, line 2", "column 22", "double quotes"]),
    ("sweep file:cut.jsonl -s single", ["cut.jsonl, line 2", "column 21"]),
    ("sweep file:texts.jsonl -s single", ["line 1", '{"prompt": "What is 1+1?", "answer": "2"}']),
    ("sweep file:empty.jsonl -s single", ["no problems in it", '{"prompt":']),
    ("sweep file:latin.jsonl -s single", ["line 2", "byte 18", "save the file as UTF-8"]),
    ("sweep file:wide.csv -s single", ["line 2", "3 cells under 2 columns", "quote"]),
    ("sweep file:paper.jsonl -s single", ["a PDF, not a table", "CSV or JSONL"]),
    ("sweep file:sheet.xlsx -s single", ["spreadsheet", "save the sheet as CSV"]),
    ("sweep file:page.jsonl -s single", ["a web page, not a table", "download the file itself"]),
    ("curves packed.jsonl", ["packed by zstd", "unpack it first"]),
    ("curves bank.db", ["a bank holds draws but no answers", "--task"]),
    ("sweep file:bank.db -s single", ["a database, not a table", "mull bank export"]),
    ("bank export x.csv --bank bank.db", [".jsonl or .parquet", "x.csv"]),
    ("bank stat NOTHERE", ["there is no bank NOTHERE", "--bank NOTHERE"]),
    ("bank stat bnk.db", ["there is no bank bnk.db", "did you mean 'bank.db'?"]),
    ("bank stat sqlite:///nothere.db", ["there is no bank nothere.db"]),
    ("bank verify NOTHERE", ["there is no bank NOTHERE"]),
    ("bank export x.jsonl --bank bnk.db", ["did you mean 'bank.db'?"]),
    ("sweep chain -s single --bank mongodb://x/y", ["sqlite or postgresql", "mongodb"]),
    # models and mull.toml
    ("solve q -m gpt-4o", ["'gpt-4o'", "--base-url", "mull.toml", '[models."gpt-4o"]', "base_url", "api_key_env"]),
    ("solve q -m openai/gpt-4o", ["'openai/gpt-4o'", '"https://api.openai.com/v1"', "OPENAI_API_KEY"]),
    ("solve q -m http://localhost:8000/v1", ["a name, not an address", "--base-url http://localhost:8000/v1"]),
    ("solve q -m a --config bare.toml", ["line 2", "not TOML", "quotes"]),
    ("solve q -m nanoo", ["did you mean 'nano'"]),
    ("solve q -m a --config nothere.toml", ["nothere.toml", "no such file"]),
    ("solve q -m a --config unknown.toml", ["line 3", "temprature", "--temperature"]),
    ("solve q -m a --config misspelt.toml", ["line 3", "did you mean 'retries'"]),
    ("solve q -m a --config strange.toml", ["line 3", "colour", "[models.NAME] takes", "concurrency"]),
    ("solve q -m a --config table.toml", ["line 1", "'model'", "did you mean 'models'"]),
    ("solve q -m a --config type.toml", ["line 3", "concurrency must be a whole number"]),
    ("solve q -m a --config broken.toml", ["line 1", "not TOML", "column 10"]),
    ("solve q -m a --config nourl.toml", ["line 1", "has no base_url"]),
    ("solve q -m a --config key.toml", ["a:", "NO_SUCH_KEY", "export NO_SUCH_KEY="]),
    ("solve q -m a --usd 1 --config away.toml", ["[models.a]", "add usd_per_mtok_in = 0.15"]),
    ("solve q -m m --base-url http://127.0.0.1:9/v1 --usd 1", ["--usd-per-mtok-in and --usd-per-mtok-out"]),
    ("sweep chain -s single -m m --base-url http://127.0.0.1:9/v1 --usd 1", ["--usd-per-mtok-in"]),
    ("solve q -m m --base-url http://127.0.0.1:9/v1 --flops 1", ["active_params", "--tokens"]),
    ("solve q -m a --config away.toml", ["http://127.0.0.1:9/v1", "nothing listens there", "llama-server", "--port 9"]),
    ("solve q -m m --base-url localhost:8000", ["http://localhost:8000/v1", "'localhost:8000'"]),
    ("solve q -m m --base-url http://h/v1 --api-key-env sk-abcdef", ["name of an environment variable", "not the key"]),
    ("advise chain -m m --usd-per-mtok-in 1", ["--usd-per-mtok-in", "--base-url", "mull.toml"]),
    ("advise draws.jsonl --base-url http://127.0.0.1:9/v1", ["--base-url", "a pilot of a task"]),
    ("solve q -m m --api-key-env KEY", ["--api-key-env goes with --base-url"]),
    # verifiers, and classes of one's own
    ("solve q -s best:n=2", ["needs a verifier", "--verifier"]),
    ("solve q -s tournament", ["needs a judge", "--judge"]),
    ("solve q -m a -s best:n=2 --config away.toml", ["needs a verifier", "--verifier"]),
    ("sweep chain -m a -s tournament --config away.toml", ["needs a judge", "--judge"]),
    ("solve q -s best:n=2 --verifier exact", ["'exact'", "known:", "countdown, ", "tests"]),
    ("solve q -s best:n=2 --verifier countdwn", ["did you mean 'countdown'"]),
    ("solve q -s best:n=2 --verifier countdown", ["countdown can score no draw", "numbers and target"]),
    ("solve q -s best:n=2 --verifier tests", ["tests can score no draw", "humaneval:FILE"]),
    ("sweep questions.jsonl -s best:n=2 --verifier tests", ["tests can score no draw", "humaneval:FILE"]),
    ("sweep chain -s best:n=2 --verifier sat", ["sat can score no draw", "no formula in DIMACS"]),
    ("solve q -s best:n=2 --verifier prm", ["'prm'", "prm:model=..."]),
    ("solve q -s best:n=2 --verifier own:NoName", ["own:NoName", "has no name", 'name = "mine"']),
    ("solve q -s best:n=2 --verifier own:NoScore", ["own:NoScore", "has no score"]),
    ("solve q -s best:n=2 --verifier own:Noname", ["'Noname'", "did you mean own:NoName?"]),
    ("solve q -s best:n=2 --verifier own.py:NoName", ["without its .py", "own:NoName"]),
    ("solve q -s best:n=2 --verifier nomod:V", ["no module 'nomod'", "in this folder"]),
    ("solve q -s best:n=2 --verifier ownbad:V", ["ownbad, line 1", "SyntaxError"]),
    ("solve q -s best:n=2 --verifier ownraises:V", ["ownraises, line 2", "RuntimeError: boom"]),
    ("solve q -s own:Plain", ["own:Plain", "@dataclass(frozen=True)"]),
    ("sweep own:NoProblems -s single", ["own:NoProblems", "has no problems"]),
    ("solve q -m own:NoSample", ["own:NoSample", "has no sample"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mistakes")
    for name, content in FILES.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    from mull.bank import open_bank

    with open_bank(str(path / "bank.db")):
        return path


@pytest.fixture
def call(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in a folder with these files, and gives back its status and what it printed."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MULL_BANK", str(folder / "none.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.delenv("MULL_CONFIG", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(command: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mull", *shlex.split(command)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.mark.parametrize(("command", "names"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_a_mistake_is_told_with_what_to_do(call: Call, command: str, names: list[str]) -> None:
    status, out, err = call(command)
    assert status in (1, 2)
    assert out == ""
    assert [name for name in names if name not in err] == [], err
    assert err.startswith("mull: ")
    assert len(err.splitlines()) <= (5 if "gpt-4o" in command else 2)
    assert "Traceback" not in err
    assert "sk-abcdef" not in err
    assert "unexpected" not in err.replace("unexpected extra", "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.jsonl", "question,answer\na:1;b:a+1;b?,2\n"),
        ("table.txt", "question\tanswer\na:1;b:a+1;b?\t2\n"),
        ("list.jsonl", '[{"question": "a:1;b:a+1;b?", "answer": "2"}]'),
        ("wrapped.json", '{"data": {"rows": [{"question": "a:1;b:a+1;b?", "answer": "2"}]}}'),
        ("pretty.jsonl", '{\n "question": "a:1;b:a+1;b?",\n "answer": "2"\n}\n'),
        ("lines.json", '{"question": "a:1;b:a+1;b?", "answer": "2"}\n'),
        ("zipped.jsonl", gzip.compress(b'{"question": "a:1;b:a+1;b?", "answer": "2"}\n', mtime=0)),
        ("zipped.gz", gzip.compress(b"question,answer\na:1;b:a+1;b?,2\n", mtime=0)),
    ],
)
def test_a_table_is_read_by_what_it_holds(call: Call, folder: Path, name: str, content: str | bytes) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    status, out, err = call(f"sweep {name} -s single --bank none --json")
    assert status == 0, err
    assert json.loads(out)["rows"][0]["problems"] == 1


def test_nothing_that_listens_without_v1_or_with_https_is_told(call: Call) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    status, _, err = call(f"solve q -m m --base-url http://127.0.0.1:{port}/v1")
    assert status == 1
    assert f"--port {port}" in err


def test_an_unexpected_error_is_one_line_and_a_file(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "ownfails.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass S:\n"
        "    async def __call__(self, problem, run):\n        raise KeyError('\\x1b[31m' + 'hush-hush-hush')\n"
    )
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SOME_API_KEY", "hush-hush-hush")
    status, out, err = call("solve q -s ownfails:S")
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("mull: KeyError in __call__, ownfails.py line 5: ")
    told = Path(line.partition("is in ")[2].partition(";")[0]).read_text()
    assert "Traceback (most recent call last)" in told
    assert "\x1b" not in told
    assert "hush" not in told.replace("'hush-hush-hush'", "", 1)


def test_an_interrupt_is_one_line_and_status_130(call: Call, folder: Path) -> None:
    (folder / "owninterrupts.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass S:\n"
        "    async def __call__(self, problem, run):\n        raise KeyboardInterrupt\n"
    )
    status, out, err = call("solve q -s owninterrupts:S")
    assert (status, out, err.strip()) == (130, "", "mull: interrupted")


def test_a_mistake_makes_no_bank(call: Call, folder: Path) -> None:
    for command in ("bank stat NOTHERE", "bank stat sqlite:///NOTHERE", "bank verify NOTHERE"):
        assert call(command)[0] == 2
    assert not (folder / "NOTHERE").exists()


def test_a_report_without_out_is_written_beside_its_source(call: Call, folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "draws.jsonl").write_bytes((folder / "draws.jsonl").read_bytes())
    for _ in range(2):  # its own page it writes anew
        status, _, err = call("report mine/draws.jsonl")
        assert status == 0, err
        assert "written to mine/report.html" in err
    assert "<html" in (folder / "mine" / "report.html").read_text()
    call("report taken/draws.jsonl")
    assert (folder / "taken" / "report.html").read_text() == "<html>my own page</html>"
