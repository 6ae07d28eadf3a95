"""What goes into a bank from files, and out of it again without loss."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mull import (
    AnswerKind,
    Behaviour,
    Cost,
    Finish,
    Message,
    Params,
    Preference,
    Problem,
    Prompt,
    Run,
    Sample,
    Score,
    Stopped,
    spec,
)
from mull.bank import care, open_bank
from mull.bank.keys import digest, question
from mull.bank.sql import SqlBank, Stat
from mull.errors import FileFormatError, OutputError, UsageError
from mull.files.records import read_recordings
from mull.lab import exchange
from mull.models.banked import BankedModel
from mull.models.embedded import Nano
from mull.tasks.synthetic import ChainTask

DATA = Path(__file__).parents[1] / "data"
PARAMS = Params(max_tokens=400)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[SqlBank]:
    with open_bank(str(tmp_path / "b.db")) as opened:
        yield opened


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "r.jsonl"
    rows = [
        {
            "problem_id": i, "prompt": f"question {i}", "model": model, "answer": "a",
            "samples": [{"text": f"{model} {i} {k % 2}", "final_answer": "a", "output_tokens": k} for k in range(4)],
        }
        for i in range(3)
        for model in ("big", "small")
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def drawn(bank: SqlBank, model: str, n: int, prompt: str = "question 1") -> list[Sample]:
    run = Run(BankedModel(model), bank=bank, params=PARAMS)
    return asyncio.run(run.draw(Prompt.user(prompt), n))


def test_imported_samples_are_the_draws_of_their_question(bank: SqlBank, recorded: Path) -> None:
    taken = exchange.take_in(bank, recorded, exchange.Filing())
    assert taken == care.Taken(draws=24)
    samples = drawn(bank, "big", 10)
    assert [s.text for s in samples] == ["big 1 0", "big 1 1", "big 1 0", "big 1 1"], (
        "in order, and no more than there are"
    )
    assert [s.cost.output_tokens for s in samples] == [0, 1, 2, 3]
    assert {(s.answer, s.seed, s.cost.usd) for s in samples} == {("a", None, None)}
    problem = Problem("1", Prompt.user("question 1"), AnswerKind.TEXT)
    run = Run(BankedModel("small"), bank=bank, params=PARAMS)
    outcome = asyncio.run(spec.strategy("majority:n=4")(problem, run))
    assert (outcome.answer, run.fresh.calls) == ("a", 0)


def test_continuations_of_partial_replies_are_replayed_too(bank: SqlBank) -> None:
    """Forced thinking continues its own reply; what the bank lacks is no answer, and not made."""
    force, problems = spec.strategy("force:wait=1"), list(islice(ChainTask(ops=2).problems(), 2))
    nano = Nano()
    made = asyncio.run(force(problems[0], Run(nano, bank=bank, params=PARAMS)))
    run = Run(BankedModel(nano.identity), bank=bank, params=PARAMS)
    again = asyncio.run(force(problems[0], run))
    assert again.answer == made.answer is not None
    assert (again.best and again.best.text, again.notes) == (made.best and made.best.text, made.notes)
    missing = asyncio.run(force(problems[1], run))
    assert (missing.answer, missing.stopped, run.fresh.calls) == (None, Stopped.EXHAUSTED, 0)


def test_a_file_is_taken_in_once_and_another_after_it(bank: SqlBank, recorded: Path, tmp_path: Path) -> None:
    """Two files of one model are eight draws, though some of them say the same."""
    assert exchange.take_in(bank, recorded, exchange.Filing()).draws == 24
    again = tmp_path / "another name.jsonl"
    again.write_bytes(recorded.read_bytes())
    assert exchange.take_in(bank, again, exchange.Filing()) == care.Taken(already=24)
    other = tmp_path / "more.jsonl"
    other.write_text(recorded.read_text() + "\n")
    assert exchange.take_in(bank, other, exchange.Filing()) == care.Taken(draws=24)
    assert [s.text[-1] for s in drawn(bank, "big", 10)] == list("01010101")
    assert care.verify(bank) == []


def test_samples_may_be_filed_under_a_model_and_parameters(bank: SqlBank, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"prompt": "question 1", "samples": [{"text": "x"}]}))
    params = Params(temperature=0.5, max_tokens=9)
    model = spec.build("model", spec.MODELS, "banked:gpt-4")
    exchange.take_in(bank, path, exchange.Filing(model, params, seed=3))
    asked = question(BankedModel("gpt-4"), Prompt.user("question 1"), params, 3)
    assert bank.get(digest(asked), Prompt.user("question 1"), 0, 9)[0].text == "x"


@pytest.mark.parametrize("name", ["inspect.eval", "inspect.json"])
def test_inspect_logs_are_taken_in(bank: SqlBank, name: str) -> None:
    assert exchange.take_in(bank, DATA / name, exchange.Filing()).draws == 15
    assert len(drawn(bank, "mockllm/model", 9, "2+2?")) == 5


def test_harness_samples_are_taken_in(bank: SqlBank) -> None:
    path = next(DATA.glob("samples_sums_2*.jsonl"))
    n = exchange.take_in(bank, path, exchange.Filing()).draws
    (stat,) = bank.stat()
    assert n == stat.draws > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "line 1: not JSON"),
        ('{"samples": []}', "line 1: no prompt"),
        ('{"prompt": "q", "samples": [{}]}', "line 1: sample 0 has neither"),
        ('{"asked": {"model": "m"}, "samples": [{"text": "x"}]}', "line 1: not as `mull bank export` writes it"),
        ('{"verdict": "k"}', "line 1: not as `mull bank export` writes it"),
    ],
)
def test_a_malformed_file_is_refused_whole(bank: SqlBank, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=message):
        exchange.take_in(bank, path, exchange.Filing())
    assert bank.stat() == []


def test_a_file_that_is_not_there_is_said(bank: SqlBank, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        exchange.take_in(bank, tmp_path / "nowhere.jsonl", exchange.Filing())


PROMPT = Prompt((Message("system", "be brief"), Message("user", "why\x00?")), "beca")


@pytest.fixture
def full(bank: SqlBank) -> SqlBank:
    """A bank with all that a draw can have, and more draws and questions than go in one part."""
    asked = question(BankedModel("m"), PROMPT, PARAMS, 0)
    sample = Sample(PROMPT, "use\x00 \ud800é", Finish.LENGTH, Cost(1, 2, 3, 0, 1, 0.1 + 0.2, None, 1e-9), 0, 2**63 - 1)
    told = replace(
        sample, draw=4, logprobs=(-0.1, float("-inf")), answer="\x1a", reasoning="so", batch=4,
        alternatives=((("a", -0.5), ("b\ud800", -1.5)), ()),
    )  # fmt: skip
    bank.put(digest(asked), asked, sample)
    bank.put(digest(asked), asked, told)
    for i in range(600):
        prompt = Prompt.user(f"q{i}")
        asked = question(BankedModel("n"), prompt, PARAMS, 0)
        bank.put(digest(asked), asked, Sample(prompt, f"t{i}", Finish.STOP))
    bank.keep("v1", "judge\x00", Preference(None, Cost(usd=None), "tie", is_lasting=True))
    bank.keep("v2", "orm", Score(1 / 3, (0.5, 1 / 7), why="é"))
    bank.keep("v3", "python", Behaviour((True, None), ("'\x00'", None), ("", "ValueError: \ud800"), why="é"))
    return bank


def test_an_export_comes_in_again_without_loss(full: SqlBank, tmp_path: Path) -> None:
    out, verdicts = tmp_path / "out.jsonl", tmp_path / "verdicts.jsonl"
    assert (exchange.write_draws(full, out), exchange.write_verdicts(full, verdicts)) == (602, 3)
    with open_bank(str(tmp_path / "again.db")) as again:
        assert exchange.take_in(again, out, exchange.Filing()) == care.Taken(draws=602)
        assert exchange.take_in(again, verdicts, exchange.Filing()) == care.Taken(verdicts=3)
        assert exchange.take_in(again, out, exchange.Filing()) == care.Taken(already=602)
        key = digest(question(BankedModel("m"), PROMPT, PARAMS, 0))
        assert again.get(key, PROMPT, 0, 9) == full.get(key, PROMPT, 0, 9)
        names = ["v1", "v2", "v3"]
        assert again.verdicts(names) == full.verdicts(names)
        assert care.merge(again, full) == care.Taken(already=605)
        assert care.verify(again) == []


def test_an_export_is_a_file_of_recorded_samples(full: SqlBank, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert exchange.write_draws(full, out, "m") == 2
    (recording,) = read_recordings(out)
    assert (recording.prompt, recording.group, len(recording.samples)) == ("why\x00?", "m", 2)
    assert recording.samples[1].answer == "\x1a"


def test_parquet_has_one_row_a_draw(full: SqlBank, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert exchange.write_draws(full, out) == 602
    rows = pq.read_table(out).to_pylist()
    (first, told) = sorted((row for row in rows if row["model"] == "m"), key=lambda row: row["draw"])
    assert first["text"] == "use\x00 \\ud800é", "what Parquet cannot hold is escaped"
    assert (first["flops"], first["usd"], first["seed"], first["finish"]) == (0.1 + 0.2, None, 2**63 - 1, "length")
    assert told["logprobs"] == [-0.1, float("-inf")]
    assert json.loads(told["asked"])["messages"][0] == ["system", "be brief"]


def test_an_export_that_cannot_be_written_is_said(full: SqlBank, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"written as \.jsonl or \.parquet"):
        exchange.write_draws(full, tmp_path / "out.csv")
    for name in ("out.jsonl", "out.parquet"):
        with pytest.raises(OutputError, match="cannot be written"):
            exchange.write_draws(full, tmp_path / "nowhere" / name)


def test_a_bank_in_postgres_is_filled_and_emptied_alike(full: SqlBank, postgres_url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    exchange.write_draws(full, here)
    with open_bank(postgres_url) as other:
        assert exchange.take_in(other, here, exchange.Filing()).draws == 602
        exchange.write_draws(other, there)
        assert other.stat() == full.stat() == [Stat("m", 1, 2, 6), Stat("n", 600, 600, 0)]
        assert exchange.take_in(other, DATA / "inspect.json", exchange.Filing()).draws == 15
    assert sorted(there.read_text().splitlines()) == sorted(here.read_text().splitlines())
