"""What mull logs: requests, waits, retries, the bank and the ends of runs; no key, and no text in force."""

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest

from fault_server import FaultServer
from mull import MemoryBank, Params, Problem, Prompt, Run
from mull.cli.logs import logs
from mull.errors import UnknownNameError
from mull.models.served.model import OpenAIModel
from mull.strategies.parallel import Majority
from mull.testing import FakeModel

Served = Callable[..., OpenAIModel]
HELLO = Problem("hel\x1b[2Jlo", Prompt.user("hello"))


async def test_retries_and_the_end_of_a_run_are_information(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_KEY", "verysecretkey123")
    async with FaultServer(key="verysecretkey123") as server:
        model = served(server, use_n=False, api_key_env="OWN_KEY")
        await model.prepare()
        server._script = iter(["429", "500"])
        with caplog.at_level(logging.DEBUG, "mull"):
            await Run(model, bank=MemoryBank(), params=Params(max_tokens=50)).solve(Majority(2), HELLO)
    told = {level: [r.getMessage() for r in caplog.records if r.levelname == level] for level in ("INFO", "DEBUG")}
    assert sum("asked again in" in line for line in told["INFO"]) == 2
    assert not any("busy" in line for line in told["INFO"]), "a server's words are for DEBUG: they may echo a prompt"
    assert any("busy" in line for line in told["DEBUG"])
    assert any(line.startswith(r"Majority on hel\x1b[2Jlo: complete after 2 draws") for line in told["INFO"])
    assert sum("POST" in line for line in told["DEBUG"]) == 4
    assert any("requesting 2 draws of words" in line for line in told["DEBUG"])
    everything = "\n".join(r.getMessage() for r in caplog.records)
    assert "verysecretkey123" not in everything
    assert everything.replace("\n", "").isprintable()
    assert {record.name.partition(".")[0] for record in caplog.records} == {"mull"}


async def test_a_run_that_fails_is_told_of_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    class Breaks:
        async def __call__(self, problem: Problem, run: Run) -> None:
            raise ValueError("zebra")

    with caplog.at_level(logging.INFO, "mull"), pytest.raises(ValueError, match="zebra"):
        await Run(FakeModel()).solve(Breaks(), HELLO)
    (record,) = caplog.records
    assert r"on hel\x1b[2Jlo ended by ValueError after" in record.getMessage()


async def test_draws_from_the_bank_are_told_of(caplog: pytest.LogCaptureFixture, served: Served) -> None:
    bank = MemoryBank()
    async with FaultServer() as server:
        model = served(server)
        await Run(model, bank=bank, params=Params(max_tokens=50)).solve(Majority(2), HELLO)
        with caplog.at_level(logging.DEBUG, "mull.run"):
            await Run(model, bank=bank, params=Params(max_tokens=50)).solve(Majority(2), HELLO)
    assert any(r.getMessage() == "2 of 2 draws of words are in the bank" for r in caplog.records)


def test_a_line_on_standard_error_tells_no_key_and_moves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A logger of anyone's below `mull`, whose message was not made visible."""
    monkeypatch.setenv("SOME_API_KEY", "verysecretkey123")
    with logs("info"):
        logging.getLogger("mull.mine").info("it said %s", "\x1b[2J verysecretkey123 \u202e")
        logging.getLogger("mull.mine").debug("not told")
    told = capsys.readouterr().err
    assert r"mull.mine: it said \x1b[2J [SOME_API_KEY] \u202e" in told
    assert "not told" not in told
    assert not logging.getLogger("mull").handlers


def test_the_option_logs_on_standard_error_alone() -> None:
    words = ["solve", "b:a+45;a:9;b?", "--strategy", "majority:n=2", "--bank", "none", "--json", "--log-level"]
    done = subprocess.run([sys.executable, "-m", "mull", *words, "debug"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "INFO mull.run.run: Majority on prompt" in done.stderr
    assert "mull.run" not in done.stdout


def test_another_level_is_told() -> None:
    with pytest.raises(UnknownNameError, match="unknown log level 'loud': known: debug, info, warning"), logs("loud"):
        pass
