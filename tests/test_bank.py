"""The bank: what was written is there, whoever wrote it first; what cannot be written is said."""

import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mull import Cost, Finish, Prompt, Sample
from mull.bank import MemoryBank, default_path, default_url, open_bank
from mull.bank.sql import SqlBank, Stat
from mull.errors import BankError, BankVersionError
from mull.testing import PROBLEM, fake_run

PROMPT = Prompt.user("q")
ASKED = {"model": "m", "messages": [["user", "q"]]}


def sample(draw: int, text: str = "t") -> Sample:
    return Sample(PROMPT, text, Finish.STOP, Cost(1, 2, 3, usd=None), draw, 2**63 - 1 - draw, (-0.5, -1.25), "a")


def test_a_draw_comes_back_as_it_was(tmp_path: Path) -> None:
    told = {"reasoning": "hm\n", "alternatives": ((("t", -0.5), ("u", -1.0)), ()), "batch": 8}
    kept = [replace(sample(0, "ünï\ncode\x00\x1b"), **told), Sample(PROMPT, "", Finish.LENGTH, draw=1)]
    with open_bank(str(tmp_path / "b.db")) as bank:
        for s in kept:
            bank.put("k", ASKED, s)
    with open_bank(str(tmp_path / "b.db")) as bank:
        assert bank.get("k", PROMPT, 0, 5) == {0: kept[0], 1: kept[1]}
        assert bank.get("k", PROMPT, 1, 1) == {1: kept[1]}
        assert bank.get("other", PROMPT, 0, 5) == {}


@pytest.mark.parametrize("make", [lambda path: MemoryBank(), lambda path: open_bank(str(path / "b.db"))])
def test_the_first_to_write_a_draw_wins(make, tmp_path: Path) -> None:
    bank = make(tmp_path)
    bank.put("k", ASKED, sample(0, "first"))
    bank.put("k", ASKED, sample(0, "second"))
    assert bank.get("k", PROMPT, 0, 1)[0].text == "first"
    if isinstance(bank, SqlBank):
        bank.close()


def test_two_banks_on_one_file_share_their_draws(tmp_path: Path) -> None:
    one, two = open_bank(str(tmp_path / "b.db")), open_bank(str(tmp_path / "b.db"))
    one.put("k", ASKED, sample(0, "one"))
    two.put("k", ASKED, sample(0, "two"))
    two.put("k", ASKED, sample(1, "two"))
    one.flush()
    two.flush()
    assert [s.text for s in one.get("k", PROMPT, 0, 9).values()] == ["one", "two"]
    one.close()
    two.close()


def test_draws_are_on_disk_when_the_loop_comes_round(tmp_path: Path) -> None:
    """Without closing or flushing: another connection sees what one turn of the loop wrote."""
    path = tmp_path / "b.db"

    async def call() -> int:
        bank = open_bank(str(path))
        for i in range(5):
            bank.put("k", ASKED, sample(i))
        await asyncio.sleep(0)
        with closing(sqlite3.connect(path)) as other, other:
            n: int = other.execute("select count(*) from draws").fetchone()[0]
        bank.close()
        return n

    assert asyncio.run(call()) == 5


def test_the_bank_is_in_wal_mode(tmp_path: Path) -> None:
    with open_bank(str(tmp_path / "b.db")), closing(sqlite3.connect(tmp_path / "b.db")) as other:
        assert other.execute("pragma journal_mode").fetchone()[0] == "wal"


def test_a_bank_of_another_version_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    open_bank(str(path)).close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("update meta set value = '99' where name = 'schema_version'")
    with pytest.raises(BankVersionError, match=r"schema version 99.*another file with --bank"):
        open_bank(str(path))


def test_a_file_that_is_no_bank_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    path.write_text("this is not a database, " * 100)
    with pytest.raises(BankError, match="cannot be opened"):
        open_bank(str(path))


def small_bank(path: Path) -> SqlBank:
    """A bank on a full disk: SQLite may not grow it, and says so as it would there."""
    bank = open_bank(str(path))
    pages = bank.read(lambda connection: connection.exec_driver_sql("pragma page_count").scalar_one())
    bank.read(lambda connection: connection.exec_driver_sql(f"pragma max_page_count = {pages + 4}"))
    return bank


def test_a_full_disk_stops_the_run_with_the_finished_draws_kept(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    bank = small_bank(path)

    async def call() -> None:
        run = fake_run(bank=bank)
        for i in range(100):
            await run.draw(Prompt.user(f"q{i} " + "x" * 500), 4)

    with pytest.raises(BankError, match=r"cannot be written.*full.*kept"):
        asyncio.run(call())
    with closing(sqlite3.connect(path)) as other, other:
        n = other.execute("select count(*) from draws").fetchone()[0]
    assert n >= 4
    with pytest.raises(BankError):
        bank.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to what is read-only")
def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(BankError):
        open_bank(str(tmp_path / "deeper" / "b.db"))


def test_a_read_only_bank_is_said(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    open_bank(str(path)).close()
    bank = SqlBank(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(BankError, match="cannot be written"):
        bank.put("k", ASKED, sample(0))
    with pytest.raises(BankError):
        bank.close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BankError, match="cannot make the folder"):
        open_bank(str(tmp_path / "file" / "b.db"))


def test_stat_counts_by_model(tmp_path: Path) -> None:
    with open_bank(str(tmp_path / "b.db")) as bank:
        asyncio.run(fake_run(bank=bank).draw(PROBLEM.prompt, 3))
        bank.put("k", ASKED, sample(0))
        (fake, m) = bank.stat()
    assert (fake.model, fake.questions, fake.draws) == ("fake", 1, 3)
    assert m == Stat("m", 1, 1, 3)


def test_where_the_bank_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MULL_BANK", str(tmp_path / "x.db"))
    assert default_path() == tmp_path / "x.db"
    monkeypatch.setenv("MULL_BANK", f"sqlite:///{tmp_path / 'url.db'}")
    assert default_url() == f"sqlite:///{tmp_path / 'url.db'}"
    with closing(open_bank()):
        assert (tmp_path / "url.db").is_file(), "a URL is no path"
    monkeypatch.delenv("MULL_BANK")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path() == tmp_path / "mull" / "bank.db"
