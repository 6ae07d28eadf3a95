"""Recorded samples as draws."""

import asyncio
import json
from pathlib import Path

import pytest

from mull import Prompt, Run, Sample, Stopped, UsageError
from mull.errors import FileFormatError
from mull.models.recorded import RecordedModel


@pytest.fixture
def path(tmp_path: Path) -> str:
    rows = [
        {"problem_id": f"p{i}", "prompt": f"question {i}", "samples": [{"text": f"{i}.{k}"} for k in range(12)]}
        for i in range(3)
    ]
    file = tmp_path / "r.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def drawn(run: Run, n: int, question: str = "question 1") -> list[Sample]:
    return asyncio.run(run.draw(Prompt.user(question), n))


def test_each_sample_is_drawn_once_in_an_order_that_the_seed_decides(path: str) -> None:
    texts = [s.text for s in drawn(Run(RecordedModel(path)), 12)]
    assert sorted(texts) == sorted(f"1.{k}" for k in range(12))
    assert texts != [f"1.{k}" for k in range(12)]
    assert texts == [s.text for s in drawn(Run(RecordedModel(path)), 12)]
    assert texts != [s.text for s in drawn(Run(RecordedModel(path, seed=1)), 12)]


def test_draw_k_is_the_same_however_many_are_asked_for(path: str) -> None:
    run = Run(RecordedModel(path))
    assert drawn(run, 5) + drawn(run, 7) == drawn(Run(RecordedModel(path)), 12)


def test_after_the_last_one_the_sampling_ends_and_says_so(path: str) -> None:
    run = Run(RecordedModel(path))
    assert len(drawn(run, 20)) == 12
    assert run.stopped is Stopped.EXHAUSTED
    assert drawn(run, 1) == []


def test_tokens_are_unknown_and_calls_are_counted(path: str) -> None:
    run = Run(RecordedModel(path))
    drawn(run, 3)
    assert run.spent.calls == 3
    assert run.spent.output_tokens is None
    assert run.spent.usd is None


def test_tokens_that_were_recorded_are_counted(tmp_path: Path) -> None:
    samples = [{"text": str(k), "output_tokens": 10 + k} for k in range(6)]
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps({"problem_id": "p", "prompt": "question 1", "samples": samples}))
    found = drawn(Run(RecordedModel(str(file))), 6)
    assert {s.text: s.cost.output_tokens for s in found} == {str(k): 10 + k for k in range(6)}
    assert all(s.cost.prompt_tokens is None for s in found)


def test_a_prompt_that_was_not_recorded_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="no recording of the prompt 'question 9'"):
        drawn(Run(RecordedModel(path)), 1, "question 9")


def test_the_identity_changes_with_the_file(path: str) -> None:
    before = RecordedModel(path).identity
    assert RecordedModel(path).identity == before
    with Path(path).open("a") as file:
        file.write(json.dumps({"prompt": "more", "samples": []}) + "\n")
    assert RecordedModel(path).identity != before


def test_two_rows_with_one_prompt_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text("".join(json.dumps({"problem_id": i, "prompt": "q", "samples": []}) + "\n" for i in range(2)))
    with pytest.raises(FileFormatError, match="line 2: the same prompt as line 1"):
        RecordedModel(str(file))
