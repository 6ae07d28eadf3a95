"""Tables that people keep: one set of problems and replies in every format and shape gives the same recordings."""

import csv
import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mull.errors import FileFormatError, UsageError
from mull.files.columns import Layout
from mull.files.recording import RecordedSample, Recording, Result
from mull.files.records import read, read_recordings, row_of
from mull.lab.recorded import read_recorded
from mull.lab.sources import read_source
from mull.types import Cost

LONG = [
    {"id": "a", "prompt": "1+1?", "gold": "2", "text": "So,\nAnswer: 2", "score": 0.9},
    {"id": "a", "prompt": "1+1?", "gold": "2", "text": "Answer: 3", "score": 0.25},
    {"id": "b", "prompt": "say \"x\", y", "gold": "7", "text": "", "score": None},
    {"id": "b", "prompt": "say \"x\", y", "gold": "7", "text": "\\boxed{7}", "score": 1.0},
]  # fmt: skip


def wide(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(
            row["id"], {"id": row["id"], "prompt": row["prompt"], "gold": row["gold"], "samples": []}
        )
        one["samples"].append({"text": row["text"], "score": row["score"]})
    return list(found.values())


def lists(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Wide, with texts in one list and scores in another."""
    made = []
    for row in wide(rows):
        samples = row.pop("samples")
        made.append({**row, "samples": [s["text"] for s in samples], "scores": [s["score"] for s in samples]})
    return made


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def json_list(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1))


def json_object(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"version": 1, "rows": rows}))


def delimited(path: Path, rows: list[dict[str, Any]]) -> None:
    delimiter = {".csv": ",", ".tsv": "\t"}.get(path.suffix, ";")
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        for row in rows:
            writer.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()})


def semicolons(path: Path, rows: list[dict[str, Any]]) -> None:
    delimited(path.with_suffix(".ssv"), rows)
    path.with_suffix(".ssv").rename(path)


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


WRITERS: list[tuple[str, Callable[[Path, list[dict[str, Any]]], None]]] = [
    ("t.jsonl", jsonl), ("t.jsonl.gz", jsonl), ("t.json", json_list), ("lines.json", jsonl), ("o.json", json_object),
    ("t.csv", delimited), ("t.tsv", delimited), ("s.csv", semicolons), ("t.parquet", parquet), ("t.ndjson", jsonl),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write"), WRITERS)
@pytest.mark.parametrize("shape", [list, wide, lists])
def test_every_format_and_shape_tells_the_same(
    tmp_path: Path, name: str, write: Callable[..., None], shape: Callable[..., list[dict[str, Any]]]
) -> None:
    write(tmp_path / name, shape(LONG))
    (group,) = read_recorded(tmp_path / name).groups.values()
    assert [(r.id, r.prompt, r.gold) for r in group.recordings] == [("a", "1+1?", "2"), ("b", 'say "x", y', "7")]
    assert [r.answers for r in group.recordings] == [("2", "3"), (None, "7")]
    assert [r.correct for r in group.recordings] == [(True, False), (False, True)]
    assert [r.scores for r in group.recordings] == [(0.9, 0.25), (None, 1.0)]


USUAL = [
    {"question": "q", "target": "4", "responses": ["Answer: 4", "Answer: 5"]},
    {"Question": "q", "Ground Truth": 4, "Completions": [{"content": "Answer: 4"}, {"message": {"content": "5"}}]},
    {"problem": "q", "solution": "2+2 is \\boxed{4}", "generations": ["\\boxed{4}", "\\boxed{5}"]},
    {"problem": "q", "solution": "add", "answer": "4", "generations": ["\\boxed{4}", "\\boxed{5}"]},
    {"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
     "reward_model": {"ground_truth": "4", "style": "rule"}, "responses": ["#### 4", "#### 5"]},
    {"input": "q", "gts": "4", "outputs": ["Answer: 4", "Answer: 5"]},
    {"query": "q", "expected_answer": "4", "outputs": ["x", "y"], "predictions": ["4", "5"]},
    {"input": "q", "label": "4", "samples": [{"final_answer": "4"}, {"final_answer": 5.0}]},
]  # fmt: skip


@pytest.mark.parametrize("row", USUAL)
def test_usual_names_are_known(tmp_path: Path, row: dict[str, Any]) -> None:
    jsonl(tmp_path / "t.jsonl", [row])
    source = read_recorded(tmp_path / "t.jsonl")
    (recording,) = source.groups["t.jsonl"].recordings
    assert (recording.prompt, recording.answers, recording.correct) == ("q", ("4", "5"), (True, False))
    assert source.faults == []


SHAPES: list[Any] = [
    {
        "a": {"question": "q", "answer": "4", "responses": ["4", "5"]},
        "b": {"question": "r", "answer": "5", "responses": []},
    },
    {"question": {"0": "q"}, "answer": {"0": "4"}, "responses": {"0": ["4", "5"]}},
    {"question": "q", "answer": "4", "responses": ["4", "5"]},
    {"model": "m", "results": [{"question": "q", "answer": "4", "responses": ["4", "5"]}]},
    [{"question": "q", "answer": "4", "choices": [{"message": {"content": "4"}}, {"message": {"content": "5"}}]}],
    [{"question": "q", "gt": "4", "pred": ["4", "5"]}],
    [{"question": "q", "gt_answer": "4", "samples": ["4", "5"], "is_corrects": [True, False]}],
    [
        {"index": 0, "prompt": "q", "response": "4", "target": "4"},
        {"index": 1, "prompt": "q", "response": "5", "target": 4},
    ],
    [{"prompt": "q", "answer": "4", "correct": True}, {"prompt": "q", "answer": "5", "correct": False}],
]


@pytest.mark.parametrize("content", SHAPES)
def test_other_shapes_that_are_about_are_known(tmp_path: Path, content: Any) -> None:
    (tmp_path / "t.json").write_text(json.dumps(content))
    (group,) = read_source(tmp_path / "t.json").groups.values()
    first = group.recordings[0]
    assert (first.prompt, first.answers, first.correct) == ("q", ("4", "5"), (True, False))


def test_an_answer_that_nobody_gave_is_the_gold(tmp_path: Path) -> None:
    jsonl(tmp_path / "t.jsonl", [{"question": "q", "final_answer": ["4"]}])
    (recording,) = read_recordings(tmp_path / "t.jsonl")
    assert (recording.gold, recording.samples) == ("4", ())


def test_nan_is_nothing_but_for_a_score(tmp_path: Path) -> None:
    sample = {"text": "4", "correct": math.nan, "output_tokens": math.nan, "final_answer": math.nan}
    jsonl(tmp_path / "t.jsonl", [{"prompt": "q", "answer": math.nan, "samples": [sample]}])
    (recording,) = read_recordings(tmp_path / "t.jsonl")
    assert (recording.gold, recording.samples) == (None, (RecordedSample("4"),))


def test_a_reply_that_looks_like_a_list_is_a_reply(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "gold": "4", "response": text} for text in ('["4"]', '{"answer": 4}', "[1, 2]")]
    for name, write in (("t.csv", delimited), ("t.jsonl", jsonl)):
        write(tmp_path / name, rows)
        (recording,) = read_recordings(tmp_path / name)
        assert [sample.text for sample in recording.samples] == [row["response"] for row in rows]
    jsonl(tmp_path / "t.jsonl", [{"prompt": "q", "gold": "4", "response": {"answer": 4}}])
    (recording,) = read_recordings(tmp_path / "t.jsonl")
    assert recording.samples[0].text == '{"answer": 4}'


def test_a_conversation_in_a_row_is_one_reply(tmp_path: Path) -> None:
    def row(answer: str) -> dict[str, Any]:
        turns = [{"role": "tool", "content": "3"}, {"role": "assistant", "content": f"Answer: {answer}"}]
        return {"uid": "a", "question": "1+2?", "gold": "3", "completion": turns[answer == "4" :]}

    path = tmp_path / "runs.jsonl"
    path.write_text("".join(json.dumps(row(answer)) + "\n" for answer in "334"))
    [recording] = read_recordings(path)
    assert [sample.text for sample in recording.samples] == ["Answer: 3", "Answer: 3", "Answer: 4"]


def test_what_a_question_is_about_is_part_of_the_prompt(tmp_path: Path) -> None:
    jsonl(tmp_path / "t.jsonl", [{"Body": "A has 2.", "Question": "How much?", "Answer": 2.0, "ID": "c1"}])
    (recording,) = read_recordings(tmp_path / "t.jsonl")
    assert (recording.id, recording.prompt, recording.gold) == ("c1", "A has 2.\nHow much?", "2")


def test_columns_can_be_named_and_what_was_chosen_is_said(tmp_path: Path) -> None:
    rows = [
        {"nr": i, "frage": "q", "loesung": "4", "antwort": f"ich sage {n}", "wert": n, "gut": n == 4, "punkte": 0.5}
        for i in (1, 2)
        for n in (4, 5)
    ]
    delimited(tmp_path / "t.csv", rows)
    named = {"id": "nr", "prompt": "frage", "samples": "antwort", "gold": "loesung"}
    layout = Layout(**named, correct="gut", answer="wert", score="punkte")
    found = read(tmp_path / "t.csv", None, layout)
    assert [one.id for one in found.recordings] == ["1", "2"]
    assert found.recordings[0].samples[1] == RecordedSample("ich sage 5", "5", correct=False, score=0.5)
    assert "`antwort` as the samples" in found.notes[0]
    with pytest.raises(FileFormatError, match=r"no column 'note' for --score: it has nr, frage"):
        read(tmp_path / "t.csv", None, Layout(**named, score="note"))


def test_a_name_may_be_a_path(tmp_path: Path) -> None:
    jsonl(tmp_path / "t.jsonl", [{"doc": {"q": "q", "a": "4"}, "out": [{"t": {"v": "4"}}]}])
    layout = Layout(prompt="doc.q", gold="doc.a", samples="out", answer="t.v")
    (recording,) = read_recordings(tmp_path / "t.jsonl", None, layout)
    assert (recording.prompt, recording.gold, recording.samples[0].answer) == ("q", "4", "4")


def test_in_a_row_of_one_sample_answer_is_its_own_where_the_gold_has_another_name(tmp_path: Path) -> None:
    jsonl(
        tmp_path / "t.jsonl", [{"prompt": "q", "gold": "Rome", "answer": "Rome", "response": "I think of Rome, yes."}]
    )
    (recording,) = read_recordings(tmp_path / "t.jsonl")
    assert (recording.gold, recording.samples[0].answer) == ("Rome", "Rome")
    jsonl(tmp_path / "t.jsonl", [{"prompt": "q", "answer": "Rome", "response": "I think of Rome, yes."}])
    (recording,) = read_recordings(tmp_path / "t.jsonl")
    assert (recording.gold, recording.samples[0].answer) == ("Rome", None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt": "q", "gold": "1", "text": "x"}, {"prompt": "q", "gold": "2", "text": "x"}],
         "line 2: another gold answer than on line 1"),
        ([{"id": 1, "prompt": "q", "text": "x"}, {"id": 1, "prompt": "r", "text": "x"}], "line 2: another prompt than"),
        ([{"prompt": "q", "samples": ["a", "b"], "scores": [1]}], "`scores` has 1 entries for 2 samples"),
        ([{"prompt": "q", "samples": ["a", None]}], "sample 1 is null, which is neither right nor wrong"),
        ([{"prompt": "q", "answer": ["a", "b"]}], "`answer` has 2 gold answers: give one"),
        ([{"prompt": "q", "samples": [{"text": "x", "correct": 0.5}]}], "`correct` must be true or false, not 0.5"),
        ([{"prompt": "q", "samples": [{"text": "x", "logprob": 0.5}]}], "`logprob` is at most 0"),
        ([{"prompt": "q", "samples": [{"text": "x", "output_tokens": 1.5}]}], "`output_tokens` must be a whole number"),
        ([{"foo": 1}], "no prompt: it has foo; name the prompt's column"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_said_with_its_line(tmp_path: Path, rows: Any, message: str) -> None:
    jsonl(tmp_path / "t.jsonl", rows)
    with pytest.raises(FileFormatError, match=message):
        read_recordings(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "prompt,answer\nq,1,2\n", r"line 2: 3 cells under 2 columns"),
        ("t.csv", "prompt,prompt\nq,1\n", r"line 1: two columns have the name 'prompt'"),
        ("t.csv", "prompt,answer\n", "no problems in it"),
        ("t.csv", "prompt,samples\nq,\"['a', 'b']\"\n", "line 2: `samples` is a list as Python prints it"),
        ("t.json", "[{\"prompt\": 1}, 2]", "line 2: a row must be a JSON object like .*, not int"),
        ("t.json", "[{\"prompt\": ", "not JSON"),
        ("t.json", "[" * 100_000, "nested too deep"),
        ("t.json", "3", "a list of objects was expected"),
        ("t.parquet", "no table", "cannot be read"),
        ("t.csv", "prompt\n\xff", "not UTF-8"),
    ],
)  # fmt: skip
def test_a_broken_table_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(FileFormatError, match=message):
        read_recordings(tmp_path / name)


def scored(path: Path, *scores: float) -> Path:
    jsonl(path, [{"prompt": "q", "answer": "2", "samples": [{"text": "2", "score": score} for score in scores]}])
    return path


@pytest.mark.parametrize("score", [1.5, -0.1, 3.5, -9999.0, math.nan, math.inf, -math.inf])
def test_a_score_that_is_none_is_refused_until_its_range_is_declared(tmp_path: Path, score: float) -> None:
    path = scored(tmp_path / "t.jsonl", 0.5, score)
    with pytest.raises(FileFormatError, match=r"line 1: sample 1: the score .* --score-range LOW,HIGH"):
        read(path)
    (unscored,) = read_recordings(path)
    assert unscored.scores == (0.5, None), "for who looks at no score it is none"
    (recording,) = read(path, None, Layout(score_range="-4,4")).recordings
    expected = (score + 4) / 8 if math.isfinite(score) and abs(score) <= 4 else None
    assert recording.scores == pytest.approx((4.5 / 8, expected))


@pytest.mark.parametrize("text", ["1", "1,0", "a,b", "0,inf", "nan,1", "1,2,3"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--score-range takes two numbers LOW,HIGH"):
        Layout(score_range=text)


def test_clamped_log_probabilities_are_unknown(tmp_path: Path) -> None:
    values = [-0.5, -9999.0, -math.inf, math.nan, -12_000.0]
    samples = [{"text": "2", "logprob": value} for value in values]
    jsonl(tmp_path / "t.jsonl", [{"prompt": "q", "answer": "2", "samples": samples}])
    found = read(tmp_path / "t.jsonl")
    assert [s.logprob for s in found.recordings[0].samples] == [-0.5, None, None, None, None]
    assert "4 log-probabilities are clamped" in found.notes[0]


def test_a_recording_is_written_and_read_again(tmp_path: Path) -> None:
    result = Result("2", True, None, 2, "complete", Cost(calls=2, usd=None), {"no_answer": 0})
    sample = RecordedSample("Answer: 2", "2", True, 0.5, 7, -0.25)
    made = Recording(
        "p", "q", "2", (sample, RecordedSample("", None, False)), ("2", None), results={"majority:n=2": result},
        group="m", strategy="majority:n=2",
    )  # fmt: skip
    jsonl(tmp_path / "t.jsonl", [row_of(made)])
    (again,) = read_recordings(tmp_path / "t.jsonl")
    assert (again.samples, again.results, again.group, again.strategy) == (
        made.samples, made.results, "m", "majority:n=2",
    )  # fmt: skip
