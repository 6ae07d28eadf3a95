"""Looking after a bank: rows that were truncated or altered are named, merging overwrites and loses nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import Cost, Finish, Preference, Prompt, Sample, Score
from mull.bank import care, open_bank
from mull.bank.keys import digest
from mull.bank.schema import packed, unpacked
from mull.bank.sql import SqlBank

PROMPT = Prompt.user("q")
ASKED = {"model": "m", "messages": [["user", "q"]]}
KEY = digest(ASKED)


def draw(number: int, text: str = "t", seed: int | None = None, seconds: float = 0.0) -> Sample:
    return Sample(PROMPT, text, Finish.STOP, Cost(seconds=seconds), number, seed)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Callable[..., SqlBank]]:
    """Banks with these draws in them, each in a file of its own."""
    with ExitStack() as stack:

        def made(*samples: Sample) -> SqlBank:
            n = len(list(tmp_path.glob("*.db")))
            opened = stack.enter_context(open_bank(str(tmp_path / f"{n}.db")))
            for sample in samples:
                opened.put(KEY, ASKED, sample)
            return opened

        yield made


def texts(bank: SqlBank) -> list[str]:
    found = bank.get(KEY, PROMPT, 0, 99)
    return [found[number].text for number in sorted(found)]


@given(st.text(alphabet=st.characters(), max_size=30))
def test_every_text_is_packed_without_loss(text: str) -> None:
    for inner in (text, "\x1a" + text, text + "\x00", "\ud83d\ude00" + text):
        assert "\x00" not in packed(inner)
        packed(inner).encode("utf-8")
        assert unpacked(packed(inner)) == inner


ALTERED = {
    "draws": [
        "update draws set text = 'better' where draw = 1",
        "update draws set cost = '[0, 0, 0, 0, 0, 0, 0, 0]' where draw = 1",
        "update draws set draw = 7 where draw = 1",
        "update draws set logprobs = x'00' where draw = 1",
        "update draws set text = cast(x'ff00fe' as text) where draw = 1",
        "update draws set digest = 'none' where draw = 1",
    ],
    "questions": [
        "update questions set asked = replace(asked, 'q', 'r')",
        "update questions set asked = '{'",
        "update questions set asked = x'00'",
        "update questions set model = 'a better one'",
    ],
    "verdicts": ["update verdicts set value = 1.0", "update verdicts set why = 'since'"],
}


@pytest.mark.parametrize(("table", "change"), [(table, change) for table in ALTERED for change in ALTERED[table]])
def test_what_was_altered_is_named(bank, table: str, change: str, tmp_path: Path) -> None:
    opened = bank(draw(0), replace(draw(1, "x"), logprobs=(-0.5,)), draw(2))
    opened.keep("v", "judge", Score(0.25, (0.5,), why="because"))
    assert care.verify(opened) == []
    with closing(sqlite3.connect(tmp_path / "0.db")) as other, other:
        assert other.execute(change).rowcount == 1
    (flaw,) = care.verify(opened)
    assert (flaw.table, flaw.what) == (table, "truncated or altered")
    assert flaw.draw == {"draws": 7 if "set draw" in change else 1}.get(table)


def test_a_draw_without_its_question_is_named(bank, tmp_path: Path) -> None:
    opened = bank(draw(0))
    opened.flush()
    with closing(sqlite3.connect(tmp_path / "0.db")) as other, other:
        other.execute("delete from questions")
    assert [str(flaw) for flaw in care.verify(opened)] == [f"draws: draw 0 of {KEY}: its question is missing"]


def test_a_file_that_is_damaged_is_said(bank, tmp_path: Path) -> None:
    opened = bank(*(draw(i, "x" * 2000) for i in range(50)))
    opened.close()
    path = tmp_path / "0.db"
    content = bytearray(path.read_bytes())
    content[8 * 4096 : 9 * 4096] = b"\x55" * 4096
    path.write_bytes(content)
    with open_bank(str(path)) as damaged:
        assert any(flaw.table == "file" for flaw in care.verify(damaged))


def test_merging_adds_what_is_missing_and_a_second_time_nothing(bank) -> None:
    target, source = bank(draw(0, seed=5), draw(1, seed=6)), bank(draw(1, seed=6, seconds=9.0), draw(2, seed=7))
    source.keep("v", "judge", Preference(0.25))
    assert care.merge(target, source) == care.Taken(draws=1, verdicts=1, already=1)
    assert target.get(KEY, PROMPT, 0, 9)[1].cost.seconds == 0.0, "what was there stays"
    assert target.verdicts(["v"]) == {"v": Preference(0.25)}
    assert care.merge(target, source) == care.Taken(already=3)
    assert care.verify(target) == []


def test_another_reply_to_the_same_seed_is_counted_and_left_out(bank) -> None:
    target, source = bank(draw(0, "one", seed=5)), bank(draw(0, "two", seed=5))
    assert care.merge(target, source) == care.Taken(differing=1)
    assert texts(target) == ["one"]


def test_unseeded_draws_of_one_number_are_two_draws(bank) -> None:
    target = bank(*(draw(i, f"a{i}", seconds=i) for i in range(3)))
    source = bank(*(draw(i, f"b{i}", seconds=i + 0.5) for i in range(5)))
    assert care.merge(target, source) == care.Taken(draws=5, renumbered=3)
    assert texts(target) == ["a0", "a1", "a2", "b3", "b4", "b0", "b1", "b2"]
    assert care.merge(target, source) == care.Taken(already=5), "again: all are there, under whatever number"
    assert care.merge(source, target) == care.Taken(draws=3, renumbered=3, already=5), "and back"
    assert sorted(texts(source)) == sorted(texts(target))
    assert care.verify(target) == care.verify(source) == []


def test_equal_unseeded_draws_of_which_nothing_else_is_known_are_as_many_as_they_were(bank) -> None:
    """Imported samples have no times: two that say the same are two all the same."""
    target, source = bank(draw(1, "yes")), bank(draw(0, "yes"), draw(1, "yes"), draw(2, "yes"))
    assert care.merge(target, source) == care.Taken(draws=2, already=1)
    assert texts(target) == ["yes"] * 3


def test_what_is_torn_is_not_taken_in(bank, tmp_path: Path) -> None:
    target, source = bank(), bank(draw(0), draw(1))
    source.flush()
    with closing(sqlite3.connect(tmp_path / "1.db")) as other, other:
        other.execute("update draws set text = 'better' where draw = 1")
    assert care.merge(target, source) == care.Taken(draws=1, torn=1)


def test_banks_of_two_kinds_merge(bank, postgres_url: str) -> None:
    source = bank(*(draw(i, f"\x00{i}", seed=i) for i in range(3)))
    with open_bank(postgres_url) as target:
        assert care.merge(target, source).draws == 3
        assert target.get(KEY, PROMPT, 0, 9) == source.get(KEY, PROMPT, 0, 9)
        assert care.verify(target) == []
        target.write(lambda connection: connection.exec_driver_sql("update draws set text = 'x' where draw = 2"))
        assert [(flaw.table, flaw.draw) for flaw in care.verify(target)] == [("draws", 2)]
        assert care.merge(bank(), target) == care.Taken(draws=2, torn=1)
