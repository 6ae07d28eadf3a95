"""`mull bank` as a process: what it takes in, hands on, checks, and how it says what is wrong."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


def test_a_bank_goes_round(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    """Imported, swept for nothing, exported, merged elsewhere and verified."""
    taken = mull_json("bank", "import", recording, "--model", "banked:gpt")
    assert taken["sources"][0] | {"source": ""} == {
        "source": "", "draws": 600, "verdicts": 0, "already": 0, "renumbered": 0, "differing": 0, "torn": 0,
    }  # fmt: skip
    assert "600 were there already" in mull("bank", "import", recording, "--model", "banked:gpt").stdout
    swept = mull("sweep", f"file:{recording}", "-m", "banked:gpt", "-s", "majority:n=30", "--json")
    assert "0 draws made now, 600 from the bank" in swept.stderr
    recorded = mull_json(
        "sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "majority:n=30", "--bank", "none"
    )
    (row,), (same,) = json.loads(swept.stdout)["rows"], recorded["rows"]
    assert (row["accuracy"], row["oracle"]) == (same["accuracy"], same["oracle"])
    out, other = tmp_path / "out.jsonl", tmp_path / "other.db"
    assert mull_json("bank", "export", out)["draws"] == 600
    assert mull_json("bank", "import", out, "--bank", other)["sources"][0]["draws"] == 600
    assert mull_json("bank", "merge", other)["sources"][0]["already"] == 600
    assert mull_json("bank", "verify", other) == {
        "bank": f"sqlite:///{other}", "questions": 20, "draws": 600, "verdicts": 0, "flaws": [],
    }  # fmt: skip
    assert mull_json("bank", "stat", other)["models"] == [
        {"model": "gpt", "questions": 20, "draws": 600, "output_tokens": None}
    ]
    assert mull_json("bank", "export", tmp_path / "out.parquet", "--model", "gpt")["draws"] == 600
    assert "did you mean 'gpt'" in mull("bank", "export", out, "--model", "gpr").stderr


def test_verify_names_what_was_altered_and_says_so_by_its_status(mull, recording: Path, environment) -> None:
    mull("bank", "import", recording)
    assert mull("bank", "verify").returncode == 0
    with closing(sqlite3.connect(environment["MULL_BANK"])) as bank, bank:
        bank.execute("update draws set text = 'better' where draw = 7")
    done = mull("bank", "verify")
    assert done.returncode == 1
    assert done.stdout.count("truncated or altered") == 20
    assert "draw 7 of b2:" in done.stdout
    assert "20 differ from what was written" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify",), "there is no bank"),
        (("verify", "nowhere.db"), "there is no bank nowhere.db"),
        (("export", "out.jsonl"), "there is no bank"),
        (("merge", "nowhere.db"), "there is no bank nowhere.db"),
        (("import", "nowhere.jsonl"), "there is no such file"),
        (("import", "x.jsonl", "--bank", "none"), "no bank to keep it in"),
        (("import", "x.jsonl", "--model", "bankd:gpt"), "did you mean 'banked'"),
        (("stat", "mysql://u:secret@h/d"), "an sqlite or postgresql database, not mysql"),
        (("stat", "postgresql://u:secret@127.0.0.1:1/d"), "cannot be opened"),
        (("stat", "postgresql://u:secret@h:port/d"), "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(mull, arguments: tuple[str, ...], message: str) -> None:
    done = mull("bank", *arguments)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_a_password_is_not_written_into_a_sweeps_file(mull, postgres_url: str, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    asked = ("sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "single", "--bank", postgres_url)
    done = mull(*asked, "--out", out)
    assert done.returncode == 0, done.stderr
    stat = mull("bank", "stat", postgres_url)
    assert stat.returncode == 0, stat.stderr
    for told in (out.read_text(), done.stdout, done.stderr, stat.stdout):
        assert "secret" not in told
    assert "mull:***@" in out.read_text()


def test_a_sweep_on_a_ray_cluster_prints_what_one_on_this_machine_does(mull, recording: Path) -> None:
    pytest.importorskip("ray")
    asked = ("sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "majority:n=4", "--json")
    spread = mull(*asked, "--ray")
    assert spread.returncode == 0, spread.stderr
    assert "80 draws made now, 0 from the bank" in spread.stderr
    here = mull(*asked)
    assert "0 draws made now, 80 from the bank" in here.stderr
    assert here.stdout == spread.stdout
    # What is banked needs no cluster; draws that are not there do.
    assert mull(*asked, "--ray", "127.0.0.1:1").stdout == here.stdout
    refused = mull(*asked, "--seed", "1", "--ray", "127.0.0.1:1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot be reached" in refused.stderr


def test_an_import_tells_what_it_leaves_to_the_task(mull, tmp_path: Path) -> None:
    rows = [{"prompt": "1 + 1?", "response": text, "correct": text == "2", "score": 0.5} for text in ("2", "3")]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = mull("bank", "import", tmp_path / "own.jsonl", "--model", "banked:gpt")
    assert "2 draws imported; 0 were there already" in done.stdout
    assert "own.jsonl: 2 verdicts and 2 scores are not imported: a task grades the draws anew" in done.stderr
