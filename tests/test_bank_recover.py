"""A damaged bank is called damaged, and every row that is whole in it is saved."""

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mull import Cost, Finish, Prompt, Sample, Score
from mull.bank import care, open_bank
from mull.bank.keys import digest
from mull.bank.leases import here
from mull.bank.recover import recover
from mull.bank.schema import KEPT
from mull.bank.sql import SqlBank
from mull.errors import BankError

PROMPT = Prompt.user("q")
PAGE = 4096
DAMAGED = r"damaged.*mull bank recover .* --to NEW.db"


def asked(i: int) -> dict[str, object]:
    return {"model": "m", "messages": [["user", f"question {i:04d}"]]}


def text(i: int, number: int, n_long: int = 0) -> str:
    return f"reply {i:04d}/{number} ünï\x00" + "long " * n_long


def fill(bank: SqlBank, n: int, n_long: int = 0) -> None:
    for i in range(n):
        for number in range(4):
            sample = Sample(PROMPT, text(i, number, n_long), Finish.STOP, Cost(1, 2, 3, usd=0.5), number, 7, (-0.5,))
            bank.put(digest(asked(i)), asked(i), sample)
        bank.keep(f"verdict {i:04d}", "judge", Score(float(i % 3), (0.5,), why="because"))
    bank.flush()


def rows(path: Path) -> dict[str, set[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as other:
        return {name: set(other.execute(f"select * from {name}")) for name in KEPT}


def saved(path: Path, to: Path) -> dict[str, set[tuple[object, ...]]]:
    with open_bank(str(to)) as bank:
        recover(path, bank)
        assert not [flaw for flaw in care.verify(bank) if flaw.what != "its question is missing"]
    return rows(to)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of 200 questions whose rows lie in pages without remnants of others."""
    path = tmp_path_factory.mktemp("whole") / "b.db"
    with open_bank(str(path)) as bank:
        fill(bank, 200)
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma journal_mode = delete")
        other.execute("vacuum")
    return path


def test_a_bank_that_is_whole_is_saved_whole(whole: Path, tmp_path: Path) -> None:
    assert saved(whole, tmp_path / "new.db") == rows(whole)


@pytest.mark.parametrize("size", [512, 1024, 65536])
def test_long_replies_in_the_log_and_pages_of_any_size_are_saved(tmp_path: Path, size: int) -> None:
    path, copy = tmp_path / "b.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"pragma page_size = {size}")
        other.execute("vacuum")
    with open_bank(str(path)) as bank:
        fill(bank, 10, n_long=3000)
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    assert (tmp_path / "copy.db-wal").stat().st_size > 10_000
    assert saved(copy, tmp_path / "new.db") == rows(path)


def damaged(data: bytes, pages: set[int]) -> bytes:
    rng = random.Random(0)
    parts = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
    return b"".join(rng.randbytes(PAGE) if i in pages else part for i, part in enumerate(parts))


HARM: dict[str, Callable[[bytes], tuple[bytes, set[int]]]] = {
    **{
        f"cut at {share}": lambda data, share=share: (
            data[: int(share * len(data))],
            set(range(int(share * len(data)) // PAGE, len(data) // PAGE)),
        )
        for share in (0.95, 0.5, 0.2)
    },
    "header": lambda data: (b"\0" * 100 + data[100:], set()),
    "first page": lambda data: (damaged(data, {0}), {0}),
    **{
        f"pages of seed {seed}": lambda data, seed=seed: (
            damaged(data, lost := set(random.Random(seed).sample(range(len(data) // PAGE), 12))),
            lost,
        )
        for seed in range(3)
    },
}


@pytest.mark.parametrize("harm", HARM)
def test_every_row_of_a_page_that_is_left_is_saved_and_no_other(whole: Path, tmp_path: Path, harm: str) -> None:
    path, data = tmp_path / "b.db", whole.read_bytes()
    content, lost = HARM[harm](data)
    path.write_bytes(content)
    kept, all_rows = saved(path, tmp_path / "new.db"), rows(whole)
    assert all(kept[name] <= all_rows[name] for name in kept)
    names = {digest(asked(i)): i for i in range(200)}
    found = {f"reply {names[str(row[0])]:04d}/{row[1]} " for row in kept["draws"]} | {
        row[0] for row in kept["verdicts"]
    }
    for i in range(200):
        for mark in (*(f"reply {i:04d}/{number} " for number in range(4)), f"verdict {i:04d}"):
            # SQLite may leave a copy of a row behind where it has moved it from.
            pages = {at.start() // PAGE for at in re.finditer(mark.encode(), data)}
            assert (mark in found) or pages & lost, mark


def test_what_holds_nothing_whole_is_said(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    for content in (b"", b"hello" * 5000, random.Random(0).randbytes(100_000)):
        path.write_bytes(content)
        with open_bank(str(tmp_path / "new.db")) as bank, pytest.raises(BankError, match="cannot be recovered"):
            recover(path, bank)


def test_a_damaged_bank_is_called_damaged_with_what_saves_it(whole: Path, tmp_path: Path) -> None:
    path, data = tmp_path / "b.db", whole.read_bytes()
    path.write_bytes(damaged(data, set(range(1, len(data) // PAGE))))
    with pytest.raises(BankError, match=DAMAGED), open_bank(str(path)) as bank:
        bank.get(digest(asked(0)), PROMPT, 0, 9)
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(BankError, match=DAMAGED):
        open_bank(str(path))


@pytest.mark.parametrize(
    "change",
    [
        "update draws set text = 'better'",
        "update draws set cost = '['",
        "update draws set text = cast(x'ff00fe' as text)",
        "update draws set finish = 'because'",
    ],
)
def test_a_draw_that_is_not_as_it_was_written_is_never_used(tmp_path: Path, change: str) -> None:
    path = tmp_path / "b.db"
    with open_bank(str(path)) as bank:
        fill(bank, 1)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(change + " where draw = 1")
        other.execute("update verdicts set value = 2")
    with open_bank(str(path)) as bank:
        key = digest(asked(0))
        assert set(bank.get(key, PROMPT, 0, 1)) == {0}
        with pytest.raises(BankError, match=DAMAGED):
            bank.get(key, PROMPT, 0, 4)
        with pytest.raises(BankError, match=DAMAGED):
            bank.verdicts(["verdict 0000"])
        with pytest.raises(BankError, match=DAMAGED):
            list(care.all_draws(bank))


# Numbers that are none


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, 10**30, 1e300])
def test_one_absurd_number_does_not_spoil_a_bank(tmp_path: Path, number: float) -> None:
    path = tmp_path / "b.db"
    cost = Cost(1, 2, number, usd=number, seconds=number)
    with open_bank(str(path)) as bank:
        fill(bank, 1)
        bank.put(digest(asked(9)), asked(9), Sample(PROMPT, "t", Finish.STOP, cost, 0, logprobs=(number,)))
        bank.keep("v", "judge", Score(number, (number,), cost))
        bank.keep("w", "judge", Score(-0.0))
    with open_bank(str(path)) as bank:
        assert care.verify(bank) == []
        found = bank.get(digest(asked(9)), PROMPT, 0, 1)[0]
        assert replace(found.cost, output_tokens=None, usd=None, seconds=None) == found.cost
        assert bank.stat()[0].draws == 5
        assert bank.verdicts(["w"])["w"].value == 0.0
        assert all(verdict.value == float(number) for verdict in bank.verdicts(["v"]).values())


# A disk that is full


def test_draws_that_a_full_bank_does_not_take_are_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    bank = open_bank(str(tmp_path / "b.db"))
    bank.read(lambda connection: connection.exec_driver_sql("pragma max_page_count = 1"))
    for i in range(3):
        with pytest.raises(BankError, match="full"):
            bank.put(digest(asked(i)), asked(i), Sample(PROMPT, "x" * 5000, Finish.STOP, draw=0))
    with pytest.raises(BankError, match=r"3 draws .* did not take are in .*rescued.db: `mull bank merge"):
        bank.close()
    (rescued,) = tmp_path.glob("mull-*/rescued.db")
    with open_bank(str(tmp_path / "new.db")) as new, open_bank(str(rescued)) as other:
        assert care.merge(new, other).draws == 3


# Workers


def test_workers_that_are_gone_are_forgotten_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with open_bank(str(path)) as bank:
        bank.claim("k", [0])
        with closing(sqlite3.connect(path)) as other, other:
            gone = f"{here()}|1|0|x"  # process 1 began at another time
            other.execute("insert into workers values (?, 1e12), ('elsewhere|1|2|y', 1e12)", (gone,))
            other.execute("insert into leases values (?, 0, 'k', 0, 9)", (gone,))
    with open_bank(str(path)) as bank:
        bank.claim("k", [0])
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("select worker from workers").fetchall() == [("elsewhere|1|2|y",)]
        assert other.execute("select count(*) from leases").fetchone() == (0,)


# A bank that may only be read


def read_only(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Runs a command where a folder is mounted read-only."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, str(folder), *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
        timeout=300,
    )


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    folder = tmp_path / "frozen"
    folder.mkdir()
    if shutil.which("unshare") is None or read_only(folder, "true").returncode:
        pytest.skip("no mount namespaces here")
    return folder


@pytest.mark.parametrize("has_log", [False, True])
def test_a_bank_on_a_read_only_mount_is_replayed(frozen: Path, has_log: bool, tmp_path: Path) -> None:
    mull = (sys.executable, "-m", "mull", "solve", "a:7;b:a*6;b?", "--strategy")
    subprocess.run([*mull, "majority:n=4", "--bank", str(tmp_path / "b.db")], check=True, capture_output=True)
    with open_bank(str(tmp_path / "b.db")) as bank:
        if has_log:
            fill(bank, 1)
            shutil.copy(tmp_path / "b.db-wal", frozen / "b.db-wal")
        shutil.copy(tmp_path / "b.db", frozen / "b.db")
    done = read_only(frozen, *mull, "majority:n=4", "--bank", frozen / "b.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 draws" in done.stdout
    done = read_only(frozen, *mull, "majority:n=9", "--bank", frozen / "b.db")
    assert done.returncode == 1
    assert done.stderr.startswith("mull: the bank ")
    assert "is read-only: what it holds is replayed" in done.stderr
    assert done.stderr.count("\n") == 1
