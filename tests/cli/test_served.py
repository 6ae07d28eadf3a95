"""The command line on models behind servers: sweeps that survive failures and kills, keys that stay secret."""

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from fault_server import FaultServer
from mull.bank import open_bank
from score_server import Fake, serving
from warm import Warm

CANARY = "sk-canary-4f1d2c"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Mull = Callable[..., Awaitable[Done]]


@pytest.fixture
def start(environment: dict[str, str]) -> Callable[..., Awaitable[asyncio.subprocess.Process]]:
    async def call(*arguments: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mull", *map(str, arguments), env={**environment, "CANARY": CANARY},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    return call


@pytest.fixture
def mull(warm: Warm, environment: dict[str, str]) -> Mull:
    """Runs `mull` while the server goes on in this process."""

    async def call(*arguments: object) -> Done:
        done = await asyncio.to_thread(warm.mull, *arguments, env={**environment, "CANARY": CANARY})
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    def write(server: FaultServer, **settings: object) -> Path:
        path = tmp_path / "mull.toml"
        told = {"base_url": server.url, "model": "words", "backoff": 0.01, **settings}
        path.write_text("[models.m]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))
        return path

    return write


@pytest.fixture
def task(tmp_path: Path) -> Callable[[int], str]:
    def write(n: int) -> str:
        path = tmp_path / "task.jsonl"
        rows = [{"problem_id": f"p{i}", "prompt": f"question {i}", "answer": "a"} for i in range(n)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return f"file:{path}"

    return write


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def without_seconds(result: dict[str, Any]) -> dict[str, Any]:
    for cost in [row["cost"] for row in result["rows"]] + list(result["probes"].values()):
        cost.pop("seconds")
    return result


async def test_solve_at_a_url(mull: Mull) -> None:
    async with FaultServer() as server:
        done = await mull("solve", "hello", "--base-url", server.url, "-s", "majority:n=8", "--json")
        assert done.code == 0, done.err
        solved = json.loads(done.out)
        assert solved["model"] == "words"
        assert solved["answer"] in "abc"
        assert solved["probe"]["calls"] + 1 == len(server.bodies)
        again = await mull("solve", "hello", "--base-url", server.url, "-m", "words", "-s", "majority:n=8", "--json")
        assert json.loads(again.out) == solved, "from the bank"


async def test_a_price_beside_the_url_gives_dollars(mull: Mull) -> None:
    prices = ("--usd-per-mtok-in", "100", "--usd-per-mtok-out", "400")
    async with FaultServer() as server:
        asked = ("solve", "hello", "--base-url", server.url, "-s", "majority:n=8", *prices)
        done = await mull(*asked, "--json")
        assert done.code == 0, done.err
        cost = json.loads(done.out)["cost"]
        assert cost["usd"] == pytest.approx((cost["prompt_tokens"] * 100 + cost["output_tokens"] * 400) / 1e6)
        assert "per 1,000 questions" in (await mull(*asked)).out
        half = await mull(*asked[:-2], "--json")
    assert half.code == 2
    assert "a price needs both" in half.err


async def test_five_thousand_draws_with_a_tenth_of_replies_failing(mull: Mull, config, task, tmp_path: Path) -> None:
    """Every draw is there once, none is lost, none is doubled, and the retries are told."""
    async with FaultServer(mixed=0.1, n="rejected") as server:
        asked = (
            "sweep", task(50), "-m", "m", "--config", config(server), "-s", "majority:n=100", "--json",
            "--out", tmp_path / "draws.jsonl",
        )  # fmt: skip
        done = await mull(*asked)
        assert done.code == 0, done.err
        n_failed = sum(n for name, n in server.counts.items() if name not in ("ok", "words", "peak", "gone"))
        n_asked = len(server.bodies)
        assert (await mull(*asked)).out == done.out
        assert len(server.bodies) == n_asked, "all of it is in the bank"
    result = json.loads(done.out)
    (row,) = result["rows"]
    assert row["samples"] == 100
    assert row["failed"] == 0
    assert row["retries"] + result["probes"]["m"]["retries"] == n_failed
    assert 350 < row["retries"] < 700
    assert f"{row['retries']:,} requests were retried after failures" in done.err
    with open_bank(str(tmp_path / "bank.db")) as bank:
        (stat,) = bank.stat()
    assert (stat.questions, stat.draws) == (50, 5000)
    problems = [json.loads(line) for line in (tmp_path / "draws.jsonl").read_text().splitlines()[1:]]
    texts = [(p["problem_id"], s["text"]) for p in problems for s in p["samples"]]
    assert len(texts) == 5000
    assert all(text.rstrip().endswith(("a", "b", "c")) for _, text in texts)


async def test_a_sweep_killed_at_five_random_moments_ends_as_if_it_had_not_been(
    mull: Mull, start, config, task, tmp_path: Path
) -> None:
    async with FaultServer(mixed=0.1, n="rejected") as server:
        asked = ("sweep", task(40), "-m", "m", "--config", config(server), "-s", "single", "-s", "majority:n=12")
        whole = await mull(*asked, "--json", "--bank", tmp_path / "whole.db")
        assert whole.code == 0, whole.err
        n_whole = len(server.bodies)
        rng = random.Random(7)
        n_begun = 0
        for moment in sorted(rng.sample(range(20, 500), 5)):
            n_before = len(server.bodies)
            process = await start(*asked, "--json")
            await server.asked(n_before + max(moment - n_begun, 3))
            process.kill()
            await process.communicate()
            n_begun = moment
        n_before = len(server.bodies)
        last = await mull(*asked, "--json")
        assert last.code == 0, last.err
        assert len(server.bodies) - n_before < n_whole, "what was drawn before the kills is not drawn again"
    assert without_seconds(json.loads(last.out)) == without_seconds(json.loads(whole.out))


async def test_the_key_is_in_nothing_that_mull_prints_or_keeps(mull: Mull, config, task, tmp_path: Path) -> None:
    """The server sends the key back in its replies and errors; it must be in no output, error, bank or report."""
    seen = []
    out, page = tmp_path / "draws.jsonl", tmp_path / "report.html"
    async with FaultServer(key=CANARY, script=["ok"] * 30 + ["echo"] * 8 + ["400", "500"] * 9) as server:
        path = config(server, api_key_env="CANARY", use_n=False)
        sweep = ("sweep", task(4), "-m", "m", "--config", path, "-s", "majority:n=9", "--out", out)
        for arguments in (
            (*sweep, "--json"),
            sweep,
            ("solve", "hello", "-m", "m", "--config", path, "--json", "--bank", "none"),
            ("list", "models", "--probe", "--config", path, "--json"),
            ("list", "models", "--config", path),
            ("report", out, "--out", page),
        ):
            done = await mull(*arguments)
            assert done.code == 0, done.err
            seen += [done.out, done.err]
        server.key = "another"
        for arguments in (
            ("solve", "hi", "-m", "m", "--config", path),
            ("solve", "hi", "--base-url", server.url, "--api-key-env", "CANARY"),
            ("list", "models", "--probe", "--config", path),
        ):
            done = await mull(*arguments)
            assert done.code == 1
            assert "the key is refused (HTTP 401" in done.err
            seen += [done.out, done.err]
    assert "retries" in page.read_text(), "a report tells how many attempts were made again"
    files = files_in(tmp_path)
    assert {out, page, tmp_path / "bank.db"} <= set(files)
    assert any("you said" in file.read_text(errors="replace") for file in files), "the server did send it back"
    for text in [*seen, *(file.read_bytes().decode("latin-1") for file in files)]:
        assert CANARY not in text


@pytest.mark.parametrize("status", [401, 400, 200])
async def test_a_key_that_a_reward_server_repeats_is_in_nothing_either(mull: Mull, tmp_path: Path, status: int) -> None:
    fake = Fake()
    said = json.dumps({"error": {"message": f"You sent Authorization: Bearer {CANARY}"}, "data": f"Bearer {CANARY}"})
    fake.trouble = lambda path, body: web.Response(status=status, text=said, content_type="application/json")
    trace, seen = tmp_path / "trace.jsonl", []
    async with serving(fake, key=CANARY) as url:
        for verifier in (
            f"prm:model=m,base_url={url},preset=qwen-math-prm,api_key_env=CANARY",
            f"decisions:model=m,base_url={url},api_key_env=CANARY",
        ):
            done = await mull(
                "solve", "b:7;a:b*2;a?", "-m", "nano", "-s", "best:n=2", "--verifier", verifier, "--trace", trace
            )
            seen += [done.out, done.err]
            trace.rename(trace.with_suffix(f".{len(seen)}"))
    assert fake.seen, "the server was asked and did send it back"
    assert any("Bearer ***" in text for text in seen) or status == 200
    for text in [*seen, *(file.read_bytes().decode("latin-1") for file in files_in(tmp_path))]:
        assert CANARY not in text


async def test_what_a_server_can_do_is_listed(mull: Mull, config) -> None:
    async with FaultServer(continues=None, owned_by="someone") as server:
        path = config(server)
        before = await mull("list", "models", "--config", path)
        assert "not probed yet=mull list models --probe" in before.out
        done = await mull("list", "models", "--probe", "--config", path, "--json")
        (entry,) = [e for e in json.loads(done.out)["models"] if e["name"] == "m"]
        assert entry["probe"]["n"] is True
        assert entry["probe"]["continues"] is None
        assert "starts a new reply" in entry["probe"]["why"]
        assert entry["probe"]["cost"]["calls"] == len(server.bodies)
        n = len(server.bodies)
        after = await mull("list", "models", "--config", path)
        assert "seed=True" in after.out
        assert len(server.bodies) == n, "it is kept"
        await mull("list", "models", "--probe", "--config", path)
        assert len(server.bodies) == 2 * n, "it is found out anew where that is asked for"


async def test_draws_that_fail_for_good_are_told_with_their_reason(mull: Mull, config, task) -> None:
    async with FaultServer(context=1) as server:
        path = config(server)
        done = await mull("sweep", task(2), "-m", "m", "--config", path, "-s", "majority:n=2", "--json")
        # The probe's own questions do not fit either.
        assert done.code == 1
        assert "rejects a plain question: prompt and reply do not fit the model's context" in done.err
        server.context = None
        await mull("list", "models", "--probe", "--config", path)
        server.context = 1
        done = await mull("sweep", task(2), "-m", "m", "--config", path, "-s", "majority:n=2", "--json")
        assert done.code == 1, "none of its draws is left"
        assert json.loads(done.out)["rows"][0]["failed"] == 4
        assert "4 draws failed: prompt and reply do not fit the model's context" in done.err
        assert (await mull("solve", "one two", "-m", "m", "--config", path)).code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-m", "mm"), 2, "unknown model 'mm': did you mean 'm'?"),
        (("-m", "m", "--usd", "1"), 2, "mull.toml, line 1: a ceiling on usd cannot be kept: [models.m] has no usd_per"),
        (("-m", "m", "--flops", "1"), 2, "[models.m] has no active_params"),
        (("--base-url", "localhost"), 2, "base_url must be like http://localhost:8000/v1, not 'localhost'"),
        (("--base-url", "http://127.0.0.1:9/v1", "-m", "x"), 1, "cannot connect"),
        (("--base-url", "SERVER", "-m", "word"), 2, "unknown model 'word': did you mean 'words'? The server"),
        (
            ("--base-url", "SERVER", "--usd", "1"),
            2,
            "a ceiling on usd cannot be kept without a price: give --usd-per-mtok-in and",
        ),
        (
            ("--base-url", "SERVER", "--api-key-env", "NO_KEY"),
            2,
            "the environment variable NO_KEY (api_key_env) is",
        ),
        (("--api-key-env", "X"), 2, "--api-key-env goes with --base-url"),
        (("-m", "m", "--config", "no.toml"), 2, "no.toml: there is no such file"),
    ],
)
async def test_bad_input_is_one_line(mull: Mull, config, arguments: tuple[str, ...], code: int, words: str) -> None:
    async with FaultServer() as server:
        path = config(server)
        given = [server.url if a == "SERVER" else a for a in arguments]
        if "--config" not in given:
            given += ["--config", str(path)]
        done = await mull("solve", "hello", *given)
        assert done.code == code
        assert words in done.err
        assert len(done.err.splitlines()) == 1
        assert done.out == ""


async def test_models_of_mull_toml_stand_inside_strategies(mull: Mull, config) -> None:
    """A cascade that begins on nano and goes on to a server, and an ensemble with a member there: one run, one bank."""
    async with FaultServer() as server:
        path = config(server)
        plan = "cascade:first=(majority:n=2),then=(ensemble:members=((on:of=(majority:n=3),model=m),single)),bar=1"
        asked = ("solve", "a:7;b:a*6;c:b-5;c?", "-s", plan, "--temperature", "3", "--json", "--config", path)
        done = await mull(*asked)
        assert done.code == 0, done.err
        solved = json.loads(done.out)
        assert (solved["model"], solved["models"]) == ("nano", ["nano", "m"])
        assert solved["notes"]["stages"] == 2
        assert solved["cost"]["calls"] == 2 + 3, "single is the first of the two of the first stage"
        n_asked = len(server.bodies)
        assert solved["probe"]["calls"] + 1 <= n_asked
        again = await mull(*asked)
        assert without_clock(json.loads(again.out)) == without_clock(solved)
        assert len(server.bodies) == n_asked, "all of it is in the bank"


def without_clock(solved: dict[str, Any]) -> dict[str, Any]:
    return {**solved, "probe": None}


@pytest.mark.parametrize(
    ("strategy", "more", "words"),
    [
        ("cascade:first=single,then=single,model=mm", (), "cascade:model: unknown model 'mm': did you mean 'm'?"),
        (
            "ensemble:members=(single,(on:of=single,model=m))",
            ("--usd", "1"),
            "ensemble:members[2]: on:model: ",
        ),
        ("repeat:of=(on:of=single,model=m)", ("--flops", "1"), "[models.m] has no active_params"),
    ],
)
async def test_a_model_inside_a_strategy_is_refused_as_one_outside(
    mull: Mull, config, strategy: str, more: tuple[str, ...], words: str
) -> None:
    async with FaultServer() as server:
        for verb in (("solve", "a:7;a?"), ("sweep", "chain:ops=1", "-p", "1")):
            done = await mull(*verb, "-s", strategy, *more, "--config", config(server))
            assert (done.code, done.out) == (2, "")
            assert words in done.err
            assert len(done.err.splitlines()) == 1
        assert not server.bodies


async def test_a_server_with_several_models_wants_one_named(mull: Mull) -> None:
    async with FaultServer(models=("a", "b")) as server:
        done = await mull("solve", "hello", "--base-url", server.url)
        assert done.code == 2
        assert "has several: a, b; name one with --model" in done.err


def test_a_test_environment_has_no_settings_of_its_users() -> None:
    assert "MULL_CONFIG" not in os.environ


async def test_a_server_that_is_down_does_not_hide_what_was_found_of_another(mull: Mull, tmp_path: Path) -> None:
    async with FaultServer() as server:
        path = tmp_path / "two.toml"
        down = '[models.away]\nbase_url = "http://127.0.0.1:9/v1"\npatience = 0.1\nbackoff = 0.01\n'
        path.write_text(f'{down}[models.words]\nbase_url = "{server.url}"\n')
        done = await mull("list", "models", "--probe", "--config", path)
    assert "seed=True" in done.out
    assert "not reached=away: http://127.0.0.1:9/v1: cannot connect" in " ".join(done.out.split())
    assert done.code == 1
    assert "not probed: away" in done.err


@pytest.mark.parametrize("command", ["solve", "sweep"])
async def test_a_command_that_lost_most_of_its_draws_fails_and_says_why_first(
    mull: Mull, config, command: str, tmp_path: Path
) -> None:
    """A figure from the few that are left would pass for a result."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "p", "prompt": "hello", "answer": "a"}\n')
    what = ["p", "--task", f"file:{rows}"] if command == "solve" else [f"file:{rows}"]
    async with FaultServer(n="rejected") as server:
        path = config(server, retries=0)
        await mull("list", "models", "--probe", "--config", path)
        server._script = iter(["400", "400", "400", "ok"])
        done = await mull(command, *what, "-m", "m", "--config", path, "-s", "majority:n=4")
    assert done.code == 1
    assert "3 draws failed: HTTP 400: it said 400" in done.err
    assert "more than half of the draws failed (3 of 4)" in done.err


async def test_advice_prices_a_model_by_its_url_as_by_mull_toml(mull: Mull, config, tmp_path: Path) -> None:
    """A dollar per million prompt tokens and two per million generated ones, counted by hand from the tokens."""
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps({"prompt": f"q{i}?", "answer": "a"}) + "\n" for i in range(3)))
    pilot = ("advise", f"file:{questions}", "--pilot", "3x4", "--json")
    async with FaultServer() as server:
        toml = config(server, usd_per_mtok_in=1.0, usd_per_mtok_out=2.0)
        prices = ("--usd-per-mtok-in", 1, "--usd-per-mtok-out", 2)
        for named in (("-m", "m", "--config", toml), ("--base-url", server.url, *prices)):
            done = await mull(*pilot, *named)
            assert done.code == 0, done.err
            advice = json.loads(done.out)
            spent = advice["pilot"]["spent"]
            assert spent["usd"] == pytest.approx((spent["prompt_tokens"] + 2 * spent["output_tokens"]) / 1e6)
            assert advice["unit"] == "usd"
        unpriced = await mull(*pilot, "--base-url", server.url, "--bank", "none")  # banked draws cost what they cost
        assert json.loads(unpriced.out)["unit"] == "tokens"


async def test_the_one_model_of_a_server_is_asked_for_answers_that_can_be_read(mull: Mull, tmp_path: Path) -> None:
    """Without `--model`, as the README begins."""
    questions = tmp_path / "questions.csv"
    questions.write_text("question,answer\nWhich letter?,abc\n")
    async with FaultServer() as server:
        done = await mull("sweep", questions, "--base-url", server.url, "-s", "single")
        assert done.code == 0, done.err
        last = server.bodies[-1]["messages"][-1]["content"]
    assert last.startswith("Which letter?")
    assert "Answer:" in last
