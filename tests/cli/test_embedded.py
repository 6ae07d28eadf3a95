"""The command line on the built-in model: scaling that happens, replays that cost nothing, and `kill -9`."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from mull.replies.expression import misses
from warm import Warm

CHAIN = "b:a+45;a:9;c:b-30;c?"
SWEEP = ("sweep", "chain:ops=4", "-s", "single", "-s", "majority:n=16", "-s", "adaptive:n=64,rule=beta")


def without_seconds(result: dict) -> dict:
    """A sweep's result without what a clock measured."""
    for row in result["rows"]:
        row["cost"].pop("seconds")
    return result


def test_solve_answers_and_counts(mull_json) -> None:
    solved = mull_json("solve", CHAIN, "-s", "majority:n=32")
    assert solved["model"] == "nano"
    assert len(solved["samples"]) == 32
    assert solved["cost"]["calls"] == 32
    assert solved["cost"]["output_tokens"] == sum(s["cost"]["output_tokens"] for s in solved["samples"])
    assert solved["cost"]["flops"] > 0
    assert solved["cost"]["usd"] == 0.0
    assert mull_json("solve", CHAIN, "-s", "majority:n=32")["samples"] == solved["samples"]


def test_a_draw_ends_where_it_writes_the_stop_text(mull_json) -> None:
    draws = mull_json("solve", CHAIN, "-s", "majority:n=16", "--stop", "Wait", "--stop", "=74")["samples"]
    assert {s["finish"] for s in draws} == {"stop", "stop_string"}
    assert not any("Wait" in s["text"] or "=74" in s["text"] for s in draws)


def test_the_same_seed_gives_the_same_draws_in_another_bank(mull_json, tmp_path: Path) -> None:
    asked = ("solve", CHAIN, "-s", "majority:n=8")
    first = mull_json(*asked)
    second = mull_json(*asked, "--bank", tmp_path / "other.db")
    assert [s["text"] for s in first["samples"]] == [s["text"] for s in second["samples"]]
    other = mull_json(*asked, "--seed", 1)
    assert [s["text"] for s in first["samples"]] != [s["text"] for s in other["samples"]]


def test_more_draws_and_a_vote_are_better_than_one(mull_json) -> None:
    """200 problems: the paired interval of majority over single excludes zero."""
    asked = (*SWEEP, "--problems", 200)
    result = mull_json(*asked)
    rows = {row["strategy"].partition(":")[0]: row for row in result["rows"]}
    majority = next(pair for pair in result["pairs"] if pair["a"].startswith("majority"))
    assert majority["ci95"][0] > 0
    assert rows["majority"]["oracle"] > rows["single"]["oracle"]
    assert rows["adaptive"]["cost"]["calls"] < 64
    assert mull_json(*asked) == result


def test_a_second_sweep_makes_no_draw(mull) -> None:
    first, second = (mull(*SWEEP, "--problems", 10, "--json") for _ in range(2))
    assert "0 from the bank" not in second.stderr
    assert second.stderr.startswith("0 draws made now")
    assert first.stdout == second.stdout


def count(path: Path) -> int:
    """The draws that are in a bank, as another process sees them."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as bank, bank:
        if not bank.execute("select count(*) from sqlite_master where name = 'draws'").fetchone()[0]:
            return 0
        n: int = bank.execute("select count(*) from draws").fetchone()[0]
        return n


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A sweep as a person at a terminal has it: tests that run in the background inherit that Ctrl-C is ignored."""
    command = [sys.executable, "-m", "mull", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for_draws(path: Path, process: subprocess.Popen[str], n: int) -> None:
    """Returns once the bank holds n draws."""
    limit = time.monotonic() + 60
    while count(path) < n:
        assert process.poll() is None, "the sweep ended before it could be stopped"
        assert time.monotonic() < limit, "the sweep draws too slowly"


@pytest.fixture(scope="module")
def undisturbed(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, int]:
    """What a sweep of 60 problems that is not stopped prints, and how many draws it banks."""
    bank = tmp_path_factory.mktemp("undisturbed") / "bank.db"
    done = warm.mull(*SWEEP, "--problems", 60, "--json", "--bank", bank)
    return without_seconds(json.loads(done.stdout)), count(bank)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_sweep_goes_on_where_it_was(
    mull, environment: dict[str, str], undisturbed: tuple[dict, int], stop: signal.Signals
) -> None:
    asked = (*SWEEP, "--problems", "60")
    bank = Path(environment["MULL_BANK"])
    process = start(environment, *asked, "--json")
    wait_for_draws(bank, process, 200)
    os.kill(process.pid, stop)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if stop is signal.SIGKILL else 130), stderr
    kept = count(bank)
    assert kept >= 200

    again = mull(*asked, "--json")
    assert without_seconds(json.loads(again.stdout)) == undisturbed[0]
    made = int(re.match(r"([\d,]+) draws made now", again.stderr)[1].replace(",", ""))  # type: ignore[index]
    assert kept + made == count(bank) == undisturbed[1], "no finished draw is made again"


def test_until_pass_uses_the_checker(mull_json) -> None:
    result = mull_json(
        "sweep", "countdown:numbers=3", "-s", "single", "-s", "until-pass:n=32", "--verifier", "countdown", "-p", 40
    )
    single, until_pass = result["rows"]
    assert until_pass["accuracy"] == until_pass["oracle"] > single["accuracy"]


def test_a_typed_countdown_is_checked_too(mull_json) -> None:
    asked = ("solve", "reach 23 with 3 7 2", "-s", "until-pass:n=64", "--kind", "expression")
    solved = mull_json(*asked, "--verifier", "countdown")
    assert misses(solved["answer"], [3, 7, 2], 23) == ""
    assert solved["stopped"] == "early"


def test_a_deadline_returns_the_best_so_far(mull_json) -> None:
    mull_json("solve", CHAIN, "-s", "majority:n=8")  # a busy machine may draw nothing in time, and has these
    solved = mull_json("solve", CHAIN, "-s", "majority:n=100000", "--seconds", 2)
    assert solved["stopped"] == "deadline"
    assert solved["answer"]
    assert 8 <= len(solved["samples"]) < 100_000


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("Hello", "cannot read 'H'"),
        ("a:7;" * 200 + "a?", r"the prompt has \d+ tokens, and nano reads at most 511"),
    ],
)
def test_prompts_that_nano_cannot_take(mull, prompt: str, message: str) -> None:
    done = mull("solve", prompt)
    assert done.returncode == 2
    assert re.search(message, done.stderr)


def test_curves_of_a_bank(mull, mull_json, environment: dict[str, str]) -> None:
    mull_json("sweep", "chain:ops=2", "-s", "majority:n=8", "-p", 12)
    bank = environment["MULL_BANK"]
    curves = mull_json("curves", bank, "--task", "chain:ops=2")
    assert (curves["problems"], curves["samples"]) == (12, 96)
    assert "name the task with --task" in mull("curves", bank).stderr
    assert "has no draws" in mull("curves", bank, "--task", "chain:ops=3").stderr
