"""The bank in a PostgreSQL: all that one in a file does, and it waits for a server that goes away."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mull import Cost, Finish, Outcome, Prompt, Sample, Strategy, spec, testing
from mull.bank import open_bank
from mull.bank.sql import Judged, SqlBank, Stat
from mull.cost import total
from mull.errors import BankError, BankVersionError
from mull.testing import PROBLEM, FakeModel, FakeVerifier, fake_run

PROMPT = Prompt.user("q")
ASKED = {"model": "m", "messages": [["user", "q\x00\ud800"]]}


def sample(draw: int, text: str = "t") -> Sample:
    return Sample(PROMPT, text, Finish.STOP, Cost(1, 2, 3, usd=None), draw, 2**63 - 1 - draw, (-0.5, -1.25), "a")


@pytest.fixture
def bank(postgres_url: str) -> Iterator[SqlBank]:
    with open_bank(postgres_url) as opened:
        yield opened


def test_a_draw_comes_back_as_it_was(bank: SqlBank, postgres_url: str) -> None:
    """NUL bytes and lone surrogates, which PostgreSQL's text cannot hold, among it."""
    told = {"reasoning": "h\x00m\n", "alternatives": ((("t\x00", -0.5), ("\udfff", -1.0)), ()), "batch": 8}
    kept = [
        replace(sample(0, "ünï\ncode\x00\x1b \\x00 \ud83d"), **told, answer="\x00"),
        Sample(PROMPT, "", Finish.LENGTH, draw=1),
        sample(2, "\x1a\\x41"),
    ]
    for s in kept:
        bank.put("k", ASKED, s)
    with open_bank(postgres_url) as other:
        assert other.get("k", PROMPT, 0, 5) == dict(enumerate(kept))


def test_the_first_to_write_a_draw_wins(bank: SqlBank) -> None:
    bank.put("k", ASKED, sample(0, "first"))
    bank.put("k", ASKED, sample(0, "second"))
    assert bank.get("k", PROMPT, 0, 1)[0].text == "first"


def test_stat_counts_by_model(bank: SqlBank) -> None:
    async def call() -> None:
        run = fake_run(bank=bank)
        await run.score(PROBLEM, await run.draw(PROBLEM.prompt, 3))

    asyncio.run(call())
    bank.put("k", ASKED, sample(0))
    (fake, m) = bank.stat()
    assert (fake.model, fake.questions, fake.draws) == ("fake", 1, 3)
    assert m == Stat("m", 1, 1, 3)
    assert bank.judged() == [Judged("fake-verifier", "score", 3)]


@pytest.fixture(params=["best:n=16", "until-pass:n=16,wave=3,bar=2", "adaptive:n=16,rule=beta"])
def strategy(request: pytest.FixtureRequest) -> Strategy:
    built: Strategy = spec.strategy(request.param)
    return built


def test_a_replay_costs_nothing(strategy: Strategy, bank: SqlBank) -> None:
    testing.check_replay(strategy, bank)


def test_a_killed_run_resumes(strategy: Strategy, bank: SqlBank) -> None:
    testing.check_resume(strategy, bank)


def test_tables_are_made_once_by_many_at_once(postgres_url: str) -> None:
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            open_bank(postgres_url).close()
        except BankError as error:
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_bank_of_another_version_is_refused(bank: SqlBank, postgres_url: str) -> None:
    bank.write(lambda connection: connection.exec_driver_sql("update meta set value = '99'"))
    with pytest.raises(BankVersionError, match="schema version 99") as refused:
        open_bank(postgres_url)
    assert "secret" not in str(refused.value)


def test_a_database_that_is_not_there_is_said_without_the_password(postgres) -> None:
    with pytest.raises(BankError, match=r"cannot be opened.*does not exist") as refused:
        open_bank(postgres.url("nowhere"))
    assert "secret" not in str(refused.value)
    with pytest.raises(BankError, match="cannot be opened"):
        open_bank("postgresql://mull:secret@127.0.0.1:1/bank")


class Interrupting(FakeModel):
    """A model that does something once, in the middle of its draws."""

    def __init__(self, at: int, what) -> None:
        super().__init__()
        self.at, self.what = at, what

    def _draw(self, *asked):  # type: ignore[no-untyped-def]
        if len(self.seen) == self.at:
            self.what()
        return super()._draw(*asked)


def test_a_server_that_goes_away_is_waited_for_and_nothing_is_lost(postgres, postgres_url: str) -> None:
    """Stopped while draws are on their way, and started a while after: the outcome is as if nothing had been."""
    problems = [replace(PROBLEM, id=str(i), prompt=Prompt.user(f"Which letter? {i}")) for i in range(8)]
    strategy = spec.strategy("until-pass:n=16,wave=3,bar=2")

    def all_of(*fakes: object, bank: SqlBank | None = None) -> tuple[list[Outcome], Cost, Cost]:
        runs = [fake_run(*fakes, bank=bank) for _ in problems]

        async def call() -> list[Outcome]:
            return list(await asyncio.gather(*(map(strategy, problems, runs))))

        outcomes = asyncio.run(call())
        return outcomes, total(run.spent for run in runs), total(run.fresh for run in runs)

    undisturbed = all_of()
    later = threading.Timer(1.0, postgres.start)

    def cut() -> None:
        postgres.stop()
        later.start()

    model = Interrupting(40, cut)
    with open_bank(postgres_url) as bank:
        assert all_of(model, bank=bank)[:2] == undisturbed[:2]
    later.join()
    assert len(model.seen) == len({(prompt, draw.number) for prompt, _, draw in model.seen}) == 8 * 16
    with open_bank(postgres_url) as bank:
        assert sum(stat.draws for stat in bank.stat()) == 8 * 16
        outcomes, spent, fresh = all_of(FakeModel(dies_after=0), FakeVerifier(is_dead=True), bank=bank)
        assert (outcomes, spent, fresh) == (*undisturbed[:2], Cost())


def test_what_waits_is_written_on_closing_when_the_server_is_back(postgres, postgres_url: str) -> None:
    async def call(bank: SqlBank) -> None:
        postgres.stop()
        for i in range(3):
            bank.put("k", ASKED, sample(i))

    later = threading.Timer(0.5, postgres.start)
    with open_bank(postgres_url) as bank:
        asyncio.run(call(bank))
        later.start()
    later.join()
    with open_bank(postgres_url) as bank:
        assert len(bank.get("k", PROMPT, 0, 9)) == 3


def test_patience_ends(postgres, postgres_url: str) -> None:
    bank = SqlBank(postgres_url, patience=0.5)
    postgres.stop()
    try:
        with pytest.raises(BankError, match=r"unavailable for .* before are kept"):
            bank.put("k", ASKED, sample(0))
        with pytest.raises(BankError):
            bank.close()
    finally:
        postgres.start()
