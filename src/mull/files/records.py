"""Recordings as lines of JSON: the one reader of such rows, and their one writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.recording import ABOUT, RecordedSample, Recording, Result
from mull.types import Cost

SCORE_FIELDS = ("score", "rm_score")


def read_recordings(path: Path, group: str | None = None) -> list[Recording]:
    """The rows of a file as recordings, only those of one `group` (the rows' `model`) if it is named.

    A row needs a `prompt` or a `problem_id`. The whole file is read before anything is returned, so that a
    malformed line stops all work before any of it is paid for. Of one problem's rows in one group only one
    may be there. A line that holds nothing but `sweep` is no problem: it tells where the rows below it are from.
    """
    found: dict[tuple[str, str | None], Recording] = {}
    groups: set[str] = set()
    sweep: dict[str, Any] = {}
    for line, row in read_jsonl(path):
        if set(row) == {"sweep"}:
            if not isinstance(row["sweep"], dict):
                raise FileFormatError(path, line, "`sweep` must be an object")
            sweep = row["sweep"]
            continue
        recording = _recording(path, line, row, sweep)
        if recording.group is not None:
            groups.add(recording.group)
        if group is not None and recording.group != group:
            continue
        key = recording.id, recording.group
        if key in found:
            raise FileFormatError(path, line, f"problem {recording.id!r} was already on line {found[key].line}")
        found[key] = recording
    if group is not None and not found:
        raise FileFormatError(
            path, None, f"no row has the model {group!r}; it has {', '.join(sorted(groups)) or 'none'}"
        )
    if not found:
        raise FileFormatError(path, None, "no problems in it")
    return list(found.values())


def _recording(path: Path, line: int, row: dict[str, Any], sweep: Mapping[str, Any]) -> Recording:
    prompt = row.get("prompt", row.get("question", row.get("problem_id")))
    if prompt is None or not str(prompt).strip():
        raise FileFormatError(path, line, "no prompt: a row needs a `prompt` (or a `question` or `problem_id`)")
    samples = row.get("samples", [])
    if not isinstance(samples, list):
        raise FileFormatError(path, line, "`samples` must be a list")
    outcomes = row.get("outcomes", {})
    if not isinstance(outcomes, dict):
        raise FileFormatError(path, line, "`outcomes` must be an object with one entry a strategy")
    return Recording(
        str(row.get("problem_id", row.get("id", f"line {line}"))),
        str(prompt),
        _text(row.get("answer")),
        tuple(_sample(path, line, i, sample) for i, sample in enumerate(samples)),
        results={name: _result(path, line, name, outcome) for name, outcome in outcomes.items()},
        group=_text(row.get("model")),
        strategy=_text(row.get("strategy")),
        line=line,
        about=_about(path, line, row, sweep),
        sweep=sweep,
    )


def _about(path: Path, line: int, row: Mapping[str, Any], sweep: Mapping[str, Any]) -> Mapping[str, str]:
    """What a row, or else the sweep that wrote it, says under the names of `ABOUT`."""
    told = {name: row.get(name, sweep.get(name)) for name in ABOUT}
    for name, value in told.items():
        if not isinstance(value, str | None):
            raise FileFormatError(path, line, f"`{name}` must be text, not {value!r}")
    return {name: value for name, value in told.items() if value is not None}


def _sample(path: Path, line: int, place: int, sample: Any) -> RecordedSample:
    if not isinstance(sample, dict) or not ("text" in sample or "final_answer" in sample):
        raise FileFormatError(path, line, f"sample {place} has neither `text` nor `final_answer`")
    correct = sample.get("correct")
    if correct is not None and not isinstance(correct, (bool, int)):
        raise FileFormatError(path, line, f"sample {place}: `correct` must be true or false, not {correct!r}")
    score = next((sample[name] for name in SCORE_FIELDS if sample.get(name) is not None), None)
    if score is not None and not isinstance(score, (int, float)):
        raise FileFormatError(path, line, f"sample {place}: a score must be a number, not {score!r}")
    tokens = sample.get("output_tokens")
    if tokens is not None and (not isinstance(tokens, int) or tokens < 0):
        raise FileFormatError(path, line, f"sample {place}: `output_tokens` must be a whole number, not {tokens!r}")
    logprob = sample.get("logprob")
    if logprob is not None and not isinstance(logprob, (int, float)):
        raise FileFormatError(path, line, f"sample {place}: `logprob` must be a number, not {logprob!r}")
    answer = _text(sample.get("final_answer"))
    text = sample.get("text")
    return RecordedSample(
        text=answer or "" if text is None else str(text),
        answer=answer,
        correct=None if correct is None else bool(correct),
        score=None if score is None else float(score),
        output_tokens=tokens,
        logprob=None if logprob is None else float(logprob),
    )


def _result(path: Path, line: int, name: str, row: Any) -> Result:
    try:
        # Files of before retries were counted have none.
        cost = Cost(**{f.name: {"retries": 0, **row["cost"]}[f.name] for f in fields(Cost)})
        if not all(row[verdict] in (True, False, None) for verdict in ("correct", "covered")):
            raise ValueError("a verdict is true, false or null")
        notes = dict(row.get("notes", {}))
        draws, stopped = int(row["draws"]), str(row["stopped"])
        return Result(row["answer"], row["correct"], row["covered"], draws, stopped, cost, notes)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(path, line, f"the outcome of {name!r} is not as a sweep writes it: {error!r}") from error


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def row_of(recording: Recording) -> dict[str, Any]:
    """A graded recording as a row that `read_recordings` reads again."""
    return {
        "problem_id": recording.id,
        "prompt": recording.prompt,
        "model": recording.group,
        "strategy": recording.strategy,
        **({} if recording.gold is None else {"answer": recording.gold}),
        "samples": [
            {
                "text": sample.text,
                "final_answer": answer,
                "correct": sample.correct,
                "score": sample.score,
                "output_tokens": sample.output_tokens,
                "logprob": None if sample.logprob is None else round(sample.logprob, 5),
            }
            for sample, answer in zip(recording.samples, recording.answers, strict=True)
        ],
        "outcomes": {name: asdict(result) for name, result in recording.results.items()},
    }
